"""Log lines of our own failures: at most one a minute for each cause."""

import logging
import threading
import time
from typing import Final

__all__ = ["say"]

log: Final = logging.getLogger("turnspan")
INTERVAL_S: Final = 60.0
MAX_CAUSES: Final = 256

_said: dict[str, float] = {}
_lock = threading.Lock()


def say(
    cause: str,
    message: str,
    *args: object,
    level: int = logging.WARNING,
    error: BaseException | None = None,
) -> bool:
    """Log ``message % args`` unless ``cause`` was heard within the last minute; was it said?

    ``error`` adds its traceback. Never raises, never blocks: while another thread is
    saying something, this is left unsaid.
    """
    if not _lock.acquire(blocking=False):
        return False
    try:
        now_s = time.monotonic()
        if now_s - _said.get(cause, -INTERVAL_S) < INTERVAL_S:
            return False
        if len(_said) >= MAX_CAUSES:
            _said.clear()
        _said[cause] = now_s
    finally:
        _lock.release()
    log.log(level, message, *args, exc_info=error)
    return True
