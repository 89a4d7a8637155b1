"""Turns in: idempotent by id, with their steps, their words and their sessions."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import delete, select, text

from turnspan.server.store import artifacts
from turnspan.server.store.backend import chunks
from turnspan.server.store.port import Incoming, Outcome, Position, StoredTurn
from turnspan.server.store.rows import clean, searched_words, step_rows, turn_row, unstorable
from turnspan.server.store.tables import details, sessions, steps, turns

if TYPE_CHECKING:
    from turnspan.schema import Turn
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
    known = _known(tx, [clean(each.turn.id) for each in incoming])
    outcomes: list[Outcome] = []
    new: dict[str, Incoming] = {}
    later: dict[str, Incoming] = {}
    for each in incoming:
        outcome = _judged(each, known.get(clean(each.turn.id)))
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
    return StoredTurn(incoming.raw, Position(incoming.turn.started_at, seq), tx.now_ns)


def touch_sessions(tx: Transaction, turns: Iterable[Turn]) -> None:
    """Count ``turns`` in their sessions, which are made where they are missing."""
    rows: dict[str, dict[str, Any]] = {}
    for turn in turns:
        if turn.session_id is None:
            continue
        row = rows.get(turn.session_id)
        if row is None:
            row = rows[turn.session_id] = _session_row(tx, turn)
        row["turn_count"] += 1
        row["first_at"] = row["created_at"] = min(row["first_at"], turn.started_at)
        row["last_at"] = max(row["last_at"], turn.started_at)
        row["last_number"] = max(row["last_number"], turn.number or 0)
    if rows:
        # In one order everywhere, so that two processes do not wait for one another.
        tx.connection.execute(_MERGE, [rows[id] for id in sorted(rows)])


def _known(tx: Transaction, ids: Sequence[str]) -> dict[str, _Known]:
    rows = tx.backend.known(tx.connection, tx.project, ids)
    return {id: _Known(seq, started_at, status) for id, seq, started_at, status in rows}


def _judged(incoming: Incoming, known: _Known | None) -> Outcome:
    turn = incoming.turn
    if (reason := unstorable(turn)) is not None:
        return Outcome(turn.id, "refused", reason)
    if turn.status == "open":
        return Outcome(turn.id, "refused", "a turn that is still open cannot be stored")
    if known is None:
        return Outcome(turn.id, "stored")
    if known.started_at != turn.started_at:
        return Outcome(turn.id, "refused", "another turn has this id: it started at another time")
    if known.status == "interrupted" and turn.status in FINAL:
        return Outcome(turn.id, "stored")
    return Outcome(turn.id, "duplicate")


def _take(
    incoming: Incoming,
    known: dict[str, _Known],
    new: dict[str, Incoming],
    later: dict[str, Incoming],
) -> None:
    turn = incoming.turn
    id = clean(turn.id)
    before = known.get(id)
    if before is None or id in new:
        new[id] = incoming
    else:
        later[id] = incoming
    known[id] = _Known(before.seq if before else 0, turn.started_at, turn.status)


def _insert(tx: Transaction, incoming: Sequence[Incoming]) -> Sequence[int]:
    if not incoming:
        return ()
    seqs = tx.backend.next_seqs(tx.connection, len(incoming))
    rows = [
        (seq, *turn_row(each.turn, tx.project, tx.now_ns))
        for seq, each in zip(seqs, incoming, strict=True)
    ]
    tx.backend.insert_many(tx.connection, turns, rows)
    _insert_details(tx, list(zip(seqs, incoming, strict=True)))
    touch_sessions(tx, [each.turn for each in incoming])
    return seqs


def _insert_details(tx: Transaction, kept: Sequence[tuple[int, Incoming]]) -> None:
    tx.backend.insert_many(tx.connection, details, [(seq, each.raw) for seq, each in kept])
    found = [row for seq, each in kept for row in step_rows(each.turn, tx.project, seq)]
    tx.backend.insert_many(tx.connection, steps, found)
    tx.backend.index(tx.connection, [(seq, searched_words(each.turn)) for seq, each in kept])
    artifacts.keep(tx, [each.turn for _, each in kept])


def _replace(tx: Transaction, known: dict[str, _Known], later: dict[str, Incoming]) -> None:
    """Write final turns over interrupted ones; they keep their place."""
    if not later:
        return
    kept = [(known[id].seq, each) for id, each in later.items()]
    seqs = [seq for seq, _ in kept]
    for some in chunks(seqs):
        tx.connection.execute(delete(details).where(details.c.seq.in_(some)))
        tx.connection.execute(delete(steps).where(steps.c.turn_seq.in_(some)))
        tx.connection.execute(delete(turns).where(turns.c.seq.in_(some)))
    tx.backend.unindex(tx.connection, seqs)
    artifacts.drop(tx, list(later))
    rows = [(seq, *turn_row(each.turn, tx.project, tx.now_ns)) for seq, each in kept]
    tx.backend.insert_many(tx.connection, turns, rows)
    _insert_details(tx, kept)


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


def _session_row(tx: Transaction, turn: Turn) -> dict[str, Any]:
    return blank_session(tx, turn.session_id or "") | {
        "agent": clean(turn.agent.name),
        "user_id": None if turn.user_id is None else clean(turn.user_id),
        "created_at": turn.started_at,
        "first_at": turn.started_at,
        "last_at": turn.started_at,
    }
