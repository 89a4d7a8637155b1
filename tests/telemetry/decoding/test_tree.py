"""Which spans make a turn, and what is made of traces with holes."""

from __future__ import annotations

import dataclasses
import json
import sys
import time
from collections.abc import Callable
from functools import partial
from itertools import permutations
from types import FrameType
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from turnspan.schema import Turn
from turnspan.telemetry.decoding import Decoded, ReceivedSpan, decode_spans
from turnspan.telemetry.decoding.messages import Transcript

AGENT = {"gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": "a"}
CHAT = {"gen_ai.operation.name": "chat", "gen_ai.request.model": "m"}
TOOL = {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "t"}


def span(number: int, parent: int | None, attributes: Any = None, **changes: Any) -> ReceivedSpan:
    """Span ``number`` under ``parent``; it begins later and ends earlier than those before."""
    fields: dict[str, Any] = {
        "trace_id": "1" * 32,
        "span_id": f"{number:016x}",
        "parent_id": None if parent is None else f"{parent:016x}",
        "name": f"span {number}",
        "started_at": 1000 + number,
        "ended_at": 2000 - number,
        "attributes": attributes or {},
    }
    return ReceivedSpan(**fields | changes)


def shape(turn: Turn) -> tuple[Any, ...]:
    """The turn's root and its steps: number, parent and kind."""
    return (
        int(turn.trace.span_id, 16),
        sorted((int(s.id, 16), int(s.parent_id or "0", 16), s.kind) for s in turn.steps),
    )


def shapes(decoded: Decoded) -> list[Any]:
    """The same of all turns."""
    return [shape(turn) for turn in decoded.turns]


def test_the_outermost_agent_is_the_turn_and_others_are_its_steps() -> None:
    """Nested agents, parallel tools and a library's plain spans are steps where they stand."""
    spans = [
        span(1, None),
        span(2, 1, AGENT),
        span(3, 2, TOOL),
        span(4, 2, TOOL),
        span(5, 3, AGENT),
        span(6, 5, CHAT),
        span(7, 6, {"http.request.method": "POST"}),
    ]
    decoded = decode_spans(spans)

    assert shapes(decoded) == [
        (2, [(3, 0, "tool"), (4, 0, "tool"), (5, 3, "agent"), (6, 5, "model"), (7, 6, "step")])
    ]
    assert [each.span_id for each in decoded.homeless] == [f"{1:016x}"]
    assert decoded.turns[0].trace.parent_span_id == f"{1:016x}"
    step = next(s for s in decoded.turns[0].steps if s.kind == "step")
    assert step.span.attributes == {"http.request.method": "POST"}


def test_agents_side_by_side_are_turns_of_their_own() -> None:
    """Two agents that one request calls are two turns."""
    decoded = decode_spans([span(1, None), span(2, 1, AGENT), span(3, 1, AGENT), span(4, 3, CHAT)])

    assert shapes(decoded) == [(2, []), (3, [(4, 0, "model")])]


def test_models_that_no_agent_called_belong_to_what_is_above_them() -> None:
    """One call alone is a turn with that step; calls of one request are one turn."""
    alone = decode_spans([span(1, None, CHAT)])
    together = decode_spans([span(1, None), span(2, 1, CHAT), span(3, 1), span(4, 3, TOOL)])

    assert shapes(alone) == [(1, [(1, 0, "model")])]
    assert shapes(together) == [(1, [(2, 0, "model"), (3, 0, "step"), (4, 3, "tool")])]


def test_what_hangs_under_a_missing_span_stays_in_the_turn_around_it() -> None:
    """A step whose parent is missing belongs to the turn during which it began."""
    decoded = decode_spans([span(1, None, AGENT), span(3, 2, CHAT), span(4, 3, TOOL)])

    assert shapes(decoded) == [(1, [(3, 2, "model"), (4, 3, "tool")])]


def test_steps_without_a_root_make_a_turn_of_what_is_there() -> None:
    """The turn has the missing span's id; it was cut off if its own process owed the root."""
    local = decode_spans([span(2, 1, CHAT, flags=0x101), span(3, 1, TOOL, flags=0x101)])
    remote = decode_spans([span(2, 1, CHAT, flags=0x301)])
    whole = decode_spans([span(1, None, AGENT), span(2, 1, CHAT), span(3, 1, TOOL)])

    assert shapes(local) == [(1, [(2, 0, "model"), (3, 0, "tool")])]
    assert [local.turns[0].status, remote.turns[0].status] == ["interrupted", "ok"]
    assert local.turns[0].id == whole.turns[0].id


def test_a_turn_of_ours_without_its_root_was_cut_off_whichever_span_came_first() -> None:
    """One of its spans names it: what becomes final later takes its place."""
    spans = [span(2, 1, CHAT), span(3, 1, TOOL | {"turnspan.turn.id": "turn_1"})]
    turns = [turn for order in permutations(spans) for turn in decode_spans(order).turns]

    assert [(turn.id, turn.status) for turn in turns] == [("turn_1", "interrupted")] * 2


