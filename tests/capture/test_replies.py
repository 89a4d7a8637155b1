"""What model clients return is read from its stored fields alone.

The objects here store what those of openai 3, anthropic 2, langchain-core 1 and litellm 1 do.
"""

from __future__ import annotations

import copy
from typing import Any

import pytest
from pydantic import BaseModel, ConfigDict

import turnspan
from turnspan.capture.replies import read_reply
from turnspan.capture.values import Limits
from turnspan.schema import Model, Usage


class Stored(BaseModel):
    """As clients have it: some fields declared, the rest extra, and properties nobody asked for."""

    model_config = ConfigDict(extra="allow")

    id: str | None = None

    @property
    def text(self) -> str:
        raise AssertionError("a property was asked")

    def __len__(self) -> int:
        raise AssertionError("its length was asked")

    def __eq__(self, other: object) -> bool:
        raise AssertionError("it was compared")

    __hash__ = None  # type: ignore[assignment]


class Plain:
    """As a hand-written client has it."""

    def __init__(self, **fields: Any) -> None:
        self.__dict__ |= fields

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(f"{name} was asked")

    def __repr__(self) -> str:
        raise AssertionError("its repr was asked")


def stored(value: Any, kind: type = Stored) -> Any:
    """``value`` with each dictionary as an object of ``kind``, but for tool arguments."""
    if isinstance(value, dict):
        if value.keys() <= {"city"}:
            return value
        return kind(**{key: stored(item, kind) for key, item in value.items()})
    return [stored(item, kind) for item in value] if isinstance(value, list) else value


CALL = {"type": "tool_call", "name": "weather", "id": "call_1", "arguments": {"city": "Oslo"}}
THOUGHT = {"type": "reasoning", "content": "Let me see."}
TEXT = {"type": "text", "content": "It rains."}

CHAT = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "model": "gpt-test-2026",
    "choices": [
        {
            "index": 0,
            "finish_reason": "tool_calls",
            "message": {
                "role": "assistant",
                "content": "It rains.",
                "refusal": None,
                "reasoning_content": "Let me see.",
                "tool_calls": [
                    {
                        "id": "call_1",
                        "type": "function",
                        "function": {"name": "weather", "arguments": '{"city": "Oslo"}'},
                    }
                ],
            },
        }
    ],
    "usage": {
        "prompt_tokens": 10,
        "completion_tokens": 5,
        "total_tokens": 15,
        "prompt_tokens_details": {"cached_tokens": 4},
        "completion_tokens_details": {"reasoning_tokens": 2},
    },
}
RESPONSE = {
    "id": "resp_1",
    "object": "response",
    "model": "gpt-test-2026",
    "status": "completed",
    "output": [
        {
            "type": "reasoning",
            "id": "rs_1",
            "summary": [{"type": "summary_text", "text": "Let me see."}],
            "content": None,
        },
        {
            "type": "message",
            "id": "msg_1",
            "role": "assistant",
            "content": [{"type": "output_text", "text": "It rains.", "annotations": []}],
        },
        {
            "type": "function_call",
            "id": "fc_1",
            "call_id": "call_1",
            "name": "weather",
            "arguments": '{"city": "Oslo"}',
        },
    ],
    "usage": {
        "input_tokens": 10,
        "output_tokens": 5,
        "input_tokens_details": {"cached_tokens": 4, "cache_write_tokens": 1},
        "output_tokens_details": {"reasoning_tokens": 2},
    },
}
ANTHROPIC = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "claude-test",
    "content": [
        {"type": "thinking", "thinking": "Let me see.", "signature": "s"},
        {"type": "text", "text": "It rains."},
        {"type": "tool_use", "id": "call_1", "name": "weather", "input": {"city": "Oslo"}},
    ],
    "stop_reason": "tool_use",
    "stop_sequence": None,
    "usage": {
        "input_tokens": 6,
        "output_tokens": 5,
        "cache_read_input_tokens": 3,
        "cache_creation_input_tokens": 1,
    },
}
LANGCHAIN = {
    "type": "ai",
    "content": [
        {"type": "reasoning", "reasoning": "Let me see."},
        {"type": "text", "text": "It rains."},
        {"type": "tool_call", "id": "call_1", "name": "weather", "args": {"city": "Oslo"}},
    ],
    "additional_kwargs": {},
    "response_metadata": {
        "id": "chatcmpl-1",
        "model_name": "gpt-test-2026",
        "model_provider": "openai",
        "finish_reason": "tool_calls",
    },
    "tool_calls": [
        {"name": "weather", "args": {"city": "Oslo"}, "id": "call_1", "type": "tool_call"}
    ],
    "usage_metadata": {
        "input_tokens": 10,
        "output_tokens": 5,
        "total_tokens": 15,
        "input_token_details": {"cache_read": 4, "cache_creation": 1},
        "output_token_details": {"reasoning": 2},
    },
}
CHAT_RESULT = {"generations": [{"text": "It rains.", "message": LANGCHAIN}], "llm_output": None}
LLM_RESULT = {"generations": [[{"text": "", "message": LANGCHAIN}]], "llm_output": {}}

