"""What uniqOS's listings are asked with."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Any, Final

from fastapi import Depends, Query
from pydantic import BeforeValidator, Field, WithJsonSchema

from turnspan.dialects.instants import ns_of
from turnspan.server.call import Calling
from turnspan.server.problem import Problem
from turnspan.server.routes.native.params import position_of
from turnspan.server.store.port import Position, TurnFilter

__all__ = ["DETAIL_NS", "Asked", "Cursor", "Detailed", "Instant", "Limit"]

DETAIL_NS: Final = 180 * 86_400 * 10**9
"""How far back single interactions can be asked for."""
_FURTHEST: Final = 2**63 - 1
"""A time beyond what is reckoned with, such as the year 9999, means the furthest that is."""
Text = Annotated[str, Field(max_length=200)]
Place = Annotated[str, WithJsonSchema({"type": "string", "pattern": "^[0-9a-f]{32}$"})]


def _instant(value: Any) -> int:
    return max(-_FURTHEST, min(ns_of(value), _FURTHEST))


def _asked(
    since: Annotated[Instant | None, Query(alias="from")] = None,
    until: Annotated[Instant | None, Query(alias="to")] = None,
    user_id: Annotated[Text | None, Query()] = None,
    relationship_id: Annotated[Text | None, Query()] = None,
) -> TurnFilter:
    if since is not None and until is not None and since > until:
        raise Problem(400, "invalid_request", "`from` is later than `to`", param="from")
    return TurnFilter(session_id=relationship_id, user_id=user_id, since=since, until=until)


def _detailed(where: Asked, call: Calling) -> TurnFilter:
    oldest = call.clock.now_ns() - DETAIL_NS
    return replace(where, since=oldest if where.since is None else max(where.since, oldest))


def _cursor(cursor: Annotated[Place | None, Query()] = None) -> Position | None:
    try:
        return None if cursor is None else position_of(cursor)
    except ValueError:
        raise Problem(400, "invalid_request", "this is no cursor of ours", param="cursor") from None


Instant = Annotated[
    int,
    BeforeValidator(_instant),
    WithJsonSchema({"type": "string", "format": "date-time"}),
]
"""A time of ISO 8601, in nanoseconds since the epoch; a date is its first moment in UTC."""
Limit = Annotated[int, Query(ge=1, le=100)]
Cursor = Annotated[Position | None, Depends(_cursor)]
Asked = Annotated[TurnFilter, Depends(_asked)]
"""Which turns are meant, of all times."""
Detailed = Annotated[TurnFilter, Depends(_detailed)]
"""Which turns are meant, of those that are told one by one."""
