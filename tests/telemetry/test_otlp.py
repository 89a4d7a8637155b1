"""The wire writer, against what the generated protobuf classes make of the same turns."""

import tracemalloc
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTracePartialSuccess,
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.common.v1.common_pb2 import (
    AnyValue,
    ArrayValue,
    InstrumentationScope,
    KeyValue,
    KeyValueList,
)
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span, Status

from turnspan import __version__
from turnspan.telemetry.attributes import failure, step_facts, turn_facts, with_notes
from turnspan.telemetry.by_resource import rejected
from turnspan.telemetry.carried import carry_step, carry_turn
from turnspan.telemetry.limits import SpanLimits
from turnspan.telemetry.otlp import RequestWriter

SCHEMA_URL = "https://opentelemetry.io/schemas/gen-ai-dev/1.42.0-dev"


def any_value(value: Any) -> AnyValue:
    if value is None:
        return AnyValue()
    if isinstance(value, bool):
        return AnyValue(bool_value=value)
    if isinstance(value, str):
        return AnyValue(string_value=value)
    if isinstance(value, int):
        small = -(2**63) <= value < 2**63
        return AnyValue(int_value=value) if small else AnyValue(string_value=str(value))
    if isinstance(value, float):
        return AnyValue(double_value=value)
    if isinstance(value, list):
        return AnyValue(array_value=ArrayValue(values=[any_value(v) for v in value]))
    return AnyValue(kvlist_value=KeyValueList(values=key_values(value)))


def key_values(pairs: dict[str, Any]) -> list[KeyValue]:
    return [KeyValue(key=key, value=any_value(value)) for key, value in pairs.items()]


def links(found: Any) -> list[Span.Link]:
    return [
        Span.Link(
            trace_id=bytes.fromhex(link["trace_id"]),
            span_id=bytes.fromhex(link["span_id"]),
            attributes=key_values(link.get("attributes", {})),
        )
        for link in found
    ]


def spans_of(turn: dict[str, Any]) -> list[Span]:
    trace = turn["trace"]
    found = []
    for at, fields in enumerate((turn, *turn["steps"]), -1):
        root = fields is turn
        facts = (
            turn_facts(turn, content=True)
            if root
            else step_facts(fields, turn, agent=turn["agent"]["name"], content=True)
        )
        if root:
            carry_turn(facts.attributes, turn, failure(turn), content=True)
        else:
            carry_step(facts.attributes, fields, turn, failure(fields), content=True)
            facts.attributes["turnspan.turn.id"] = turn["id"]
            ends = [step["ended_at"] for step in turn["steps"]]
            if ends != sorted(set(ends)):
                facts.attributes["turnspan.step.position"] = at
        notes = fields.get("span") or {}
        with_notes(facts, notes)
        above = trace.get("parent_span_id", "") if root else trace["span_id"]
        status = Status(code=facts.status, message=facts.description) if facts.status else None
        found.append(
            Span(
                trace_id=bytes.fromhex(trace["trace_id"]),
                span_id=bytes.fromhex(trace["span_id"] if root else fields["id"]),
                trace_state=trace.get("state", ""),
                parent_span_id=bytes.fromhex(fields.get("parent_id", above)),
                name=facts.name,
                kind=facts.kind,
                start_time_unix_nano=fields["started_at"],
                end_time_unix_nano=fields["ended_at"],
                attributes=key_values(facts.attributes),
                events=[
                    Span.Event(
                        name=event["name"],
                        time_unix_nano=event["at"],
                        attributes=key_values(event.get("attributes", {})),
                    )
                    for event in notes.get("events", ())
                ],
                links=links([*(trace.get("links", ()) if root else ()), *notes.get("links", ())]),
                status=status,
                flags=trace.get("flags", 1) | (0 if root and above else 0x100),
            )
        )
    return found


SDK = {
    "telemetry.sdk.language": "python",
    "telemetry.sdk.name": "turnspan",
    "telemetry.sdk.version": __version__,
}


def request_of(*turns: dict[str, Any]) -> ExportTraceServiceRequest:
    groups: list[tuple[Any, list[Span]]] = []
    for turn in turns:
        known = next((g for g in groups if g[0] == turn.get("resource", {})), None)
        if known is None:
            groups.append(known := (turn.get("resource", {}), []))
        known[1].extend(spans_of(turn))
    scope = InstrumentationScope(name="turnspan", version=__version__)
    return ExportTraceServiceRequest(
        resource_spans=[
            ResourceSpans(
                resource=Resource(attributes=key_values({**SDK, **resource})),
                scope_spans=[ScopeSpans(scope=scope, spans=spans, schema_url=SCHEMA_URL)],
            )
            for resource, spans in groups
        ]
    )


def written(*turns: dict[str, Any], **options: Any) -> ExportTraceServiceRequest:
    writer = RequestWriter(content=True, **options)
    for turn in turns:
        writer.add(turn)
    return ExportTraceServiceRequest.FromString(writer.take())


TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=40) | st.sampled_from(
    ["", "x" * 127, "x" * 128, "ü" * 1100, "x" * 20_000]
)
TIMES = st.integers(0, 2**63)
SCALARS = st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | TEXT
SCALARS |= st.floats(allow_nan=False, allow_infinity=False)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3)
)
PAIRS = st.dictionaries(TEXT, VALUES, max_size=4)
CONTENT = st.fixed_dictionaries(
    {"content": TEXT},
    optional={
        "type": st.sampled_from(["text", "image", "tool_result"]),
        "mime_type": st.sampled_from(["text/plain", "application/json"]),
    },
)
TRACE_ID, SPAN_ID = (st.binary(min_size=n, max_size=n).map(bytes.hex) for n in (16, 8))
LINKS = st.lists(
    st.fixed_dictionaries(
        {"trace_id": TRACE_ID, "span_id": SPAN_ID}, optional={"attributes": PAIRS}
    ),
    max_size=2,
)
EVENTS = st.lists(
    st.fixed_dictionaries({"name": TEXT, "at": TIMES}, optional={"attributes": PAIRS}), max_size=2
)
NOTES = st.fixed_dictionaries(
    {},
    optional={
        "name": TEXT,
        "attributes": PAIRS,
        "events": EVENTS,
        "links": LINKS,
        "status": st.sampled_from(["ok", "error"]),
        "status_description": TEXT,
    },
)
COMMON = {"started_at": TIMES, "ended_at": TIMES, "status": st.sampled_from(["ok", "error"])}
MORE = {
    "input": CONTENT,
    "output": CONTENT,
    "reasoning": TEXT,
    "span": NOTES,
    "metadata": st.dictionaries(TEXT, SCALARS, max_size=2),
    "error": st.fixed_dictionaries({"type": TEXT}, optional={"message": TEXT}),
    "usage": st.fixed_dictionaries(
        {}, optional={"input_tokens": st.integers(0, 2**40), "cost_usd": st.floats(0, 9)}
    ),
}
STEPS = st.fixed_dictionaries(
    {
        "id": SPAN_ID,
        "kind": st.sampled_from(["model", "tool", "retrieval", "step"]),
        "name": TEXT,
        **COMMON,
    },
    optional={
        "parent_id": SPAN_ID,
        "model": st.fixed_dictionaries(
            {}, optional={"request_model": TEXT, "provider": TEXT, "parameters": PAIRS}
        ),
        "tool": st.fixed_dictionaries({}, optional={"call_id": TEXT, "type": TEXT}),
        **MORE,
    },
)
TURNS = st.fixed_dictionaries(
    {
        "id": TEXT,
        "agent": st.fixed_dictionaries({"name": TEXT}),
        "steps": st.lists(STEPS, max_size=3),
        "resource": PAIRS,
        "trace": st.fixed_dictionaries(
            {"trace_id": TRACE_ID, "span_id": SPAN_ID},
            optional={
                "parent_span_id": SPAN_ID,
                "flags": st.integers(0, 255),
                "state": st.sampled_from(["", "a=1,b=2"]),
                "links": LINKS,
            },
        ),
        **COMMON,
    },
    optional={
        "session_id": TEXT,
        "user_id": TEXT,
        "number": st.integers(1, 2**40),
        "tags": st.lists(TEXT, max_size=3),
        **MORE,
    },
)


@settings(max_examples=120, deadline=None)
@given(st.lists(TURNS, max_size=3))
def test_the_bytes_parse_to_what_the_official_classes_make(turns):
    """The writer and an independent construction give the same message, whatever the turn."""
    turns = [orjson.loads(orjson.dumps(turn)) for turn in turns]

    assert written(*turns) == request_of(*turns)


def test_requests_one_behind_the_other_parse_as_one(wire):
    """Slices of a batch are encoded apart and leave in one body."""
    first, second = wire(), wire(id="turn_2", resource={"service.name": "other"})
    writer = RequestWriter(content=True)
    slices = []
    for turn in (first, second):
        writer.add(turn)
        slices.append(writer.take())

    assert ExportTraceServiceRequest.FromString(b"".join(slices)) == request_of(first, second)
    assert writer.take() == b""


@pytest.mark.parametrize("reasons", [[1], [True], [1.0], [0.0], [-0.0], [[1]], [{"a": 1}]])
def test_finish_reasons_of_other_code_are_told_as_they_are(reasons, wire):
    """What is equal to what was told before is still not the same, and may not be words."""
    turns = [
        wire(span={"attributes": {"gen_ai.response.finish_reasons": said}})
        for said in ([1], [0.0], reasons)
    ]

    assert written(*turns) == request_of(*turns)
    assert str(written(*turns)) == str(request_of(*turns))