OPENAI_USAGE = {
    "input_tokens": 10, "output_tokens": 5, "cache_read_tokens": 4, "reasoning_tokens": 2,
}  # fmt: skip
LANGCHAIN_MODEL = {
    "response_model": "gpt-test-2026",
    "response_id": "chatcmpl-1",
    "finish_reasons": ["tool_calls"],
    "provider": "openai",
}
CASES = {
    "openai chat": (
        CHAT,
        OPENAI_USAGE,
        {
            "response_model": "gpt-test-2026",
            "response_id": "chatcmpl-1",
            "finish_reasons": ["tool_calls"],
        },
    ),
    "openai responses": (
        RESPONSE,
        {**OPENAI_USAGE, "cache_write_tokens": 1},
        {
            "response_model": "gpt-test-2026",
            "response_id": "resp_1",
            "finish_reasons": ["tool_call"],
        },
    ),
    "anthropic": (
        ANTHROPIC,
        {"input_tokens": 10, "output_tokens": 5, "cache_read_tokens": 3, "cache_write_tokens": 1},
        {
            "response_model": "claude-test",
            "response_id": "msg_1",
            "finish_reasons": ["tool_use"],
            "provider": "anthropic",
        },
    ),
    "langchain": (LANGCHAIN, {**OPENAI_USAGE, "cache_write_tokens": 1}, LANGCHAIN_MODEL),
    "chat result": (CHAT_RESULT, {**OPENAI_USAGE, "cache_write_tokens": 1}, LANGCHAIN_MODEL),
    "llm result": (LLM_RESULT, {**OPENAI_USAGE, "cache_write_tokens": 1}, LANGCHAIN_MODEL),
}


@pytest.mark.parametrize("shape", CASES)
@pytest.mark.parametrize("kind", [None, Stored, Plain], ids=["dict", "pydantic", "plain"])
def test_every_known_shape_is_read(shape, kind):
    """Message, usage and model are the same for dictionaries and objects."""
    source, usage, model = CASES[shape]
    reply = read_reply(stored(copy.deepcopy(source), kind) if kind else source, Limits())

    assert reply is not None
    assert reply.message == {
        "role": "assistant",
        "parts": [THOUGHT, TEXT, CALL],
        "finish_reason": model["finish_reasons"][0],
    }
    assert reply.usage == usage
    assert reply.model == model


def test_a_reply_stands_in_its_step(tape):
    """With what was asked beside what answered."""

    @turnspan.model(provider="azure", name="gpt-asked")
    def ask(messages, temperature, stream=False):
        return stored(CHAT)

    with turnspan.turn():
        ask([{"role": "user", "content": "How is it in Oslo?"}], temperature=0.5, stream=False)
    turn, step = tape.turn, tape.step

    assert step.model == Model(
        provider="azure",
        request_model="gpt-asked",
        response_model="gpt-test-2026",
        response_id="chatcmpl-1",
        parameters={"temperature": 0.5, "stream": False},
        finish_reasons=("tool_calls",),
    )
    assert step.usage == turn.usage == Usage(**OPENAI_USAGE)
    assert step.reasoning == "Let me see."
    assert step.output.content == "It rains."
    assert step.input is None
    assert (step.input_messages, step.output_messages) == (((0, 1),), ((1, 2),))
    assert [message.role for message in turn.messages] == ["user", "assistant"]


