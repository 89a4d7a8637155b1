"""A clock and ids that are the same in every run, so that whole turns can be compared."""

from __future__ import annotations

import itertools
import threading
from typing import Final

from turnspan.testing.turns import START_NS

__all__ = ["TICK_NS", "CountedIds", "TickingClock"]

TICK_NS: Final = 1_000_000
"""How much later each look at the monotonic clock is: one millisecond."""


class TickingClock:
    """A clock that moves by one tick each time it measures, and by nothing else. Thread-safe."""

    def __init__(self) -> None:
        self._elapsed_ns = 0
        self._lock = threading.RLock()  # a finaliser may come back in the same thread

    def now_ns(self) -> int:
        """The time of day: `START_NS` and all that has passed since."""
        return START_NS + self._elapsed_ns

    def monotonic_ns(self) -> int:
        """What has passed since the clock was made, one tick more each time."""
        return self._move(TICK_NS)

    def advance(self, seconds: float) -> None:
        """Let ``seconds`` pass."""
        self._move(round(seconds * 1e9))

    def _move(self, by_ns: int) -> int:
        with self._lock:
            self._elapsed_ns += by_ns
            return self._elapsed_ns


class CountedIds:
    """1, 2, 3, … for turns, for traces and for spans, each counted alone. Thread-safe."""

    def __init__(self) -> None:
        self._turns, self._traces, self._spans = (itertools.count(1) for _ in range(3))

    def turn_id(self) -> str:
        """`turn_000000000001` and those after it."""
        return f"turn_{next(self._turns):012d}"

    def trace_id(self) -> int:
        """The next trace's."""
        return next(self._traces)

    def span_id(self) -> int:
        """The next span's: of a turn or of a step."""
        return next(self._spans)
