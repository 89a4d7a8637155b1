"""Answers that are given again: one for each idempotency key, for a day."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import ColumnElement, Connection, delete, insert, select

from turnspan.server.store.port import Answer, ConflictError
from turnspan.server.store.rows import clean, json_of, text_of
from turnspan.server.store.tables import answers

if TYPE_CHECKING:
    from turnspan.server.store.transaction import Transaction

__all__ = ["KEPT_S", "forget", "given", "keep"]

KEPT_S: Final = 86_400


def given(tx: Transaction, route: str, key: str, fingerprint: str) -> Answer | None:
    """What was answered within the last day.

    Raises:
        ConflictError: that was another request.
    """
    row = tx.connection.execute(select(answers).where(*_own(tx, route, key))).first()
    if row is None or row.created_at < tx.now_ns - KEPT_S * 1_000_000_000:
        return None
    if row.fingerprint != fingerprint:
        raise ConflictError
    return Answer(
        status=row.status,
        body=bytes(row.body),
        media_type=row.media_type,
        headers=json_of(row.headers),
        session_id=row.session_id,
        user_id=row.user_id,
        replayed=True,
    )


def keep(tx: Transaction, route: str, key: str, fingerprint: str, answer: Answer) -> Answer:
    """Remember ``answer``, in place of one that is too old to be given."""
    row = {
        "project": tx.project,
        "route": clean(route),
        "key": clean(key),
        "fingerprint": fingerprint,
        "status": answer.status,
        "body": answer.body,
        "media_type": answer.media_type,
        "headers": text_of(dict(answer.headers)),
        "session_id": None if answer.session_id is None else clean(answer.session_id),
        "user_id": None if answer.user_id is None else clean(answer.user_id),
        "created_at": tx.now_ns,
    }
    tx.connection.execute(delete(answers).where(*_own(tx, route, key), _is_old(tx.now_ns)))
    tx.connection.execute(insert(answers), row)
    return replace(answer, replayed=False)


def forget(connection: Connection, now_ns: int) -> None:
    """Drop what nobody may ask for again."""
    connection.execute(delete(answers).where(_is_old(now_ns)))


def _is_old(now_ns: int) -> ColumnElement[bool]:
    return answers.c.created_at < now_ns - KEPT_S * 1_000_000_000


def _own(tx: Transaction, route: str, key: str) -> tuple[Any, ...]:
    return (
        answers.c.project == tx.project,
        answers.c.route == clean(route),
        answers.c.key == clean(key),
    )
