"""The state of a session, in versions that are never written over."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from sqlalchemy import func, insert, select, update

from turnspan.server.store.backend import chunks
from turnspan.server.store.port import StateVersion
from turnspan.server.store.rows import clean, json_of, text_of
from turnspan.server.store.tables import sessions, states, turns

if TYPE_CHECKING:
    from turnspan.server.store.transaction import Transaction

__all__ = ["change", "forget_turns", "history", "restore", "state", "turns_before", "write"]


def state(tx: Transaction, session_id: str, version: int | None) -> StateVersion | None:
    """One version; the latest unless one is named, a negative one counts back from it."""
    latest = _latest(tx, session_id)
    if latest is None:
        return None
    if version is None or version < 0:
        version = latest + (version or 0)
    asked = _of(tx, session_id).where(states.c.version == version)
    row = tx.connection.execute(asked).first()
    if row is not None:
        return _version(row)
    return _beginning(tx, session_id) if version == 0 else None


def change(
    tx: Transaction,
    session_id: str,
    made: Callable[[Any], Any],
    by: str | None,
    reason: str | None,
) -> StateVersion | None:
    """Write what ``made`` makes of the latest state as a new version."""
    latest = _latest(tx, session_id, lock=True)
    if latest is None:
        return None
    before = state(tx, session_id, latest)
    value = made(before.state if before is not None else {})
    return write(tx, session_id, latest + 1, value, by=by, reason=reason)


def restore(
    tx: Transaction, session_id: str, version: int, by: str | None, reason: str | None
) -> StateVersion | None:
    """Write an old version's state as a new one."""
    latest = _latest(tx, session_id, lock=True)
    found = None if latest is None else state(tx, session_id, version)
    if latest is None or found is None:
        return None
    return write(
        tx,
        session_id,
        latest + 1,
        found.state,
        by=by,
        reason=reason,
        restored_from=found.version,
    )


def history(
    tx: Transaction, session_id: str, *, since_version: int, limit: int, newest_first: bool
) -> list[StateVersion]:
    """The versions from ``since_version`` on."""
    order = states.c.version.desc() if newest_first else states.c.version
    asked = _of(tx, session_id).where(states.c.version >= since_version)
    found = [_version(row) for row in tx.connection.execute(asked.order_by(order).limit(limit))]
    if since_version <= 0 and len(found) < limit and all(each.version for each in found):
        beginning = _beginning(tx, session_id)
        if beginning is not None:
            found.insert(len(found) if newest_first else 0, beginning)
    return found


def turns_before(tx: Transaction, session_id: str, version: int) -> int | None:
    """The last turn that was stored before ``version`` was written; None if it never was."""
    asked = select(states.c.after_seq).where(
        states.c.project == tx.project,
        states.c.session_id == clean(session_id),
        states.c.version == version,
    )
    found: int | None = tx.connection.execute(asked).scalar()
    return found


def forget_turns(tx: Transaction, session_ids: Sequence[str]) -> None:
    """See that no version knows the number of a turn that is gone: SQLite gives it again."""
    last = tx.connection.execute(select(func.max(turns.c.seq))).scalar() or 0
    for some in chunks(session_ids):
        tx.connection.execute(
            update(states)
            .where(
                states.c.project == tx.project,
                states.c.session_id.in_(some),
                states.c.after_seq > last,
            )
            .values(after_seq=last)
        )


def write(
    tx: Transaction,
    session_id: str,
    version: int,
    value: Any,
    *,
    by: str | None = None,
    reason: str | None = None,
    restored_from: int | None = None,
) -> StateVersion:
    """Write one version."""
    mine = (turns.c.project == tx.project, turns.c.session_id == clean(session_id))
    last = tx.connection.execute(select(func.max(turns.c.seq)).where(*mine)).scalar() or 0
    row = {
        "project": tx.project,
        "session_id": clean(session_id),
        "version": version,
        "state": text_of(value),
        "created_at": tx.now_ns,
        "by": None if by is None else clean(by),
        "reason": None if reason is None else clean(reason),
        "restored_from": restored_from,
        "after_seq": last,
    }
    tx.connection.execute(insert(states), row)
    tx.connection.execute(
        update(sessions)
        .where(sessions.c.project == tx.project, sessions.c.id == clean(session_id))
        .values(state_version=version, updated_at=tx.now_ns)
    )
    return StateVersion(
        session_id=session_id,
        version=version,
        state=value,
        created_at=tx.now_ns,
        by=by,
        reason=reason,
        restored_from=restored_from,
    )


def _latest(tx: Transaction, session_id: str, *, lock: bool = False) -> int | None:
    asked = select(sessions.c.state_version).where(
        sessions.c.project == tx.project, sessions.c.id == clean(session_id)
    )
    found: int | None = tx.connection.execute(asked.with_for_update() if lock else asked).scalar()
    return found


def _beginning(tx: Transaction, session_id: str) -> StateVersion | None:
    """Version 0 of a session that was given no state: empty."""
    asked = select(sessions.c.created_at).where(
        sessions.c.project == tx.project, sessions.c.id == clean(session_id)
    )
    at = tx.connection.execute(asked).scalar()
    if at is None:
        return None
    return StateVersion(session_id=session_id, version=0, state={}, created_at=at)


def _of(tx: Transaction, session_id: str) -> Any:
    return select(states).where(
        states.c.project == tx.project, states.c.session_id == clean(session_id)
    )


def _version(row: Any) -> StateVersion:
    return StateVersion(
        session_id=row.session_id,
        version=row.version,
        state=json_of(row.state),
        created_at=row.created_at,
        by=row.by,
        reason=row.reason,
        restored_from=row.restored_from,
    )
