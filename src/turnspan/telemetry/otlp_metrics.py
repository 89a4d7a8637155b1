"""Aggregated metrics as OTLP requests: protobuf written straight from points.

Source: https://github.com/open-telemetry/opentelemetry-proto v1.9.0,
collector/metrics/v1/metrics_service.proto, metrics/v1/metrics.proto.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from struct import pack
from typing import Any, Final

from turnspan.telemetry.aggregation import Aggregation, Exemplar, Point
from turnspan.telemetry.by_resource import ByResource
from turnspan.telemetry.instruments import Instrument
from turnspan.telemetry.protobuf import attributes, delimited, text

__all__ = ["metrics_request"]

DELTA: Final = b"\x10\x01"
CUMULATIVE: Final = b"\x10\x02"
_MONOTONIC: Final = b"\x18\x01"


def metrics_request(
    found: Aggregation, resource: Mapping[str, Any], now_ns: int, *, delta: bool
) -> bytes:
    """An `ExportMetricsServiceRequest` of all that was found by ``now_ns``; empty of nothing."""
    if not found.points:
        return b""
    times = b"\x11" + found.started_ns.to_bytes(8, "little")
    times += b"\x19" + now_ns.to_bytes(8, "little")
    temporality = DELTA if delta else CUMULATIVE
    request = ByResource()
    request.add(
        resource,
        [
            delimited(b"\x12", _metric(instrument, points.values(), times, temporality))
            for instrument, points in found.points.items()
        ],
    )
    return request.take()


def _metric(
    instrument: Instrument, points: Iterable[Point], times: bytes, temporality: bytes
) -> bytes:
    head = text(b"\x0a", instrument.name) + text(b"\x12", instrument.description)
    head += text(b"\x1a", instrument.unit)
    write = _histogram if instrument.boundaries else _number
    data = b"".join(delimited(b"\x0a", write(instrument, point, times)) for point in points)
    if instrument.boundaries:
        return head + delimited(b"\x4a", data + temporality)
    return head + delimited(b"\x3a", data + temporality + _MONOTONIC)


def _number(instrument: Instrument, point: Point, times: bytes) -> bytes:
    parts = [times, _as(b"\x21", b"\x31", point.total, instrument)]
    parts += (delimited(b"\x2a", _exemplar(e, instrument)) for e in point.exemplars.values())
    attributes(b"\x3a", point.attributes, parts)
    return b"".join(parts)


def _histogram(instrument: Instrument, point: Point, times: bytes) -> bytes:
    bounds = instrument.boundaries
    parts = [times, pack("<BQ", 0x21, point.count), pack("<Bd", 0x29, point.total)]
    parts.append(delimited(b"\x32", pack(f"<{len(point.buckets)}Q", *point.buckets)))
    parts.append(delimited(b"\x3a", pack(f"<{len(bounds)}d", *bounds)))
    parts += (
        delimited(b"\x42", _exemplar(point.exemplars[bucket], instrument))
        for bucket in sorted(point.exemplars)
    )
    attributes(b"\x4a", point.attributes, parts)
    parts += (pack("<Bd", 0x59, point.least), pack("<Bd", 0x61, point.most))
    return b"".join(parts)


def _exemplar(seen: Exemplar, instrument: Instrument) -> bytes:
    value, at_ns, trace_id, span_id = seen
    ids = bytes.fromhex(f"2208{span_id}2a10{trace_id}")
    at = b"\x11" + at_ns.to_bytes(8, "little")
    return at + _as(b"\x19", b"\x31", value, instrument) + ids


def _as(double: bytes, whole: bytes, value: float, instrument: Instrument) -> bytes:
    """``value`` under the tag of its type."""
    if instrument.is_whole:
        return whole + int(value).to_bytes(8, "little", signed=True)
    return double + pack("<d", value)
