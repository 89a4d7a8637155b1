"""Log lines of our own failures: at most one a minute for each cause."""

import os
import sys
import threading
import time
from contextlib import suppress
from typing import Final

__all__ = ["say"]

INTERVAL_S: Final = 60.0
MAX_CAUSES: Final = 256

_said: dict[str, float] = {}
_lock = threading.Lock()


def say(
    cause: str,
    message: str,
    *args: object,
    level: int = 30,
    error: BaseException | None = None,
) -> bool:
    """Log ``message % args`` unless ``cause`` was heard within the last minute; was it said?

    ``level`` is a level of `logging`, WARNING unless given; ``error`` adds its traceback.
    Never raises, never blocks: while another thread is saying something, this is left unsaid.
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
    try:
        import logging  # here: every program that decorates a function would pay for it

        logging.getLogger("turnspan").log(level, message, *args, exc_info=error)
    except Exception as failure:  # noqa: BLE001  # border: foreign handlers, no descriptor left
        _complain(cause, failure)
        return False
    return True


def _complain(cause: str, failure: Exception) -> None:
    """Where the log does not take a line, standard error may."""
    if sys.stderr is not None:
        with suppress(OSError, ValueError):
            sys.stderr.write(f"turnspan: {cause}: not logged, for {type(failure).__name__}\n")


def _after_fork() -> None:
    global _lock  # noqa: PLW0603  # another thread of the parent may have held it
    _lock = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
