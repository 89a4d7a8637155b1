"""What a project has used of the current month, counted not more often than needed."""

from __future__ import annotations

import threading
from typing import Final
from weakref import WeakKeyDictionary

from turnspan.server.call import Call
from turnspan.server.quota import Quota, quota_of
from turnspan.server.store.port import Store

__all__ = ["recent_quota"]

FRESH_NS: Final = 10 * 10**9
MAX_REMEMBERED: Final = 10_000


class _Remembered:
    """Quotas that were counted a moment ago: to refuse a flood must not cost a count each."""

    def __init__(self) -> None:
        self._counting: threading.Lock = threading.Lock()
        self._found: WeakKeyDictionary[Store, dict[str, tuple[Quota, int]]] = WeakKeyDictionary()

    def get(self, call: Call) -> Quota:
        """The quota of the caller's project, mostly at most `FRESH_NS` old."""
        known = self._known(call)
        if known is None:
            with self._counting:
                return self._count(call)
        if _is_fresh(known, call) or not self._counting.acquire(blocking=False):
            return known[0]
        try:
            return self._count(call)
        finally:
            self._counting.release()

    def _known(self, call: Call) -> tuple[Quota, int] | None:
        return self._found.get(call.storage, {}).get(call.caller.project)

    def _count(self, call: Call) -> Quota:
        known = self._known(call)  # somebody else may have counted while this one waited
        if known is not None and _is_fresh(known, call):
            return known[0]
        at_ns = call.clock.monotonic_ns()
        quota = _counted(call)
        of_store = self._found.setdefault(call.storage, {})
        if len(of_store) >= MAX_REMEMBERED:
            of_store.clear()
        of_store[call.caller.project] = quota, at_ns
        return quota


_remembered: Final[_Remembered] = _Remembered()


def recent_quota(call: Call) -> Quota:
    """What the caller's project has used of this month; it asks the store, and may block."""
    return _remembered.get(call)


def _is_fresh(known: tuple[Quota, int], call: Call) -> bool:
    return call.clock.monotonic_ns() - known[1] < FRESH_NS


def _counted(call: Call) -> Quota:
    return quota_of(call, call.storage.of(call.caller.project))
