"""The seams between the rooms, as protocols, and the values that cross them.

    capture ──TurnLog──► journal ──Backlog──► delivery ──Exporter──► destination
       └─────SpanSource──► telemetry

Nothing here imports a room, pydantic or OpenTelemetry: `import turnspan` stays light.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Protocol, runtime_checkable

from turnspan.schema.journalled import Journalled, JournalledFeedback, JournalledTurn, journalled

__all__ = [
    "Activation",
    "Backlog",
    "Clock",
    "Exporter",
    "FeedbackExporter",
    "Ids",
    "Journalled",
    "JournalledFeedback",
    "JournalledTurn",
    "Observer",
    "OpenSpan",
    "Outcome",
    "SpanSource",
    "TurnLog",
    "Unsent",
    "journalled",
    "takes_feedback",
]


_NOTHING: Final[Mapping[str, Any]] = {}


class Clock(Protocol):
    """Wall clock for stamps, monotonic clock for lengths; both in nanoseconds."""

    def now_ns(self) -> int: ...

    def monotonic_ns(self) -> int: ...


class Ids(Protocol):
    """Draws ids. Thread-safe."""

    def turn_id(self) -> str: ...

    def trace_id(self) -> int: ...

    def span_id(self) -> int: ...


class TurnLog(Protocol):
    """Where capture writes records. Thread-safe, and safe to re-enter from a signal handler.

    Never raises: what cannot be kept is counted and said once a minute.
    """

    def append(self, line: bytes, /) -> None:
        """Keep one record: a JSON line of `turnspan.schema.wire`, newline included."""
        ...

    def next_number(self, session_id: str, /) -> int:
        """The number of the next turn of ``session_id``, from 1."""
        ...


class OpenSpan(Protocol):
    """The identity of a span that is still open."""

    @property
    def trace_id(self) -> int: ...

    @property
    def span_id(self) -> int: ...

    @property
    def parent_span_id(self) -> int | None: ...

    @property
    def flags(self) -> int: ...

    @property
    def state(self) -> str: ...

    @property
    def sampled(self) -> bool: ...

    @property
    def mode(self) -> str: ...


class SpanSource(Protocol):
    """Gives a turn and its steps their spans. Never raises."""

    def start(  # noqa: PLR0917  # keywords would cost the caller
        self,
        kind: str,
        name: str,
        started_ns: int,
        parent: OpenSpan | None,
        session_id: str | None,
        user_id: str | None,
        agent: str,
        activate: bool,  # noqa: FBT001  # the same
        known: Mapping[str, Any] = _NOTHING,
        /,
    ) -> OpenSpan:
        """Open a span of a turn (``kind="turn"``) or of a step (its kind).

        Without ``parent`` the span of the current OpenTelemetry context is the parent.
        With ``activate`` the span becomes current until `end`, which must then be called
        in the same context; callbacks of frameworks never activate. ``known`` are fields of a
        step, in wire shape, that samplers may want to know.
        """
        ...

    def end(self, span: OpenSpan, fields: Mapping[str, Any], /) -> Mapping[str, Any] | None:
        """Close ``span``. ``fields`` are the turn or step in wire shape, `ended_at` included.

        Answers what other code put on the span, in the wire shape of `SpanNotes`, or None.
        """
        ...

    def activation(self) -> Activation:
        """What makes the span of one stream current, step by step; none of it has `activate`."""
        ...

    @property
    def is_live(self) -> bool:
        """Does the application's own provider make the spans of a turn that begins now?"""
        ...

    def note_feedback(self, feedback: Mapping[str, Any], /) -> str:
        """Tell the application's OpenTelemetry of ``feedback``, in wire shape, if it is to be told.

        Answers the feedback's `mode`: `live` where that was done, `own` where an exporter may
        still do it, or `off`. Never raises.
        """
        ...

    def leave_out(self, span: OpenSpan, /, *, keeps_notes: bool) -> None:
        """Take ``span``, of a turn that is just beginning, out of its trace.

        What other code makes below it, here or in another process, is then not sampled.
        Without ``keeps_notes`` it is not recording either. A live span is the application's,
        and stays as it is.
        """
        ...


