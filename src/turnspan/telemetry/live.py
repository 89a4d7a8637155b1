"""Spans through the application's own TracerProvider, by OpenTelemetry's public interface."""

from __future__ import annotations

from collections.abc import Mapping
from contextvars import Token
from typing import Any, Final, TypeAlias

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import (
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
from turnspan.telemetry.attributes import SpanFacts, step_facts, turn_facts
from turnspan.telemetry.current import activate as make_current
from turnspan.telemetry.current import deactivate
from turnspan.telemetry.light import state_of

__all__ = ["LiveSpan", "LiveSpans"]

Fields: TypeAlias = Mapping[str, Any]


class LiveSpan:
    """A span of the application's provider, and its identity.

    ``span`` is None where the provider failed to make one: the turn has its ids all the same.
    """

    __slots__ = (
        "agent",
        "created",
        "flags",
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
    created: dict[str, Any]


class LiveSpans:
    """Implements `turnspan.ports.SpanSource` on the provider that is global as a turn starts.

    Thread-safe. Whatever a provider, sampler or processor raises is logged, not passed on.
    """

    __slots__ = ("_content", "_ids", "_tracer")

    def __init__(self, ids: Ids, *, content: bool = False) -> None:
        self._ids = ids
        self._content = content
        self._tracer: tuple[TracerProvider, Tracer] | None = None

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
        /,
    ) -> LiveSpan:
        """Start a span with what the conventions want known to samplers."""
        live = LiveSpan()
        above = parent if isinstance(parent, LiveSpan) else None
        live.agent = name if kind == "agent" else above.agent if above else agent
        live.is_turn = kind == "turn"
        live.session_id, live.user_id = session_id, user_id
        live.created = _created(kind, name, live)
        live.token = live.span = None
        span = self._started(live, above, _KINDS.get(kind, SpanKind.INTERNAL), started_ns)
        self._identify(live, span, parent)
        if activate and span is not None:
            live.token = make_current(span)
        return live

    def end(self, span: OpenSpan, fields: Fields, /) -> None:
        """Put the rest on ``span`` and end it at the time the turn or step ended.

        A model step that names messages by ranges needs the turn's `messages` in ``fields``.
        """
        if not isinstance(span, LiveSpan):
            return
        if span.token is not None:
            token, span.token = span.token, None
            deactivate(token)
        real = span.span
        if real is None:
            return
        try:
            if "status" in fields and real.is_recording():
                _finish(span, real, self._facts(span, fields), fields)
        except Exception as exc:  # noqa: BLE001  # border: foreign spans
            say("live-attributes", "a span could not be given its attributes", error=exc)
        try:
            real.end(end_time=fields["ended_at"])
        except Exception as exc:  # noqa: BLE001  # border: foreign span processors
            say("live-end", "a span could not be ended", error=exc)

    def _facts(self, span: LiveSpan, fields: Fields) -> SpanFacts:
        try:
            return _facts_of(span, fields, content=self._content)
        except (TypeError, ValueError):
            # Content that no JSON can hold, such as a lone surrogate; the rest can be told.
            return _facts_of(span, fields, content=False)

    def _started(
        self, live: LiveSpan, parent: LiveSpan | None, kind: SpanKind, started_ns: int
    ) -> Span | None:
        try:
            live.tracer = parent.tracer if parent else self._current_tracer()
            return live.tracer.start_span(
                live.name,
                context=_context_of(parent),
                kind=kind,
                attributes=live.created,
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

    def _identify(self, live: LiveSpan, span: Span | None, parent: OpenSpan | None) -> None:
        """Take over the span's identity, or draw what it lacks."""
        above = _identity_above(parent)
        found = span.get_span_context() if span is not None else trace.INVALID_SPAN_CONTEXT
        live.parent_span_id = above[1] or None
        # A tracer that makes no spans hands out its parent's identity, or none.
        if found.is_valid and found.span_id != above[1]:
            live.trace_id, live.span_id = found.trace_id, found.span_id
            live.flags = int(found.trace_flags)
            live.sampled = bool(live.flags & TraceFlags.SAMPLED)
            live.state = state_of(found)
            live.span = span
            return
        live.trace_id = above[0] or self._ids.trace_id()
        live.span_id = self._ids.span_id()
        live.flags, live.sampled, live.state = 0, False, ""


def _facts_of(span: LiveSpan, fields: Fields, *, content: bool) -> SpanFacts:
    if span.is_turn:
        return turn_facts(fields, content=content)
    turn = {
        "session_id": span.session_id,
        "user_id": span.user_id,
        "messages": fields.get("messages", ()),
    }
    return step_facts(fields, turn, agent=span.agent, content=content)


def _created(kind: str, name: str, live: LiveSpan) -> dict[str, Any]:
    """Name ``live`` and give the attributes it starts with."""
    created: dict[str, Any] = {names.AGENT_NAME: live.agent}
    if live.session_id:
        created[names.CONVERSATION_ID] = live.session_id
    live.name = name
    if operation := _OPERATIONS.get(kind):
        created[names.OPERATION_NAME] = operation
        # Which model a call will name is not known yet: its span is renamed at the end.
        live.name = operation if kind == "model" else f"{operation} {name}"
        if key := _NAMED.get(kind):
            created[key] = name
    return created


def _context_of(parent: LiveSpan | None) -> Context | None:
    """The context to start a child of ``parent`` in; None is the current one."""
    if parent is None or parent.span is None or trace.get_current_span() is parent.span:
        return None
    return set_span_in_context(parent.span)


def _identity_above(parent: OpenSpan | None) -> tuple[int, int]:
    if parent is not None:
        return parent.trace_id, parent.span_id
    context = trace.get_current_span().get_span_context()
    return context.trace_id, context.span_id


def _finish(live: LiveSpan, real: Span, facts: SpanFacts, fields: Fields) -> None:
    real.set_attributes(_unsaid(live, real, facts.attributes))
    if facts.name != live.name and getattr(real, "name", live.name) == live.name:
        real.update_name(facts.name)
    if facts.status == names.STATUS_ERROR:
        real.set_status(Status(StatusCode.ERROR, facts.description or None))
    if live.is_turn:
        for link in fields.get("trace", {}).get("links", ()):
            trace_id, span_id = int(link["trace_id"], 16), int(link["span_id"], 16)
            context = SpanContext(trace_id, span_id, is_remote=True)
            real.add_link(context, link.get("attributes"))


def _unsaid(live: LiveSpan, real: Span, attributes: dict[str, Any]) -> dict[str, Any]:
    """Those of ``attributes`` that are not on the span; what other code set there wins."""
    created = live.created
    found = {key: value for key, value in attributes.items() if created.get(key) != value}
    present = getattr(real, "attributes", None)
    if present and len(present) > len(created):
        found = {
            key: value
            for key, value in found.items()
            if key not in present or present[key] == created.get(key)
        }
    return found


_KINDS = {"model": SpanKind.CLIENT, "retrieval": SpanKind.CLIENT}
_OPERATIONS = {
    "turn": names.INVOKE_AGENT,
    "agent": names.INVOKE_AGENT,
    "tool": names.EXECUTE_TOOL,
    "model": names.CHAT,
    "retrieval": names.RETRIEVAL,
}
_NAMED = {"tool": names.TOOL_NAME, "retrieval": names.DATA_SOURCE_ID}
