"""What crosses the seam between routes and databases: values, and what goes wrong."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Generic, Literal, NamedTuple, TypeVar

if TYPE_CHECKING:
    from turnspan.schema import Turn

__all__ = [
    "Answer",
    "ArrivedSpans",
    "Artifact",
    "ConflictError",
    "Feedback",
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
    "StoredTurn",
    "ToolUse",
    "TurnFilter",
    "UnavailableError",
    "Usage",
    "WaitingTrace",
]

Item_co = TypeVar("Item_co", covariant=True)
JobState = Literal["queued", "running", "done", "failed"]
Period = Literal["hour", "day", "week", "month"]


class UnavailableError(Exception):
    """The database does not answer, or not in time; it may, a little later.

    Says why in the database's own code, such as `SQLITE_FULL`, and nothing of what was asked.
    """


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
class Outcome:
    """What became of one incoming turn."""

    id: str
    status: Literal["stored", "duplicate", "refused"]
    error: str | None = None


@dataclass(frozen=True, slots=True)
class KeptSpan:
    """A span that waits for the rest of its turn."""

    span_id: str
    raw: bytes
    session_id: str | None = None
    user_id: str | None = None


@dataclass(frozen=True, slots=True)
class ArrivedSpans:
    """Spans of one trace that came together."""

    trace_id: str
    spans: Sequence[KeptSpan]
    rooted: bool
    """An outermost span is among them."""
    whole: bool
    """A turn of which nothing is missing is among them."""


@dataclass(frozen=True, slots=True)
class WaitingTrace:
    """A trace of which turns are to be made."""

    project: str
    trace_id: str
    version: int
    """What of it had come when it was found."""


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
