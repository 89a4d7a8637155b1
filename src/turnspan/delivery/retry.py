"""When to try a troubled destination again."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Final

__all__ = ["Backoff"]

FIRST_S: Final = 1.0
MOST_S: Final = 60.0
LONGEST_ASKED_S: Final = 3600.0


class Backoff:
    """Exponential backoff with full jitter: between nothing and 1, 2, 4 … 60 seconds.

    ``uniform`` draws between its two arguments. Jitter keeps many processes from coming
    back at the same moment.
    """

    def __init__(self, uniform: Callable[[float, float], float] | None = None) -> None:
        self._uniform = uniform or random.Random().uniform  # no secret
        self.failures: int = 0
        """Failures in a row."""

    def next_s(self, asked_s: float | None = None) -> float:
        """Seconds until the next try, and no fewer than the destination ``asked_s`` for.

        More than an hour is not waited for: a wrong answer must not silence us for good.
        """
        ceiling_s = min(MOST_S, FIRST_S * 2.0 ** min(self.failures, 16))
        self.failures += 1
        floor_s = min(max(asked_s or 0.0, 0.0), LONGEST_ASKED_S)
        return max(self._uniform(0.0, ceiling_s), floor_s)

    def reset(self) -> None:
        """The destination took something: begin anew."""
        self.failures = 0
