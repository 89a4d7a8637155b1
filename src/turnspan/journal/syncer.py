"""Group fsync: what was appended survives power loss, many records at a time."""

from __future__ import annotations

import os
import threading
import time

from turnspan.journal.bell import Sleep
from turnspan.journal.log import JournalLog
from turnspan.journal.upkeep import Upkeep
from turnspan.notices import say

__all__ = ["Syncer"]


class Syncer:
    """Follows a log with fsync in a thread of its own; appending never waits for it.

    A record is safe from power loss some milliseconds after its append, or, for certain,
    when `sync` has answered True.
    """

    def __init__(self, log: JournalLog) -> None:
        self._log = log
        self._sleep = Sleep(log)
        self._synced = 0
        self._is_closed = False
        self._progress = threading.Condition()
        self._thread = Upkeep(self._work)

    def start(self) -> None:
        """Start the thread, if it isn't there."""
        self._thread.start()

    def sync(self, timeout_s: float) -> bool:
        """Wait until what is appended by now is on disk; False when time ran out."""
        target = self._log.appended
        self._sleep.wake()
        with self._progress:
            return self._progress.wait_for(lambda: self._synced >= target, timeout_s)

    def close(self, timeout_s: float) -> None:
        """Sync what is left, and end the thread."""
        self.start()
        self.sync(timeout_s)
        self._is_closed = True
        self._sleep.wake()
        self._thread.close(timeout_s)
        self._sleep.close()

    def _work(self) -> float:
        while not self._is_closed:
            before = self._log.appended
            if self._sync():
                self._sleep.seen = before
                with self._progress:
                    self._synced = before
                    self._progress.notify_all()
            else:
                time.sleep(1.0)  # a disk that fails is not asked at once again
            self._sleep.wait(None, 1)
        return 0.0

    def _sync(self) -> bool:
        try:
            while self._log.unsynced:
                sealed = self._log.unsynced.pop(0)
                try:
                    os.fsync(sealed)
                finally:
                    os.close(sealed)
            if self._log.is_open:
                os.fsync(self._log.fd)
        except OSError as error:
            say("fsync", "turns may not survive power loss: %s", error)
            return False
        return True
