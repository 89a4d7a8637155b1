"""turn → spans → turn: nothing changes but what the list of losses says."""

from __future__ import annotations

from pathlib import Path
from typing import Any, get_args

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from turnspan.schema import (
    Content,
    Error,
    Message,
    MessagePart,
    Model,
    SpanNotes,
    Trace,
    Turn,
    Usage,
    encode_turn,
)
from turnspan.schema.step import Status, Tool
from turnspan.schema.wire import turn_of
from turnspan.telemetry.decoding import decode_spans, from_protobuf
from turnspan.telemetry.decoding.losses import LOSSES, Loss, without_losses
from turnspan.telemetry.otlp import RequestWriter
from turnspan.telemetry.vendor_keys import known_profiles, profiles_named
from turnspan.testing import make_step, make_turn

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
WORD = st.text("abcdefgh_", min_size=1, max_size=8)
NAME = WORD | TEXT
HOUR_NS = 3_600 * 10**9
TIMES = st.integers(10**18, 10**18 + HOUR_NS)
SCALARS = st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | TEXT
SCALARS |= st.floats(allow_nan=False, allow_infinity=False)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3)
)
OBJECT = st.dictionaries(NAME, VALUES, max_size=3)
KEYS = st.sampled_from(
    [
        "gen_ai.agent.name",
        "gen_ai.tool.name",
        "gen_ai.usage.input_tokens",
        "input.value",
        "llm.model_name",
        "turnspan.turn.id",
        "turnspan.noted",
        "turnspan.rest",
        "error.type",
        "db.system",
    ]
)
PAIRS = st.dictionaries(KEYS | WORD, VALUES, max_size=4)
JSON_TEXT = VALUES.map(lambda value: orjson.dumps(value).decode())
CONTENT = st.fixed_dictionaries(
    {"content": TEXT | JSON_TEXT | WORD.map("https://example.com/{}".format)},
    optional={
        "type": st.sampled_from(["text", "image", "audio", "tool_call", "tool_result", "error"]),
        "mime_type": st.sampled_from(["text/plain", "application/json", "image/png"]),
    },
)
ERROR = st.fixed_dictionaries({"type": NAME}, optional={"message": TEXT, "stacktrace": TEXT})
COUNT = st.none() | st.integers(0, 2**40)
USAGE = st.fixed_dictionaries(
    {},
    optional={
        "input_tokens": COUNT,
        "output_tokens": COUNT,
        "cache_read_tokens": COUNT,
        "cache_write_tokens": COUNT,
        "reasoning_tokens": COUNT,
        "cost_usd": st.none() | st.floats(0, 9),
    },
)
AGENT = st.fixed_dictionaries(
    {"name": NAME}, optional={"id": NAME, "version": NAME, "description": TEXT}
)
SPAN_ID = st.integers(1, 2**64 - 1).map("{:016x}".format)
TRACE_ID = st.integers(1, 2**128 - 1).map("{:032x}".format)
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
        "name": WORD,
        "attributes": PAIRS,
        "events": EVENTS,
        "links": LINKS,
        "status": st.sampled_from(["ok", "error"]),
        "status_description": WORD,
    },
)
PARAMETERS = st.dictionaries(
    st.sampled_from(
        [
            *("temperature", "max_tokens", "max_output_tokens", "top_k", "stop", "n", "seed"),
            *("stop_sequences", "stream", "tools", "reasoning_effort", "response_format"),
            *("dimensions", "encoding_format"),
        ]
    ),
    VALUES | st.just(1) | st.just(True) | st.lists(TEXT, max_size=2),
    max_size=4,
)
MODEL = st.fixed_dictionaries(
    {},
    optional={
        "provider": NAME,
        "request_model": NAME,
        "response_model": NAME,
        "response_id": NAME,
        "operation": st.sampled_from(["chat", "embeddings", "generate_content"]),
        "parameters": PARAMETERS,
        "finish_reasons": st.lists(WORD, max_size=2),
    },
)
TOOL = st.fixed_dictionaries({}, optional={"call_id": TEXT, "type": WORD, "description": TEXT})
PART = st.fixed_dictionaries(
    {"type": st.sampled_from(["text", "reasoning", "tool_call", "x"])},
    optional={"content": TEXT, "arguments": VALUES, "id": WORD},
)
MESSAGE = st.fixed_dictionaries(
    {"role": st.sampled_from(["user", "assistant", "tool"]) | NAME},
    optional={
        "parts": st.lists(PART, max_size=2),
        "name": NAME,
        "finish_reason": st.sampled_from(["stop", "tool_call", ""]),
    },
)
TOOL_DEFINITION = st.fixed_dictionaries(
    {}, optional={"type": WORD, "name": TEXT, "parameters": VALUES, "description": TEXT}
)
FIELDS: dict[str, Any] = {
    "status": st.sampled_from(get_args(Status)),
    "first_chunk_at": TIMES,
    "chunks": st.integers(0, 9),
    "input": CONTENT,
    "output": CONTENT,
    "reasoning": TEXT,
    "error": ERROR,
    "usage": USAGE,
    "metadata": OBJECT,
    "span": NOTES,
}
TURN_FIELDS: dict[str, Any] = {
    **FIELDS,
    "session_id": TEXT,
    "number": st.integers(0, 99),
    "user_id": TEXT,
    "state_before": VALUES,
    "state_after": VALUES,
    "tags": st.lists(TEXT, max_size=2),
    "resource": OBJECT,
    "resumes": TEXT,
    "resume_key": TEXT,
    "schema_version": st.integers(1, 3),
    "truncated": st.lists(
        st.fixed_dictionaries({"where": TEXT, "why": TEXT}, optional={"size_bytes": COUNT}),
        max_size=2,
    ),
}
STEP_FIELDS: dict[str, Any] = {**FIELDS, "agent": AGENT, "model": MODEL, "tool": TOOL}


