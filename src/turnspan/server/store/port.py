"""The seam between routes and databases: `Store`, and `TurnStore` for one project.

A route is handed a `TurnStore`: it is bound to the project of the caller's key, so no route can
reach what belongs to another. Everything here is synchronous and thread-safe; a plain `def`
endpoint runs in a worker thread and may call it. Times are nanoseconds since the Unix epoch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from turnspan.server.store.incoming import Incoming
from turnspan.server.store.values import (
    Answer,
    ArrivedSpans,
    Artifact,
    ConflictError,
    Feedback,
    Job,
    JobState,
    KeptSpan,
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
    UnavailableError,
    Usage,
    WaitingTrace,
)

if TYPE_CHECKING:
    from turnspan.schema import Turn

__all__ = [
    "Answer",
    "ArrivedSpans",
    "Artifact",
    "ConflictError",
    "Feedback",
    "Incoming",
    "Job",
    "JobState",
    "KeptSpan",
    "Key",
    "Outcome",
    "Page",
    "Period",
    "Position",
    "Receipt",
    "Session",
    "SessionFilter",
    "StateVersion",
    "Statistics",
    "Store",
    "StoredTurn",
    "ToolUse",
    "TurnFilter",
    "TurnStore",
    "UnavailableError",
    "Usage",
    "WaitingTrace",
]


class TurnStore(Protocol):
    """What one project has stored. Thread-safe; a failure of the database is raised.

    Inside `once` (and only there) the store handed to the work writes in one transaction.
    """

    @property
    def project(self) -> str:
        """The project it is bound to."""
        ...

    # --- turns ---------------------------------------------------------------------------

    def add(self, turns: Sequence[Incoming]) -> list[Outcome]:
        """Store ``turns`` in one transaction; an outcome each, in their order.

        The first version of an id wins; a stored `interrupted` turn is replaced by a later
        final one; the same id with another `started_at` is refused. Their sessions are made
        where they are missing.
        """
        ...

    def append(self, session_id: str, make: Callable[[int], Turn]) -> StoredTurn:
        """Store the turn that ``make`` builds from the session's next number."""
        ...

    def turn(self, turn_id: str) -> StoredTurn | None:
        """One turn."""
        ...

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
        ...

    def count(self, where: TurnFilter) -> int:
        """How many turns there are."""
        ...

    def export(self, where: TurnFilter) -> Iterator[bytes]:
        """The lines of all of them, oldest first, read as they are asked for."""
        ...

    def statistics(
        self, where: TurnFilter, *, by: Period | None = None, by_agent: bool = False
    ) -> list[Statistics]:
        """Numbers, retired turns included where ``where`` asks for time and agent only."""
        ...

    def tool_use(self, where: TurnFilter) -> Mapping[str, ToolUse]:
        """Calls and errors of each tool, by its name."""
        ...

    def usage(self, since: int, until: int) -> Usage:
        """What was used between two times."""
        ...

    # --- sessions ------------------------------------------------------------------------

    def create_session(
        self,
        session_id: str,
        *,
        agent: str | None = None,
        user_id: str | None = None,
        title: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        details: Mapping[str, Any] | None = None,
        state: Any = None,
        expires_at: int | None = None,
    ) -> Session:
        """Make a session, its ``state`` as version 0.

        Raises:
            ConflictError: there is one of this id.
        """
        ...

    def session(self, session_id: str) -> Session | None:
        """One session; None also where it has expired."""
        ...

    def sessions(
        self,
        where: SessionFilter,
        *,
        limit: int,
        after: Position | None = None,
        newest_first: bool = True,
    ) -> Page[Session]:
        """A page of sessions that have not expired, ordered by their creation."""
        ...

    def change_session(self, session_id: str, **changes: Any) -> Session | None:
        """Set `agent`, `user_id`, `title`, `metadata`, `details`, `ended_at`, `expires_at`."""
        ...

    def fork_session(
        self, session_id: str, new_id: str, *, version: int | None = None, **changes: Any
    ) -> Session | None:
        """A new session with the state of ``version`` and copies of the turns before the next.

        ``changes`` as for `change_session`. None where there is no such session or version.
        """
        ...

    def erase_session(self, session_id: str) -> Receipt | None:
        """Remove a session and all that belongs to it, for good; None where there is none."""
        ...

    def erase_user(self, user_id: str) -> Receipt:
        """Remove everything of a user, for good: turns, sessions, and what hangs on them."""
        ...

    def receipt(self, receipt_id: str) -> Receipt | None:
        """The receipt of an erasure."""
        ...

    # --- state of a session --------------------------------------------------------------

    def state(self, session_id: str, version: int | None = None) -> StateVersion | None:
        """The latest version of a session's state, or the one that is named."""
        ...

    def change_state(
        self,
        session_id: str,
        change: Callable[[Any], Any],
        *,
        by: str | None = None,
        reason: str | None = None,
    ) -> StateVersion | None:
        """Write what ``change`` makes of the latest state as a new version: replace or merge.

        None where there is no such session.
        """
        ...

    def restore_state(
        self, session_id: str, version: int, *, by: str | None = None, reason: str | None = None
    ) -> StateVersion | None:
        """Write the state of ``version`` as a new version; a negative one counts back.

        None where there is no such session or version.
        """
        ...

    def states(
        self, session_id: str, *, since_version: int = 0, limit: int, newest_first: bool = True
    ) -> list[StateVersion]:
        """The versions of a session's state from ``since_version`` on."""
        ...

    # --- what hangs on turns -------------------------------------------------------------

    def put_feedback(
        self,
        turn_id: str,
        *,
        author: str = "",
        rating: str | None = None,
        score: float | None = None,
        comment: str | None = None,
        at: int | None = None,
    ) -> tuple[Feedback, bool]:
        """Write an author's judgement over the last one put; whether it is the first."""
        ...

    def add_feedback(self, judgements: Sequence[Feedback]) -> list[Outcome]:
        """Keep ``judgements``; one whose id is there already is a duplicate."""
        ...

    def feedback(self, turn_ids: Sequence[str]) -> list[Feedback]:
        """The judgements of some turns, oldest first."""
        ...

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
        ...

    # --- spans ---------------------------------------------------------------------------

    def keep_spans(
        self, arrived: Sequence[ArrivedSpans], *, quiet_ns: int, wait_ns: int
    ) -> Mapping[str, int]:
        """Keep spans, in one transaction, until turns are made of their traces.

        That is due at once for what is whole; when nothing more came for ``quiet_ns`` for what
        has its root; else after ``wait_ns``. A span that is there already changes nothing. How
        many were refused, by trace: each has bounds.
        """
        ...

    def spans(self, trace_id: str) -> list[bytes]:
        """The kept spans of a trace, in the order in which they came."""
        ...

    def put_together(self, trace: WaitingTrace, turns: Sequence[Incoming]) -> list[Outcome] | None:
        """Store the turns made of a trace, in place of those that were made of it before.

        An outcome each; None where more has come since it was found, or another was faster.
        """
        ...

    # --- later, and again ----------------------------------------------------------------

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
        ...

    def job(self, job_id: str) -> Job | None:
        """One job."""
        ...

    def once(
        self, key: str, fingerprint: str, work: Callable[[TurnStore], Answer], *, route: str
    ) -> Answer:
        """The answer that was given for ``key``, or else that of ``work``.

        What the work writes, through the store it is handed, and its answer are committed
        together. ``fingerprint`` tells requests apart, ``route`` what may be asked for.

        Raises:
            ConflictError: the key came before with another fingerprint.
        """
        ...