def test_a_trace_without_an_agent_makes_no_turn() -> None:
    """Its spans are handed back, none is passed over in silence."""
    spans = [span(1, None, {"db.system": "sqlite"}), span(2, 1)]
    decoded = decode_spans(spans)

    assert (decoded.turns, decoded.homeless) == ([], spans)


def test_a_failed_tool_is_no_failed_turn() -> None:
    """A turn has the status of its root; a step has its own."""
    failed = {**TOOL, "error.type": "TimeoutError"}
    decoded = decode_spans([span(1, None, AGENT), span(2, 1, failed, status=2, description="no")])
    [turn] = decoded.turns

    assert (turn.status, turn.steps[0].status, turn.steps[0].error.message) == ("ok", "error", "no")


def test_a_span_that_no_line_could_hold_is_kept_as_it_is() -> None:
    """Nested too deeply, or counting beyond 64 bits, it does not cost the turn the other spans."""
    deep = '{"a":' * 400 + "1" + "}" * 400
    said = f'[{{"type":"text","content":"x","more":{deep}}}]'
    decoded = decode_spans(
        [
            span(1, None, AGENT),
            span(2, 1, CHAT | {"gen_ai.system_instructions": said}),
            span(3, 1, CHAT | {"gen_ai.usage.input_tokens": 1e308}),
            span(4, 1, CHAT),
        ]
    )

    assert shapes(decoded) == [(1, [(2, 0, "step"), (3, 0, "step"), (4, 0, "model")])]
    kept = {step.id: step.span.attributes for step in decoded.turns[0].steps if step.span}
    assert kept[f"{2:016x}"] == CHAT | {"gen_ai.system_instructions": said}
    assert kept[f"{3:016x}"] == CHAT | {"gen_ai.usage.input_tokens": 1e308}


def test_sums_that_no_line_could_hold_do_not_stop_other_turns() -> None:
    """Such a turn is counted as unreadable."""
    much = CHAT | {"gen_ai.usage.input_tokens": 2**63 - 1}
    decoded = decode_spans(
        [
            span(1, None, AGENT),
            *(span(number, 1, much) for number in (2, 3, 4)),
            span(5, None, AGENT),
        ]
    )

    assert shapes(decoded) == [(5, [])]
    assert sorted(int(each.span_id, 16) for each in decoded.unreadable) == [1, 2, 3, 4]


def test_a_message_is_found_by_what_it_says_behind_the_one_before() -> None:
    """Whatever order its fields come in; what is said twice stands twice."""
    hello = {"role": "user", "parts": [{"type": "text", "content": "hello"}]}
    again = {"role": "user", "parts": [{"content": "hello", "type": "text"}]}
    reply = {"role": "assistant", "parts": [{"type": "text", "content": "hello"}]}
    transcript = Transcript()
    transcript.messages = [hello]
    placed = [transcript.place([again, reply, hello]), transcript.place([hello, hello, reply])]

    assert transcript.messages == [hello, reply, hello, reply]
    assert placed == [[(0, 3)], [(0, 1), (2, 4)]]


def test_an_evaluation_on_a_span_is_feedback_on_its_turn() -> None:
    """The event of the conventions becomes feedback, with an id that stays the same."""
    told = {
        "gen_ai.evaluation.name": "feedback",
        "gen_ai.evaluation.score.value": 0.5,
        "gen_ai.evaluation.score.label": "good",
        "gen_ai.evaluation.explanation": "nice",
    }
    event = {"name": "gen_ai.evaluation.result", "at": 1500, "attributes": told}
    spans = [span(1, None, AGENT, events=[event])]
    [said] = decode_spans(spans).feedback

    assert (said.turn_id, said.at) == (decode_spans(spans).turns[0].id, 1500)
    assert (said.rating, said.score, said.comment) == ("good", 0.5, "nice")
    assert decode_spans(spans).feedback == [said]


def chain(count: int) -> list[ReceivedSpan]:
    """An agent and models under one another."""
    return [deep(1, None, AGENT), *(deep(number, number - 1, CHAT) for number in range(2, count))]


def plain_chain(count: int) -> list[ReceivedSpan]:
    """A model under plain spans under one another."""
    above = [deep(number, number - 1 or None) for number in range(1, count)]
    return [deep(count, count - 1, CHAT), *above]


def torn_chain(count: int) -> list[ReceivedSpan]:
    """Models under one another whose outermost parent is missing."""
    return [deep(number, number + 1, CHAT) for number in range(1, count)]


def cycle(count: int) -> list[ReceivedSpan]:
    """Spans that are all above one another."""
    return [deep(number, number % count + 1, CHAT) for number in range(1, count + 1)]


