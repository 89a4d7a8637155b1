"""Turns as spans: where their ids come from, what is on them, how they look on the wire."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from turnspan.lazy import lazy_names

if TYPE_CHECKING:
    from turnspan.telemetry.auto import AutoSpans, check, span_source
    from turnspan.telemetry.limits import SpanLimits
    from turnspan.telemetry.live import LiveSpans
    from turnspan.telemetry.off import OffSpans
    from turnspan.telemetry.otlp import RequestWriter
    from turnspan.telemetry.own import OwnSpans
    from turnspan.telemetry.resource import detect_resource
    from turnspan.telemetry.sampling import Sampler
    from turnspan.telemetry.self_metrics import SelfMetrics
    from turnspan.telemetry.span_content import content_on_spans

__all__ = [
    "AutoSpans",
    "LiveSpans",
    "OffSpans",
    "OwnSpans",
    "RequestWriter",
    "Sampler",
    "SelfMetrics",
    "SpanLimits",
    "check",
    "content_on_spans",
    "detect_resource",
    "span_source",
]

_HOMES = {
    "AutoSpans": "turnspan.telemetry.auto",
    "LiveSpans": "turnspan.telemetry.live",
    "OffSpans": "turnspan.telemetry.off",
    "OwnSpans": "turnspan.telemetry.own",
    "RequestWriter": "turnspan.telemetry.otlp",
    "Sampler": "turnspan.telemetry.sampling",
    "SelfMetrics": "turnspan.telemetry.self_metrics",
    "SpanLimits": "turnspan.telemetry.limits",
    "check": "turnspan.telemetry.auto",
    "content_on_spans": "turnspan.telemetry.span_content",
    "detect_resource": "turnspan.telemetry.resource",
    "span_source": "turnspan.telemetry.auto",
}

__getattr__: Callable[[str], Any] = lazy_names(__name__, _HOMES)