@st.composite
def turns(draw: Any) -> Turn:
    """Any turn that can be written down."""
    messages = draw(st.lists(MESSAGE, max_size=5))
    place = st.integers(0, len(messages))
    ranges = st.lists(st.tuples(place, place).map(sorted), max_size=2)
    spoken = {"input_messages": ranges, "output_messages": ranges}
    tools = draw(st.lists(TOOL_DEFINITION, max_size=3))
    tool = st.integers(0, len(tools))
    offered = st.lists(st.tuples(tool, tool).map(sorted), max_size=2)
    given_apart = {"system_instructions": ranges, "input_tools": offered}
    steps: list[dict[str, Any]] = []
    taken: set[str] = set()
    for _ in range(draw(st.integers(0, 4))):
        known = st.sampled_from([step["id"] for step in steps]) if steps else SPAN_ID
        step = st.fixed_dictionaries(
            {
                "id": SPAN_ID.filter(lambda drawn: drawn not in taken),
                "kind": st.sampled_from(["model", "tool", "retrieval", "agent", "step"]),
                "name": NAME,
                "started_at": TIMES,
                "ended_at": TIMES,
            },
            optional={**STEP_FIELDS, **spoken, **given_apart, "parent_id": known | SPAN_ID},
        )
        steps.append(draw(step))
        taken.add(steps[-1]["id"])
    trace = st.fixed_dictionaries(
        {"trace_id": TRACE_ID, "span_id": SPAN_ID.filter(lambda drawn: drawn not in taken)},
        optional={
            "parent_span_id": SPAN_ID,
            "flags": st.integers(0, 511),
            "state": WORD,
            "links": LINKS,
            "sampled": st.booleans(),
            "mode": st.sampled_from(["own", "live"]),
        },
    )
    turn = st.fixed_dictionaries(
        {
            "id": WORD.map("turn_{}".format),
            "agent": AGENT,
            "trace": trace,
            "started_at": TIMES,
            "ended_at": TIMES,
        },
        optional={**TURN_FIELDS, **spoken},
    )
    whole = {"messages": messages, "steps": steps, "tool_definitions": tools}
    return turn_of({**draw(turn), **whole})


def through_spans(*given: Turn, content: bool = True) -> list[Turn]:
    """What comes back of turns that are written as spans and read again."""
    writer = RequestWriter(content=content)
    for turn in given:
        writer.add(orjson.loads(encode_turn(turn)))
    received = from_protobuf(writer.take())
    assert (received.rejected, received.reason) == (0, "")
    decoded = decode_spans(received.spans)
    assert (decoded.homeless, decoded.unreadable) == ([], [])
    return decoded.turns


def lost(turn: Turn) -> Turn:
    """``turn`` without what the list of losses says."""
    return turn_of(without_losses(orjson.loads(encode_turn(turn))))


EXAMPLES = {
    LOSSES[0].what: make_turn(trace=Trace(trace_id="1" * 32, span_id="2" * 16, mode="live")),
    LOSSES[1].what: make_turn(trace=Trace(trace_id="1" * 32, span_id="2" * 16, flags=257)),
    LOSSES[2].what: make_turn(resource={"telemetry.sdk.name": "another"}),
    LOSSES[3].what: make_turn(span=SpanNotes(attributes={"turnspan.noted": 1, "a": 2})),
    LOSSES[4].what: make_turn(session_id="", number=0, usage=Usage(), span=SpanNotes()),
    LOSSES[5].what: make_turn(steps=(make_step(), make_step(name="twin"))),
    LOSSES[6].what: make_turn(steps=(make_step(parent_id=f"{2:016x}"),)),
    LOSSES[7].what: make_turn(resource={"big": 2**63}),
}