class Store(Protocol):
    """Everything that is stored. Processes may share it; `close` ends this one's part."""

    def of(self, project: str) -> TurnStore:
        """What ``project`` has stored."""
        ...

    def ready(self) -> None:
        """Ask the database something small.

        Raises:
            Exception: it does not answer.
        """
        ...

    def create_key(self, *, project: str, name: str, scopes: frozenset[str]) -> tuple[Key, str]:
        """Make a key; the second value is its secret, which nobody can show again."""
        ...

    def all_keys(self) -> list[Key]:
        """All keys, revoked ones included, oldest first."""
        ...

    def revoke_key(self, key_id: str) -> Key | None:
        """End a key; None where there is none."""
        ...

    def key_for(self, secret: str) -> Key | None:
        """The key of this secret, unless it is revoked; compared in constant time."""
        ...

    def claim_job(self, kinds: Sequence[str], *, lease_s: float) -> Job | None:
        """Take the oldest job that is queued, or whose lease ran out, for ``lease_s``."""
        ...

    def finish_job(
        self, job: Job, *, result: Mapping[str, Any] | None = None, error: str | None = None
    ) -> None:
        """Say how a claimed job ended: `failed` with an ``error``, else `done`."""
        ...

    def due_traces(self, *, limit: int) -> list[WaitingTrace]:
        """Traces whose time has come, the longest overdue first."""
        ...

    def postpone_trace(self, trace: WaitingTrace, *, until: int) -> None:
        """Look at it again later."""
        ...

    def forget_traces(self, before: int) -> int:
        """Forget the spans of traces that turns were made of, quiet since a time; how many."""
        ...

    def retire(self, before: int) -> int:
        """Turn the turns that started before a time into anonymised numbers; how many."""
        ...

    def close(self) -> None:
        """Finish what was begun and release the database."""
        ...
