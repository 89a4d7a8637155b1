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
    SpanKind,
    Status,
    StatusCode,
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
from turnspan.telemetry.attributes import SpanFacts, step_facts, turn_facts
from turnspan.telemetry.current import SPAN_KEY, attach, current_context, deactivate, with_span
from turnspan.telemetry.evaluation import (
    JudgedTurn,
    RecentTurns,
    evaluation_attributes,
    response_id_of,
)
from turnspan.telemetry.light import state_of
from turnspan.telemetry.live_events import emit_event
from turnspan.telemetry.live_opening import opening
from turnspan.telemetry.neighbours import claim_inference
from turnspan.telemetry.suppression import is_suppressed
from turnspan.telemetry.vendor_keys import Described, Profile, add_keys

__all__ = ["LiveSpan", "LiveSpans"]

_NOTHING: Mapping[str, Any] = {}

Fields: TypeAlias = Mapping[str, Any]


class LiveSpan:
    """A span of the application's provider, and its identity.

    ``span`` is None where the provider failed to make one: the turn has its ids all the same.
    """

    __slots__ = (
        "agent",
        "flags",
        "given",
        "is_turn",
        "name",
        "parent_span_id",
        "sampled",
        "session_id",
        "span",
        "span_id",
        "state",
        "token",
        "trace_id",
        "tracer",
        "user_id",
    )

    mode: Final = "live"

    trace_id: int
    span_id: int
    parent_span_id: int | None
    flags: int
    state: str
    sampled: bool
    span: Span | None
    tracer: Tracer
    token: Token[Context] | None
    name: str
    agent: str
    session_id: str | None
    user_id: str | None
    is_turn: bool
    given: dict[str, Any]
    """The attributes it started with."""


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
        above = parent if type(parent) is LiveSpan else None
        live.agent = agent = name if kind == "agent" else above.agent if above else agent
        live.is_turn = kind == "turn"
        live.session_id, live.user_id = session_id, user_id
        live.name, span_kind, first = opening(kind, name, agent, known)
        live.given = given = dict(first)
        if session_id:
            given[names.CONVERSATION_ID] = session_id
        live.token = live.span = None
        span = None
        if not is_suppressed(current):
            span = self._started(live, above, current, span_kind, started_ns)
        self._identify(live, span, parent, current)
        if activate and span is not None:
            context = with_span(span, current)
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
        if not isinstance(span, LiveSpan):
            return
        if span.token is not None:
            token, span.token = span.token, None
            deactivate(token)
        if span.is_turn and "id" in fields:
            self._remember(span, fields)
        real = span.span
        if real is None:
            return
        try:
            if "status" in fields and real.is_recording():
                _finish(span, real, self._facts(span, fields), fields)
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

    def _remember(self, span: LiveSpan, fields: Fields) -> None:
        trace_id, span_id = f"{span.trace_id:032x}", f"{span.span_id:016x}"
        known = (span.session_id, response_id_of(fields))
        self._recent.add(JudgedTurn(fields["id"], trace_id, span_id, span.flags, *known))

    def _facts(self, span: LiveSpan, fields: Fields) -> SpanFacts:
        try:
            return _facts_of(span, fields, content=self._content, profiles=self._profiles)
        except (TypeError, ValueError):
            # Content that no JSON can hold, such as a lone surrogate; the rest can be told.
            return _facts_of(span, fields, content=False, profiles=self._profiles)

    def _started(
        self,
        live: LiveSpan,
        above: LiveSpan | None,
        current: Context,
        kind: SpanKind,
        started_ns: int,
    ) -> Span | None:
        try:
            live.tracer = above.tracer if above else self._current_tracer()
            return live.tracer.start_span(
                live.name,
                context=_context_of(above, current),
                kind=kind,
                attributes=live.given,
                start_time=started_ns,
            )
        except Exception as exc:  # noqa: BLE001  # border: foreign providers and samplers
            say("live-start", "the application's tracer could not start a span", error=exc)
            return None

    def _current_tracer(self) -> Tracer:
        provider = trace.get_tracer_provider()
        known = self._tracer
        if known is not None and known[0] is provider:
            return known[1]
        tracer = provider.get_tracer(names.SCOPE_NAME, __version__, names.SCHEMA_URL)
        self._tracer = (provider, tracer)
        return tracer

    def _identify(
        self, live: LiveSpan, span: Span | None, parent: OpenSpan | None, current: Context
    ) -> None:
        """Take over the span's identity, or draw what it lacks."""
        above = parent or trace.get_current_span(current).get_span_context()
        above_id = above.span_id
        live.parent_span_id = above_id or None
        found = span.get_span_context() if span is not None else trace.INVALID_SPAN_CONTEXT
        span_id = found.span_id
        # A tracer that makes no spans hands out its parent's identity, or none.
        if span_id != above_id and found.is_valid:
            live.trace_id, live.span_id = found.trace_id, span_id
            live.flags = flags = int(found.trace_flags)
            live.sampled = flags & _SAMPLED != 0
            live.state = "" if found.trace_state is DEFAULT_TRACE_STATE else state_of(found)
            live.span = span
            return
        live.trace_id = above.trace_id or self._ids.trace_id()
        live.span_id = self._ids.span_id()
        live.flags, live.sampled, live.state = 0, False, ""


