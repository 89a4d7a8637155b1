"""Usage of a project: the turns of a span of time, and the sessions that were active."""

from __future__ import annotations

from typing import Any, Final

from turnspan.dialects.instants import iso_of
from turnspan.server.call import Calling, Reading
from turnspan.server.dialect import DialectRouter
from turnspan.server.quota import month_of
from turnspan.server.routes.uniqos.params import Asked

router: Final[DialectRouter] = DialectRouter()


@router.get("/v1/usage/turns")
def show_turns(store: Reading, call: Calling, where: Asked) -> dict[str, Any]:
    """The turns of the account between `from` and `to`, or of this month."""
    first, last = month_of(call.clock.now_ns())
    since = first if where.since is None else where.since
    until = max(since, last if where.until is None else where.until)
    return {
        "period_start": iso_of(since),
        "period_end": iso_of(until),
        "turns": store.usage(since, until).turns,
        "limit": call.limits.turns_per_month,
    }


@router.get("/v1/usage/active-relationships")
def show_active_relationships(store: Reading, call: Calling) -> dict[str, Any]:
    """The sessions with a turn in this month."""
    since, until = month_of(call.clock.now_ns())
    return {
        "period_start": iso_of(since),
        "period_end": iso_of(until),
        "count": store.usage(since, until).sessions,
        "limit": None,
    }
