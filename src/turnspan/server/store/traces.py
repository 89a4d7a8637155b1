"""Spans that wait for the rest of their turn, and are kept a while after it was made."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, and_, delete, select, update

from turnspan.server.store import artifacts
from turnspan.server.store.backend import chunks
from turnspan.server.store.erasure import delete_turns, recount
from turnspan.server.store.ingest import add
from turnspan.server.store.port import ArrivedSpans, Incoming, KeptSpan, Outcome, WaitingTrace
from turnspan.server.store.rows import clean
from turnspan.server.store.tables import spans, trace_turns, traces, turns

if TYPE_CHECKING:
    from turnspan.server.store.transaction import Transaction

__all__ = ["due", "forget", "keep_spans", "postpone", "put_together", "spans_of"]

MAX_SPANS = 50_000
"""Of one trace; a turn is put together in memory."""


def keep_spans(
    tx: Transaction, arrived: Sequence[ArrivedSpans], quiet_ns: int, wait_ns: int
) -> dict[str, int]:
    """Keep spans that are not there yet; how many had to be refused, by trace."""
    refused: dict[str, int] = {}
    # In one order everywhere, so that two processes do not wait for one another.
    for each in sorted(arrived, key=lambda one: one.trace_id):
        if over := _keep(tx, each, quiet_ns, wait_ns):
            refused[each.trace_id] = over
    return refused


def _keep(tx: Transaction, arrived: ArrivedSpans, quiet_ns: int, wait_ns: int) -> int:
    _make_trace(tx, arrived.trace_id)
    own = _own(tx, arrived.trace_id)
    asked = select(traces.c.span_count, traces.c.rooted).where(*own).with_for_update()
    count, rooted = tx.connection.execute(asked).one()
    new = _unknown(tx, arrived.trace_id, arrived.spans)
    rows = [
        {
            "project": tx.project,
            "trace_id": arrived.trace_id,
            "span_id": each.span_id,
            "seq": count + at,
            "session_id": _clean(each.session_id),
            "user_id": _clean(each.user_id),
            "raw": each.raw,
        }
        for at, each in enumerate(new[: max(0, MAX_SPANS - count)])
    ]
    if rows:
        tx.connection.execute(tx.backend.insert(spans), rows)
        rooted = int(rooted or arrived.rooted)
        pause_ns = 0 if arrived.whole else quiet_ns if rooted else wait_ns
        changes: dict[str, Any] = {"rooted": rooted, "last_at": tx.now_ns}
        changes |= {"due_at": tx.now_ns + pause_ns, "version": traces.c.version + 1}
        changes |= {"span_count": count + len(rows)}
        tx.connection.execute(update(traces).where(*own).values(changes))
    return len(new) - len(rows)


def _make_trace(tx: Transaction, trace_id: str) -> None:
    """Make its row if it is missing, so that there is one to lock."""
    row = {
        "project": tx.project,
        "trace_id": trace_id,
        "version": 0,
        "span_count": 0,
        "first_at": tx.now_ns,
        "last_at": tx.now_ns,
        "rooted": 0,
    }
    tx.connection.execute(tx.backend.insert(traces).on_conflict_do_nothing(), row)


def due(connection: Connection, now_ns: int, limit: int) -> list[WaitingTrace]:
    """Traces that are due, the longest first."""
    asked = (
        select(traces.c.project, traces.c.trace_id, traces.c.version)
        .where(traces.c.due_at <= now_ns)
        .order_by(traces.c.due_at)
        .limit(limit)
    )
    return [WaitingTrace(*row) for row in connection.execute(asked)]


def spans_of(tx: Transaction, trace_id: str) -> list[bytes]:
    """The kept spans of a trace, in the order in which they came."""
    asked = (
        select(spans.c.raw)
        .where(spans.c.project == tx.project, spans.c.trace_id == trace_id)
        .order_by(spans.c.seq)
    )
    return list(tx.connection.execute(asked).scalars())


def put_together(
    tx: Transaction, trace: WaitingTrace, made: Sequence[Incoming]
) -> list[Outcome] | None:
    """Store the turns ``made`` of a trace, over those that were made of it before.

    None where more of it has come meanwhile, or another process was faster.
    """
    own = (*_own(tx, trace.trace_id), traces.c.version == trace.version)
    taken = update(traces).where(*own, traces.c.due_at.is_not(None)).values(due_at=None)
    if tx.connection.execute(taken).rowcount == 0:
        return None
    before = _made_before(tx, trace.trace_id)
    sessions = _withdraw(tx, before)
    outcomes = add(tx, made)
    ids = [clean(each.id) for each in outcomes if each.status == "stored"]
    owner = {"project": tx.project, "trace_id": trace.trace_id}
    if ids:
        rows = [{**owner, "turn_id": id} for id in dict.fromkeys(ids)]
        tx.connection.execute(tx.backend.insert(trace_turns).on_conflict_do_nothing(), rows)
    recount(tx, sorted(sessions))
    return outcomes


def postpone(connection: Connection, trace: WaitingTrace, until: int) -> None:
    """Try again later."""
    connection.execute(
        update(traces)
        .where(
            traces.c.project == trace.project,
            traces.c.trace_id == trace.trace_id,
            traces.c.version == trace.version,
        )
        .values(due_at=until)
    )


def forget(connection: Connection, before: int, limit: int = 500) -> int:
    """Forget traces that were put together, and of which nothing came since ``before``."""
    asked = (
        select(traces.c.project, traces.c.trace_id)
        .where(traces.c.due_at.is_(None), traces.c.last_at < before)
        .limit(limit)
    )
    found = connection.execute(asked).all()
    for project, trace_id in found:
        for table in (spans, trace_turns, traces):
            connection.execute(
                delete(table).where(table.c.project == project, table.c.trace_id == trace_id)
            )
    return len(found)


def _own(tx: Transaction, trace_id: str) -> tuple[Any, ...]:
    return (traces.c.project == tx.project, traces.c.trace_id == trace_id)


def _unknown(tx: Transaction, trace_id: str, kept: Sequence[KeptSpan]) -> list[KeptSpan]:
    """Those of ``kept`` that are not there; of one that comes twice, the first."""
    new = {each.span_id: each for each in reversed(kept)}
    for some in chunks(list(new)):
        asked = select(spans.c.span_id).where(
            spans.c.project == tx.project,
            spans.c.trace_id == trace_id,
            spans.c.span_id.in_(some),
        )
        for span_id in tx.connection.execute(asked).scalars():
            del new[span_id]
    return list(reversed(new.values()))


def _made_before(tx: Transaction, trace_id: str) -> list[str]:
    asked = select(trace_turns.c.turn_id).where(
        trace_turns.c.project == tx.project, trace_turns.c.trace_id == trace_id
    )
    return list(tx.connection.execute(asked).scalars())


def _withdraw(tx: Transaction, turn_ids: Sequence[str]) -> set[str]:
    """Take back turns that were made of spans; the sessions they were in."""
    found: list[Any] = []
    for some in chunks(turn_ids):
        asked = select(turns.c.seq, turns.c.session_id).where(
            turns.c.project == tx.project, turns.c.id.in_(some)
        )
        found += tx.connection.execute(asked).all()
        gone = and_(trace_turns.c.project == tx.project, trace_turns.c.turn_id.in_(some))
        tx.connection.execute(delete(trace_turns).where(gone))
    if found:
        artifacts.drop(tx, turn_ids)
        delete_turns(tx, [row.seq for row in found])
    return {row.session_id for row in found if row.session_id}


def _clean(text: str | None) -> str | None:
    return None if text is None else clean(text)
