"""Sessions: made by a dialect or by their first turn, changed, listed, forked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import orjson
from sqlalchemy import ColumnElement, and_, insert, or_, select, tuple_, update

from turnspan.server.store import ingest, states
from turnspan.server.store.port import (
    ConflictError,
    Incoming,
    Page,
    Position,
    Session,
    SessionFilter,
)
from turnspan.server.store.rows import clean, json_of, labels_of, text_of
from turnspan.server.store.tables import details, sessions, turns

if TYPE_CHECKING:
    from turnspan.server.store.transaction import Transaction

__all__ = ["change", "create", "fork", "page", "session"]

_COPIED_AT_ONCE: Final = 200
_TEXTS: Final = frozenset({"agent", "user_id", "title"})
_TIMES: Final = frozenset({"ended_at", "expires_at"})
_OBJECTS: Final = frozenset({"metadata", "details"})


def create(tx: Transaction, session_id: str, state: Any, changes: dict[str, Any]) -> Session:
    """Make a session, its ``state`` as version 0."""
    if _row(tx, session_id) is not None:
        raise ConflictError
    row = ingest.blank_session(tx, session_id) | _columns(changes)
    tx.connection.execute(insert(sessions), row)
    if state is not None:
        states.write(tx, session_id, 0, state)
    return _existing(tx, session_id)


def session(tx: Transaction, session_id: str) -> Session | None:
    """One session, unless it has expired."""
    row = _row(tx, session_id)
    if row is None or (row.expires_at is not None and row.expires_at <= tx.now_ns):
        return None
    return _session(row)


def page(
    tx: Transaction,
    where: SessionFilter,
    *,
    limit: int,
    after: Position | None = None,
    newest_first: bool = True,
) -> Page[Session]:
    """A page of sessions, ordered by their creation."""
    asked = select(sessions).where(_condition(tx, where))
    place = tuple_(sessions.c.created_at, sessions.c.seq)
    if after is not None:
        asked = asked.where(place < tuple_(*after) if newest_first else place > tuple_(*after))
    order = [sessions.c.created_at, sessions.c.seq]
    asked = asked.order_by(*(each.desc() if newest_first else each for each in order))
    rows = tx.connection.execute(asked.limit(limit + 1)).all()
    return Page([_session(row) for row in rows[:limit]], has_more=len(rows) > limit)


def change(tx: Transaction, session_id: str, changes: dict[str, Any]) -> Session | None:
    """Set fields of a session."""
    if session(tx, session_id) is None:
        return None
    tx.connection.execute(
        update(sessions)
        .where(sessions.c.project == tx.project, sessions.c.id == clean(session_id))
        .values(updated_at=tx.now_ns, **_columns(changes))
    )
    return _existing(tx, session_id)


def fork(
    tx: Transaction,
    session_id: str,
    new_id: str,
    version: int | None,
    changes: dict[str, Any],
) -> Session | None:
    """A new session, from where an old one stood at a version of its state."""
    origin = session(tx, session_id)
    if origin is None:
        return None
    found = states.state(tx, session_id, version)
    if found is None:
        return None
    kept = {"agent": origin.agent, "user_id": origin.user_id, "metadata": dict(origin.metadata)}
    create(tx, new_id, found.state, kept | changes)
    _copy_turns(tx, session_id, new_id, states.turns_before(tx, session_id, found.version + 1))
    return _existing(tx, new_id)


def _copy_turns(tx: Transaction, session_id: str, new_id: str, before_seq: int | None) -> None:
    """Copy the turns that were stored before the one state was followed by the next."""
    asked = (
        select(turns.c.seq, details.c.raw)
        .join(details, details.c.seq == turns.c.seq)
        .where(turns.c.project == tx.project, turns.c.session_id == clean(session_id))
        .order_by(turns.c.started_at, turns.c.seq)
    )
    if before_seq is not None:
        asked = asked.where(turns.c.seq <= before_seq)
    rows = tx.connection.execute(asked).all()
    for at in range(0, len(rows), _COPIED_AT_ONCE):
        some = rows[at : at + _COPIED_AT_ONCE]
        ingest.add(tx, [_copy(tx, bytes(raw), new_id) for _, raw in some])


def _copy(tx: Transaction, raw: bytes, session_id: str) -> Incoming:
    """The same turn in another session, under an id of its own."""
    from turnspan.schema.wire import turn_of

    record = orjson.loads(raw) | {"id": tx.ids.id("turn"), "session_id": session_id}
    return Incoming.of(turn_of(record), orjson.dumps(record, option=orjson.OPT_APPEND_NEWLINE))


def _condition(tx: Transaction, where: SessionFilter) -> ColumnElement[bool]:
    own = sessions.c
    asked: list[ColumnElement[bool]] = [
        own.project == tx.project,
        or_(own.expires_at.is_(None), own.expires_at > tx.now_ns),
    ]
    if where.agent is not None:
        asked.append(own.agent == clean(where.agent))
    if where.user_id is not None:
        asked.append(own.user_id == clean(where.user_id))
    if where.created_since is not None:
        asked.append(own.created_at >= where.created_since)
    if where.created_until is not None:
        asked.append(own.created_at < where.created_until)
    for key, value in where.metadata.items():
        asked.append(tx.backend.labelled(own.labels, clean(key), clean(value)))
    return and_(*asked)


def _columns(changes: dict[str, Any]) -> dict[str, Any]:
    if unknown := changes.keys() - _TEXTS - _TIMES - _OBJECTS:
        raise TypeError(f"a session has no {min(unknown)!r} to be set")
    columns: dict[str, Any] = {}
    for name, value in changes.items():
        if name in _TEXTS:
            columns[name] = None if value is None else clean(value)
        elif name in _OBJECTS:
            columns[name] = text_of(dict(value or {}))
        else:
            columns[name] = value
    if "metadata" in changes:
        columns["labels"] = labels_of(dict(changes["metadata"] or {}))
    return columns


def _row(tx: Transaction, session_id: str) -> Any:
    asked = select(sessions).where(
        sessions.c.project == tx.project, sessions.c.id == clean(session_id)
    )
    return tx.connection.execute(asked).first()


def _existing(tx: Transaction, session_id: str) -> Session:
    return _session(_row(tx, session_id))


def _session(row: Any) -> Session:
    return Session(
        id=row.id,
        agent=row.agent,
        user_id=row.user_id,
        title=row.title,
        metadata=json_of(row.metadata),
        details=json_of(row.details),
        created_at=row.created_at,
        updated_at=row.updated_at,
        ended_at=row.ended_at,
        expires_at=row.expires_at,
        first_at=row.first_at,
        last_at=row.last_at,
        turn_count=row.turn_count,
        last_number=row.last_number,
        state_version=row.state_version,
        position=Position(row.created_at, row.seq),
    )
