"""The thread that looks after a journal."""

from __future__ import annotations

import _thread
import threading
from collections.abc import Callable

from turnspan.journal.bell import Bell
from turnspan.notices import say

__all__ = ["Upkeep"]


class Upkeep:
    """Calls ``work`` in a daemon thread; it answers after how many seconds it wants the next."""

    def __init__(self, work: Callable[[], float]) -> None:
        self._work = work
        self._bell = Bell()
        self._ended = threading.Event()
        self._is_closed = False
        self._is_running = False

    @property
    def is_running(self) -> bool:
        """Is there a thread?"""
        return self._is_running

    def start(self) -> None:
        """Start the thread, or have a sleeping one work now. Never waits."""
        self._bell.ring()
        if self._is_running or self._is_closed:
            return
        self._is_running = True
        try:
            # Not `Thread.start`: it waits for locks that a signal handler may have interrupted.
            _thread.start_new_thread(self._run, ())
        except RuntimeError as error:
            self._is_running = False
            say("upkeep", "the journal is not looked after: %s", error)

    def close(self, timeout_s: float = 1.0) -> None:
        """End the thread, waiting for what it is doing at most ``timeout_s`` seconds."""
        self._is_closed = True
        self._bell.ring()
        if self._is_running:
            self._ended.wait(timeout_s)

    def _run(self) -> None:
        try:
            while not self._is_closed:
                wait_s = self._worked()
                if not self._is_closed:
                    self._bell.sleep(wait_s)
        finally:
            self._ended.set()

    def _worked(self) -> float:
        try:
            return self._work()
        except Exception as error:  # noqa: BLE001  # a border: the thread must go on
            say("upkeep", "looking after the journal failed: %s", error, error=error)
            return 60.0
