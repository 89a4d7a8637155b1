"""SIGTERM: deliver what is recorded, then let happen what would have happened."""

from __future__ import annotations

import _thread
import os
import signal
from collections.abc import Callable
from types import FrameType
from typing import Any

from turnspan.notices import say

__all__ = ["SigtermHook"]


class SigtermHook:
    """Has ``flush`` called when SIGTERM comes, before the handler that was there.

    The handler runs in the main thread in the middle of anything, with locks held perhaps: so
    another thread flushes, and is waited for no longer than it was given. A second SIGTERM
    takes its course at once. Whoever sets a handler of their own afterwards replaces this one.
    """

    def __init__(self, flush: Callable[[float], object]) -> None:
        self._flush = flush
        self._timeout_s = 0.0
        self._before: Any = None
        self._is_ending = False

    def install(self, timeout_s: float) -> None:
        """From now on flush for ``timeout_s`` seconds at most; idempotent."""
        self._timeout_s = timeout_s
        before = signal.getsignal(signal.SIGTERM)
        if before == self._on_signal:
            return
        try:
            if before is None:
                raise ValueError("another than a Python handler is there")
            signal.signal(signal.SIGTERM, self._on_signal)
        except ValueError as error:
            say("sigterm", "SIGTERM will not wait for turns to be delivered: %s", error)
            return
        self._before = before

    def remove(self) -> None:
        """Put the handler back that was there, where ours is still in place. Idempotent."""
        self._timeout_s = 0.0  # in another thread than the main one it stays, and does nothing
        try:
            if self._before is not None and signal.getsignal(signal.SIGTERM) == self._on_signal:
                signal.signal(signal.SIGTERM, self._before)
                self._before = None
        except ValueError:
            return

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        if not self._is_ending and self._before != signal.SIG_IGN:
            self._is_ending = True
            try:
                self._flushed()
            finally:
                self._is_ending = False
        if callable(self._before):
            self._before(number, frame)
        elif self._before == signal.SIG_DFL:
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)

    def _flushed(self) -> None:
        timeout_s = self._timeout_s
        if timeout_s <= 0:
            return
        done = _thread.allocate_lock()
        done.acquire()

        def run() -> None:
            try:
                self._flush(timeout_s)
            except Exception as error:  # noqa: BLE001  # a border: nobody else would hear of it
                say("sigterm", "turns were not delivered before the end: %s", error, error=error)
            finally:
                done.release()

        try:
            # Not `Thread.start`: it waits for locks that the signal may have interrupted.
            _thread.start_new_thread(run, ())
            done.acquire(timeout=timeout_s)
        except RuntimeError as error:
            say("sigterm", "turns were not delivered before the end: %s", error)
