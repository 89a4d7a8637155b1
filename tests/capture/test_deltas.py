"""Streams of the common clients are read as the answers they make."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from pydantic import BaseModel, ConfigDict

import turnspan
from turnspan.capture.values import Limits


class Loose(BaseModel):
    """As the clients' own models: whatever the vendor sends is a stored field."""

    model_config = ConfigDict(extra="allow")


def model_of(value: Any) -> Any:
    """``value`` as objects of the clients, all the way down."""
    if isinstance(value, dict):
        return Loose(**{key: model_of(item) for key, item in value.items()})
    return [model_of(item) for item in value] if isinstance(value, list) else value


def chat(**delta: Any) -> dict[str, Any]:
    reason = delta.pop("reason", None)
    choice = {"index": 0, "delta": delta, "finish_reason": reason}
    return {"id": "c1", "object": "chat.completion.chunk", "model": "m-1", "choices": [choice]}


def call(index: int, **more: Any) -> dict[str, Any]:
    function = {key: more.pop(key) for key in ("name", "arguments") if key in more}
    return {"index": index, "function": function, **more}


CHAT = [
    chat(role="assistant", content="", reasoning_content="Let me "),
    chat(reasoning_content="see."),
    chat(content="It "),
    chat(content="rains."),
    chat(tool_calls=[call(0, id="t1", name="look", arguments="")]),
    chat(tool_calls=[call(0, arguments='{"city":')]),
    chat(tool_calls=[call(1, id="t2", name="stop", arguments="{}")]),
    chat(tool_calls=[call(0, arguments='"Oslo"}')]),
    chat(reason="tool_calls"),
    {
        "id": "c1", "object": "chat.completion.chunk", "model": "m-1", "choices": [],
        "usage": {
            "prompt_tokens": 10, "completion_tokens": 5,
            "completion_tokens_details": {"reasoning_tokens": 2},
        },
    },
]  # fmt: skip


def block(kind: str, index: int, **more: Any) -> dict[str, Any]:
    return {"type": f"content_block_{kind}", "index": index, **more}


ANTHROPIC = [
    {
        "type": "message_start",
        "message": {
            "id": "c1", "model": "m-1", "content": [],
            "usage": {"input_tokens": 4, "cache_read_input_tokens": 6, "output_tokens": 1},
        },
    },
    block("start", 0, content_block={"type": "thinking", "thinking": "", "signature": ""}),
    block("delta", 0, delta={"type": "thinking_delta", "thinking": "Let me "}),
    block("delta", 0, delta={"type": "thinking_delta", "thinking": "see."}),
    block("delta", 0, delta={"type": "signature_delta", "signature": "xyz"}),
    block("stop", 0),
    block("start", 1, content_block={"type": "text", "text": ""}),
    {"type": "ping"},
    block("delta", 1, delta={"type": "text_delta", "text": "It "}),
    {"type": "text", "text": "It ", "snapshot": "It "},
    block("delta", 1, delta={"type": "text_delta", "text": "rains."}),
    block("stop", 1, content_block={"type": "text", "text": "It rains."}),
    block("start", 2, content_block={"type": "tool_use", "id": "t1", "name": "look", "input": {}}),
    block("delta", 2, delta={"type": "input_json_delta", "partial_json": '{"city":'}),
    {"type": "input_json", "partial_json": '{"city":', "snapshot": {}},
    block("delta", 2, delta={"type": "input_json_delta", "partial_json": '"Oslo"}'}),
    block("start", 3, content_block={"type": "tool_use", "id": "t2", "name": "stop", "input": {}}),
    {
        "type": "message_delta", "delta": {"stop_reason": "tool_calls"},
        "usage": {"output_tokens": 5},
    },
    {"type": "message_stop"},
]  # fmt: skip


def event(kind: str, **more: Any) -> dict[str, Any]:
    return {"type": f"response.{kind}", "sequence_number": 1, **more}


