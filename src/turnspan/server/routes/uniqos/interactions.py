"""Interactions: a page, one, and numbers over them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from itertools import groupby
from typing import Annotated, Any, Final, Literal

from fastapi import Query

from turnspan.dialects.instants import iso_of
from turnspan.dialects.uniqos import interaction_of
from turnspan.server.call import Calling, Reading
from turnspan.server.dialect import DialectRouter
from turnspan.server.problem import missing
from turnspan.server.routes.native.params import cursor_of
from turnspan.server.routes.uniqos.params import DETAIL_NS, Asked, Cursor, Detailed, Limit
from turnspan.server.store.port import Statistics

router: Final[DialectRouter] = DialectRouter()


@router.get("/v1/interactions")
def list_interactions(
    store: Reading, where: Detailed, after: Cursor, limit: Limit = 50
) -> dict[str, Any]:
    """A page of interactions, newest first; an empty one where none matches."""
    page = store.turns(where, limit=limit, after=after)
    last = page.items[-1].position if page.has_more and page.items else None
    data = [interaction_of(stored.turn) for stored in page.items]
    return {"data": data, "next_cursor": cursor_of(last)}


@router.get("/v1/interactions/aggregates")
def show_aggregates(
    store: Reading,
    where: Asked,
    group_by: Annotated[Literal["day", "week", "month"] | None, Query()] = None,
) -> dict[str, Any]:
    """Numbers by period of UTC, or in one bucket; turns that are no longer detailed count too."""
    groups = store.statistics(where, by=group_by, by_agent=True)
    if group_by is None:
        return {"data": [_bucket(None, groups)]}
    periods = groupby(groups, key=lambda each: each.period_start)
    return {"data": [_bucket(start, list(some)) for start, some in periods]}


@router.get("/v1/interactions/{interaction_id:segment}")
def show_interaction(store: Reading, call: Calling, interaction_id: str) -> dict[str, Any]:
    """One interaction, as an item of the list."""
    found = store.turn(interaction_id)
    if found is None or found.turn.started_at < call.clock.now_ns() - DETAIL_NS:
        raise missing("interaction", interaction_id)
    return interaction_of(found.turn)


def _bucket(start: int | None, groups: Iterable[Statistics]) -> dict[str, Any]:
    turns: Counter[str | None] = Counter()
    total_ms = 0.0
    for each in groups:
        turns[each.agent] += each.turns
        total_ms += each.turns * each.latency_ms["mean"]
    total = turns.total()
    return {
        "period_start": None if start is None else iso_of(start),
        "total_turns": total,
        "avg_latency_ms": round(total_ms / total, 3) if total else None,
        "unique_personalities_count": len(turns),
        "primary_emotion_distribution": {},
    }