def test_names_that_never_come_again_are_not_kept(wire):
    """Attributes of other code may be called anything, at any length."""
    writer = RequestWriter(content=True)
    tracemalloc.start()
    try:
        for number in range(100):
            writer.add(wire(span={"attributes": {f"{number}{'k' * 100_000}": 1}}))
            writer.clear()
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert kept < 2_000_000


def test_what_was_left_half_done_is_forgotten(wire):
    """A forked child does not send what its parent was in the middle of."""
    writer = RequestWriter(content=True)
    writer.add(wire())
    writer.clear()
    writer.add(wire(id="turn_2"))

    assert ExportTraceServiceRequest.FromString(writer.take()) == request_of(wire(id="turn_2"))


def test_turns_of_one_resource_share_it(wire):
    """A resource stands once in a request, however its turns are mixed."""
    other = {"service.name": "other"}
    request = written(wire(), wire(resource=other), wire())

    assert [len(group.scope_spans[0].spans) for group in request.resource_spans] == [6, 3]


def test_ids_parents_and_times_are_those_of_the_turn(wire, steps):
    """A turn with a model, a tool and one inside it is a trace of four spans."""
    inner = steps.tool(id="d" * 16, parent_id="c" * 16)
    turn = wire(steps=[steps.model(), inner, steps.tool()])
    [group] = written(turn).resource_spans
    found = {
        span.name: (
            span.trace_id.hex(),
            span.span_id.hex(),
            span.parent_span_id.hex(),
            span.end_time_unix_nano - span.start_time_unix_nano,
        )
        for span in group.scope_spans[0].spans
        if span.span_id.hex() != "d" * 16
    }

    trace_id = turn["trace"]["trace_id"]
    assert found == {
        "invoke_agent support": (trace_id, "a" * 16, "", 900),
        "chat gpt-5": (trace_id, "b" * 16, "a" * 16, 300),
        "execute_tool weather": (trace_id, "c" * 16, "a" * 16, 250),
    }
    assert group.scope_spans[0].spans[2].parent_span_id.hex() == "c" * 16


def test_limits_drop_and_count_what_is_beyond(wire):
    """Attributes, events and links over a limit are counted; texts are cut."""
    event = {"name": "e", "at": 1, "attributes": {"a": "long", "b": 2}}
    link = {"trace_id": "1" * 32, "span_id": "2" * 16, "attributes": {"a": 1, "b": 2}}
    notes = {"attributes": {"n": ["long", 1]}, "events": [event] * 3, "links": [link] * 3}
    limits = SpanLimits(
        attributes=3,
        events=1,
        links=2,
        event_attributes=1,
        link_attributes=1,
        value_chars=2,
        span_value_chars=6,
    )
    turn = wire(span=notes, steps=[])
    [group] = written(turn, limits=limits).resource_spans
    [span] = group.scope_spans[0].spans

    everything = turn_facts(turn, content=True).attributes
    carry_turn(everything, turn, None, content=True)
    assert [(a.key, a.value.string_value) for a in span.attributes] == [
        ("gen_ai.operation.name", "invoke"),
        ("gen_ai.agent.name", "suppor"),
        ("turnspan.turn.id", "turn_a"),
    ]
    assert span.dropped_attributes_count == len(everything) + 2 - 3  # its note, and how many
    assert [(e.name, e.attributes[0].value.string_value) for e in span.events] == [("e", "lo")]
    assert (span.events[0].dropped_attributes_count, span.dropped_events_count) == (1, 2)
    assert (len(span.links), span.links[0].dropped_attributes_count) == (2, 1)
    assert span.dropped_links_count == 1


@pytest.mark.parametrize(
    "changes",
    [
        {"trace": {"trace_id": "12", "span_id": "a" * 16}},
        {"trace": {"trace_id": "z" * 32, "span_id": "a" * 16}},
        {"trace": {"trace_id": "1" * 32, "span_id": "a" * 16, "parent_span_id": "1"}},
        {"started_at": -1},
        {"agent": "support"},
        {"steps": [{"id": "1" * 16}]},
        {"metadata": 3, "steps": [7]},
    ],
)
def test_what_is_no_turn_leaves_nothing_in_the_request(changes, wire):
    """A turn that cannot be written raises, and those beside it are as if it were not there."""
    writer = RequestWriter(content=True)
    writer.add(wire())
    with pytest.raises((KeyError, TypeError, ValueError, AttributeError, OverflowError)):
        writer.add(wire(**changes))

    assert ExportTraceServiceRequest.FromString(writer.take()) == request_of(wire())


def test_a_partial_success_is_read_from_the_answer():
    """Count and message come out; an empty answer and garbage say that all was taken."""
    partial = ExportTracePartialSuccess(rejected_spans=300, error_message="too öld")
    body = ExportTraceServiceResponse(partial_success=partial).SerializeToString()

    assert rejected(body) == (300, "too öld")
    for other in (b"", b"<html>nothing</html>", b"\x0a\xff", b"\xff" * 20, b"\x0a\x02\x0d\x00"):
        assert rejected(other) == (0, "")
