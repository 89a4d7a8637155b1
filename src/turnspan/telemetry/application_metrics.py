"""GenAI metrics through the application's own MeterProvider, by the public interface."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, TypeAlias

from opentelemetry import metrics
from opentelemetry.context import Context
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags, set_span_in_context

from turnspan import __version__
from turnspan.notices import say
from turnspan.telemetry import instruments
from turnspan.telemetry import semconv as names
from turnspan.telemetry.instruments import Instrument
from turnspan.telemetry.measurements import measurements

__all__ = ["ApplicationMetrics", "has_provider"]

Recording: TypeAlias = Any  # `record` of a histogram or `add` of a counter


def has_provider() -> bool:
    """Has the application set a meter provider, or does OpenTelemetry's variable name one?"""
    try:
        provider = metrics.get_meter_provider()
    except Exception as exc:  # noqa: BLE001  # border: foreign entry points
        say("meter-provider", "the named meter provider cannot be loaded", error=exc)
        return False
    return not type(provider).__module__.startswith(metrics.__name__)  # the API's stand-ins


class ApplicationMetrics:
    """Records what turns measure on the provider that is global as this is made.

    Implements `turnspan.ports.MetricSink`. Each value is recorded in the context of its span,
    so that exemplars find it.
    """

    def __init__(self) -> None:
        meter = metrics.get_meter(names.SCOPE_NAME, __version__, schema_url=names.SCHEMA_URL)
        self._recording: Final = {each.name: _recording(meter, each) for each in instruments.ALL}

    def record(self, turn: Mapping[str, Any]) -> None:
        """Record ``turn``, a decoded `turn` line."""
        trace = turn["trace"]
        trace_id, flags = int(trace["trace_id"], 16), TraceFlags(trace.get("flags", 1) & 0xFF)
        contexts: dict[str, Context] = {}
        for instrument, value, attributes, span_id in measurements(turn):
            if (context := contexts.get(span_id)) is None:
                span = SpanContext(trace_id, int(span_id, 16), False, flags)
                context = set_span_in_context(NonRecordingSpan(span), Context())
                contexts[span_id] = context
            self._recording[instrument.name](value, dict(attributes), context)

    def send(self, *, timeout_s: float) -> None:
        """Do nothing: the application has readers that collect."""

    def close(self) -> None:
        """Do nothing: the provider is the application's."""


def _recording(meter: metrics.Meter, instrument: Instrument) -> Recording:
    name, unit, description = instrument.name, instrument.unit, instrument.description
    if not (boundaries := instrument.boundaries):
        return meter.create_counter(name, unit, description).add
    return meter.create_histogram(
        name, unit, description, explicit_bucket_boundaries_advisory=boundaries
    ).record
