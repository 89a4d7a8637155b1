"""Spans that are alike but for a few values are written from what they share."""

import tracemalloc
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

import turnspan
from turnspan.ports import Outcome
from turnspan.telemetry import templates
from turnspan.telemetry.limits import SpanLimits
from turnspan.telemetry.otlp import RequestWriter
from turnspan.telemetry.plain import plain_tool, plain_turn
from turnspan.telemetry.vendor_keys import profiles_named

START = 1_700_000_000_000_000_000
OBJECTS = ["{}", '{"city":"Paris"}', '{"ü":[1,{"a":"\\n"}]}', '{"x":"' + "y" * 3000 + '"}']
TEXTS = ["", "Weather?", 'say "ü"\n', "z" * 127, "z" * 128, "z" * 2040, "z" * 20_000]
NOT_OBJECTS = ["[1]", "7", "{not JSON}", "{}{}", "{"]
CONTENT = st.fixed_dictionaries({"content": st.sampled_from(TEXTS)})
JSON = st.fixed_dictionaries(
    {
        "content": st.sampled_from([*OBJECTS, *OBJECTS, *OBJECTS, *NOT_OBJECTS]),
        "mime_type": st.just("application/json"),
    }
)
ODD = st.fixed_dictionaries(
    {},
    optional={
        "type": st.sampled_from(["image", "text", "tool_call"]),
        "content": st.sampled_from(["https://example.com/a.png", "plain"]),
        "mime_type": st.sampled_from(["image/png", "application/json", "text/plain"]),
    },
)


