"""OTLP in both of its formats, with the official classes as the oracle."""

from __future__ import annotations

import base64
import json
import struct
from typing import Any

import pytest
from google.protobuf.json_format import MessageToDict
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from turnspan.errors import WireError
from turnspan.telemetry.decoding import Received, ReceivedSpan, from_json, from_protobuf
from turnspan.telemetry.protobuf import attributes, delimited

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
INT64 = st.integers(-(2**63), 2**63 - 1)
VALUES = st.recursive(
    st.one_of(
        TEXT.map(lambda v: AnyValue(string_value=v)),
        st.booleans().map(lambda v: AnyValue(bool_value=v)),
        INT64.map(lambda v: AnyValue(int_value=v)),
        st.floats(allow_nan=False).map(lambda v: AnyValue(double_value=v)),
        st.binary(max_size=8).map(lambda v: AnyValue(bytes_value=v)),
    ),
    lambda inner: st.lists(inner, max_size=3).map(lambda v: AnyValue(array_value={"values": v})),
    max_leaves=5,
)
PAIRS = st.dictionaries(TEXT, VALUES, max_size=4)
IDS = {n: st.binary(min_size=n, max_size=n).filter(any) for n in (8, 16)}
TIMES = st.integers(1, 2**63 - 1)


@st.composite
def spans(draw: Any) -> Span:
    """Any span."""
    return Span(
        trace_id=draw(IDS[16]),
        span_id=draw(IDS[8]),
        parent_span_id=draw(IDS[8] | st.just(b"")),
        trace_state=draw(TEXT),
        flags=draw(st.integers(0, 2**32 - 1)),
        name=draw(TEXT),
        kind=draw(st.integers(0, 5)),
        start_time_unix_nano=draw(TIMES),
        end_time_unix_nano=draw(TIMES),
        attributes=pairs(draw(PAIRS)),
        events=[
            Span.Event(name=draw(TEXT), time_unix_nano=draw(TIMES), attributes=pairs(draw(PAIRS)))
        ],
        links=[Span.Link(trace_id=draw(IDS[16]), span_id=draw(IDS[8]))],
        status={"code": draw(st.integers(0, 2)), "message": draw(TEXT)},
        dropped_attributes_count=draw(st.integers(0, 9)),
    )


def pairs(found: dict[str, AnyValue]) -> list[KeyValue]:
    """A dictionary as key-value messages."""
    return [KeyValue(key=key, value=value) for key, value in found.items()]


def plain(value: AnyValue) -> Any:
    """A value as attributes of received spans have it."""
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [plain(each) for each in value.array_value.values]
    if kind == "bytes_value":
        return base64.b64encode(value.bytes_value).decode()
    found = getattr(value, kind)
    return repr(found) if found in {float("inf"), float("-inf")} else found


def request_of(*given: Span) -> ExportTraceServiceRequest:
    """Spans in a request."""
    scoped = {"scope": {"name": "lib"}, "spans": given}
    resource = {"attributes": [KeyValue(key="service.name", value=AnyValue(string_value="s"))]}
    group = {"resource": resource, "scope_spans": [scoped]}
    return ExportTraceServiceRequest(resource_spans=[group])


def in_json(request: ExportTraceServiceRequest) -> bytes:
    """A request as OTLP has it in JSON: ids in hex, enums as numbers."""
    found = MessageToDict(request, use_integers_for_enums=True)

    def mend(item: Any) -> None:
        for key, value in item.items() if isinstance(item, dict) else enumerate(item):
            if key in {"traceId", "spanId", "parentSpanId"}:
                item[key] = base64.b64decode(value).hex()
            elif isinstance(value, dict | list):
                mend(value)

    mend(found)
    return json.dumps(found).encode()


@settings(deadline=None)
@given(spans())
def test_both_formats_read_what_the_official_classes_wrote(span: Span) -> None:
    """Every field of a span is read from protobuf and from JSON, and survives being kept."""
    request = request_of(span)
    [found] = from_protobuf(request.SerializeToString()).spans

    assert found == ReceivedSpan(
        trace_id=span.trace_id.hex(),
        span_id=span.span_id.hex(),
        parent_id=span.parent_span_id.hex() if any(span.parent_span_id) else None,
        name=span.name,
        kind=span.kind,
        started_at=span.start_time_unix_nano,
        ended_at=span.end_time_unix_nano,
        flags=span.flags,
        state=span.trace_state,
        attributes={each.key: plain(each.value) for each in span.attributes},
        events=[
            {"name": event.name, "at": event.time_unix_nano}
            | (
                {"attributes": {a.key: plain(a.value) for a in event.attributes}}
                if event.attributes
                else {}
            )
            for event in span.events
        ],
        links=[
            {"trace_id": each.trace_id.hex(), "span_id": each.span_id.hex()} for each in span.links
        ],
        status=span.status.code,
        description=span.status.message,
        resource={"service.name": "s"},
        scope="lib",
    )
    assert from_json(in_json(request)).spans == [found]
    assert ReceivedSpan.load(found.dump()) == found


