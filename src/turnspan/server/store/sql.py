"""The store on an SQL database: each method is a transaction of a room beside this one."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, TypeVar

from sqlalchemy import Connection, text

from turnspan.server.store import (
    answers,
    erasure,
    ingest,
    keys,
    listing,
    queue,
    retirement,
    sessions,
    states,
    statistics,
    traces,
)
from turnspan.server.store import artifacts as produced
from turnspan.server.store import judgements as kept
from turnspan.server.store.port import (
    Answer,
    ArrivedSpans,
    Artifact,
    Feedback,
    Incoming,
    Job,
    Key,
    Outcome,
    Page,
    Period,
    Position,
    Receipt,
    Session,
    SessionFilter,
    StateVersion,
    Statistics,
    StoredTurn,
    ToolUse,
    TurnFilter,
    TurnStore,
    Usage,
    WaitingTrace,
)
from turnspan.server.store.transaction import Transaction

if TYPE_CHECKING:
    from turnspan.ports import Clock
    from turnspan.schema import Turn
    from turnspan.server.ids import ServerIds
    from turnspan.server.store.backend import Backend

__all__ = ["SqlStore", "SqlTurnStore"]

Result = TypeVar("Result")
EXPORTED_AT_ONCE: Final = 200


class SqlStore:
    """Everything that is stored. Owns ``backend``, and closes it."""

    def __init__(self, backend: Backend, *, clock: Clock, ids: ServerIds) -> None:
        self._backend = backend
        self._clock = clock
        self._ids = ids

    def of(self, project: str) -> SqlTurnStore:
        """What ``project`` has stored."""
        return SqlTurnStore(self._backend, project, clock=self._clock, ids=self._ids)

    def ready(self) -> None:
        """Ask the database something small."""
        self._backend.read(lambda connection: connection.execute(text("SELECT 1")).scalar())

    def create_key(self, *, project: str, name: str, scopes: frozenset[str]) -> tuple[Key, str]:
        """Make a key; the second value is its secret, which nobody can show again."""
        now_ns = self._clock.now_ns()
        return self._backend.write(
            lambda connection: keys.create(
                connection, self._ids, now_ns, project=project, name=name, scopes=scopes
            )
        )

    def all_keys(self) -> list[Key]:
        """All keys, revoked ones included, oldest first."""
        return self._backend.read(keys.all_keys)

    def revoke_key(self, key_id: str) -> Key | None:
        """End a key; None where there is none."""
        now_ns = self._clock.now_ns()
        return self._backend.write(lambda connection: keys.revoke(connection, key_id, now_ns))

    def key_for(self, secret: str) -> Key | None:
        """The key of this secret, unless it is revoked."""
        return self._backend.read(lambda connection: keys.find(connection, secret))

    def claim_job(self, kinds: Sequence[str], *, lease_s: float) -> Job | None:
        """Take the oldest job that is queued, or whose lease ran out."""
        now_ns = self._clock.now_ns()
        if not self._backend.read(lambda connection: queue.waiting(connection, kinds, now_ns)):
            return None
        until = now_ns + int(lease_s * 1e9)
        return self._backend.write(lambda connection: queue.claim(connection, kinds, now_ns, until))

    def finish_job(
        self, job: Job, *, result: Mapping[str, Any] | None = None, error: str | None = None
    ) -> None:
        """Say how a claimed job ended."""
        now_ns = self._clock.now_ns()
        self._backend.write(lambda connection: queue.finish(connection, job, now_ns, result, error))

    def due_traces(self, *, limit: int) -> list[WaitingTrace]:
        """Traces whose time has come, the longest overdue first."""
        now_ns = self._clock.now_ns()
        return self._backend.read(lambda connection: traces.due(connection, now_ns, limit))

    def postpone_trace(self, trace: WaitingTrace, *, until: int) -> None:
        """Look at it again later."""
        self._backend.write(lambda connection: traces.postpone(connection, trace, until))

    def forget_traces(self, before: int) -> int:
        """Forget the spans of traces that turns were made of, quiet since a time; how many."""
        return self._backend.write(lambda connection: traces.forget(connection, before))

    def retire(self, before: int) -> int:
        """Turn the turns that started before a time into anonymised numbers; how many."""
        retired = 0
        for project in self._backend.read(lambda found: retirement.projects(found, before)):
            store = self.of(project)
            while some := store.retire(before):
                retired += some
        now_ns = self._clock.now_ns()
        self._backend.write(lambda connection: retirement.sweep(connection, before, now_ns))
        self._backend.write(lambda connection: answers.forget(connection, now_ns))
        if retired:
            self._backend.tidy()
        return retired

    def close(self) -> None:
        """Finish what was begun and release the database."""
        self._backend.close()


class SqlTurnStore:
    """What one project has stored; with ``connection``, inside that one's transaction."""

    def __init__(
        self,
        backend: Backend,
        project: str,
        *,
        clock: Clock,
        ids: ServerIds,
        connection: Connection | None = None,
    ) -> None:
        self._backend = backend
        self._project = project
        self._clock = clock
        self._ids = ids
        self._connection = connection

    @property
    def project(self) -> str:
        """The project it is bound to."""
        return self._project

    def add(self, turns: Sequence[Incoming]) -> list[Outcome]:
        """Store ``turns`` in one transaction; an outcome each, in their order."""
        return self._write(lambda tx: ingest.add(tx, turns))

    def append(self, session_id: str, make: Callable[[int], Turn]) -> StoredTurn:
        """Store the turn that ``make`` builds from the session's next number."""
        return self._write(lambda tx: ingest.append(tx, session_id, make))

    def turn(self, turn_id: str) -> StoredTurn | None:
        """One turn."""
        return self._read(lambda tx: listing.turn(tx, turn_id))

    def turns(
        self,
        where: TurnFilter,
        *,
        limit: int,
        after: Position | None = None,
        offset: int = 0,
        newest_first: bool = True,
    ) -> Page[StoredTurn]:
        """A page of turns, ordered by their start."""
        return self._read(
            lambda tx: listing.page(
                tx, where, limit=limit, after=after, offset=offset, newest_first=newest_first
            )
        )

    def count(self, where: TurnFilter) -> int:
        """How many turns there are."""
        return self._read(lambda tx: listing.count(tx, where))

    def export(self, where: TurnFilter) -> Iterator[bytes]:
        """The lines of all of them, oldest first, read as they are asked for."""
        after: Position | None = None
        while True:
            page = self.turns(where, limit=EXPORTED_AT_ONCE, after=after, newest_first=False)
            for turn in page.items:
                yield turn.raw
                after = turn.position
            if not page.has_more:
                return

    def statistics(
        self, where: TurnFilter, *, by: Period | None = None, by_agent: bool = False
    ) -> list[Statistics]:
        """Numbers, retired turns included where ``where`` asks for time and agent only."""
        return self._read(lambda tx: statistics.statistics(tx, where, by=by, by_agent=by_agent))

    def tool_use(self, where: TurnFilter) -> Mapping[str, ToolUse]:
        """Calls and errors of each tool, by its name."""
        return self._read(lambda tx: statistics.tool_use(tx, where))

    def usage(self, since: int, until: int) -> Usage:
        """What was used between two times."""
        return self._read(lambda tx: statistics.usage(tx, since, until))

    def create_session(self, session_id: str, *, state: Any = None, **fields: Any) -> Session:
        """Make a session, its ``state`` as version 0."""
        given = {name: value for name, value in fields.items() if value is not None}
        return self._write(lambda tx: sessions.create(tx, session_id, state, given))

    def session(self, session_id: str) -> Session | None:
        """One session; None also where it has expired."""
        return self._read(lambda tx: sessions.session(tx, session_id))

    def sessions(
        self,
        where: SessionFilter,
        *,
        limit: int,
        after: Position | None = None,
        newest_first: bool = True,
    ) -> Page[Session]:
        """A page of sessions that have not expired, ordered by their creation."""
        return self._read(
            lambda tx: sessions.page(tx, where, limit=limit, after=after, newest_first=newest_first)
        )

    def change_session(self, session_id: str, **changes: Any) -> Session | None:
        """Set fields of a session."""
        return self._write(lambda tx: sessions.change(tx, session_id, changes))

    def fork_session(
        self, session_id: str, new_id: str, *, version: int | None = None, **changes: Any
    ) -> Session | None:
        """A new session with the state of ``version`` and copies of the turns before the next."""
        return self._write(lambda tx: sessions.fork(tx, session_id, new_id, version, changes))

    def erase_session(self, session_id: str) -> Receipt | None:
        """Remove a session and all that belongs to it, for good."""
        made = self._write(lambda tx: erasure.erase_session(tx, session_id))
        if made is not None:
            self._tidy()
        return made

    def erase_user(self, user_id: str) -> Receipt:
        """Remove everything of a user, for good."""
        made = self._write(lambda tx: erasure.erase_user(tx, user_id))
        self._tidy()
        return made

    def receipt(self, receipt_id: str) -> Receipt | None:
        """The receipt of an erasure."""
        return self._read(lambda tx: erasure.receipt(tx, receipt_id))

    def state(self, session_id: str, version: int | None = None) -> StateVersion | None:
        """The latest version of a session's state, or the one that is named."""
        return self._read(lambda tx: states.state(tx, session_id, version))

    def change_state(
        self,
        session_id: str,
        change: Callable[[Any], Any],
        *,
        by: str | None = None,
        reason: str | None = None,
    ) -> StateVersion | None:
        """Write what ``change`` makes of the latest state as a new version."""
        return self._write(lambda tx: states.change(tx, session_id, change, by, reason))

    def restore_state(
        self, session_id: str, version: int, *, by: str | None = None, reason: str | None = None
    ) -> StateVersion | None:
        """Write the state of ``version`` as a new version."""
        return self._write(lambda tx: states.restore(tx, session_id, version, by, reason))

    def states(
        self, session_id: str, *, since_version: int = 0, limit: int, newest_first: bool = True
    ) -> list[StateVersion]:
        """The versions of a session's state from ``since_version`` on."""
        return self._read(
            lambda tx: states.history(
                tx,
                session_id,
                since_version=since_version,
                limit=limit,
                newest_first=newest_first,
            )
        )

    def put_feedback(
        self, turn_id: str, *, author: str = "", at: int | None = None, **said: Any
    ) -> tuple[Feedback, bool]:
        """Write an author's judgement over the last one put; whether it is the first."""
        whole = {"rating": None, "score": None, "comment": None} | said
        return self._write(
            lambda tx: kept.put_feedback(
                tx, turn_id, author, whole, tx.now_ns if at is None else at
            )
        )

    def add_feedback(self, judgements: Sequence[Feedback]) -> list[Outcome]:
        """Keep ``judgements``; one whose id is there already is a duplicate."""
        return self._write(lambda tx: kept.add_feedback(tx, judgements))

    def feedback(self, turn_ids: Sequence[str]) -> list[Feedback]:
        """The judgements of some turns, oldest first."""
        return self._read(lambda tx: kept.find_feedback(tx, turn_ids))

    def artifacts(
        self,
        session_id: str,
        *,
        turn_ids: Sequence[str] = (),
        type: str | None = None,
        limit: int = 100,
        offset: int = 0,
    ) -> tuple[list[Artifact], int]:
        """What the turns of a session (or some of them) produced, oldest first, and how many."""
        return self._read(
            lambda tx: produced.find(tx, session_id, turn_ids, type, limit=limit, offset=offset)
        )

    def keep_spans(
        self, arrived: Sequence[ArrivedSpans], *, quiet_ns: int, wait_ns: int
    ) -> Mapping[str, int]:
        """Keep spans until turns are made of their traces; how many were refused, by trace."""
        return self._write(lambda tx: traces.keep_spans(tx, arrived, quiet_ns, wait_ns))

    def spans(self, trace_id: str) -> list[bytes]:
        """The kept spans of a trace, in the order in which they came."""
        return self._read(lambda tx: traces.spans_of(tx, trace_id))

    def put_together(self, trace: WaitingTrace, turns: Sequence[Incoming]) -> list[Outcome] | None:
        """Store the turns made of a trace, in place of those that were made of it before."""
        return self._write(lambda tx: traces.put_together(tx, trace, turns))

    def enqueue(
        self,
        kind: str,
        payload: Mapping[str, Any],
        *,
        job_id: str | None = None,
        session_id: str | None = None,
        user_id: str | None = None,
    ) -> Job:
        """Leave work for later; it survives a restart."""
        return self._write(
            lambda tx: queue.enqueue(
                tx, job_id or tx.ids.id("job"), kind, payload, session_id, user_id
            )
        )

    def job(self, job_id: str) -> Job | None:
        """One job."""
        return self._read(lambda tx: queue.job(tx, job_id))

    def once(
        self, key: str, fingerprint: str, work: Callable[[TurnStore], Answer], *, route: str
    ) -> Answer:
        """The answer that was given for ``key``, or that of ``work``."""
        known = self._read(lambda tx: answers.given(tx, route, key, fingerprint))
        if known is not None:
            return known

        def together(tx: Transaction) -> Answer:
            answer = answers.given(tx, route, key, fingerprint)
            if answer is None:
                made = work(self._within(tx.connection))
                answer = answers.keep(tx, route, key, fingerprint, made)
            return answer

        return self._write(together)

    def retire(self, before: int) -> int:
        """Retire some turns that started before a time; how many."""
        return self._write(lambda tx: retirement.retire(tx, before))

    def _within(self, connection: Connection) -> SqlTurnStore:
        return SqlTurnStore(
            self._backend,
            self._project,
            clock=self._clock,
            ids=self._ids,
            connection=connection,
        )

    def _read(self, work: Callable[[Transaction], Result]) -> Result:
        if self._connection is not None:
            return work(self._transaction(self._connection))
        return self._backend.read(lambda connection: work(self._transaction(connection)))

    def _write(self, work: Callable[[Transaction], Result]) -> Result:
        if self._connection is not None:
            return work(self._transaction(self._connection))
        return self._backend.write(lambda connection: work(self._transaction(connection)))

    def _transaction(self, connection: Connection) -> Transaction:
        return Transaction(
            connection, self._project, self._backend, self._ids, self._clock.now_ns()
        )

    def _tidy(self) -> None:
        if self._connection is None:
            self._backend.tidy()
