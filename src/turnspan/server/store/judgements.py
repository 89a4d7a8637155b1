"""What hangs on turns: judgements of them, and what they produced."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from sqlalchemy import func, select, update

from turnspan.server.store.backend import chunks
from turnspan.server.store.port import Artifact, Feedback, Outcome
from turnspan.server.store.rows import clean, json_of, text_of
from turnspan.server.store.tables import artifacts, feedback

if TYPE_CHECKING:
    from turnspan.server.store.transaction import Transaction

__all__ = ["add_artifacts", "add_feedback", "find_artifacts", "find_feedback", "put_feedback"]


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


def add_artifacts(tx: Transaction, kept: Sequence[Artifact]) -> None:
    """Keep artifacts that are not there yet."""
    rows = [
        {
            "project": tx.project,
            "id": clean(each.id),
            "session_id": clean(each.session_id),
            "turn_id": clean(each.turn_id),
            "type": clean(each.type),
            "title": clean(each.title),
            "description": clean(each.description),
            "uri": clean(each.uri),
            "metadata": text_of(dict(each.metadata)),
            "created_at": each.created_at,
        }
        for each in kept
    ]
    if rows:
        tx.connection.execute(tx.backend.insert(artifacts).on_conflict_do_nothing(), rows)


def find_artifacts(
    tx: Transaction,
    session_id: str,
    turn_ids: Sequence[str],
    type: str | None,
    *,
    limit: int,
    offset: int,
) -> tuple[list[Artifact], int]:
    """The artifacts of a session, or of some of its turns, oldest first, and how many."""
    where = [
        artifacts.c.project == tx.project,
        artifacts.c.session_id == clean(session_id),
    ]
    if turn_ids:
        where.append(artifacts.c.turn_id.in_([clean(id) for id in turn_ids]))
    if type is not None:
        where.append(artifacts.c.type == clean(type))
    total = tx.connection.execute(select(func.count()).select_from(artifacts).where(*where))
    asked = select(artifacts).where(*where).order_by(artifacts.c.created_at, artifacts.c.id)
    rows = tx.connection.execute(asked.limit(limit).offset(offset or None))
    return [_artifact(row) for row in rows], int(total.scalar_one())


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


def _artifact(row: Any) -> Artifact:
    return Artifact(
        id=row.id,
        session_id=row.session_id,
        turn_id=row.turn_id,
        type=row.type,
        title=row.title,
        description=row.description,
        uri=row.uri,
        metadata=json_of(row.metadata),
        created_at=row.created_at,
    )
