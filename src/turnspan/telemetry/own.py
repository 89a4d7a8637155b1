"""Identities of spans that are built later, from turns: the hot path of every turn."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from opentelemetry.context import Context

from turnspan.ports import Ids, OpenSpan
from turnspan.telemetry.activation import SpanActivation
from turnspan.telemetry.current import SPAN_KEY, attach, context_of, current_context, detach, put
from turnspan.telemetry.light import LightSpan, LightStepSpan, state_of
from turnspan.telemetry.neighbours import claim_inference
from turnspan.telemetry.sampling import Sampler
from turnspan.telemetry.suppression import is_suppressed

__all__ = ["OwnSpans"]

_NOTHING: Mapping[str, Any] = {}
_OURS = frozenset({LightSpan, LightStepSpan})
_SAMPLED_FLAG = 1
_RANDOM_FLAG = 2  # W3C level 2: whoever passes a trace on keeps it


class OwnSpans:
    """Gives turns and steps light spans; implements `turnspan.ports.SpanSource`. Thread-safe.

    A step follows its turn in everything but its id, so the sampler is asked once a turn.
    """

    __slots__ = ("_decide", "_span_id", "_takes_all", "_trace_id")

    def __init__(self, ids: Ids, sampler: Sampler | None = None) -> None:
        self._trace_id = ids.trace_id
        self._span_id = ids.span_id
        sampler = sampler or Sampler()
        self._decide = sampler.decide
        self._takes_all = sampler.takes_all

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
    ) -> LightSpan:
        """Open a span; without ``parent`` under the current one of OpenTelemetry."""
        current = current_context()
        if parent is None:
            span = LightSpan()
            span.parent_span_id, span.flags, span.state, span.sampled = None, 1, "", True
            if SPAN_KEY not in current or not self._join(span, current):
                span.trace_id = trace_id = self._trace_id()
                if not self._takes_all and not self._decide(trace_id, None):
                    span.sampled, span.flags = False, 0
            if current and is_suppressed(current):
                span.sampled, span.flags = False, 0
        else:
            span = step = LightStepSpan()
            step.parent = parent
        span.notes = None
        span.span_id = self._span_id()
        if activate:  # written out: as a function it would cost each span a tenth more
            context = Context(current)
            put(context, SPAN_KEY, span)
            if kind == "model":
                claim_inference(context)
            span.token = attach(context)
        return span

    def activation(self) -> SpanActivation:
        """For one stream."""
        return SpanActivation()

    def end(self, span: OpenSpan, fields: Mapping[str, Any], /) -> Mapping[str, Any] | None:
        """Close ``span``; what others left on it comes back, None where nobody did."""
        if type(span) not in _OURS:
            return None
        light: LightSpan = span  # type: ignore[assignment]  # it is one of ours
        light.ended = True
        if (token := light.token) is not None:
            light.token = None
            try:
                detach(token)
            except (ValueError, RuntimeError):
                return light.notes  # of another context, which nobody can put back here
        return light.notes

    @property
    def is_live(self) -> bool:
        """Never."""
        return False

    def note_feedback(self, feedback: Mapping[str, Any], /) -> str:
        """Do nothing: an `otlp+…` exporter tells of it."""
        return "own"

    def leave_out(self, span: OpenSpan, /, *, keeps_notes: bool) -> None:
        """Clear its sampled flag; with ``keeps_notes`` it is what samplers call record-only."""
        if type(span) is LightSpan:
            span.flags &= ~_SAMPLED_FLAG
            span.sampled = span.sampled and keeps_notes

    def _join(self, span: LightSpan, current: Context) -> bool:
        """Make ``span`` a child of the current span, if that has a valid identity."""
        context = context_of(current[SPAN_KEY])
        if context is None:
            return False
        span.trace_id = context.trace_id
        span.parent_span_id = context.span_id
        span.state = state_of(context)
        span.sampled = self._decide(context.trace_id, bool(context.trace_flags & _SAMPLED_FLAG))
        span.flags = (context.trace_flags & _RANDOM_FLAG) | (_SAMPLED_FLAG if span.sampled else 0)
        return True
