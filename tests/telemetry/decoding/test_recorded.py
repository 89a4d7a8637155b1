"""What other libraries recorded, read as turns."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from turnspan.schema import Turn
from turnspan.telemetry.decoding import decode_spans, from_json

RECORDED = Path(__file__).parent / "recorded"
QUESTION, ANSWER = "Weather in Oslo?", "It rains in Oslo."
CALL = {"name": "get_weather", "arguments": {"city": "Oslo"}, "id": "call_1"}


def turn_in(name: str) -> Turn:
    """The one turn of a recorded trace, of which no span is left over."""
    received = from_json((RECORDED / f"{name}.json").read_bytes())
    decoded = decode_spans(received.spans)
    assert (received.rejected, decoded.homeless, decoded.unreadable) == (0, [], [])
    [turn] = decoded.turns
    return turn


def kinds(turn: Turn) -> list[tuple[str, str]]:
    """Kind and name of each step."""
    return [(step.kind, step.name) for step in turn.steps]


def models(turn: Turn) -> list[Any]:
    """The model steps."""
    return [step for step in turn.steps if step.kind == "model"]


EVERYWHERE = [
    "util_genai",
    "pydantic_ai",
    "pydantic_ai_v2",
    "openinference_openai",
    "openinference_langchain",
    "traceloop",
    "traceloop_flat",
]


@pytest.mark.parametrize("name", EVERYWHERE)
def test_the_conversation_is_read_whoever_recorded_it(name: str) -> None:
    """Agent, input, output, each message once, the tool's call and result, and tokens."""
    turn = turn_in(name)
    said = [part for message in turn.messages for part in message.parts]
    calls = [part.fields for part in said if part.type == "tool_call"]
    results = [part.fields["response"] for part in said if part.type == "tool_call_response"]

    assert (turn.agent.name, turn.status) == ("weather", "ok")
    assert (turn.input.content, turn.output.content) == (QUESTION, ANSWER)
    assert calls == [CALL]
    assert results == ["rain"]
    assert [m.text for m in turn.messages if m.role == "user" and m.text] == [QUESTION]
    assert (turn.usage.input_tokens, turn.usage.output_tokens) == (42, 18)
    asked = [turn.messages_at(step.input_messages)[-1].parts[0].type for step in models(turn)]
    assert (asked[0], asked[-1]) == ("text", "tool_call_response")
    assert turn.messages_at(models(turn)[-1].output_messages)[0].text == ANSWER
    assert {step.model.request_model for step in models(turn)} <= {"gpt-4o", "gpt-4o-2024-08-06"}
    tools = [step for step in turn.steps if (step.kind, step.name) == ("tool", "get_weather")]
    assert [(step.input is not None, step.output is not None) for step in tools] == [(True, True)]


def test_the_conventions_are_read_in_full() -> None:
    """Instructions, tool definitions, reasoning, images, caches, retrieval and a failed tool."""
    turn = turn_in("util_genai")
    first = models(turn)[0]
    failed = next(step for step in turn.steps if step.name == "get_wind")

    assert (turn.session_id, turn.agent.description) == ("s-1", "Knows the weather.")
    assert kinds(turn) == [
        ("model", "chat gpt-4o"),
        ("tool", "get_weather"),
        ("tool", "get_wind"),
        ("retrieval", "docs"),
        ("model", "chat gpt-4o"),
    ]
    assert [m.text for m in turn.messages_at(first.system_instructions)] == ["Be brief."]
    assert [tool["name"] for tool in turn.tool_definitions] == ["get_weather"]
    assert first.input_tools == ((0, 1),)
    assert turn.messages[1].parts[1].fields["uri"] == "https://example.com/map.png"
    assert first.reasoning == "I must look."
    assert first.model.parameters == {"temperature": 0.5, "max_tokens": 100}
    assert first.usage.model_dump() == {
        "input_tokens": 21,
        "output_tokens": 9,
        "cache_read_tokens": 5,
        "cache_write_tokens": 2,
        "reasoning_tokens": 3,
        "cost_usd": None,
    }
    assert (failed.status, failed.error.type, failed.error.message) == (
        "error",
        "TimeoutError",
        "too slow",
    )


def test_metadata_tags_and_who_asked_are_read_from_openinference() -> None:
    """Session, user, metadata and parameters of OpenInference stand where turns have them."""
    turn = turn_in("openinference_openai")

    assert (turn.session_id, turn.user_id) == ("s-1", "ada")
    assert models(turn)[0].metadata == {"tier": "gold"}
    assert models(turn)[0].model.parameters == {"temperature": 0.5}
    assert [tool["name"] for tool in turn.tool_definitions] == ["get_weather"]


def test_properties_and_functions_are_read_from_traceloop() -> None:
    """Association properties are session, user and metadata; one argument stands for itself."""
    turn = turn_in("traceloop")

    assert (turn.session_id, turn.user_id, turn.metadata) == ("s-1", "ada", {"tier": "gold"})
    assert [step.kind for step in turn.steps] == ["step", "model", "tool", "model"]
    assert turn.steps[2].input.content == '{"city":"Oslo"}'
    assert turn.steps[2].output.content == "rain"


def test_cost_is_read_from_pydantic_ai() -> None:
    """What Pydantic AI reckons a call to cost is the cost of the step."""
    assert [step.usage.cost_usd for step in models(turn_in("pydantic_ai"))] == [0.00013625] * 2


def test_older_drafts_are_read_too() -> None:
    """Events a message, and prompts in one attribute, under a request of a web server."""
    turn = turn_in("genai_drafts")
    first, second, failed = models(turn)

    assert (turn.agent.name, turn.input.content) == ("fixture", QUESTION)
    assert [m.role for m in turn.messages_at(first.input_messages)] == ["system", "user"]
    assert turn.messages_at(first.output_messages)[0].parts[0].fields == CALL
    assert turn.messages_at(second.output_messages)[0].text == ANSWER
    assert (first.usage.input_tokens, first.model.provider) == (21, "openai")
    assert (turn.status, failed.status, failed.error.type) == ("ok", "error", "TimeoutError")
    assert "TimeoutError" in failed.error.stacktrace


@pytest.mark.parametrize("name", [*EVERYWHERE, "genai_drafts"])
def test_the_id_of_a_turn_follows_from_its_spans(name: str) -> None:
    """Read again, in another order, the same spans make the same turn with the same id."""
    spans = from_json((RECORDED / f"{name}.json").read_bytes()).spans

    assert decode_spans(reversed(spans)).turns == [turn_in(name)]