def outcome(read: Any, body: bytes) -> Any:
    """What reading comes to; any other error than the reader's own is the test's."""
    try:
        return read(body)
    except WireError as error:
        return error


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(body: bytes) -> None:
    """No bytes make the readers fail in another way than they say."""
    for read in (from_protobuf, from_json):
        assert isinstance(outcome(read, body), Received | WireError)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | TEXT,
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(
                    [
                        "resourceSpans",
                        "scopeSpans",
                        "spans",
                        "attributes",
                        "resource",
                        "key",
                        "value",
                        "traceId",
                        "status",
                        "events",
                    ]
                ),
                inner,
                max_size=4,
            )
        ),
    )
)
def test_any_json_is_read_or_refused(value: Any) -> None:
    """No JSON makes the reader fail in another way than it says."""
    body = json.dumps({"resourceSpans": value}).encode()

    assert isinstance(outcome(from_json, body), Received | WireError)


def test_attributes_that_are_nested_without_end_are_refused() -> None:
    """A value that nests deeper than any does costs its span, not the process."""
    value: Any = "x"
    for _ in range(90):
        value = [value]
    ids = delimited(b"\x0a", b"1" * 16) + delimited(b"\x12", b"2" * 8)
    parts = [ids]
    attributes(b"\x4a", {"a": value}, parts)
    scoped = delimited(b"\x12", delimited(b"\x12", b"".join(parts)))
    received = from_protobuf(delimited(b"\x0a", scoped))

    assert (received.spans, received.rejected) == ([], 1)
    assert received.reason == "an attribute is nested too deeply"


@pytest.mark.parametrize(
    "change, reason",
    [
        ({"trace_id": b"\0" * 16}, "a span has no valid trace id"),
        ({"trace_id": b"1"}, "a span has no valid trace id"),
        ({"span_id": b""}, "a span has no valid span id"),
        ({"start_time_unix_nano": 2**63}, "a span's start is out of range"),
    ],
)
def test_a_span_that_breaks_the_rules_is_rejected_alone(change: Any, reason: str) -> None:
    """The reason is told, and its neighbour is read."""
    good = Span(trace_id=b"1" * 16, span_id=b"2" * 8)
    bad = Span(trace_id=b"1" * 16, span_id=b"3" * 8)
    for field, value in change.items():
        setattr(bad, field, value)
    received = from_protobuf(request_of(good, bad).SerializeToString())

    assert (len(received.spans), received.rejected, received.reason) == (1, 1, reason)


@pytest.mark.parametrize(
    "change, reason",
    [
        ({"flags": "9" * 30}, "a whole number has more than 64 bits"),
        ({"kind": str(2**64)}, "a whole number has more than 64 bits"),
        (
            {"attributes": [{"key": "a", "value": {"intValue": str(-(2**63) - 1)}}]},
            "a whole number has more than 64 bits",
        ),
        ({"traceId": "\u0661" * 32}, "a span has no valid trace id"),
    ],
)
def test_what_only_json_can_write_is_rejected_alone(change: Any, reason: str) -> None:
    """Numbers of any length, and digits of other scripts, could not be kept."""
    good = {"traceId": "1" * 32, "spanId": "2" * 16}
    spans = [good, {**good, "spanId": "3" * 16, **change}]
    received = from_json(
        json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": spans}]}]}).encode()
    )
    kept = [each.dump() for each in received.spans]

    assert (len(kept), received.rejected, received.reason) == (1, 1, reason)


def test_names_in_place_of_numbers_are_understood() -> None:
    """Writers that name enums and fields as the .proto files do are read as well."""
    span = {
        "trace_id": "1" * 32,
        "span_id": "2" * 16,
        "kind": "SPAN_KIND_CLIENT",
        "start_time_unix_nano": "5",
        "status": {"code": "STATUS_CODE_ERROR"},
    }
    body = {"resource_spans": [{"scope_spans": [{"spans": [span]}]}]}
    [found] = from_json(json.dumps(body).encode()).spans

    assert (found.kind, found.status, found.started_at, found.ended_at) == (3, 2, 5, 5)


def test_a_double_that_json_lacks_is_its_name() -> None:
    """NaN in protobuf is kept as a text."""
    nan = AnyValue(double_value=struct.unpack("<d", b"\xff" * 8)[0])
    span = Span(trace_id=b"1" * 16, span_id=b"2" * 8, attributes=[KeyValue(key="a", value=nan)])
    [found] = from_protobuf(request_of(span).SerializeToString()).spans

    assert found.attributes == {"a": "nan"}