RESPONSES = [
    event("created", response={"id": "c1", "object": "response", "model": "m-1", "output": []}),
    event("output_item.added", output_index=0, item={"type": "reasoning", "id": "r"}),
    event("reasoning_summary_text.delta", output_index=0, delta="Let me "),
    event("reasoning_summary_text.delta", output_index=0, delta="see."),
    event("output_item.added", output_index=1, item={"type": "message", "role": "assistant"}),
    event("output_text.delta", output_index=1, content_index=0, delta="It "),
    event("output_text.delta", output_index=1, content_index=0, delta="rains."),
    event(
        "output_item.added", output_index=2,
        item={"type": "function_call", "call_id": "t1", "name": "look", "arguments": ""},
    ),
    event("function_call_arguments.delta", output_index=2, delta='{"city":'),
    event("function_call_arguments.delta", output_index=2, delta='"Oslo"}'),
    event(
        "output_item.added", output_index=3,
        item={"type": "function_call", "call_id": "t2", "name": "stop", "arguments": "{}"},
    ),
]  # fmt: skip

COMPLETED = event(
    "completed",
    response={
        "id": "c1", "object": "response", "model": "m-1", "status": "completed",
        "usage": {
            "input_tokens": 10, "output_tokens": 5,
            "output_tokens_details": {"reasoning_tokens": 2},
        },
        "output": [
            {"type": "reasoning", "summary": [{"type": "summary_text", "text": "Let me see."}]},
            {"type": "message", "content": [{"type": "output_text", "text": "It rains."}]},
            {"type": "function_call", "call_id": "t1", "name": "look",
             "arguments": '{"city":"Oslo"}'},
            {"type": "function_call", "call_id": "t2", "name": "stop", "arguments": "{}"},
        ],
    },
)  # fmt: skip


def langchain(content: Any = "", **more: Any) -> dict[str, Any]:
    return {"type": "AIMessageChunk", "content": content, **more}


def part(index: int, args: str, **more: Any) -> dict[str, Any]:
    return {"type": "tool_call_chunk", "index": index, "args": args, **more}


LANGCHAIN = [
    langchain(additional_kwargs={"reasoning_content": "Let me "}),
    langchain([{"type": "thinking", "thinking": "see.", "index": 0}]),
    langchain("It "),
    langchain([{"type": "text", "text": "rains.", "index": 1}]),
    langchain(tool_call_chunks=[part(0, '{"city":', id="t1", name="look")]),
    langchain(tool_call_chunks=[part(0, '"Oslo"}')]),
    langchain(tool_call_chunks=[part(1, "{}", id="t2", name="stop")]),
    langchain(
        usage_metadata={"input_tokens": 10, "output_tokens": 1},
        response_metadata={"model_name": "m-1", "id": "c1"},
    ),
    langchain(
        usage_metadata={
            "input_tokens": 0, "output_tokens": 4, "output_token_details": {"reasoning": 2}
        },
        response_metadata={"finish_reason": "tool_calls"},
    ),
]  # fmt: skip


def streamed(tape, chunks, decorate=turnspan.model):
    @decorate
    def ask(messages):
        yield from chunks

    with turnspan.turn():
        found = list(ask([{"role": "user", "content": "wet?"}]))
    assert all(one is other for one, other in zip(found, chunks, strict=True))
    return tape.step


STREAMS = {
    "chat": CHAT,
    "chat objects": model_of(CHAT),
    "anthropic": ANTHROPIC,
    "anthropic objects": model_of(ANTHROPIC),
    "responses": [*RESPONSES, COMPLETED],
    "responses objects": model_of([*RESPONSES, COMPLETED]),
    "responses cut off": RESPONSES,
    "langchain": LANGCHAIN,
    "langchain objects": model_of(LANGCHAIN),
    "langchain generations": [
        {"text": "", "generation_info": None, "message": message} for message in LANGCHAIN
    ],
}


@pytest.mark.parametrize("name", STREAMS)
def test_a_model_s_stream_is_the_message_it_makes(tape, name):
    """Text, reasoning and tool calls are put together; one message, as without streaming."""
    step = streamed(tape, STREAMS[name])
    (answer,) = tape.turn.messages_at(step.output_messages)
    parts = {part.type: part.fields for part in answer.parts if part.type != "tool_call"}
    calls = [part.fields for part in answer.parts if part.type == "tool_call"]

    assert answer.role == "assistant"
    assert parts["text"]["content"] == "It rains."
    assert parts["reasoning"]["content"].replace("\n", "") == "Let me see."
    assert [(c["id"], c["name"], c["arguments"]) for c in calls] == [
        ("t1", "look", {"city": "Oslo"}), ("t2", "stop", {}),
    ]  # fmt: skip
    assert step.output.content == "It rains."
    assert step.chunks == len(STREAMS[name])
    assert step.model.response_model == "m-1"
    assert tape.turn.truncated == ()


