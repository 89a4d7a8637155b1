"""Waking a sleeper from a place that may never wait."""

from __future__ import annotations

import sys
import threading
import time
from typing import Protocol

__all__ = ["NEVER", "Bell", "Bells", "Ringing", "Sleep"]

NEVER = sys.maxsize


class Bell:
    """Wakes the one thread that sleeps on it.

    A `threading.Event` takes a lock to be set: a finaliser that records a turn while its
    own thread is setting one would wait for itself. Releasing a bare lock never waits.
    """

    __slots__ = ("_lock", "at")

    def __init__(self) -> None:
        self.at: int = NEVER  # the byte count to ring at
        self._lock = threading.Lock()
        self._lock.acquire()

    def ring(self) -> None:
        """End the current sleep, or the next. Never waits."""
        try:
            self._lock.release()
        except RuntimeError:
            return  # it has rung already

    def sleep(self, timeout_s: float | None) -> bool:
        """Sleep until `ring`, at most ``timeout_s`` seconds; did it ring?"""
        if timeout_s is None:
            return self._lock.acquire()
        if timeout_s <= 0:
            return self._lock.acquire(blocking=False)
        return self._lock.acquire(timeout=min(timeout_s, threading.TIMEOUT_MAX))


class Bells:
    """The sleepers of one log, and the lowest byte count any of them waits for.

    ``mark`` is what the appending side compares with: where the count has reached it, there
    is something to do. `floor` adds a count of the log's own (its next rotation).
    """

    __slots__ = ("_bells", "_lock", "floor", "mark")

    def __init__(self) -> None:
        self.floor: int = NEVER
        self.mark: int = NEVER
        self._bells: tuple[Bell, ...] = ()
        self._lock = threading.Lock()

    def add(self, bell: Bell) -> None:
        """Let ``bell`` be rung."""
        with self._lock:
            self._bells = (*self._bells, bell)

    def remove(self, bell: Bell) -> None:
        """Forget ``bell``."""
        with self._lock:
            self._bells = tuple(other for other in self._bells if other is not bell)

    def ask(self, bell: Bell, at: int) -> None:
        """Ring ``bell`` when ``at`` bytes are there. Look at the count again afterwards."""
        with self._lock:
            bell.at = at
            self.mark = min(self.mark, at)

    def rise(self, floor: int) -> None:
        """Set the log's own count."""
        self.floor = floor
        self.settle()

    def reached(self, total: int) -> None:
        """Ring whoever waits for ``total`` bytes or fewer. Never waits."""
        for bell in self._bells:
            if bell.at <= total:
                bell.at = NEVER
                bell.ring()
        self.settle()

    def settle(self) -> None:
        """Work out `mark` anew; left too low when somebody else is at it, which is harmless."""
        if self._lock.acquire(blocking=False):
            try:
                self.mark = min((self.floor, *(bell.at for bell in self._bells)))
            finally:
                self._lock.release()


class Ringing(Protocol):
    """A log that counts what it was given and rings bells."""

    @property
    def appended(self) -> int:
        """Bytes it was given so far."""
        ...

    @property
    def bells(self) -> Bells:
        """Who sleeps on it."""
        ...


class Sleep:
    """The waiting half of a backlog: a bell in a log, and how far its reader has seen."""

    __slots__ = ("_bell", "_log", "_woken", "seen")

    def __init__(self, log: Ringing) -> None:
        self._log = log
        self._bell = Bell()
        self._woken = False
        self.seen: int = 0
        log.bells.add(self._bell)

    def wait(self, timeout_s: float | None, min_bytes: int) -> None:
        """See `turnspan.ports.Backlog.wait`."""
        deadline_s = None if timeout_s is None else time.monotonic() + timeout_s
        target = self.seen + max(min_bytes, 1)
        while not self._woken and self._log.appended < target:
            self._log.bells.ask(self._bell, target)
            if self._woken or self._log.appended >= target:
                break
            left_s = None if deadline_s is None else deadline_s - time.monotonic()
            if left_s is not None and left_s <= 0:
                break
            self._bell.sleep(left_s)
        self._woken = False

    def wake(self) -> None:
        """End the current or the next wait."""
        self._woken = True
        self._bell.ring()

    def close(self) -> None:
        """Have the bell rung no more."""
        self.wake()
        self._log.bells.remove(self._bell)