@settings(deadline=None)
@given(turns())
def test_a_turn_comes_back_from_its_spans_as_it_was(turn: Turn) -> None:
    """Of any turn everything comes back but the losses that are listed."""
    (back,) = through_spans(turn)

    assert back == lost(turn)


@settings(deadline=None, max_examples=40)
@given(turns(), st.randoms(use_true_random=False))
def test_the_order_in_which_spans_arrive_changes_nothing(turn: Turn, random: Any) -> None:
    """Spans that come out of order make the same turn."""
    writer = RequestWriter(content=True)
    writer.add(orjson.loads(encode_turn(turn)))
    spans = from_protobuf(writer.take()).spans
    in_order = decode_spans(spans)
    random.shuffle(spans)

    assert decode_spans(spans) == in_order


@pytest.mark.parametrize("loss", LOSSES, ids=lambda loss: loss.what)
def test_every_loss_that_is_listed_is_one(loss: Loss) -> None:
    """The list has an example for each of its lines, and nothing but that is lost in it."""
    turn = EXAMPLES[loss.what]
    fields = orjson.loads(encode_turn(turn))
    loss.lose(fields)
    (back,) = through_spans(turn)

    assert back == turn_of(fields) != turn


def test_the_page_lists_every_loss() -> None:
    """docs/traces-to-turns.md has a line a loss, in the words of the list."""
    page = (Path(__file__).parents[3] / "docs" / "traces-to-turns.md").read_text(encoding="utf-8")
    lines = [f"| {loss.what} | {loss.becomes} |" for loss in LOSSES]

    assert [line for line in page.splitlines() if line in lines] == lines


@settings(deadline=None, max_examples=40)
@given(turns())
def test_spans_without_content_bring_back_what_is_left(turn: Turn) -> None:
    """Without content the ids, times, kinds and numbers of a turn come back, and no word of it."""
    (back,) = through_spans(turn, content=False)

    assert (back.id, back.started_at, back.ended_at, back.status, back.trace.span_id) == (
        turn.id,
        turn.started_at,
        turn.ended_at,
        turn.status,
        turn.trace.span_id,
    )
    assert [(s.id, s.kind, s.name, s.status) for s in back.steps] == [
        (s.id, s.kind, s.name, s.status) for s in turn.steps
    ]
    assert (back.input, back.output, back.messages, back.state_before) == (None, None, (), None)


def test_without_content_nothing_is_carried_that_was_said() -> None:
    """State, reasoning, messages, stack traces, parameters: no word of them is on a span."""
    said = Content(content="SECRET")
    error = Error(type="E", message="SECRET", stacktrace="SECRET")
    part = MessagePart.model_validate({"type": "text", "content": "SECRET"})
    model = Model(parameters={"tools": "SECRET", "temperature": 1.0})
    spoken: Any = {"input": said, "output": said, "reasoning": "SECRET", "error": error}
    kinds = ("model", "tool", "retrieval", "agent", "step")
    steps = [
        make_step(at, kind=kind, model=model if kind == "model" else None, **spoken)
        for at, kind in enumerate(kinds)
    ]
    turn = make_turn(
        steps=tuple(steps),
        messages=(Message(role="user", parts=(part,)),),
        state_before="SECRET",
        state_after={"a": "SECRET"},
        tool_definitions=({"name": "SECRET"},),
        **spoken,
    )
    writer = RequestWriter(content=False)
    writer.add(orjson.loads(encode_turn(turn)))

    assert b"SECRET" not in writer.take()


def test_the_keys_of_profiles_are_no_part_of_a_turn() -> None:
    """What profiles add for vendors' tools is left out when the turn is read back."""
    turn = make_turn(metadata={"plan": "pro"}, tags=("beta",))
    writer = RequestWriter(content=True, profiles=profiles_named(known_profiles()))
    writer.add(orjson.loads(encode_turn(turn)))

    assert decode_spans(from_protobuf(writer.take()).spans).turns == [turn]


def test_an_empty_tool_is_not_no_tool() -> None:
    """Though no attribute tells the one from the other."""
    step = make_step(kind="tool", tool=Tool(), input=None, output=None)
    given = make_turn(steps=(step,))
    (back,) = through_spans(given)

    assert back == lost(given)
    assert back.steps[0].tool == Tool()


def test_another_trace_in_the_same_request_is_another_turn() -> None:
    """Many turns in one request come back, each as it was."""
    turns = [make_turn(index) for index in range(1, 30)]

    assert through_spans(*turns) == turns
