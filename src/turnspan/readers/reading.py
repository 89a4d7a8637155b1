"""`turnspan.read`: turns out of any Turns API, whatever its dialect."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from turnspan.errors import ReaderError, WireError
from turnspan.readers.reader import Query, Reader
from turnspan.readers.registry import build
from turnspan.settings import Settings

if TYPE_CHECKING:
    from turnspan.schema import Turn

__all__ = ["read"]

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def read(
    url: str,
    *,
    session_id: str | None = None,
    user_id: str | None = None,
    agent: str | None = None,
    since: datetime | int | None = None,
    until: datetime | int | None = None,
    project_id: str | None = None,
    api_key: str | None = None,
) -> Iterator[Turn]:
    """The turns at ``url``, page by page as they are asked for, in the order it gives them.

    ``https://host`` is a Turns API of ours; ``statebase+https://``, ``sonzai+https://``,
    ``emergence+https://`` and ``uniqos+https://`` are read in those dialects. A field that a
    dialect does not carry is empty, and each turn says so: a `Cut` in its `truncated` names
    it. Turns are chosen by what is set: ``since`` (inclusive) and ``until`` (exclusive) are
    datetimes (local ones where they have no zone) or nanoseconds. The key is ``api_key``, else
    that of the URL, else `TURNSPAN_API_KEY`. Some dialects ask for a session or a project:
    docs/reading.md.

    Raises:
        ReaderError: the URL is no place to read from, or its dialect cannot choose by what
            was asked, or that cannot be read; while iterating, it does not answer or refuses.
    """
    chosen_by = {"session_id": session_id, "user_id": user_id, "agent": agent}
    _check_texts(**chosen_by, project_id=project_id)
    query = Query(
        **chosen_by,
        since=_ns("since", since),
        until=_ns("until", until),
        project_id=project_id,
    )
    given = {} if api_key is None else {"api_key": api_key}
    reader = build(url, settings=Settings.read(os.environ, given), key_given=bool(given))
    for name in sorted(reader.lost):
        if query.asks_for(name):
            raise ReaderError(
                f"{reader.dialect} does not carry {name!r}, so turns cannot be chosen by it",
                fix="leave it out, or read another dialect",
            )
    return _marked(reader, query, reader.turns(query))


def _marked(reader: Reader, query: Query, turns: Iterator[Turn]) -> Iterator[Turn]:
    from turnspan.schema import Cut

    why = f"not carried by {reader.dialect}"
    cuts = tuple(Cut(where=name, why=why) for name in sorted(reader.lost))
    try:
        for turn in turns:
            if query.holds(turn):
                yield turn.model_copy(update={"truncated": turn.truncated + cuts}) if cuts else turn
    except WireError as error:
        raise ReaderError(f"{reader.name} cannot be read: {error.what}", fix=error.fix) from error
    finally:
        reader.close()


def _check_texts(**given: object) -> None:
    for name, said in given.items():
        if said is not None and not isinstance(said, str):
            raise ReaderError(f"{name}={said!r} is no text", fix=f"give {name}='…'")


def _ns(name: str, at: datetime | int | None) -> int | None:
    """As nanoseconds; a datetime without a zone is local time."""
    if at is None or type(at) is int:
        return at
    if not isinstance(at, datetime):
        raise ReaderError(
            f"{name}={at!r} is no time", fix="give a datetime, or nanoseconds since the epoch"
        )
    since = (at if at.tzinfo else at.astimezone()) - _EPOCH
    return since // timedelta(microseconds=1) * 1_000