def mostly(usual: st.SearchStrategy[Any], odd: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.integers(0, 19).flatmap(lambda n: odd if n == 13 else usual)


def typed(content: st.SearchStrategy[Any], type: str) -> st.SearchStrategy[Any]:
    return mostly(content.map({"type": type}.__or__), ODD)


IDS = st.integers(1, 99).map("{:016x}".format)
TIMES = st.integers(0, 500).map(START.__add__)
STATUS = mostly(st.just("ok"), st.sampled_from(["error", "paused"]))
RARE = {
    "metadata": {"a": 1},
    "reasoning": "Because.",
    "error": {"type": "ValueError", "message": "no"},
    "span": {"attributes": {"gen_ai.agent.name": "mine"}, "name": "mine"},
    "truncated": ["input"],
}
TOOL = st.fixed_dictionaries(
    {"type": st.just("function")},
    optional={
        "call_id": st.sampled_from(["call_1", "call_2"]),
        "description": st.sampled_from(["Finds.", "Looks."]),
    },
)
STEPS = st.fixed_dictionaries(
    {
        "id": IDS,
        "kind": mostly(st.just("tool"), st.sampled_from(["model", "agent", "step", "retrieval"])),
        "name": st.just("weather"),
        "tool": mostly(TOOL, st.just({})),
        "input": typed(JSON | CONTENT, "tool_call"),
        "output": typed(JSON | CONTENT, "tool_result"),
        "status": STATUS,
        "started_at": TIMES,
        "ended_at": TIMES,
    },
    optional={"parent_id": IDS},
)
TURNS = st.fixed_dictionaries(
    {
        "record": st.just("turn"),
        "id": st.sampled_from(["turn_abcdefghijkl", "turn_zyxwvutsrqpo"]),
        "agent": mostly(
            st.sampled_from([{"name": "clerk"}] * 3 + [{"name": "support"}]),
            st.sampled_from([{"name": "clerk", "version": "2"}, {"name": ["x"]}, {"name": 1}]),
        ),
        "input": typed(CONTENT | JSON, "text"),
        "output": typed(CONTENT | JSON, "text"),
        "status": STATUS,
        "started_at": TIMES,
        "ended_at": TIMES,
        "steps": st.lists(STEPS, max_size=2),
        "trace": st.fixed_dictionaries(
            {"trace_id": st.just("a" * 32), "span_id": IDS},
            optional={
                "parent_span_id": IDS,
                "flags": st.integers(0, 3),
                "state": st.just("a=1"),
                "links": st.just([{"trace_id": "b" * 32, "span_id": "c" * 16}]),
            },
        ),
        "schema_version": mostly(st.just(1), st.just(2)),
    },
    optional={
        "session_id": st.sampled_from(["s-1", "s-2", ""]),
        "user_id": st.sampled_from(["u-1", "ü" * 1500]),
        "number": st.sampled_from([0, 1, 127, 128, 2**40, 2**63]),
    },
)


@st.composite
def turn_lists(draw: st.DrawFn) -> list[dict[str, Any]]:
    """A few turns of which most are plain, and some carry something rare."""
    turns = draw(st.lists(TURNS, min_size=4, max_size=8))
    for each in [fields for turn in turns for fields in (turn, *turn["steps"])]:
        if draw(st.integers(0, 19)) == 13:
            name = draw(st.sampled_from(sorted(RARE)))
            each[name] = RARE[name]
    return turns


def spans(*turns: dict[str, Any], **options: Any) -> list[Span]:
    """What one writer makes of them."""
    writer = RequestWriter(**{"content": True, **options})
    for turn in turns:
        writer.add(orjson.loads(orjson.dumps(turn)))
    request = ExportTraceServiceRequest.FromString(writer.take())
    groups = [scope for group in request.resource_spans for scope in group.scope_spans]
    return [span for scope in groups for span in scope.spans]


@settings(max_examples=100, deadline=None)
@given(turn_lists())
def test_a_span_is_the_same_whatever_was_written_before(turns):
    """Of turns one behind the other, as of each by a writer that has seen none."""
    alone = [span for turn in turns for span in spans(turn)]

    assert spans(*turns, *turns) == alone * 2


class Kept:
    """An exporter that keeps the lines it is given."""

    name = "kept"

    def __init__(self):
        self.turns = []

    def export(self, batch, *, timeout_s):
        self.turns += [orjson.loads(each.raw) for each in batch]
        return Outcome()

    def close(self, *, timeout_s):
        pass


@pytest.fixture
def recorded(unconfigured):
    """Two turns of an agent with a tool, one in a session."""
    turnspan.configure(exporters=[kept := Kept()], directory=None)

    @turnspan.tool
    def weather(city):
        return {"city": city, "sky": "rain"}

    @turnspan.agent
    def ask(text):
        return f"{weather('Paris')['sky']}, {text}"

    ask("Weather in Paris?")
    with turnspan.session("s-1", user_id="u-1"):
        ask("And now?")
    turnspan.flush()
    return kept.turns


def test_what_capture_records_of_an_agent_and_its_tool_is_plain(recorded):
    """The turns that most programs have are those that are written so."""
    found = [
        (plain_turn(turn), plain_tool(turn["steps"][0], turn, turn["agent"]["name"]))
        for turn in recorded
    ]

    assert len(found) == 2
    assert all(turn and tool for turn, tool in found)


NOT_NAMED = {"type": "text", "content": "Look"}
CALL = {"type": "tool_call", "content": '{"city":"Paris"}', "mime_type": "application/json"}
FOUND = {"type": "tool_result", "content": '{"sky":"rain"}', "mime_type": "application/json"}
TURN_CHANGES = [
    {"session_id": "s-1"},
    {"session_id": ""},
    {"user_id": "u-1"},
    {"number": 3},
    {"number": 2**63},
    {"agent": {"name": "other"}},
    {"agent": {"name": "ask", "version": "2"}},
    {"input": None},
    {"output": None},
    {"output": NOT_NAMED | {"type": "tool_result"}},
    {"output": NOT_NAMED | {"type": "image", "content": "https://example.com/a.png"}},
    {"output": NOT_NAMED | {"mime_type": "text/html"}},
    {"output": NOT_NAMED | {"mime_type": "application/json"}},
    {"input": NOT_NAMED | {"type": "tool_call"}},
    {"input": NOT_NAMED | {"type": "image", "content": "https://example.com/a.png"}},
    {"input": NOT_NAMED | {"mime_type": "application/json"}},
    {"status": "cancelled"},
    {"status": "error", "error": {"type": "ValueError", "message": "no"}},
    {"schema_version": 2},
    {"steps": []},
    {"tags": ["a"]},
    {"reasoning": "Because."},
    {"span": {"attributes": {"gen_ai.agent.name": "mine"}, "name": "mine"}},
]
STEP_CHANGES = [
    {"name": "other"},
    {"kind": "step"},
    {"kind": "agent"},
    {"kind": "model", "model": {"request_model": "m", "finish_reasons": ["length"]}},
    {"tool": {}},
    {"tool": None},
    {"tool": {"type": "extension"}},
    {"tool": {"type": "function", "description": "Looks out of the window."}},
    {"tool": {"type": "function", "call_id": "call_1"}},
    {"tool": {"type": "function", "call_id": ""}},
    {"input": None},
    {"output": None},
    {"input": CALL | {"type": "text"}},
    {"input": CALL | {"mime_type": "text/plain"}},
    {"input": CALL | {"content": "[1]"}},
    {"input": CALL | {"content": "{city: Paris}"}},
    {"output": FOUND | {"type": "text"}},
    {"output": FOUND | {"mime_type": "text/plain"}},
    {"output": FOUND | {"mime_type": "text/html"}},
    {"output": FOUND | {"content": "{}{}"}},
    {"status": "paused"},
    {"status": "error", "error": {"type": "ValueError", "message": "no"}},
    {"parent_id": "9" * 16},
    {"metadata": {"a": 1}},
    {"resume_key": "r-1"},
]


def changed(fields, changes):
    return {key: value for key, value in (fields | changes).items() if value is not None}


@pytest.mark.parametrize("changes", TURN_CHANGES, ids=repr)
def test_each_way_in_which_a_turn_differs_from_one_before_shows(recorded, changes):
    """After it comes the first again, so that it is not taken for the other either."""
    turn = recorded[0]
    other = changed(turn, changes)

    assert spans(turn, other, turn, other) == (spans(turn) + spans(other)) * 2


@pytest.mark.parametrize("changes", STEP_CHANGES, ids=repr)
def test_each_way_in_which_a_tool_call_differs_from_one_before_shows(recorded, changes):
    """The same of a step."""
    turn = recorded[0]
    other = {**turn, "steps": [changed(turn["steps"][0], changes)]}

    assert spans(turn, other, turn, other) == (spans(turn) + spans(other)) * 2


@pytest.mark.parametrize(
    "options",
    [
        {"content": False},
        {"limits": SpanLimits(attributes=8)},
        {"limits": SpanLimits(span_value_chars=5)},
        {"profiles": profiles_named(["langsmith"])},
    ],
    ids=["no content", "few attributes", "short values", "a profile"],
)
def test_options_hold_for_turns_that_are_alike(recorded, options):
    """What is left out, cut or added is so on every span, not on the first alone."""
    first, second = recorded

    assert spans(first, first, second, **options) == [
        span for turn in (first, first, second) for span in spans(turn, **options)
    ]


def test_more_shapes_than_are_kept_are_written_too(recorded, monkeypatch):
    """Beyond the bound each is worked out whole."""
    monkeypatch.setattr(templates, "MOST", 3)
    turns = [{**recorded[0], "agent": {"name": f"agent {n}"}} for n in range(4)]

    assert spans(*turns, *turns) == [s for each in (*turns, *turns) for s in spans(each)]


def test_content_that_only_looks_like_json_is_no_object(recorded):
    """Of a tool that was called well before, too."""
    turn, _ = recorded
    step = turn["steps"][0]
    odd = {**step, "input": {**step["input"], "content": "{city: Paris}"}}
    tool = spans(turn, {**turn, "steps": [odd]})[-1]
    told = {each.key: each.value.string_value for each in tool.attributes}

    assert told["gen_ai.tool.call.arguments"] == '{"input":"{city: Paris}"}'
    assert told["input.value"] == "{city: Paris}"


def test_what_long_texts_would_be_shared_is_not_kept():
    """A description may be of any length where turns were read from somewhere."""
    told = {"type": "text", "content": "x"}
    step = {
        "id": "1" * 16, "kind": "tool", "name": "f", "status": "ok", "started_at": START,
        "ended_at": START, "input": told | {"type": "tool_call"},
        "output": told | {"type": "tool_result"},
    }  # fmt: skip
    turn = {
        "record": "turn", "id": "turn_1", "agent": {"name": "a"}, "input": told, "output": told,
        "status": "ok", "started_at": START, "ended_at": START, "schema_version": 1,
        "trace": {"trace_id": "a" * 32, "span_id": "b" * 16},
    }  # fmt: skip
    writer = RequestWriter(content=True)
    tracemalloc.start()
    try:
        for number in range(100):
            tool = {"type": "function", "description": f"{number}{'d' * 100_000}"}
            writer.add({**turn, "steps": [{**step, "tool": tool}]})
            writer.clear()
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert kept < 2_000_000
