"""How many turns a project may store in a month, where the server sets a limit."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from turnspan.server.problem import Problem

if TYPE_CHECKING:
    from turnspan.server.call import Call
    from turnspan.server.store.port import TurnStore

__all__ = ["Quota", "check_quota", "month_of", "quota_of"]


@dataclass(frozen=True, slots=True)
class Quota:
    """What a project used of its month, which is UTC's. A turn counts when it started."""

    turns: int
    users: int
    sessions: int
    limit: int | None
    """None means any number of turns."""
    resets_at: int
    """When the next month begins: nanoseconds since the epoch."""


def quota_of(call: Call, store: TurnStore) -> Quota:
    """Where the project of ``store`` stands. Counts, so it is not for every request."""
    begins, ends = month_of(call.clock.now_ns())
    used = store.usage(begins, ends)
    return Quota(used.turns, used.users, used.sessions, call.limits.turns_per_month, ends)


def month_of(now_ns: int) -> tuple[int, int]:
    """When the month of UTC began that ``now_ns`` is in, and when the next begins."""
    now = datetime.fromtimestamp(now_ns // 10**9, UTC)
    since = now.replace(day=1, hour=0, minute=0, second=0)
    until = since.replace(year=since.year + since.month // 12, month=since.month % 12 + 1)
    return int(since.timestamp()) * 10**9, int(until.timestamp()) * 10**9


def check_quota(call: Call, store: TurnStore) -> None:
    """See that the project may store more turns; nothing is counted where nothing is limited.

    Raises:
        Problem: 429 `quota_exhausted`, until the month is over.
    """
    if call.limits.turns_per_month is None:
        return
    quota = quota_of(call, store)
    if quota.turns >= call.limits.turns_per_month:
        raise Problem(
            429,
            "quota_exhausted",
            f"this project has stored its {quota.limit} turns of this month",
            retry_after_s=(quota.resets_at - call.clock.now_ns()) / 1e9,
            extra={"resets_at": quota.resets_at},
        )
