"""Retirement: turns that are old enough become numbers without ids, users or content."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import (
    ColumnElement,
    Connection,
    Float,
    Integer,
    case,
    delete,
    func,
    literal_column,
    or_,
    select,
)

from turnspan.server.store import states
from turnspan.server.store.backend import chunks
from turnspan.server.store.erasure import delete_turns
from turnspan.server.store.statistics import HOUR_NS
from turnspan.server.store.tables import (
    aggregates,
    artifacts,
    feedback,
    jobs,
    sessions,
    steps,
    tool_aggregates,
    turns,
)
from turnspan.server.store.tables import states as versions

if TYPE_CHECKING:
    from turnspan.server.store.transaction import Transaction

__all__ = ["projects", "retire", "sweep"]

AT_ONCE: Final = 2_000
MAX_SUM: Final = 2**63 - 1


def projects(connection: Any, before: int) -> list[str]:
    """The projects that have turns to retire."""
    asked = select(turns.c.project).where(turns.c.started_at < before).distinct()
    return list(connection.execute(asked).scalars())


def retire(tx: Transaction, before: int) -> int:
    """Retire some turns that started before a time, the oldest first; how many."""
    asked = (
        select(turns.c.seq, turns.c.id, turns.c.session_id)
        .where(turns.c.project == tx.project, turns.c.started_at < before)
        .order_by(turns.c.started_at, turns.c.seq)
        .limit(AT_ONCE)
        .with_for_update(skip_locked=True)
    )
    found = tx.connection.execute(asked).all()
    seqs = [row.seq for row in found]
    for some in chunks(seqs):
        _add_turns(tx, some)
        _add_tools(tx, some)
    delete_turns(tx, seqs)
    for some in chunks([row.id for row in found]):
        for table in (feedback, artifacts):
            tx.connection.execute(
                delete(table).where(table.c.project == tx.project, table.c.turn_id.in_(some))
            )
    ids = sorted({row.session_id for row in found if row.session_id})
    _drop_empty_sessions(tx, before, ids)
    states.forget_turns(tx, ids)
    return len(found)


def sweep(connection: Connection, before: int, now_ns: int) -> None:
    """Drop what is as old and hangs on no turn: finished jobs, sessions, feedback, states."""
    jobs_done = jobs.c.finished_at.is_not(None), jobs.c.finished_at < before
    connection.execute(delete(jobs).where(*jobs_done))
    own_turn = turns.c.project == feedback.c.project, turns.c.id == feedback.c.turn_id
    is_stray = ~select(1).where(*own_turn).exists()
    connection.execute(delete(feedback).where(feedback.c.updated_at < before, is_stray))
    own_turns = turns.c.project == sessions.c.project, turns.c.session_id == sessions.c.id
    is_empty = ~select(1).where(*own_turns).exists()
    has_ended = or_(sessions.c.expires_at.is_(None), sessions.c.expires_at <= now_ns)
    connection.execute(delete(sessions).where(sessions.c.updated_at < before, has_ended, is_empty))
    own = sessions.c.project == versions.c.project, sessions.c.id == versions.c.session_id
    is_left = ~select(1).where(*own).exists()
    connection.execute(delete(versions).where(versions.c.created_at < before, is_left))


def _add_turns(tx: Transaction, seqs: Any) -> None:
    hour = literal_column(f"started_at / {HOUR_NS} * {HOUR_NS}", Integer)
    groups = [hour, turns.c.agent, turns.c.status, turns.c.latency]
    asked = (
        select(
            hour.label("hour"),
            *groups[1:],
            func.count().label("turns"),
            tx.backend.total(turns.c.ended_at - turns.c.started_at).label("duration"),
            tx.backend.total(turns.c.input_tokens).label("input_tokens"),
            tx.backend.total(turns.c.output_tokens).label("output_tokens"),
            func.coalesce(func.sum(turns.c.cost_usd), 0.0).label("cost_usd"),
        )
        .where(turns.c.seq.in_(seqs))
        .group_by(*groups)
    )
    _merge(tx, aggregates, [_bounded(dict(row)) for row in tx.connection.execute(asked).mappings()])


def _bounded(row: dict[str, Any]) -> dict[str, Any]:
    """``row`` with sums as a column holds them: hostile numbers must not stop retirement."""
    sums = ("duration", "input_tokens", "output_tokens")
    return {**row, **{name: max(0, min(int(row[name] or 0), MAX_SUM)) for name in sums}}


def _add_tools(tx: Transaction, seqs: Any) -> None:
    hour = literal_column(f"turns.started_at / {HOUR_NS} * {HOUR_NS}", Integer)
    asked = (
        select(
            hour.label("hour"),
            turns.c.agent,
            steps.c.name,
            func.count().label("calls"),
            func.sum(case((steps.c.status == "error", 1), else_=0)).label("errors"),
        )
        .join(turns, turns.c.seq == steps.c.turn_seq)
        .where(steps.c.turn_seq.in_(seqs), steps.c.kind == "tool")
        .group_by(hour, turns.c.agent, steps.c.name)
    )
    _merge(tx, tool_aggregates, tx.connection.execute(asked).mappings().all())


def _merge(tx: Transaction, table: Any, rows: Any) -> None:
    """Add ``rows`` to what is there already."""
    if not rows:
        return
    merged = tx.backend.insert(table)
    keys = [column.name for column in table.primary_key]
    sums = {
        column.name: _added(column, merged.excluded[column.name])
        for column in table.columns
        if column.name not in keys
    }
    tx.connection.execute(
        merged.on_conflict_do_update(index_elements=keys, set_=sums),
        [{"project": tx.project, **row} for row in rows],
    )


def _added(column: ColumnElement[Any], more: ColumnElement[Any]) -> ColumnElement[Any]:
    if isinstance(column.type, Float):
        return column + more
    return case((column > MAX_SUM - more, MAX_SUM), else_=column + more)


def _drop_empty_sessions(tx: Transaction, before: int, ids: Sequence[str]) -> None:
    """Sessions of which nothing is left, and their states."""
    for some in chunks(ids):
        left = select(turns.c.session_id).where(
            turns.c.project == tx.project, turns.c.session_id.in_(some)
        )
        gone = set(some) - set(tx.connection.execute(left).scalars())
        for id in sorted(gone):
            dropped = tx.connection.execute(
                delete(sessions).where(
                    sessions.c.project == tx.project,
                    sessions.c.id == id,
                    sessions.c.updated_at < before,
                )
            )
            if dropped.rowcount:
                tx.connection.execute(
                    delete(versions).where(
                        versions.c.project == tx.project, versions.c.session_id == id
                    )
                )
