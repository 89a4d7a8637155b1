"""Turns that hypothesis makes up: every kind of step, nested, and every kind of part."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from typing import Any, get_args

import orjson
from hypothesis import strategies as st

from turnspan.schema import Status, StepKind, Turn, encode_turn

__all__ = ["DISHONEST", "PROVIDERS", "available_of", "turns"]

START = 1_700_000_000_000_000_000
PROVIDERS = ["openai", "anthropic", "aws.bedrock", "gcp.gemini", "a provider of one's own", None]

DISHONEST = "{not} {json}"  # which a turn that was read from somewhere may call JSON

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
NAME = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12)
COUNT = st.integers(0, 2**31)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**31), 2**31) | TEXT,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(TEXT, inner, max_size=2),
    max_leaves=5,
)


def some(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """Any of ``fields``."""
    return st.fixed_dictionaries({}, optional=fields)


def parts() -> st.SearchStrategy[dict[str, Any]]:
    """A part of any type, known ones with what they need."""
    modality = st.sampled_from(["image", "audio", "video", "document", "hologram"])
    known: list[tuple[str, dict[str, Any]]] = [
        ("text", {"content": TEXT}),
        ("reasoning", {"content": TEXT}),
        ("tool_call", {"name": NAME, "id": NAME, "arguments": JSON}),
        ("tool_call_response", {"id": NAME, "response": JSON}),
        ("blob", {"modality": modality, "content": TEXT, "mime_type": TEXT}),
        ("uri", {"modality": modality, "uri": TEXT}),
        ("file", {"modality": modality, "file_id": NAME}),
        ("compaction", {}),
        ("citation", {"content": JSON}),
        # What a client may have sent and no schema knows: known types without their fields.
        ("text", {}),
        ("tool_call", {"arguments": JSON}),
        ("blob", {"content": JSON}),
        ("server_tool_call", {"content": JSON}),
    ]
    return st.one_of(st.fixed_dictionaries({"type": st.just(kind), **more}) for kind, more in known)


MESSAGES = st.lists(
    st.fixed_dictionaries(
        {
            "role": st.sampled_from(["system", "user", "assistant", "tool", "narrator"]),
            "parts": st.lists(parts(), max_size=3),
        },
        optional={"name": NAME, "finish_reason": st.sampled_from(["stop", "tool_call", "odd"])},
    ),
    max_size=4,
)
CONTENT = st.fixed_dictionaries(
    {
        "type": st.sampled_from(["text", "image", "audio", "tool_call", "tool_result", "error"]),
        "content": TEXT
        | JSON.map(lambda value: orjson.dumps(value).decode())
        | st.sampled_from(["https://example.com/a.png", '{"cut": "by a lim', DISHONEST]),
    },
    optional={"mime_type": st.sampled_from(["text/plain", "application/json"])},
)
ERROR = st.fixed_dictionaries({"type": NAME, "message": TEXT})
USAGE = some(
    input_tokens=COUNT,
    output_tokens=COUNT,
    cache_read_tokens=COUNT,
    cache_write_tokens=COUNT,
    reasoning_tokens=COUNT,
    cost_usd=st.floats(0, 9),
)
AGENT = st.fixed_dictionaries(
    {"name": NAME}, optional={"id": NAME, "version": NAME, "description": NAME}
)
PARAMETERS = some(
    temperature=st.floats(0, 2) | st.integers(0, 2),
    top_p=st.floats(0, 1),
    top_k=st.integers(1, 99) | st.floats(0, 9),
    max_tokens=COUNT,
    seed=COUNT,
    n=st.integers(0, 3),
    stop=NAME | st.lists(NAME, max_size=2) | st.integers(0, 9),
    stream=st.booleans(),
    reasoning_effort=st.sampled_from(["low", "high"]),
    response_format=JSON | st.sampled_from([{"type": "json_object"}, {"type": "text"}]),
    dimensions=st.integers(1, 4096),
    encoding_format=st.sampled_from(["float", "base64"]),
    logprobs=st.booleans(),
)
MODEL = st.fixed_dictionaries(
    {"operation": st.sampled_from(["chat", "generate_content", "text_completion", "embeddings"])},
    optional={
        "provider": st.sampled_from(PROVIDERS),
        "request_model": NAME,
        "response_model": NAME,
        "response_id": NAME,
        "parameters": PARAMETERS,
        "finish_reasons": st.lists(st.sampled_from(["stop", "length", "odd"]), max_size=2),
    },
)
DEFINITIONS = st.lists(
    some(type=st.sampled_from(["function", "web_search"]), name=NAME, parameters=JSON), max_size=2
)
TOOL = some(
    call_id=NAME, description=NAME, type=st.sampled_from(["function", "extension", "datastore"])
)
COMMON = {
    "input": CONTENT,
    "output": CONTENT,
    "reasoning": NAME,
    "metadata": st.dictionaries(NAME, JSON, max_size=2),
}


@st.composite
def turns(draw: Callable[..., Any]) -> dict[str, Any]:
    """A turn in wire shape, as read back from the journal; children end before their parents."""
    messages = draw(MESSAGES)
    numbers = itertools.count(1)
    tools = draw(DEFINITIONS)
    steps = _steps(draw, messages, tools, numbers, None, 0)
    fields = draw(
        some(session_id=NAME, user_id=NAME, tags=st.lists(NAME, max_size=2), usage=USAGE, **COMMON)
    )
    span_id = next(numbers)
    turn = Turn.model_validate(
        {
            **fields,
            **_outcome(draw),
            **_ranges(draw, messages),
            "id": "turn_abcdefghijkl",
            "agent": draw(AGENT),
            "messages": messages,
            "tool_definitions": tools,
            "steps": steps,
            "trace": {"trace_id": f"{7:032x}", "span_id": f"{span_id:016x}"},
            "resource": {"service.name": "tests"},
            "resumes": draw(st.sampled_from([None, "turn_000000000001"])),
            "number": draw(st.integers(1, 9)) if "session_id" in fields else None,
        }
    )
    read: dict[str, Any] = orjson.loads(encode_turn(turn))
    return read


def _steps(
    draw: Callable[..., Any],
    messages: list[Any],
    tools: list[Any],
    numbers: Any,
    parent_id: str | None,
    depth: int,
) -> list[dict[str, Any]]:
    steps: list[dict[str, Any]] = []
    for _ in range(draw(st.integers(0, 3 if depth == 0 else 1))):
        kind = draw(st.sampled_from(get_args(StepKind)))
        step = {
            **draw(some(**COMMON)),
            **_outcome(draw),
            "id": f"{next(numbers):016x}",
            "parent_id": parent_id,
            "kind": kind,
            "name": draw(NAME),
        }
        own = {"model": MODEL, "tool": TOOL, "agent": AGENT}.get(kind)
        if own is not None and draw(st.booleans()):
            step[kind] = draw(own)
        if kind in ("model", "agent"):
            step |= {**_ranges(draw, messages), "usage": draw(USAGE)}
        if kind == "model":
            step |= _asked(draw, messages, tools)
        if depth < 2:
            steps += _steps(draw, messages, tools, numbers, step["id"], depth + 1)
        steps.append(step)
    return steps


def _asked(draw: Callable[..., Any], messages: list[Any], tools: list[Any]) -> dict[str, Any]:
    """What a model was given beside its messages."""
    found: dict[str, Any] = {}
    if messages and draw(st.booleans()):
        found["system_instructions"] = [[0, 1]]
    if tools and draw(st.booleans()):
        found["input_tools"] = [[draw(st.integers(0, len(tools))), len(tools)]]
    return found


def _ranges(draw: Callable[..., Any], messages: list[Any]) -> dict[str, Any]:
    if not messages or draw(st.booleans()):
        return {}
    at = draw(st.integers(0, len(messages)))
    return {"input_messages": [[0, at]], "output_messages": [[at, len(messages)]]}


def _outcome(draw: Callable[..., Any]) -> dict[str, Any]:
    status = draw(st.sampled_from(get_args(Status)))
    first = draw(st.sampled_from([None, START + 5]))
    return {
        "status": status,
        "error": draw(ERROR) if status in ("error", "cancelled") and draw(st.booleans()) else None,
        "started_at": START,
        "ended_at": START + 1000,
        "first_chunk_at": first,
        "chunks": 2 if first else None,
    }


def available_of(turn: Mapping[str, Any]) -> dict[str, set[str]]:
    """Span id → the attributes that the turn has values for, whether they must be there or not."""
    session = {"gen_ai.conversation.id"} if turn.get("session_id") else set()
    found = {turn["trace"]["span_id"]: session | _of_agent(turn, turn["agent"])}
    for step in turn.get("steps", ()):
        found[step["id"]] = session | {
            "model": lambda step: _of_model(step, step.get("model") or {}),
            "tool": lambda step: _of_tool(step.get("tool") or {}),
            "agent": lambda step: _of_agent(step, step.get("agent") or {}),
        }.get(step["kind"], lambda _: set())(step)
    return found


def _of_agent(fields: Mapping[str, Any], agent: Mapping[str, Any]) -> set[str]:
    found = {"gen_ai.agent.name"} | _of_usage(fields)
    if agent.get("description"):
        found.add("gen_ai.agent.description")
    return found


def _of_tool(tool: Mapping[str, Any]) -> set[str]:
    names = {"call_id": "call.id", "type": "type", "description": "description"}
    return {f"gen_ai.tool.{name}" for key, name in names.items() if tool.get(key)}


def _of_usage(fields: Mapping[str, Any]) -> set[str]:
    names = {
        "input_tokens": "input_tokens",
        "output_tokens": "output_tokens",
        "cache_read_tokens": "cache_read.input_tokens",
        "cache_write_tokens": "cache_write.input_tokens",
        "reasoning_tokens": "reasoning.output_tokens",
    }
    usage = fields.get("usage") or {}
    return {f"gen_ai.usage.{name}" for key, name in names.items() if usage.get(key) is not None}


def _of_model(step: Mapping[str, Any], model: Mapping[str, Any]) -> set[str]:
    names = {
        "provider": "provider.name",
        "request_model": "request.model",
        "response_model": "response.model",
        "response_id": "response.id",
        "finish_reasons": "response.finish_reasons",
    }
    parameters = model.get("parameters") or {}
    known = ("temperature", "top_p", "max_tokens", "seed")
    found = {f"gen_ai.{name}" for key, name in names.items() if model.get(key)}
    found |= {f"gen_ai.request.{name}" for name in known if name in parameters}
    if step.get("first_chunk_at"):
        found |= {"gen_ai.request.stream", "gen_ai.response.time_to_first_chunk"}
    return found | _of_usage(step)
