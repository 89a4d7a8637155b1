"""Identities of spans that are built later, from turns: the hot path of every turn."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from opentelemetry.trace import SpanContext

from turnspan.notices import say
from turnspan.ports import Ids, OpenSpan
from turnspan.telemetry.current import SPAN_KEY, activate, current_context, deactivate
from turnspan.telemetry.light import LightSpan, state_of
from turnspan.telemetry.sampling import Sampler

__all__ = ["OwnSpans"]

_RANDOM_FLAG = 2  # W3C level 2: whoever passes a trace on keeps it


class OwnSpans:
    """Gives turns and steps light spans; implements `turnspan.ports.SpanSource`. Thread-safe.

    A step follows its turn in everything but its id, so the sampler is asked once a turn.
    """

    __slots__ = ("_decide", "_span_id", "_trace_id")

    def __init__(self, ids: Ids, sampler: Sampler | None = None) -> None:
        self._trace_id = ids.trace_id
        self._span_id = ids.span_id
        self._decide = (sampler or Sampler()).decide

    def start(  # noqa: PLR0917  # as the port has it
        self,
        kind: str,  # this source needs the identity only
        name: str,
        started_ns: int,
        parent: OpenSpan | None,
        session_id: str | None,
        user_id: str | None,
        agent: str,
        activate: bool,  # noqa: FBT001  # keywords would cost the caller
        /,
    ) -> LightSpan:
        """Open a span; without ``parent`` under the current one of OpenTelemetry."""
        span = LightSpan()
        span.span_id = self._span_id()
        if parent is None:
            self._join(span)
        else:
            span.trace_id = parent.trace_id
            span.parent_span_id = parent.span_id
            span.flags = parent.flags
            span.state = parent.state
            span.sampled = parent.sampled
        span.ended = False
        span.notes = span.context = None
        span.token = _activate(span) if activate else None
        return span

    def end(self, span: OpenSpan, fields: Mapping[str, Any], /) -> Mapping[str, Any] | None:
        """Close ``span``; what others left on it comes back, None where nobody did."""
        if not isinstance(span, LightSpan):
            return None
        span.ended = True
        token = span.token
        if token is not None:
            span.token = None
            deactivate(token)
        return span.notes

    def _join(self, span: LightSpan) -> None:
        """Make ``span`` a child of the current span, or the root of a new trace."""
        context = _current_context()
        if context is None:
            span.trace_id = trace_id = self._trace_id()
            span.parent_span_id = None
            span.state = ""
            span.sampled = self._decide(trace_id, None)
            span.flags = 1 if span.sampled else 0
            return
        span.trace_id = context.trace_id
        span.parent_span_id = context.span_id
        span.state = state_of(context)
        span.sampled = self._decide(context.trace_id, bool(context.trace_flags & 1))
        span.flags = (context.trace_flags & _RANDOM_FLAG) | (1 if span.sampled else 0)


_activate = activate


def _current_context() -> SpanContext | None:
    """Of the current span, if there is one and it has a valid identity."""
    found = current_context().get(SPAN_KEY)
    if found is None:
        return None
    try:
        context: SpanContext = found.get_span_context()
        return context if context.is_valid else None
    except Exception as exc:  # noqa: BLE001  # border: a span of somebody else's making
        say("current-span", "the current span could not be read", error=exc)
        return None
