"""Spans from OTLP bytes and from the SDK, as `SeenSpan`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.trace import ReadableSpan

from conventions.seen import SeenSpan

__all__ = ["spans_of_request", "spans_of_sdk"]

_KINDS = {1: "internal", 2: "server", 3: "client", 4: "producer", 5: "consumer"}
_STATUSES = ("unset", "ok", "error")


def spans_of_sdk(spans: Iterable[ReadableSpan]) -> list[SeenSpan]:
    """What the official exporter would send of ``spans``."""
    return spans_of_request(encode_spans(list(spans)).SerializeToString())


def spans_of_request(body: bytes) -> list[SeenSpan]:
    """The spans of an `ExportTraceServiceRequest`, in its order."""
    return [
        _seen(span, group, scoped)
        for group in ExportTraceServiceRequest.FromString(body).resource_spans
        for scoped in group.scope_spans
        for span in scoped.spans
    ]


def _seen(span: Any, group: Any, scoped: Any) -> SeenSpan:
    return SeenSpan(
        name=span.name,
        kind=_KINDS[span.kind],
        attributes=_pairs(span.attributes),
        status=_STATUSES[span.status.code],
        description=span.status.message,
        trace_id=span.trace_id.hex(),
        span_id=span.span_id.hex(),
        parent_id=span.parent_span_id.hex(),
        links=tuple((link.trace_id.hex(), link.span_id.hex()) for link in span.links),
        scope=scoped.scope.name,
        schema_url=scoped.schema_url,
        resource=_pairs(group.resource.attributes),
    )


def _pairs(pairs: Any) -> dict[str, Any]:
    return {pair.key: _value(pair.value) for pair in pairs}


def _value(value: Any) -> Any:
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [_value(item) for item in value.array_value.values]
    if kind == "kvlist_value":
        return _pairs(value.kvlist_value.values)
    return None if kind is None else getattr(value, kind)