def _facts_of(
    span: LiveSpan, fields: Fields, *, content: bool, profiles: Sequence[Profile]
) -> SpanFacts:
    if span.is_turn:
        turn, facts = fields, turn_facts(fields, content=content)
    else:
        turn = {
            "session_id": span.session_id,
            "user_id": span.user_id,
            "messages": fields.get("messages", ()),
            "tool_definitions": fields.get("tool_definitions", ()),
        }
        facts = step_facts(fields, turn, agent=span.agent, content=content)
    if profiles:
        add_keys(profiles, facts.attributes, Described(fields, turn, facts.attributes, content))
    return facts


def _context_of(above: LiveSpan | None, current: Context) -> Context:
    """The context to start a child of ``above`` in."""
    if above is None or above.span is None or current.get(SPAN_KEY) is above.span:
        return current
    return set_span_in_context(above.span, current)


def _finish(live: LiveSpan, real: Span, facts: SpanFacts, fields: Fields) -> None:
    unsaid = _unsaid(live, real, facts.attributes)
    if len(unsaid) > 2:
        real.set_attributes(unsaid)
    else:  # in the SDK two alone cost less than two together
        for key, value in unsaid.items():
            real.set_attribute(key, value)
    if facts.name != live.name and getattr(real, "name", live.name) == live.name:
        real.update_name(facts.name)
    if facts.status == names.STATUS_ERROR:
        real.set_status(Status(StatusCode.ERROR, facts.description or None))
    # Capture writes a `trace` without links as JSON already: there is nothing to read in it.
    if live.is_turn and type(where := fields.get("trace")) is dict:
        _link(real, where.get("links", ()))


def _link(real: Span, links: Sequence[Fields]) -> None:
    for link in links:
        trace_id, span_id = int(link["trace_id"], 16), int(link["span_id"], 16)
        real.add_link(SpanContext(trace_id, span_id, is_remote=True), link.get("attributes"))


def _unsaid(live: LiveSpan, real: Span, attributes: dict[str, Any]) -> dict[str, Any]:
    """Those of ``attributes`` that are not on the span; what other code set there wins."""
    given = live.given
    for key, value in given.items():
        if attributes.get(key) == value:
            del attributes[key]
    if not attributes:
        return attributes
    present = getattr(real, "attributes", None)
    if present is not None and len(present) > len(given):
        return {
            key: value
            for key, value in attributes.items()
            if key not in present or present[key] == given.get(key)
        }
    return attributes


_SAMPLED = int(TraceFlags.SAMPLED)
