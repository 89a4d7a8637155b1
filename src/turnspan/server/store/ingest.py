"""Turns in: idempotent by id, with their steps, their words and their sessions."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import delete, select, text

from turnspan.server.store import artifacts
from turnspan.server.store.backend import chunks
from turnspan.server.store.port import Incoming, Outcome, Position, StoredTurn
from turnspan.server.store.rows import clean
from turnspan.server.store.tables import details, sessions, steps, turns

if TYPE_CHECKING:
    from turnspan.schema import Turn
    from turnspan.server.store.incoming import TurnRow
    from turnspan.server.store.transaction import Transaction

__all__ = ["add", "append", "blank_session", "touch_sessions"]

# Written out, for SQLAlchemy takes as long to recognise such a statement as SQLite to do it.
_MERGE: Final = text(
    """INSERT INTO sessions
        (project, id, agent, user_id, metadata, details, created_at, updated_at, first_at,
        last_at, turn_count, last_number, state_version)
    VALUES
        (:project, :id, :agent, :user_id, :metadata, :details, :created_at, :updated_at,
        :first_at, :last_at, :turn_count, :last_number, :state_version)
    ON CONFLICT (project, id) DO UPDATE SET
        agent = coalesce(sessions.agent, excluded.agent),
        user_id = coalesce(sessions.user_id, excluded.user_id),
        updated_at = excluded.updated_at,
        first_at = CASE WHEN sessions.first_at < excluded.first_at
            THEN sessions.first_at ELSE excluded.first_at END,
        last_at = CASE WHEN sessions.last_at > excluded.last_at
            THEN sessions.last_at ELSE excluded.last_at END,
        turn_count = sessions.turn_count + excluded.turn_count,
        last_number = CASE WHEN sessions.last_number > excluded.last_number
            THEN sessions.last_number ELSE excluded.last_number END"""
)
FINAL: Final = frozenset({"ok", "error", "cancelled", "abandoned", "paused"})


@dataclass(slots=True)
class _Known:
    """What is in the store, or was just put there, under an id."""

    seq: int
    started_at: int
    status: str


def add(tx: Transaction, incoming: Sequence[Incoming]) -> list[Outcome]:
    """Store turns; an outcome each, in their order."""
    known = _known(tx, [each.row.id for each in incoming])
    outcomes: list[Outcome] = []
    new: dict[str, Incoming] = {}
    later: dict[str, Incoming] = {}
    for each in incoming:
        outcome = _judged(each, known.get(each.row.id))
        if outcome.status == "stored":
            _take(each, known, new, later)
        outcomes.append(outcome)
    _replace(tx, known, later)
    _insert(tx, list(new.values()))
    return outcomes


def append(tx: Transaction, session_id: str, make: Callable[[int], Turn]) -> StoredTurn:
    """Store the turn that ``make`` builds from the session's next number."""
    _make_session(tx, session_id)
    asked = (
        select(sessions.c.last_number)
        .where(sessions.c.project == tx.project, sessions.c.id == clean(session_id))
        .with_for_update()
    )
    number = (tx.connection.execute(asked).scalar() or 0) + 1
    incoming = Incoming.of(make(number))
    (seq,) = _insert(tx, [incoming])
    return StoredTurn(incoming.raw, Position(incoming.row.started_at, seq), tx.now_ns)


def touch_sessions(tx: Transaction, incoming: Iterable[Incoming]) -> None:
    """Count turns in their sessions, which are made where they are missing."""
    rows: dict[str, dict[str, Any]] = {}
    for each in (turn.row for turn in incoming):
        if each.session_id is None:
            continue
        row = rows.get(each.session_id)
        if row is None:
            row = rows[each.session_id] = _session_row(tx, each)
        row["turn_count"] += 1
        row["first_at"] = row["created_at"] = min(row["first_at"], each.started_at)
        row["last_at"] = max(row["last_at"], each.started_at)
        row["last_number"] = max(row["last_number"], each.number or 0)
    if rows:
        # In one order everywhere, so that two processes do not wait for one another.
        tx.connection.execute(_MERGE, [rows[id] for id in sorted(rows)])


