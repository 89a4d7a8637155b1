"""Log lines of our own failures: at most one a minute for each cause."""

import os
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Final, TypeAlias

__all__ = ["hide_with", "say"]

Hide: TypeAlias = Callable[[str, BaseException | None], str]

INTERVAL_S: Final = 60.0
MAX_CAUSES: Final = 256

_said: dict[str, float] = {}
_hide: Hide | None = None
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

        logger = logging.getLogger("turnspan")
        if _hide is None:
            logger.log(level, message, *args, exc_info=error)
        else:
            logger.log(level, "%s", _hidden(_hide, message % args, error))
    except Exception as failure:  # noqa: BLE001  # border: foreign handlers, no descriptor left
        _complain(cause, failure)
        return False
    return True


def hide_with(hide: Hide | None) -> None:
    """Log only what ``hide`` makes of a message and an exception; None logs them as they are."""
    global _hide  # noqa: PLW0603  # there is one log a process
    _hide = hide


def _hidden(hide: Hide, said: str, error: BaseException | None) -> str:
    try:
        return hide(said, error)
    except Exception as exc:  # noqa: BLE001  # border: what cannot be searched is not logged
        return f"a message is withheld: {type(exc).__name__}"


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