@pytest.mark.parametrize("name", [name for name in STREAMS if "cut off" not in name])
def test_a_model_s_stream_tells_its_usage_at_the_end(tape, name):
    """Of the step and, as a sum, of its turn."""
    step = streamed(tape, STREAMS[name])

    assert (step.usage.input_tokens, step.usage.output_tokens) == (10, 5)
    assert tape.turn.usage == step.usage
    assert step.model.finish_reasons in (("tool_calls",), ("tool_call",))
    assert step.model.response_id == "c1"


@pytest.mark.parametrize("name", STREAMS)
def test_an_agent_that_hands_a_model_s_stream_on_says_what_it_says(tape, name):
    """As text, not as the client's objects."""
    step = streamed(tape, STREAMS[name], turnspan.step)

    assert step.output.content == "It rains."
    assert step.output.mime_type == "text/plain"


def test_a_stream_left_early_has_what_was_said_until_then(tape):
    """Usage comes last, so there is none."""

    @turnspan.model
    def ask():
        yield from CHAT

    with turnspan.turn():
        for chunk in ask():
            if chunk["choices"][0]["delta"].get("content") == "It ":
                break

    assert (tape.step.status, tape.step.output.content) == ("abandoned", "It ")
    assert tape.step.reasoning == "Let me see."
    assert tape.step.usage is None


def test_the_answer_of_a_stream_comes_back_as_the_same_message(tape):
    """The next call is given it in its history, and it is kept once."""

    @turnspan.model
    def ask(messages):
        yield from CHAT[2:4]

    history = [{"role": "user", "content": "wet?"}]
    with turnspan.turn():
        said = "".join(chunk["choices"][0]["delta"]["content"] for chunk in ask(history))
        history += [{"role": "assistant", "content": said}, {"role": "user", "content": "sure?"}]
        list(ask(history))
    turn = tape.turn

    assert [message.role for message in turn.messages] == ["user", "assistant", "user", "assistant"]
    assert turn.steps[1].input_messages == ((0, 3),)


def test_only_the_first_of_several_answers_is_told(tape):
    """As of an answer that is not streamed."""
    second = {"index": 1, "delta": {"content": "no"}, "finish_reason": None}
    chunks = [chat(content="yes"), {**chat(), "choices": [second]}]

    assert streamed(tape, chunks).output.content == "yes"


def test_a_model_s_stream_keeps_its_budget(record):
    """What was cut is named; the stream itself is whole."""
    tape = record(limits=Limits(max_bytes=100))
    step = streamed(tape, [chat(content="x" * 60), chat(content="y" * 60), chat(content="z")])

    assert step.output.content == "x" * 60 + "y" * 40
    assert [(cut.where, cut.size_bytes) for cut in tape.turn.truncated] == [
        (f"steps/{step.id}/output", 121), ("messages/1", None),
    ]  # fmt: skip


@pytest.mark.parametrize(
    "chunk",
    [
        {"type": "ping"},
        {"type": "text", "text": "a"},
        {"choices": "none"},
        {"choices": [{"text": "a completion of old"}]},
        {"type": "response"},
        SimpleNamespace(type=3),
    ],
    ids=repr,
)
def test_what_only_looks_like_a_client_s_chunk_is_kept_as_it_is(tape, chunk):
    """In a list, as any other value."""
    step = streamed(tape, [chunk])

    assert step.output.content.startswith("[{")


def test_damaged_chunks_are_read_as_far_as_they_go(tape):
    """Fields of another type than the client's count for nothing."""
    damaged = [
        chat(content=["no text"], tool_calls="none"),
        {"object": "chat.completion.chunk", "choices": [None, 3, {"delta": "none"}]},
        chat(content="said", tool_calls=[None, {"index": "x", "function": 3}]),
    ]

    assert streamed(tape, damaged).output.content == "said"
    assert tape.recorder.failures == 0
