"""No spans of ours: turns take the identity of spans that somebody else makes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from opentelemetry.trace import SpanContext

from turnspan.ports import OpenSpan
from turnspan.telemetry.current import SPAN_KEY, context_of, current_context
from turnspan.telemetry.light import state_of
from turnspan.telemetry.off import OffSpans

__all__ = ["AdoptedSpan", "AdoptedSpans"]

_SAMPLED: Final = 1
_NOTHING: Final[Mapping[str, Any]] = {}


@dataclass(slots=True)
class AdoptedSpan:
    """The ids of a span of another's making, as far as it is known; of a step, ids of its own."""

    trace_id: int
    span_id: int
    parent_span_id: int | None = None
    flags: int = 0
    state: str = ""

    is_found: bool = False
    """Whether these are ids of a span that there is."""

    @property
    def sampled(self) -> bool:
        """Whether the span is exported by whoever makes it."""
        return self.flags & _SAMPLED != 0

    @property
    def mode(self) -> str:
        """`adopted`."""
        return "adopted"

    def become(self, context: SpanContext, parent_span_id: int | None) -> None:
        """Take over the identity of the span ``context`` names."""
        self.trace_id, self.span_id = context.trace_id, context.span_id
        self.parent_span_id = parent_span_id
        self.flags, self.state = int(context.trace_flags), state_of(context)
        self.is_found = True


class AdoptedSpans(OffSpans):
    """Implements `turnspan.ports.SpanSource`: a turn has the ids of the current span, if any.

    OpenTelemetry's context is read and never changed: what other instrumentations make inside
    stands where it would stand without us. Thread-safe.
    """

    __slots__ = ()

    def start(  # noqa: PLR0917  # as the port has it
        self,
        kind: str,
        name: str,
        started_ns: int,
        parent: OpenSpan | None,
        session_id: str | None,
        user_id: str | None,
        agent: str,
        activate: bool,  # noqa: FBT001  # keywords would cost the caller
        known: Mapping[str, Any] = _NOTHING,
        /,
    ) -> AdoptedSpan:
        """Of a turn the identity there is; of a step one that is drawn."""
        if parent is not None:
            return AdoptedSpan(parent.trace_id, self._ids.span_id(), parent.span_id)
        span = AdoptedSpan(self._ids.trace_id(), self._ids.span_id())
        found = current_context().get(SPAN_KEY)
        if found is not None and (context := context_of(found)) is not None:
            span.become(context, None)
        return span
