"""Events through the application's LoggerProvider, by OpenTelemetry's public interface."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any, Protocol, cast

from opentelemetry.context import Context
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags, set_span_in_context

from turnspan import __version__
from turnspan.notices import say
from turnspan.telemetry import semconv as names
from turnspan.telemetry.evaluation import JudgedTurn

__all__ = ["emit_event"]


class _Emits(Protocol):
    def emit(
        self, *, timestamp: int, context: Context, event_name: str, attributes: Mapping[str, Any]
    ) -> None: ...


def emit_event(
    name: str, at_ns: int, attributes: Mapping[str, Any], turn: JudgedTurn | None
) -> bool:
    """Emit the event on the span of ``turn``; False where no logger provider takes it.

    There is none until the application sets one, or its OpenTelemetry is older than events
    that are log records with a name. Whatever a provider or processor raises is logged.
    """
    try:
        logger = _logger()
        if logger is None:
            return False
        logger.emit(
            timestamp=at_ns, context=_context_of(turn), event_name=name, attributes=attributes
        )
    except Exception as exc:  # noqa: BLE001  # border: foreign providers and processors
        say("live-event", "the application's logger could not take an event", error=exc)
        return False
    return True


def _logger() -> _Emits | None:
    from opentelemetry import _logs  # here: few applications have such a provider

    provider = _logs.get_logger_provider()
    if type(provider).__module__.startswith(_logs.__name__):
        return None  # OpenTelemetry's own stand-ins: nobody has set one
    logger = provider.get_logger(names.SCOPE_NAME, __version__, names.SCHEMA_URL)
    if "event_name" not in inspect.signature(logger.emit).parameters:
        return None
    return cast("_Emits", logger)


def _context_of(turn: JudgedTurn | None) -> Context:
    """Where the event belongs: on the span of ``turn``, else on none."""
    if turn is None:
        return Context()
    trace_id, span_id = int(turn.trace_id, 16), int(turn.span_id, 16)
    span = SpanContext(trace_id, span_id, False, TraceFlags(turn.flags))
    return set_span_in_context(NonRecordingSpan(span), Context())
