"""Numbers over turns."""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import Query
from pydantic import BaseModel

from turnspan.server.call import Reading
from turnspan.server.dialect import DialectRouter
from turnspan.server.routes.native.known_query import KNOWN_QUERY
from turnspan.server.routes.native.params import METADATA, PROBLEMS, Turns
from turnspan.server.store.port import Period, Statistics

router: Final[DialectRouter] = DialectRouter([KNOWN_QUERY])


class Group(BaseModel):
    """Numbers of the turns of one group."""

    period_start: int | None
    """Nanoseconds since the epoch; periods are those of UTC."""
    agent: str | None
    turns: int
    by_status: dict[str, int]
    success_rate: float | None
    latency_ms: dict[str, float]
    input_tokens: int
    output_tokens: int
    cost_usd: float


class ToolUseShown(BaseModel):
    """How often a tool was called, and how often it failed."""

    calls: int
    errors: int


class Stats(BaseModel):
    """Numbers over turns."""

    groups: list[Group]
    tools: dict[str, ToolUseShown] | None = None


@router.get("/v1/stats", openapi_extra=METADATA, responses=PROBLEMS)
def show_stats(
    store: Reading,
    where: Turns,
    period: Annotated[Period | None, Query(description="A group for each.")] = None,
    *,
    by_agent: Annotated[bool, Query(description="A group for each agent.")] = False,
    tools: Annotated[bool, Query(description="Say also how tools were used.")] = False,
) -> Stats:
    """How turns went: their outcomes, lengths (to within 5 %), tokens and cost.

    Turns that were retired count too, where only time, agent and status are asked for.
    """
    groups = store.statistics(where, by=period, by_agent=by_agent)
    used = store.tool_use(where) if tools else None
    return Stats(
        groups=[_group(each) for each in groups],
        tools=None
        if used is None
        else {
            name: ToolUseShown(calls=each.calls, errors=each.errors) for name, each in used.items()
        },
    )


def _group(statistics: Statistics) -> Group:
    return Group(**{name: getattr(statistics, name) for name in Group.model_fields})
