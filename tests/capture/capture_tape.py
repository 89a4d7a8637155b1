"""The parts that a recorder is built of in these tests."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from turnspan.capture.options import Options
from turnspan.capture.sampling import recorder_of
from turnspan.schema import Turn
from turnspan.schema.wire import TURN, decode_record, decode_turn
from turnspan.telemetry.activation import NoActivation
from turnspan.testing.repeatable import TICK_NS, CountedIds, TickingClock
from turnspan.testing.turns import START_NS

__all__ = ["START_NS", "TICK_NS", "CountedIds", "Log", "Span", "Spans", "Tape"]


@dataclass
class Span:
    trace_id: int
    span_id: int
    parent_span_id: int | None
    flags: int = 1
    state: str = ""
    sampled: bool = True
    mode: str = "own"


class Spans:
    """Hands out identities and remembers which are open."""

    is_live = False

    def __init__(self, ids: CountedIds) -> None:
        self._ids = ids
        self.open: list[Span] = []
        self.left_out: list[bool] = []

    def start(
        self, kind, name, started_ns, parent, session_id, user_id, agent, activate, known=(), /
    ):
        trace_id = parent.trace_id if parent else self._ids.trace_id()
        span = Span(trace_id, self._ids.span_id(), parent.span_id if parent else None)
        self.open.append(span)
        return span

    def activation(self):
        return NoActivation()

    def end(self, span: Span, fields: Mapping[str, Any], /) -> None:
        assert fields["ended_at"]
        self.open.remove(span)

    def note_feedback(self, feedback: Mapping[str, Any], /) -> str:
        return "own"

    def leave_out(self, span: Span, /, *, keeps_notes: bool) -> None:
        assert span in self.open
        self.left_out.append(keeps_notes)


class Log:
    """Keeps every line."""

    def __init__(self) -> None:
        self.lines: list[bytes] = []
        self._numbers: dict[str, int] = {}
        self._lock = threading.Lock()

    def append(self, line: bytes, /) -> None:
        assert line.endswith(b"\n")
        assert line.count(b"\n") == 1
        self.lines.append(line)

    def next_number(self, session_id: str, /) -> int:
        with self._lock:
            self._numbers[session_id] = self._numbers.get(session_id, 0) + 1
            return self._numbers[session_id]


class Tape:
    """What one recorder wrote."""

    def __init__(self, *, log: Any = None, spans: Any = None, **options: Any) -> None:
        self.clock = TickingClock()
        ids = CountedIds()
        self.log = log or Log()
        self.spans = spans or Spans(ids)
        self.recorder = recorder_of(
            self.log,
            self.spans,
            self.clock,
            ids,
            Options(resource={"service.name": "tests"}, **options),
        )

    @property
    def records(self) -> list[dict[str, Any]]:
        return [decode_record(line) for line in self.log.lines]

    @property
    def turns(self) -> list[Turn]:
        return [decode_turn(line) for line in self.log.lines if line.startswith(TURN)]

    @property
    def turn(self) -> Turn:
        """The only turn."""
        (turn,) = self.turns
        return turn

    @property
    def step(self) -> Any:
        """The only step of the only turn."""
        (step,) = self.turn.steps
        return step