class Activation(Protocol):
    """Has the spans of one stream current while the stream's code runs. Never raises.

    ``span`` is the innermost span that is open in the stream. Each pair of calls is made in
    one context, the next pair may be made in another.
    """

    def resume(self, span: OpenSpan, /) -> None:
        """Make ``span`` current: the stream's code is about to run."""
        ...

    def suspend(self, span: OpenSpan, /) -> None:
        """Put back what was current before: the consumer's code is about to run."""
        ...


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a batch: every turn that is neither refused nor unsent was delivered."""

    refused: Mapping[int, str] = field(default_factory=dict)
    """Index → reason: the destination will never take these; they become dead letters."""

    refused_whole: str | None = None
    """Reason, where the batch was refused as one and nobody knows which turn is at fault:
    delivery halves it until the culprit stands alone. Nothing was delivered."""

    unsent: frozenset[int] = frozenset()
    """Indexes nobody has yet: delivery offers them again, later."""

    cause: str = ""
    """Why some are unsent, as a person would want to read it."""

    status: int | None = None
    """The HTTP status behind ``cause``, where there was one."""

    retry_after_s: float | None = None
    """How long the destination asked to be left alone."""

    @classmethod
    def all_unsent(
        cls,
        count: int,
        cause: str,
        *,
        status: int | None = None,
        retry_after_s: float | None = None,
    ) -> Outcome:
        """Nothing of a batch of ``count`` arrived, through no fault of the turns."""
        return cls(
            unsent=frozenset(range(count)),
            cause=cause,
            status=status,
            retry_after_s=retry_after_s,
        )


@runtime_checkable
class Exporter(Protocol):
    """Carries ended turns out of the process to one destination.

    - One call at a time; the thread belongs to delivery.
    - A failed delivery is an outcome, not an exception.
    - The same turn may come again after a crash; where the destination can key on its id,
      it must not be there twice.
    - After `close` every turn is unsent; closing twice is harmless.
    """

    @property
    def name(self) -> str:
        """The destination's name: the same after a restart, without credentials."""
        ...

    def export(self, batch: Sequence[JournalledTurn], *, timeout_s: float) -> Outcome:
        """Deliver ``batch`` in order, giving up after ``timeout_s`` seconds."""
        ...

    def close(self, *, timeout_s: float) -> None:
        """Release the destination."""
        ...


class FeedbackExporter(Exporter, Protocol):
    """An exporter whose batches hold feedback among the turns, for it has ``takes_feedback``.

    Feedback comes after its turn where one process recorded both, and keeps every promise
    that is made of turns; the destination can key on its id. Other exporters never see any.
    """

    takes_feedback: bool

    def export(self, batch: Sequence[Journalled], *, timeout_s: float) -> Outcome:
        """Deliver ``batch`` in order, giving up after ``timeout_s`` seconds."""
        ...


def takes_feedback(exporter: object) -> bool:
    """Has ``exporter`` said that it is a `FeedbackExporter`?"""
    return getattr(exporter, "takes_feedback", False) is True


@runtime_checkable
class Observer(Protocol):
    """An exporter that is shown each turn in the caller's thread, the moment it ends.

    It holds the turns in this process only: the journal owes it nothing after a crash. With
    ``takes_feedback`` it is shown feedback too.
    """

    def observe(self, turn: JournalledTurn, /) -> None:
        """Take ``turn``; must be quick and never block."""
        ...


@dataclass(frozen=True, slots=True)
class Unsent:
    """What an exporter has yet to deliver."""

    size_bytes: int = 0
    turns: int | None = None  # None: not counted, for that would mean reading it all
    oldest_at_ns: int | None = None


class Backlog(Protocol):
    """What one exporter has yet to deliver, oldest first. One reader: the exporter's thread.

    Where the exporter takes feedback, feedback counts among the turns.

    `wake`, `appended` and `unsent` may be used from any thread.
    """

    def read(self, *, max_turns: int, max_bytes: int) -> Sequence[Journalled]:
        """The next turns after what was committed, at least one where there is any.

        Reading again without `commit` gives the same turns (and perhaps more).
        """
        ...

    def commit(self, turns: int) -> None:
        """The first ``turns`` of the last `read` are done; remember that across a crash."""
        ...

    def wait(self, timeout_s: float | None, *, min_bytes: int = 1) -> None:
        """Sleep until ``min_bytes`` were appended since the last `read`, or `wake`, or the time."""
        ...

    def wake(self) -> None:
        """End the current or the next `wait`."""
        ...

    @property
    def appended(self) -> int:
        """Bytes appended by this process so far: it grows while the caller is recording."""
        ...

    def unsent(self, *, count: bool = False) -> Unsent:
        """How much is waiting; with ``count`` the turns too, at the price of reading them."""
        ...

    def close(self) -> None:
        """Release files. What was not committed stays for the next reader."""
        ...
