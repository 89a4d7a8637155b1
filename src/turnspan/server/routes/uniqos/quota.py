"""What a project has used of the current month, and what it may use."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final
from weakref import WeakKeyDictionary

from turnspan.server.call import Call
from turnspan.server.store.port import Store

__all__ = ["UNLIMITED", "Quota", "month_of", "quota_of"]

UNLIMITED: Final = 2**53 - 1
"""Said where there is no limit: the largest number that every client can read."""
FRESH_NS: Final = 10 * 10**9
MAX_REMEMBERED: Final = 10_000
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Quota:
    """Turns and sessions of a month, and where it ends."""

    turns: int
    max_turns: int
    sessions: int
    max_sessions: int
    until: int


class _Remembered:
    """Quotas that were counted a moment ago: to refuse a flood must not cost a count each."""

    def __init__(self) -> None:
        self._counting: threading.Lock = threading.Lock()
        self._found: WeakKeyDictionary[Store, dict[str, tuple[Quota, int]]] = WeakKeyDictionary()

    def get(self, call: Call) -> Quota:
        """The quota of the caller's project, mostly at most `FRESH_NS` old."""
        known = self._known(call)
        if known is not None and call.clock.monotonic_ns() - known[1] < FRESH_NS:
            return known[0]
        if not self._counting.acquire(blocking=known is None):
            return known[0] if known else _counted(call)
        try:
            return self._count(call)
        finally:
            self._counting.release()

    def _known(self, call: Call) -> tuple[Quota, int] | None:
        return self._found.get(call.storage, {}).get(call.caller.project)

    def _count(self, call: Call) -> Quota:
        at_ns = call.clock.monotonic_ns()
        known = self._known(call)  # somebody else may have counted while this one waited
        if known is not None and at_ns - known[1] < FRESH_NS:
            return known[0]
        quota = _counted(call)
        of_store = self._found.setdefault(call.storage, {})
        if len(of_store) >= MAX_REMEMBERED:
            of_store.clear()
        of_store[call.caller.project] = quota, at_ns
        return quota


_remembered: Final[_Remembered] = _Remembered()


def quota_of(call: Call) -> Quota:
    """What the caller's project has used of this month; it asks the store, and may block."""
    return _remembered.get(call)


def month_of(now_ns: int) -> tuple[int, int]:
    """The beginning of the month, in UTC, and of the next."""
    now = _EPOCH + timedelta(microseconds=now_ns // 1_000)
    first = now.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    following = (first + timedelta(days=32)).replace(day=1)
    return _ns(first), _ns(following)


def _counted(call: Call) -> Quota:
    since, until = month_of(call.clock.now_ns())
    used = call.storage.of(call.caller.project).usage(since, until)
    limit = call.limits.turns_per_month
    return Quota(
        turns=used.turns,
        max_turns=UNLIMITED if limit is None else limit,
        sessions=used.sessions,
        max_sessions=UNLIMITED,
        until=until,
    )


def _ns(at: datetime) -> int:
    return (at - _EPOCH) // timedelta(microseconds=1) * 1_000