def orphans(count: int) -> list[ReceivedSpan]:
    """Agents, and models whose parents are missing."""
    agents = [deep(number, None, AGENT) for number in range(1, count // 2)]
    return [*agents, *(deep(-number, number + 10**6, CHAT) for number in range(count // 2))]


def deep(number: int, parent: int | None, attributes: Any = None) -> ReceivedSpan:
    """Span ``number``, of ten thousand."""
    return span(number % 2**64, parent, attributes, started_at=number, ended_at=10**6)


def lines_run(work: Callable[[], object]) -> int:
    """How many lines of Python ``work`` goes through."""
    run = 0

    def trace(_frame: FrameType, _event: str, _argument: object) -> Any:
        nonlocal run
        run += 1
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        work()
    finally:
        sys.settrace(before)
    return run


@pytest.mark.parametrize("spans", [chain, plain_chain, torn_chain, cycle, orphans])
def test_the_work_grows_with_the_spans_and_not_with_how_deep_they_stand(
    spans: Callable[[int], list[ReceivedSpan]],
) -> None:
    """Four times the spans run four times the lines, whatever they hang on."""
    decode_spans(spans(10))
    few, many = (lines_run(partial(decode_spans, spans(count))) for count in (500, 2_000))

    assert many < 5 * few


def test_a_cycle_of_parents_is_cut_above_the_span_that_began_first() -> None:
    """What is in it and what hangs under it are one turn, whatever order they come in."""
    spans = [span(1, 3, CHAT), span(2, 1), span(3, 2, TOOL), span(4, 3, CHAT)]
    decoded = [decode_spans(order) for order in permutations(spans)]

    assert shapes(decoded[0]) == [
        (1, [(1, 0, "model"), (2, 0, "step"), (3, 2, "tool"), (4, 3, "model")])
    ]
    assert all(shapes(each) == shapes(decoded[0]) for each in decoded)


def test_turns_are_the_same_whatever_order_the_spans_came_in() -> None:
    """An orphan belongs to the turn around it, though that came after it."""
    spans = [span(1, None), span(2, 1, CHAT), span(4, 3, TOOL), span(5, None, AGENT)]
    decoded = [decode_spans(order) for order in permutations(spans)]

    assert shapes(decoded[0]) == [(1, [(2, 0, "model"), (4, 3, "tool")]), (5, [])]
    assert all(shapes(each) == shapes(decoded[0]) for each in decoded)


def test_tools_are_kept_once_however_many_a_model_was_offered() -> None:
    """Offering twenty thousand, of which half are there, is no work to speak of."""
    offered = [{"type": "function", "name": str(number)} for number in range(10_000)]
    told = {**CHAT, "gen_ai.tool.definitions": json.dumps(offered)}
    spans = [span(1, None, AGENT), span(2, 1, told), span(3, 1, told)]
    began = time.thread_time()
    [turn] = decode_spans(spans).turns
    spent_s = time.thread_time() - began

    assert list(turn.tool_definitions) == offered
    assert [step.input_tools for step in turn.steps] == [((0, 10_000),)] * 2
    assert spent_s < 2.0


ODD = st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.floats(allow_nan=False)
ODD |= st.sampled_from(["[", "{}", "[[]]", '[{"role":1}]', '[{"parts":[{}]}]', '{"name":"x"}'])
ODD |= st.lists(ODD, max_size=2) | st.dictionaries(st.text(max_size=3), ODD, max_size=2)
KEYS = st.sampled_from(
    [
        *("gen_ai.operation.name", "gen_ai.input.messages", "gen_ai.output.messages"),
        *("gen_ai.usage.input_tokens", "gen_ai.response.finish_reasons", "gen_ai.tool.definitions"),
        *("gen_ai.prompt", "gen_ai.completion", "gen_ai.prompt.0.role", "gen_ai.prompt.0"),
        *("gen_ai.agent.name", "gen_ai.tool.call.arguments", "gen_ai.system_instructions"),
        *("openinference.span.kind", "llm.input_messages.0.message.role", "metadata", "tag.tags"),
        *("traceloop.span.kind", "traceloop.entity.input", "input.value", "output.value"),
        *("turnspan.turn.id", "turnspan.turn.status", "turnspan.rest", "turnspan.noted"),
        *("pydantic_ai.all_messages", "final_result", "error.type", "session.id", "user.id"),
    ]
)
WORDS = st.sampled_from(["chat", "invoke_agent", "execute_tool", "LLM", "AGENT", "workflow", "ok"])
ANY_SPANS = st.lists(
    st.builds(
        span,
        st.integers(1, 6),
        st.none() | st.integers(1, 7),
        st.dictionaries(KEYS, ODD | WORDS, max_size=6),
    ),
    max_size=6,
    unique_by=lambda each: each.span_id,
)


@settings(deadline=None, max_examples=300)
@given(ANY_SPANS)
def test_no_span_is_lost_whatever_is_on_it(spans: list[ReceivedSpan]) -> None:
    """Each span is a root, a step, homeless or unreadable; no value makes the reader fail."""
    decoded = decode_spans(spans)
    found = [each.span_id for each in (*decoded.homeless, *decoded.unreadable)]
    for turn in decoded.turns:
        found += {turn.trace.span_id, *(step.id for step in turn.steps)}

    assert {each.span_id for each in spans} <= set(found)
    assert decode_spans([dataclasses.replace(each) for each in spans]) == decoded
