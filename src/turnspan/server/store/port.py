"""The seam between routes and databases: `Store`, and `TurnStore` for one project.

A route is handed a `TurnStore`: it is bound to the project of the caller's key, so no route can
reach what belongs to another. Everything here is synchronous and thread-safe; a plain `def`
endpoint runs in a worker thread and may call it. Times are nanoseconds since the Unix epoch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Generic, Literal, NamedTuple, Protocol, TypeVar

if TYPE_CHECKING:
    from turnspan.schema import Turn

__all__ = [
    "Answer",
    "Artifact",
    "ConflictError",
    "Feedback",
    "Incoming",
    "Job",
    "JobState",
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
]

Item_co = TypeVar("Item_co", covariant=True)
JobState = Literal["queued", "running", "done", "failed"]
Period = Literal["hour", "day", "week", "month"]


class UnavailableError(Exception):
    """The database does not answer, or not in time; it may, a little later."""


class ConflictError(Exception):
    """What was to be made is there already, or an idempotency key came with another request."""


class Position(NamedTuple):
    """Where an item stands in a listing: pages go on after it, whatever is added meanwhile."""

    at: int
    seq: int


@dataclass(frozen=True, slots=True)
class Page(Generic[Item_co]):
    """Some items of a listing, and whether there are more behind the last."""

    items: Sequence[Item_co]
    has_more: bool = False


@dataclass(frozen=True, slots=True)
class Incoming:
    """A turn on its way into the store, with the bytes that are kept of it."""

    turn: Turn
    raw: bytes
    """The `turn` line, newline included."""

    @classmethod
    def of(cls, turn: Turn) -> Incoming:
        """``turn`` in the native wire format."""
        from turnspan.schema import encode_turn

        return cls(turn, encode_turn(turn))


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one incoming turn."""

    id: str
    status: Literal["stored", "duplicate", "refused"]
    error: str | None = None


class StoredTurn:
    """A turn as the store holds it; decoded on first use."""

    __slots__ = ("_turn", "position", "raw", "stored_at")

    def __init__(self, raw: bytes, position: Position, stored_at: int) -> None:
        self.raw: bytes = raw
        self.position: Position = position
        self.stored_at: int = stored_at
        self._turn: Turn | None = None

    @property
    def turn(self) -> Turn:
        """The turn."""
        if self._turn is None:
            from turnspan.schema import decode_turn

            self._turn = decode_turn(self.raw)
        return self._turn


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnFilter:
    """Which turns are meant; everything that is set must hold."""

    session_id: str | None = None
    agent: str | None = None
    user_id: str | None = None
    statuses: frozenset[str] = frozenset()
    """Any of these; empty means all."""
    tool: str | None = None
    """A tool of this name was called."""
    since: int | None = None
    """Started at or after."""
    until: int | None = None
    """Started before."""
    text: str | None = None
    """All of these words are somewhere in its content."""
    metadata: Mapping[str, str] = field(default_factory=dict)
    """Top-level entries of its metadata, compared as JSON writes them (`1.5`, `true`, `gold`)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """A conversation: made by a dialect, or by the first turn that names it."""

    id: str
    agent: str | None = None
    user_id: str | None = None
    title: str | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)
    """What users of the API put there and see again."""
    details: Mapping[str, Any] = field(default_factory=dict)
    """What a dialect keeps for itself: one entry a dialect, by its name."""
    created_at: int
    updated_at: int
    ended_at: int | None = None
    expires_at: int | None = None
    first_at: int | None = None
    """Start of its first turn."""
    last_at: int | None = None
    """Start of its last turn."""
    turn_count: int = 0
    last_number: int = 0
    state_version: int = 0
    position: Position


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionFilter:
    """Which sessions are meant; everything that is set must hold."""

    agent: str | None = None
    user_id: str | None = None
    created_since: int | None = None
    created_until: int | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class StateVersion:
    """What a session's state was from one write on. Version 0 is how it began."""

    session_id: str
    version: int
    state: Any
    created_at: int
    by: str | None = None
    """Who wrote it: the name of a key, or of what a dialect says did."""
    reason: str | None = None
    restored_from: int | None = None
    """The version it was rolled back to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """Work that is done after the answer, on whichever process comes by."""

    id: str
    project: str
    kind: str
    """`DIALECT.WORD`: the dialect of that name does it."""
    state: JobState = "queued"
    payload: Mapping[str, Any] = field(default_factory=dict)
    result: Mapping[str, Any] | None = None
    error: str | None = None
    attempt: int = 0
    session_id: str | None = None
    user_id: str | None = None
    created_at: int
    started_at: int | None = None
    finished_at: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Feedback:
    """A judgement of a turn."""

    id: str
    turn_id: str
    author: str = ""
    rating: str | None = None
    score: float | None = None
    comment: str | None = None
    created_at: int
    updated_at: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Artifact:
    """Something a turn produced that lives elsewhere."""

    id: str
    session_id: str
    turn_id: str
    type: str
    title: str = ""
    description: str = ""
    uri: str = ""
    metadata: Mapping[str, Any] = field(default_factory=dict)
    created_at: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What was answered to a request with an idempotency key."""

    status: int
    body: bytes
    media_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)
    session_id: str | None = None
    user_id: str | None = None
    """Whose content is in the body: an erasure takes the answer along."""
    replayed: bool = False
    """It was given before; set by the store."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """What an erasure removed: kept, and holding nothing of what was erased."""

    id: str
    subject: Literal["session", "user"]
    at: int
    turns: int
    sessions: int
    steps: int
    feedback: int
    states: int
    artifacts: int
    jobs: int
    answers: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Statistics:
    """Numbers over the turns of one group (of all, where nothing was grouped)."""

    period_start: int | None = None
    agent: str | None = None
    turns: int = 0
    by_status: Mapping[str, int] = field(default_factory=dict)
    success_rate: float | None = None
    """Share of `ok` among the turns that ended `ok`, `error` or `interrupted`."""
    latency_ms: Mapping[str, float] = field(default_factory=dict)
    """`mean`, `p50`, `p90`, `p95`, `p99`; quantiles to within 5 %."""
    input_tokens: int = 0
    output_tokens: int = 0
    cost_usd: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolUse:
    """How often a tool was called, and how often it failed."""

    calls: int
    errors: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """What a project used in a span of time."""

    turns: int
    """Retired ones included."""
    sessions: int
    users: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """An API key, without its secret."""

    id: str
    project: str
    name: str
    scopes: frozenset[str]
    created_at: int
    revoked_at: int | None = None


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

    def add_artifacts(self, artifacts: Sequence[Artifact]) -> None:
        """Keep ``artifacts``; one whose id is there already is left as it is."""
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
        """The artifacts of a session (or of some of its turns), oldest first, and how many."""
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

    def retire(self, before: int) -> int:
        """Turn the turns that started before a time into anonymised numbers; how many."""
        ...

    def close(self) -> None:
        """Finish what was begun and release the database."""
        ...