def test_the_model_asked_for_is_read_from_the_arguments(tape):
    """By the names clients give it."""

    @turnspan.model
    def ask(prompt, model="", model_name="", model_id=""):
        return "x"

    with turnspan.turn():
        ask("a", model="m1")
        ask("b", model_name="m2")
        ask("c", model_id="m3")

    assert [step.model.request_model for step in tape.turn.steps] == ["m1", "m2", "m3"]
    assert [step.input.content for step in tape.turn.steps] == ["a", "b", "c"]


@pytest.mark.parametrize(
    "result, output",
    [
        ("plain text", "plain text"),
        ({"answer": 42}, '{"answer":42}'),
        ([1, 2], "[1,2]"),
        ({"choices": "none", "output": 3}, '{"choices":"none","output":3}'),
        ({"choices": []}, None),
        ({"generations": []}, '{"generations":[]}'),
        (None, None),
    ],
)
def test_what_is_no_known_shape_is_kept_as_it_is(tape, result, output):
    """As any other result."""

    @turnspan.model
    def ask(prompt):
        return result

    with turnspan.turn():
        assert ask("x") is result

    content = tape.step.output
    assert (content and content.content) == output


NONSENSE = [
    {"choices": [None, 1, "x"], "usage": 7},
    {"choices": [{"message": 3, "finish_reason": []}], "model": {}, "id": 4},
    {"choices": [{"message": {"role": ["x"], "content": {"a": 1}, "tool_calls": 3}}]},
    {"choices": [{"message": {"content": [{"type": {}}, {"type": "text"}, 3, None]}}]},
    {"object": "response", "output": [None, 1, {"type": "message"}, {"type": "reasoning"}]},
    {"content": 3, "stop_reason": {"a": 1}, "usage": {"input_tokens": "many"}},
    {"content": [{"type": "tool_use"}, {"type": "image"}], "stop_reason": None},
    {"generations": [[]]},
    {"generations": [None], "llm_output": 3},
    {"generations": [{"message": None, "text": 4}]},
    {"type": "ai", "content": None, "response_metadata": [1], "usage_metadata": "x"},
]


@pytest.mark.parametrize("result", NONSENSE, ids=range(len(NONSENSE)))
@pytest.mark.parametrize("kind", [None, Plain], ids=["dict", "plain"])
def test_nonsense_in_a_known_shape_is_no_failure_of_ours(tape, result, kind):
    """What can be read is read; the call is recorded."""

    @turnspan.model
    def ask(prompt):
        return stored(result, kind) if kind else result

    with turnspan.turn():
        ask("x")

    assert tape.recorder.failures == 0
    assert tape.step.status == "ok"


class Touchy:
    """Raises whatever is asked of it."""

    def _refuse(self, *_: Any) -> Any:
        raise AssertionError("code of the caller's was run")

    __bool__ = __len__ = __iter__ = __eq__ = __str__ = __repr__ = _refuse
    __getitem__ = __contains__ = __format__ = __index__ = _refuse
    __hash__ = None  # type: ignore[assignment]


@pytest.mark.parametrize("source", [CHAT, RESPONSE, ANTHROPIC, LANGCHAIN, LLM_RESULT])
def test_nothing_in_a_reply_is_asked_anything(tape, source):
    """Wherever an object stands in place of a value, none of its methods runs."""

    def variants(value):
        if isinstance(value, dict):
            for key, item in value.items():
                yield {**value, key: Touchy()}
                yield from ({**value, key: inner} for inner in variants(item))
        elif isinstance(value, list):
            for n, item in enumerate(value):
                yield [*value[:n], Touchy(), *value[n + 1 :]]
                for inner in variants(item):
                    yield [*value[:n], inner, *value[n + 1 :]]

    @turnspan.model
    def ask(prompt, result):
        return result

    results = list(variants(source))
    with turnspan.turn():
        for result in results:
            ask("x", result)
            ask([{"role": "user", "content": result}], None)

    assert len(results) > 15
    assert tape.recorder.failures == 0
    assert len(tape.turn.steps) == 2 * len(results)