def _known(tx: Transaction, ids: Sequence[str]) -> dict[str, _Known]:
    rows = tx.backend.known(tx.connection, tx.project, ids)
    return {id: _Known(seq, started_at, status) for id, seq, started_at, status in rows}


def _judged(incoming: Incoming, known: _Known | None) -> Outcome:
    id = incoming.id
    if incoming.refusal is not None:
        return Outcome(id, "refused", incoming.refusal)
    if known is None:
        return Outcome(id, "stored")
    if known.started_at != incoming.row.started_at:
        return Outcome(id, "refused", "another turn has this id: it started at another time")
    if known.status == "interrupted" and incoming.row.status in FINAL:
        return Outcome(id, "stored")
    return Outcome(id, "duplicate")


def _take(
    incoming: Incoming,
    known: dict[str, _Known],
    new: dict[str, Incoming],
    later: dict[str, Incoming],
) -> None:
    id = incoming.row.id
    before = known.get(id)
    if before is None or id in new:
        new[id] = incoming
    else:
        later[id] = incoming
    known[id] = _Known(before.seq if before else 0, incoming.row.started_at, incoming.row.status)


def _insert(tx: Transaction, incoming: Sequence[Incoming]) -> Sequence[int]:
    if not incoming:
        return ()
    seqs = tx.backend.next_seqs(tx.connection, len(incoming))
    _write(tx, list(zip(seqs, incoming, strict=True)))
    touch_sessions(tx, incoming)
    return seqs


def _write(tx: Transaction, placed: Sequence[tuple[int, Incoming]]) -> None:
    """Write what is kept of each turn, under its number."""
    project, put = tx.project, tx.backend.insert_many
    put(tx.connection, turns, [(seq, project, *turn.row, tx.now_ns) for seq, turn in placed])
    put(tx.connection, details, [(seq, turn.raw) for seq, turn in placed])
    found = [
        (seq, position, project, *step)
        for seq, turn in placed
        for position, step in enumerate(turn.steps)
    ]
    put(tx.connection, steps, found)
    tx.backend.index(tx.connection, [(seq, turn.words) for seq, turn in placed])
    artifacts.keep(tx, [turn for _, turn in placed])


def _replace(tx: Transaction, known: dict[str, _Known], later: dict[str, Incoming]) -> None:
    """Write final turns over interrupted ones; they keep their place."""
    if not later:
        return
    placed = [(known[id].seq, each) for id, each in later.items()]
    seqs = [seq for seq, _ in placed]
    for some in chunks(seqs):
        tx.connection.execute(delete(details).where(details.c.seq.in_(some)))
        tx.connection.execute(delete(steps).where(steps.c.turn_seq.in_(some)))
        tx.connection.execute(delete(turns).where(turns.c.seq.in_(some)))
    tx.backend.unindex(tx.connection, seqs)
    artifacts.drop(tx, list(later))
    _write(tx, placed)


def _make_session(tx: Transaction, session_id: str) -> None:
    """Make the session if it is missing, so that there is a row to lock."""
    row = blank_session(tx, session_id)
    tx.connection.execute(tx.backend.insert(sessions).on_conflict_do_nothing(), row)


def blank_session(tx: Transaction, session_id: str) -> dict[str, Any]:
    """The row of a session of which nothing is known yet."""
    return {
        "project": tx.project,
        "id": clean(session_id),
        "metadata": "{}",
        "details": "{}",
        "created_at": tx.now_ns,
        "updated_at": tx.now_ns,
        "turn_count": 0,
        "last_number": 0,
        "state_version": 0,
    }


def _session_row(tx: Transaction, turn: TurnRow) -> dict[str, Any]:
    return blank_session(tx, turn.session_id or "") | {
        "agent": turn.agent,
        "user_id": turn.user_id,
        "created_at": turn.started_at,
        "first_at": turn.started_at,
        "last_at": turn.started_at,
    }
