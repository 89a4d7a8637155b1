"""Jobs: queued by one request, taken by whichever process comes by."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, and_, insert, or_, select, update

from turnspan.server.store.port import Job
from turnspan.server.store.rows import clean, json_of, text_of
from turnspan.server.store.tables import jobs

if TYPE_CHECKING:
    from turnspan.server.store.transaction import Transaction

__all__ = ["claim", "enqueue", "finish", "job", "waiting"]


def enqueue(
    tx: Transaction,
    job_id: str,
    kind: str,
    payload: Mapping[str, Any],
    session_id: str | None,
    user_id: str | None,
) -> Job:
    """Leave work for later."""
    row = {
        "project": tx.project,
        "id": clean(job_id),
        "kind": kind,
        "state": "queued",
        "payload": text_of(dict(payload)),
        "attempt": 0,
        "session_id": None if session_id is None else clean(session_id),
        "user_id": None if user_id is None else clean(user_id),
        "created_at": tx.now_ns,
    }
    tx.connection.execute(insert(jobs), row)
    return Job(
        id=job_id,
        project=tx.project,
        kind=kind,
        payload=payload,
        session_id=session_id,
        user_id=user_id,
        created_at=tx.now_ns,
    )


def job(tx: Transaction, job_id: str) -> Job | None:
    """One job."""
    asked = select(jobs).where(jobs.c.project == tx.project, jobs.c.id == clean(job_id))
    row = tx.connection.execute(asked).first()
    return None if row is None else _job(row)


def waiting(connection: Connection, kinds: Sequence[str], now_ns: int) -> bool:
    """Whether there is anything to claim."""
    return (
        connection.execute(_claimable(kinds, now_ns).with_only_columns(jobs.c.id)).first()
        is not None
    )


def claim(
    connection: Connection, kinds: Sequence[str], now_ns: int, lease_until: int
) -> Job | None:
    """Take the oldest job that waits, or whose lease ran out."""
    asked = _claimable(kinds, now_ns).with_for_update(skip_locked=True)
    row = connection.execute(asked).first()
    if row is None:
        return None
    attempt = row.attempt + 1
    connection.execute(
        update(jobs)
        .where(jobs.c.project == row.project, jobs.c.id == row.id)
        .values(state="running", attempt=attempt, started_at=now_ns, lease_until=lease_until)
    )
    return _job(row, state="running", attempt=attempt, started_at=now_ns)


def finish(
    connection: Connection,
    done: Job,
    now_ns: int,
    result: Mapping[str, Any] | None,
    error: str | None,
) -> None:
    """Say how it ended, unless somebody else has taken it meanwhile; its payload is dropped."""
    connection.execute(
        update(jobs)
        .where(
            jobs.c.project == done.project,
            jobs.c.id == clean(done.id),
            jobs.c.attempt == done.attempt,
        )
        .values(
            state="done" if error is None else "failed",
            payload="{}",
            result=None if result is None else text_of(dict(result)),
            error=None if error is None else clean(error),
            finished_at=now_ns,
            lease_until=None,
        )
    )


def _claimable(kinds: Sequence[str], now_ns: int) -> Any:
    ready = or_(
        jobs.c.state == "queued", and_(jobs.c.state == "running", jobs.c.lease_until < now_ns)
    )
    return select(jobs).where(jobs.c.kind.in_(kinds), ready).order_by(jobs.c.created_at).limit(1)


def _job(row: Any, **changes: Any) -> Job:
    fields: dict[str, Any] = {
        "id": row.id,
        "project": row.project,
        "kind": row.kind,
        "state": row.state,
        "payload": json_of(row.payload),
        "result": json_of(row.result),
        "error": row.error,
        "attempt": row.attempt,
        "session_id": row.session_id,
        "user_id": row.user_id,
        "created_at": row.created_at,
        "started_at": row.started_at,
        "finished_at": row.finished_at,
    }
    return Job(**fields | changes)
