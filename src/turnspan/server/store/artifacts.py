"""What a turn says it produced: the entry `artifacts` of its metadata.

    turnspan.current_turn().set_metadata(artifacts=[
        {"uri": "s3://charts/1.json", "type": "chart", "title": "Sales"},
    ])

An entry that is no object with a `uri` and a `type` is metadata like any other.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import delete, func, select

from turnspan.server.store.backend import chunks
from turnspan.server.store.port import Artifact
from turnspan.server.store.rows import clean, json_of, text_of
from turnspan.server.store.tables import artifacts

if TYPE_CHECKING:
    from turnspan.server.store.incoming import Incoming
    from turnspan.server.store.transaction import Transaction

__all__ = ["drop", "find", "keep"]

MAX_OF_TURN: Final = 100
"""As many of a turn's artifacts are listed."""


def keep(tx: Transaction, turns: Iterable[Incoming]) -> None:
    """Keep what ``turns``, which are being stored, say they produced."""
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
        for turn in turns
        if turn.produced
        for each in _artifacts_of(turn)
    ]
    if rows:
        tx.connection.execute(tx.backend.insert(artifacts).on_conflict_do_nothing(), rows)


def find(
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


def drop(tx: Transaction, turn_ids: Sequence[str]) -> None:
    """Forget what turns produced that another version takes the place of."""
    for some in chunks(turn_ids):
        own = artifacts.c.project == tx.project, artifacts.c.turn_id.in_(some)
        tx.connection.execute(delete(artifacts).where(*own))


def _artifacts_of(turn: Incoming) -> Iterator[Artifact]:
    """What ``turn`` says it produced; nothing where it has no session to find it by."""
    said = turn.produced
    if turn.row.session_id is None or not isinstance(said, list):
        return
    for index, each in enumerate(said[:MAX_OF_TURN]):
        if isinstance(each, Mapping) and _is_text(each, "uri") and _is_text(each, "type"):
            yield Artifact(
                id=f"{turn.id}/{index}",
                session_id=turn.row.session_id,
                turn_id=turn.id,
                type=each["type"],
                uri=each["uri"],
                title=_text(each, "title"),
                description=_text(each, "description"),
                metadata=_object(each, "metadata"),
                created_at=turn.row.ended_at,
            )


def _is_text(entry: Mapping[str, Any], name: str) -> bool:
    return isinstance(entry.get(name), str)


def _text(entry: Mapping[str, Any], name: str) -> str:
    return str(entry[name]) if _is_text(entry, name) else ""


def _object(entry: Mapping[str, Any], name: str) -> dict[str, Any]:
    found = entry.get(name)
    return dict(found) if isinstance(found, Mapping) else {}


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
