"""Turns out: one, a page, a count."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import ColumnElement, Select, and_, func, select, tuple_

from turnspan.server.store.backend import chunks
from turnspan.server.store.port import Page, Position, StoredTurn, TurnFilter
from turnspan.server.store.rows import clean
from turnspan.server.store.tables import details, steps, turns

if TYPE_CHECKING:
    from turnspan.server.store.transaction import Transaction

__all__ = ["condition", "count", "page", "turn"]

MAX_PAGE_BYTES: Final = 16 * 2**20
"""A page ends early rather than hold more; it has one turn at least."""


def turn(tx: Transaction, turn_id: str) -> StoredTurn | None:
    """One turn."""
    asked = _selected().where(turns.c.project == tx.project, turns.c.id == clean(turn_id))
    row = tx.connection.execute(asked).first()
    return None if row is None else _stored(row)


def page(
    tx: Transaction,
    where: TurnFilter,
    *,
    limit: int,
    after: Position | None = None,
    offset: int = 0,
    newest_first: bool = True,
) -> Page[StoredTurn]:
    """A page of turns, ordered by their start."""
    asked = (
        select(turns.c.seq, func.length(details.c.raw).label("size"))
        .join(details, details.c.seq == turns.c.seq)
        .where(condition(tx, where))
    )
    place = tuple_(turns.c.started_at, turns.c.seq)
    if after is not None:
        asked = asked.where(place < tuple_(*after) if newest_first else place > tuple_(*after))
    order = [turns.c.started_at, turns.c.seq]
    asked = asked.order_by(*(each.desc() if newest_first else each for each in order))
    rows = tx.connection.execute(asked.limit(limit + 1).offset(offset or None)).all()
    seqs = _fitting(rows[:limit])
    return Page(_of(tx, seqs), has_more=len(rows) > len(seqs))


def count(tx: Transaction, where: TurnFilter) -> int:
    """How many turns there are."""
    asked = select(func.count()).select_from(turns).where(condition(tx, where))
    return int(tx.connection.execute(asked).scalar_one())


def condition(tx: Transaction, where: TurnFilter) -> ColumnElement[bool]:
    """Everything that ``where`` asks, of this project."""
    asked: list[ColumnElement[bool]] = [turns.c.project == tx.project]
    for column, value in (
        (turns.c.session_id, where.session_id),
        (turns.c.agent, where.agent),
        (turns.c.user_id, where.user_id),
    ):
        if value is not None:
            asked.append(column == clean(value))
    if where.statuses:
        asked.append(turns.c.status.in_(sorted(where.statuses)))
    if where.since is not None:
        asked.append(turns.c.started_at >= where.since)
    if where.until is not None:
        asked.append(turns.c.started_at < where.until)
    if where.tool is not None:
        asked.append(_called(tx, where.tool))
    if where.text is not None:
        asked.append(tx.backend.contains(turns.c.seq, clean(where.text).split()))
    for key, value in where.metadata.items():
        asked.append(tx.backend.labelled(turns.c.labels, clean(key), clean(value)))
    return and_(*asked)


def _called(tx: Transaction, tool: str) -> ColumnElement[bool]:
    calls = steps.alias("calls")  # the statement around may be about steps too
    return (
        select(1)
        .where(
            calls.c.project == tx.project,
            calls.c.name == clean(tool),
            calls.c.kind == "tool",
            calls.c.turn_seq == turns.c.seq,
        )
        .exists()
    )


def _fitting(rows: Sequence[Any]) -> list[int]:
    seqs: list[int] = []
    size = 0
    for seq, size_bytes in rows:
        size += size_bytes
        if seqs and size > MAX_PAGE_BYTES:
            break
        seqs.append(seq)
    return seqs


def _of(tx: Transaction, seqs: Sequence[int]) -> list[StoredTurn]:
    """The turns at ``seqs``, in that order."""
    found: dict[int, StoredTurn] = {}
    for some in chunks(seqs):
        for row in tx.connection.execute(_selected().where(turns.c.seq.in_(some))):
            found[row.seq] = _stored(row)
    return [found[seq] for seq in seqs if seq in found]


def _selected() -> Select[Any]:
    return select(turns.c.started_at, turns.c.seq, turns.c.stored_at, details.c.raw).join(
        details, details.c.seq == turns.c.seq
    )


def _stored(row: Any) -> StoredTurn:
    return StoredTurn(bytes(row.raw), Position(row.started_at, row.seq), row.stored_at)
