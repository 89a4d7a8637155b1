"""What is thought of turns."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from sqlalchemy import select, update

from turnspan.server.store.backend import chunks
from turnspan.server.store.port import Feedback, Outcome
from turnspan.server.store.rows import clean
from turnspan.server.store.tables import feedback

if TYPE_CHECKING:
    from turnspan.server.store.transaction import Transaction

__all__ = ["add_feedback", "find_feedback", "put_feedback"]


def put_feedback(
    tx: Transaction, turn_id: str, author: str, said: dict[str, Any], at: int
) -> tuple[Feedback, bool]:
    """Write an author's judgement over the last one put; whether it is the first."""
    put = Feedback(
        id=_id_of(turn_id, author),
        turn_id=turn_id,
        author=author,
        created_at=at,
        updated_at=at,
        **said,
    )
    row = _row(tx, put)
    own = (feedback.c.project == tx.project, feedback.c.id == put.id)
    made = _insert(tx, row)
    if not made:
        del row["created_at"]
        tx.connection.execute(update(feedback).where(*own).values(row))
    kept = tx.connection.execute(select(feedback).where(*own)).one()
    return _feedback(kept), made


def add_feedback(tx: Transaction, judgements: Sequence[Feedback]) -> list[Outcome]:
    """Keep judgements that are not there yet."""
    return [
        Outcome(each.id, "stored" if _insert(tx, _row(tx, each)) else "duplicate")
        for each in judgements
    ]


def find_feedback(tx: Transaction, turn_ids: Sequence[str]) -> list[Feedback]:
    """The judgements of some turns, oldest first."""
    found: list[Feedback] = []
    for some in chunks([clean(id) for id in turn_ids]):
        asked = select(feedback).where(
            feedback.c.project == tx.project, feedback.c.turn_id.in_(some)
        )
        found += [_feedback(row) for row in tx.connection.execute(asked)]
    return sorted(found, key=lambda each: (each.created_at, each.id))


def _id_of(turn_id: str, author: str) -> str:
    """The same for the same author and turn."""
    told = f"{turn_id}\0{author}".encode("utf-8", "replace")
    return "feedback_" + hashlib.blake2b(told, digest_size=12).hexdigest()


def _insert(tx: Transaction, row: dict[str, Any]) -> bool:
    made = tx.backend.insert(feedback).values(row).on_conflict_do_nothing()
    return tx.connection.execute(made.returning(feedback.c.id)).first() is not None


def _row(tx: Transaction, judgement: Feedback) -> dict[str, Any]:
    return {
        "project": tx.project,
        "id": clean(judgement.id),
        "turn_id": clean(judgement.turn_id),
        "author": clean(judgement.author),
        "rating": None if judgement.rating is None else clean(judgement.rating),
        "score": judgement.score,
        "comment": None if judgement.comment is None else clean(judgement.comment),
        "created_at": judgement.created_at,
        "updated_at": judgement.updated_at,
    }


def _feedback(row: Any) -> Feedback:
    return Feedback(
        id=row.id,
        turn_id=row.turn_id,
        author=row.author,
        rating=row.rating,
        score=row.score,
        comment=row.comment,
        created_at=row.created_at,
        updated_at=row.updated_at,
    )
