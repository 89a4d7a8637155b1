"""Spans through the application's own TracerProvider, by OpenTelemetry's public interface."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextvars import Token
from typing import Any, Final, TypeAlias

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import (
    DEFAULT_TRACE_STATE,
    Span,
    SpanContext,
    TraceFlags,
    Tracer,
    TracerProvider,
    set_span_in_context,
)

from turnspan import __version__
from turnspan.notices import say
from turnspan.ports import Ids, OpenSpan
from turnspan.telemetry import semconv as names
from turnspan.telemetry.activation import SpanActivation
from turnspan.telemetry.current import (
    SPAN_KEY,
    attach,
    context_of,
    current_context,
    deactivate,
    plain_identity,
    put,
)
from turnspan.telemetry.evaluation import RecentTurns, evaluation_attributes, response_id_of
from turnspan.telemetry.light import state_of
from turnspan.telemetry.live_closing import finish
from turnspan.telemetry.live_events import emit_event
from turnspan.telemetry.live_opening import opening
from turnspan.telemetry.neighbours import claim_inference
from turnspan.telemetry.suppression import is_suppressed
from turnspan.telemetry.vendor_keys import Profile

__all__ = ["LiveSpan", "LiveSpans"]

_NOTHING: Mapping[str, Any] = {}

Fields: TypeAlias = Mapping[str, Any]


class LiveSpan:
    """A span of the application's provider, and its identity.

    ``span`` is None where the provider failed to make one: the turn has its ids all the same.
    """

    mode: Final = "live"

    # Defaults live on the class: a store for each would cost every turn.
    flags = 0
    state = ""
    span: Span | None = None
    token: Token[Context] | None = None
    parent_span_id: int | None = None
    session_id: str | None = None
    user_id: str | None = None
    trace_id: int
    span_id: int
    tracer: Tracer
    kind: str
    name: str
    agent: str
    given: dict[str, Any]
    """The attributes it started with."""

    @property
    def sampled(self) -> bool:
        """As the application's sampler decided."""
        return self.flags & _SAMPLED != 0


class LiveSpans:
    """Implements `turnspan.ports.SpanSource` on the provider that is global as a turn starts.

    Thread-safe. Whatever a provider, sampler or processor raises is logged, not passed on.
    """

    __slots__ = ("_content", "_ids", "_profiles", "_recent", "_tracer")

    def __init__(
        self, ids: Ids, *, content: bool = False, profiles: Sequence[Profile] = ()
    ) -> None:
        self._ids = ids
        self._content = content
        self._profiles = profiles
        self._tracer: tuple[TracerProvider, Tracer] | None = None
        self._recent = RecentTurns()

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
    ) -> LiveSpan:
        """Start a span with what the conventions want known to samplers."""
        current = current_context()
        live = LiveSpan()
        live.kind = kind
        above = parent if type(parent) is LiveSpan else None
        live.agent = agent = name if kind == "agent" else above.agent if above else agent
        live.name, span_kind, first = opening(kind, name, agent, known)
        live.given = given = dict(first)
        if session_id:
            live.session_id = given[names.CONVERSATION_ID] = session_id
        if user_id:
            live.user_id = user_id
        real, found = None, _NOWHERE
        if not current or not is_suppressed(current):
            try:
                live.tracer = above.tracer if above else self._current_tracer()
                real = live.tracer.start_span(
                    live.name,
                    context=_context_of(above, current) if above else current,
                    kind=span_kind,
                    attributes=given,
                    start_time=started_ns,
                )
                seen = real.get_span_context()
                found = seen if type(seen) is SpanContext else plain_identity(seen)
            except Exception as exc:  # noqa: BLE001  # border: foreign providers and samplers
                say("live-start", "the application's tracer could not start a span", error=exc)
        self._identify(live, real, found, parent, current)
        if activate and real is not None:  # written out: a function more for each span
            context = Context(current)
            put(context, SPAN_KEY, real)
            if kind == "model":
                claim_inference(context)
            live.token = attach(context)
        return live

    def activation(self) -> SpanActivation:
        """For one stream."""
        return SpanActivation()

    def end(self, span: OpenSpan, fields: Fields, /) -> None:
        """Put the rest on ``span`` and end it at the time the turn or step ended.

        A step that names messages or tools by ranges needs the turn's `messages` and
        `tool_definitions` in ``fields``.
        """
        if type(span) is not LiveSpan:
            return
        if (token := span.token) is not None:
            span.token = None
            deactivate(token)
        if span.kind == "turn" and "id" in fields:
            last = response_id_of(fields)
            self._recent.add(
                (fields["id"], span.trace_id, span.span_id, span.flags, span.session_id, last)
            )
        real = span.span
        if real is None:
            return
        try:
            if "status" in fields and real.is_recording():
                finish(span, real, fields, content=self._content, profiles=self._profiles)
        except Exception as exc:  # noqa: BLE001  # border: foreign spans
            say("live-attributes", "a span could not be given its attributes", error=exc)
        try:
            real.end(fields["ended_at"])
        except Exception as exc:  # noqa: BLE001  # border: foreign span processors
            say("live-end", "a span could not be ended", error=exc)

    @property
    def is_live(self) -> bool:
        """Always."""
        return True

    def note_feedback(self, feedback: Fields, /) -> str:
        """Emit its event on the application's logger provider, where it has set one."""
        turn = self._recent.find(feedback["turn_id"])
        told = evaluation_attributes(feedback, turn, content=self._content)
        is_told = emit_event(names.EVALUATION_RESULT, feedback["at"], told, turn)
        return "live" if is_told else "own"

    def leave_out(self, span: OpenSpan, /, *, keeps_notes: bool) -> None:
        """Do nothing: which spans go out, the application's sampler has decided."""

    def _current_tracer(self) -> Tracer:
        provider = trace.get_tracer_provider()
        known = self._tracer
        if known is not None and known[0] is provider:
            return known[1]
        tracer = provider.get_tracer(names.SCOPE_NAME, __version__, names.SCHEMA_URL)
        self._tracer = (provider, tracer)
        return tracer

    def _identify(
        self,
        live: LiveSpan,
        real: Span | None,
        found: SpanContext,
        parent: OpenSpan | None,
        current: Context,
    ) -> None:
        """Take over the identity that was ``found`` of ``real``, or draw what it lacks."""
        above: OpenSpan | SpanContext | None = parent
        if above is None and SPAN_KEY in current:
            above = context_of(current[SPAN_KEY])
        if above is not None:
            live.parent_span_id = above.span_id
        # Unpacked: what it is made of is in its type, and each property is a function.
        trace_id, span_id, _, flags, state, is_valid = found
        # A tracer that makes no spans hands out its parent's identity, or none.
        if is_valid and span_id != live.parent_span_id:
            live.span, live.trace_id, live.span_id = real, trace_id, span_id
            live.flags = int(flags)
            if state is not DEFAULT_TRACE_STATE:
                live.state = state_of(found)
            return
        live.trace_id = above.trace_id if above is not None else self._ids.trace_id()
        live.span_id = self._ids.span_id()


def _context_of(above: LiveSpan, current: Context) -> Context:
    """The context to start a child of ``above`` in."""
    if above.span is None or current.get(SPAN_KEY) is above.span:
        return current
    return set_span_in_context(above.span, current)


_NOWHERE = trace.INVALID_SPAN_CONTEXT
_SAMPLED = int(TraceFlags.SAMPLED)
