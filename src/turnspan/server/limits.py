"""What one caller may ask of the server: sizes, times, and requests a second."""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from turnspan.ports import Clock

__all__ = ["Allowance", "Limits", "TokenBuckets"]

MAX_BUCKETS: Final = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Every limit of the server, with the default that `turnspan serve` runs with."""

    body_bytes: int = 16 * 2**20
    """Longest request body after decompression; a dialect may have a lower one."""
    header_bytes: int = 16 * 2**10
    """Longest headers of a request."""
    path_bytes: int = 32 * 2**10
    """Longest path with its query."""
    requests_per_s: float = 100.0
    """What a key may ask in the long run; each process counts for itself."""
    burst: int = 200
    """What a key may ask at once."""
    concurrency: int = 64
    """Requests that are worked on at one time."""
    receive_s: float = 30.0
    """Longest a request may take to arrive."""
    request_s: float = 30.0
    """Longest an answer may take to begin."""
    stall_s: float = 30.0
    """How long a client may take no more of an answer that waits for it."""
    trace_quiet_s: float = 5.0
    """How long nothing of a trace must have come before turns are made of its spans."""
    trace_wait_s: float = 60.0
    """The same where the outermost span of the trace is missing."""
    trace_kept_s: float = 3_600.0
    """How long spans are kept after that, so that one that comes late finds the others."""
    turns_per_month: int | None = None
    """Turns a project may store in a month of UTC, give or take a request; None: any number."""


@dataclass(frozen=True, slots=True)
class Allowance:
    """What a key has left after a request."""

    limit: int
    remaining: int
    full_at: int
    """When the bucket will be full again: nanoseconds since the epoch."""
    retry_after_s: float | None = None
    """How long to wait, where the request was one too many."""


class TokenBuckets:
    """One bucket a key: `burst` tokens, refilled at `requests_per_s`. Thread-safe.

    The buckets of keys that were not heard of for longest are forgotten first; a forgotten
    bucket is a full one, so there are enough of them that nobody gains by it.
    """

    def __init__(self, limits: Limits, clock: Clock) -> None:
        self._rate = limits.requests_per_s
        self._burst = limits.burst
        self._clock = clock
        self._lock = threading.Lock()
        self._buckets: OrderedDict[str, tuple[float, int]] = OrderedDict()

    def take(self, key: str) -> Allowance:
        """Take one token of ``key``."""
        now_ns = self._clock.monotonic_ns()
        with self._lock:
            tokens, at_ns = self._buckets.pop(key, (float(self._burst), now_ns))
            tokens = min(self._burst, tokens + (now_ns - at_ns) / 1e9 * self._rate)
            allowed = tokens >= 1.0
            tokens -= allowed
            self._buckets[key] = (tokens, now_ns)
            if len(self._buckets) > MAX_BUCKETS:
                self._buckets.popitem(last=False)
        return self._allowance(tokens, allowed=allowed)

    def _allowance(self, tokens: float, *, allowed: bool) -> Allowance:
        until_full_s = (self._burst - tokens) / self._rate
        return Allowance(
            limit=self._burst,
            remaining=int(tokens),
            full_at=self._clock.now_ns() + int(until_full_s * 1e9),
            retry_after_s=None if allowed else (1.0 - tokens) / self._rate,
        )
