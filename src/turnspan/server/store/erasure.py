"""Erasure: a session or a user, with everything that hangs on them, for good."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

import orjson
from sqlalchemy import ColumnElement, Table, delete, func, insert, or_, select, update

from turnspan.server.store import states
from turnspan.server.store.backend import chunks
from turnspan.server.store.port import Receipt
from turnspan.server.store.rows import clean
from turnspan.server.store.tables import (
    answers,
    artifacts,
    details,
    feedback,
    jobs,
    receipts,
    sessions,
    steps,
    turns,
)
from turnspan.server.store.tables import states as versions

if TYPE_CHECKING:
    from turnspan.server.store.transaction import Transaction

__all__ = ["delete_turns", "erase_session", "erase_user", "receipt"]


def erase_session(tx: Transaction, session_id: str) -> Receipt | None:
    """Remove a session; None where nothing is of that name."""
    id = clean(session_id)
    _hold(tx, sessions.c.id == id)
    own = select(turns.c.seq, turns.c.id).where(
        turns.c.project == tx.project, turns.c.session_id == id
    )
    found = tx.connection.execute(own).all()
    counts = _erase(tx, found, [id], user_id=None)
    if not any(counts.values()):
        return None
    return _receipt(tx, "session", counts)


def erase_user(tx: Transaction, user_id: str) -> Receipt:
    """Remove what is a user's: their turns, and their sessions with all that is in them."""
    user = clean(user_id)
    own = _hold(tx, sessions.c.user_id == user)
    theirs = or_(turns.c.user_id == user, *(turns.c.session_id.in_(some) for some in chunks(own)))
    found = tx.connection.execute(
        select(turns.c.seq, turns.c.id, turns.c.session_id).where(
            turns.c.project == tx.project, theirs
        )
    ).all()
    counts = _erase(tx, found, own, user_id=user)
    shared = sorted({row.session_id for row in found if row.session_id} - set(own))
    _recount(tx, shared)
    states.forget_turns(tx, shared)
    return _receipt(tx, "user", counts)


def receipt(tx: Transaction, receipt_id: str) -> Receipt | None:
    """What an erasure removed."""
    asked = select(receipts).where(
        receipts.c.project == tx.project, receipts.c.id == clean(receipt_id)
    )
    row = tx.connection.execute(asked).first()
    if row is None:
        return None
    return Receipt(id=row.id, subject=row.subject, at=row.at, **orjson.loads(row.counts))


def delete_turns(tx: Transaction, seqs: Sequence[int]) -> int:
    """Delete turns with their steps and words; how many steps there were."""
    gone = 0
    for some in chunks(seqs):
        gone += tx.connection.execute(delete(steps).where(steps.c.turn_seq.in_(some))).rowcount
        tx.connection.execute(delete(details).where(details.c.seq.in_(some)))
        tx.connection.execute(delete(turns).where(turns.c.seq.in_(some)))
    tx.backend.unindex(tx.connection, seqs)
    return gone


def _erase(
    tx: Transaction, found: Sequence[Any], session_ids: Sequence[str], user_id: str | None
) -> dict[str, int]:
    turn_ids = [row.id for row in found]
    judged = _delete(tx, feedback, feedback.c.turn_id, turn_ids)
    made = _delete(tx, artifacts, artifacts.c.turn_id, turn_ids)
    made += _delete(tx, artifacts, artifacts.c.session_id, session_ids)
    work = _delete(tx, jobs, jobs.c.session_id, session_ids)
    given = _delete(tx, answers, answers.c.session_id, session_ids)
    if user_id is not None:
        judged += _delete(tx, feedback, feedback.c.author, [user_id])
        work += _delete(tx, jobs, jobs.c.user_id, [user_id])
        given += _delete(tx, answers, answers.c.user_id, [user_id])
    return {
        "turns": len(found),
        "steps": delete_turns(tx, [row.seq for row in found]),
        "feedback": judged,
        "artifacts": made,
        "jobs": work,
        "answers": given,
        "states": _delete(tx, versions, versions.c.session_id, session_ids),
        "sessions": _delete(tx, sessions, sessions.c.id, session_ids),
    }


def _delete(
    tx: Transaction, table: Table, column: ColumnElement[str], values: Sequence[str]
) -> int:
    gone = 0
    for some in chunks(values):
        asked = delete(table).where(table.c.project == tx.project, column.in_(some))
        gone += tx.connection.execute(asked).rowcount
    return gone


def _hold(tx: Transaction, which: ColumnElement[bool]) -> list[str]:
    """The ids of sessions, which nobody else writes to from now on.

    A turn that is being stored in one is there already, and is found, or waits and makes the
    session anew.
    """
    asked = select(sessions.c.id).where(sessions.c.project == tx.project, which)
    held = asked.order_by(sessions.c.id).with_for_update()
    return list(tx.connection.execute(held).scalars())


def _recount(tx: Transaction, session_ids: Sequence[str]) -> None:
    """Count again the sessions of others in which the user had turns."""
    for id in session_ids:
        _hold(tx, sessions.c.id == id)
        asked = select(
            func.count(), func.min(turns.c.started_at), func.max(turns.c.started_at)
        ).where(turns.c.project == tx.project, turns.c.session_id == id)
        count, first_at, last_at = tx.connection.execute(asked).one()
        tx.connection.execute(
            update(sessions)
            .where(sessions.c.project == tx.project, sessions.c.id == id)
            .values(turn_count=count, first_at=first_at, last_at=last_at)
        )


def _receipt(
    tx: Transaction, subject: Literal["session", "user"], counts: dict[str, int]
) -> Receipt:
    made = Receipt(id=tx.ids.id("erasure"), subject=subject, at=tx.now_ns, **counts)
    row = {
        "project": tx.project,
        "id": made.id,
        "subject": subject,
        "at": made.at,
        "counts": orjson.dumps(counts).decode(),
    }
    tx.connection.execute(insert(receipts), row)
    return made
