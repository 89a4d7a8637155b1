"""What the native API is asked with: filters, times, cursors."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any, Final

from fastapi import Depends, Query, Request
from pydantic import BaseModel, BeforeValidator, Field, WithJsonSchema

from turnspan.schema import Status
from turnspan.server.problem import Problem
from turnspan.server.store.port import Position, SessionFilter, TurnFilter
from turnspan.server.store.rows import MAX_LABEL_CHARS

__all__ = [
    "KEY",
    "METADATA",
    "PROBLEMS",
    "Cursor",
    "Instant",
    "Limit",
    "Sessions",
    "Turns",
    "cursor_of",
    "metadata_of",
    "position_of",
]

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MAX: Final = 2**63 - 1
_HALF: Final = 2**63
_MAX_ENTRIES: Final = 4
_MAX_KEY_CHARS: Final = 100
KEY: Final = re.compile(r"metadata\[(.*)\]", re.DOTALL)
"""The name of the parameter that asks for an entry of the metadata."""


class ProblemDetails(BaseModel):
    """A problem as RFC 9457 has it."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    request_id: str
    errors: list[dict[str, str]] | None = None


PROBLEMS: Final[dict[int | str, dict[str, Any]]] = {
    "default": {
        "description": "A problem",
        "content": {
            "application/problem+json": {"schema": {"$ref": "#/components/schemas/ProblemDetails"}}
        },
    }
}
METADATA: Final[dict[str, Any]] = {
    "parameters": [
        {
            "name": "metadata",
            "in": "query",
            "description": "Top-level entries of the metadata: `metadata[KEY]=VALUE`.",
            "style": "deepObject",
            "explode": True,
            "schema": {
                "type": "object",
                "additionalProperties": {"type": "string", "maxLength": MAX_LABEL_CHARS},
                "maxProperties": _MAX_ENTRIES,
                "propertyNames": {"maxLength": _MAX_KEY_CHARS},
            },
        }
    ]
}


def instant_ns(value: Any) -> int:
    """A time as a person or a program writes it, in nanoseconds since the epoch.

    Raises:
        ValueError: it is none.
    """
    text = str(value).strip()
    if re.fullmatch(r"\d{1,19}", text):
        if int(text) > _MAX:
            raise ValueError("beyond the year 2262")
        return int(text)
    at = datetime.fromisoformat(text)
    since = (at if at.tzinfo else at.replace(tzinfo=UTC)) - _EPOCH
    ns = (since.days * 86_400 + since.seconds) * 10**9 + since.microseconds * 1_000
    return max(-_MAX, min(ns, _MAX))  # whatever the year, the order is the same


def cursor_of(position: Position | None) -> str | None:
    """Where a listing goes on, as clients hand it back."""
    if position is None:
        return None
    return f"{position.at + _HALF:016x}{position.seq:016x}"


def metadata_of(request: Request) -> dict[str, str]:
    """The entries that `metadata[KEY]=VALUE` ask for.

    Raises:
        Problem: there are too many, or one is longer than what is kept to be found by.
    """
    pairs = request.query_params.multi_items()
    asked = {found[1]: value for key, value in pairs if (found := KEY.fullmatch(key))}
    longest = max(map(len, asked.values()), default=0)
    if longest > MAX_LABEL_CHARS or len(asked) > _MAX_ENTRIES or _has_long_key(asked):
        why = f"at most {_MAX_ENTRIES} entries, of {MAX_LABEL_CHARS} characters"
        raise Problem(422, "invalid_request", f"metadata: {why}", param="metadata")
    return asked


def _has_long_key(asked: Mapping[str, str]) -> bool:
    return any(len(key) > _MAX_KEY_CHARS for key in asked)


def position_of(cursor: str) -> Position:
    """The other way.

    Raises:
        ValueError: no listing gave it.
    """
    if not re.fullmatch("[0-9a-f]{32}", cursor):
        raise ValueError("it is not a cursor")
    return Position(int(cursor[:16], 16) - _HALF, min(int(cursor[16:], 16), _MAX))


def _cursor(
    cursor: Annotated[
        str | None,
        Query(description="`next_cursor` of the page before.", pattern="^[0-9a-f]{32}$"),
    ] = None,
) -> Position | None:
    return None if cursor is None else position_of(cursor)


Instant = Annotated[
    int,
    BeforeValidator(instant_ns),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string", "format": "date-time"},
                {"type": "integer", "minimum": 0, "maximum": 2**63 - 1},
            ]
        }
    ),
]
"""A time: ISO 8601, or nanoseconds since the epoch."""
Text = Annotated[str, Field(max_length=200)]


def _turns(  # noqa: PLR0917  # FastAPI calls it by name
    request: Request,
    session_id: Annotated[Text | None, Query()] = None,
    agent: Annotated[Text | None, Query()] = None,
    user_id: Annotated[Text | None, Query()] = None,
    status: Annotated[list[Status] | None, Query(description="Any of these.")] = None,
    tool: Annotated[Text | None, Query(description="A tool that was called.")] = None,
    since: Annotated[Instant | None, Query(description="Started at or after.")] = None,
    until: Annotated[Instant | None, Query(description="Started before.")] = None,
    text: Annotated[Text | None, Query(description="Words, all in its content.")] = None,
) -> TurnFilter:
    return TurnFilter(
        session_id=session_id,
        agent=agent,
        user_id=user_id,
        statuses=frozenset(status or ()),
        tool=tool,
        since=since,
        until=until,
        text=text,
        metadata=metadata_of(request),
    )


def _sessions(
    request: Request,
    agent: Annotated[Text | None, Query()] = None,
    user_id: Annotated[Text | None, Query()] = None,
    since: Annotated[Instant | None, Query(description="Made at or after.")] = None,
    until: Annotated[Instant | None, Query(description="Made before.")] = None,
) -> SessionFilter:
    return SessionFilter(
        agent=agent,
        user_id=user_id,
        created_since=since,
        created_until=until,
        metadata=metadata_of(request),
    )


Cursor = Annotated[Position | None, Depends(_cursor)]
Limit = Annotated[int, Query(ge=1, le=500, description="Most items of a page.")]
Turns = Annotated[TurnFilter, Depends(_turns)]
"""Which turns are meant."""
Sessions = Annotated[SessionFilter, Depends(_sessions)]
"""Which sessions are meant."""
