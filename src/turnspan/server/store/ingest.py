"""Turns in: idempotent by id, with their steps, their words and their sessions."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import delete, select, text

from turnspan.server.store import artifacts
from turnspan.server.store.backend import chunks
from turnspan.server.store.entry import Entry, entry_of
from turnspan.server.store.port import Incoming, Outcome, Position, StoredTurn
from turnspan.server.store.rows import clean
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


def add(tx: Transaction, entries: Sequence[Entry | Outcome]) -> list[Outcome]:
    """Store turns; an outcome each, in their order."""
    known = _known(tx, [each.id for each in entries if isinstance(each, Entry)])
    outcomes: list[Outcome] = []
    new: dict[str, Entry] = {}
    later: dict[str, Entry] = {}
    for each in entries:
        outcome = each if isinstance(each, Outcome) else _judged(each, known.get(each.id))
        if isinstance(each, Entry) and outcome.status == "stored":
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
    entry = entry_of(incoming)
    (seq,) = _insert(tx, [entry])
    return StoredTurn(entry.raw, Position(entry.started_at, seq), tx.now_ns)


def touch_sessions(tx: Transaction, entries: Iterable[Entry]) -> None:
    """Count ``entries`` in their sessions, which are made where they are missing."""
    rows: dict[str, dict[str, Any]] = {}
    for entry in entries:
        if entry.session_id is None:
            continue
        row = rows.get(entry.session_id)
        if row is None:
            row = rows[entry.session_id] = _session_row(tx, entry)
        row["turn_count"] += 1
        row["first_at"] = row["created_at"] = min(row["first_at"], entry.started_at)
        row["last_at"] = max(row["last_at"], entry.started_at)
        row["last_number"] = max(row["last_number"], entry.record.get("number") or 0)
    if rows:
        # In one order everywhere, so that two processes do not wait for one another.
        tx.connection.execute(_MERGE, [rows[id] for id in sorted(rows)])


def _known(tx: Transaction, ids: Sequence[str]) -> dict[str, _Known]:
    rows = tx.backend.known(tx.connection, tx.project, ids)
    return {id: _Known(seq, started_at, status) for id, seq, started_at, status in rows}


def _judged(entry: Entry, known: _Known | None) -> Outcome:
    id = entry.record["id"]
    if known is None:
        return Outcome(id, "stored")
    if known.started_at != entry.started_at:
        return Outcome(id, "refused", "another turn has this id: it started at another time")
    if known.status == "interrupted" and entry.status in FINAL:
        return Outcome(id, "stored")
    return Outcome(id, "duplicate")


def _take(
    entry: Entry, known: dict[str, _Known], new: dict[str, Entry], later: dict[str, Entry]
) -> None:
    before = known.get(entry.id)
    if before is None or entry.id in new:
        new[entry.id] = entry
    else:
        later[entry.id] = entry
    known[entry.id] = _Known(before.seq if before else 0, entry.started_at, entry.status)


def _insert(tx: Transaction, entries: Sequence[Entry]) -> Sequence[int]:
    if not entries:
        return ()
    seqs = tx.backend.next_seqs(tx.connection, len(entries))
    _write(tx, list(zip(seqs, entries, strict=True)))
    touch_sessions(tx, entries)
    return seqs


def _write(tx: Transaction, placed: Sequence[tuple[int, Entry]]) -> None:
    """Write what is kept of each turn, under its number."""
    project, at = tx.project, tx.now_ns
    put, connection = tx.backend.insert_many, tx.connection
    put(connection, turns, [(seq, project, *each.columns, at) for seq, each in placed])
    put(connection, details, [(seq, each.raw) for seq, each in placed])
    found = [(seq, place, project, *rest) for seq, e in placed for place, *rest in e.steps]
    put(connection, steps, found)
    tx.backend.index(connection, [(seq, each.words) for seq, each in placed])
    artifacts.keep(tx, [each.record for _, each in placed])


def _replace(tx: Transaction, known: dict[str, _Known], later: dict[str, Entry]) -> None:
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


def _session_row(tx: Transaction, entry: Entry) -> dict[str, Any]:
    _, _, _, agent, user_id, *_ = entry.columns
    return blank_session(tx, entry.session_id or "") | {
        "agent": agent,
        "user_id": user_id,
        "created_at": entry.started_at,
        "first_at": entry.started_at,
        "last_at": entry.started_at,
    }
