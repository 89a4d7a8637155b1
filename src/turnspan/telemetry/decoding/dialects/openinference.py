"""OpenInference, which Arize's instrumentations write.

Source: https://github.com/Arize-ai/openinference spec/semantic_conventions.md,
openinference-semantic-conventions 0.1.42.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from turnspan.telemetry.decoding.indexed import indexed
from turnspan.telemetry.decoding.messages import definition, message, reasoning_of
from turnspan.telemetry.decoding.values import content, json_value

if TYPE_CHECKING:
    from turnspan.telemetry.decoding.reading import Reading
    from turnspan.telemetry.decoding.received import ReceivedSpan

__all__ = ["ALONE", "ORDER", "claims", "read"]

ORDER: Final = 30
ALONE: Final = False
_KIND: Final = "openinference.span.kind"
_KINDS: Final = {
    "LLM": "model",
    "EMBEDDING": "model",
    "TOOL": "tool",
    "RETRIEVER": "retrieval",
    "RERANKER": "retrieval",
    "AGENT": "agent",
}
_COUNTS: Final = (
    ("input_tokens", "prompt"),
    ("output_tokens", "completion"),
    ("cache_read_tokens", "prompt_details.cache_read"),
    ("cache_write_tokens", "prompt_details.cache_write"),
    ("reasoning_tokens", "completion_details.reasoning"),
)
_NO_PARAMETERS: Final = frozenset({"model", "messages", "tools", "model_name"})


def claims(span: ReceivedSpan) -> bool:
    """Whether it says of which kind it is, or holds values as they do."""
    return _KIND in span.attributes or "input.value" in span.attributes


def read(reading: Reading) -> None:
    """Fill in what the span says."""
    word = reading.text(_KIND)
    if word is not None:
        reading.be(_KINDS.get(word.upper(), "step"))
    reading.fill("input", content(reading.get("input.value"), reading.get("input.mime_type")))
    reading.fill("output", content(reading.get("output.value"), reading.get("output.mime_type")))
    metadata = json_value(reading.get("metadata"))
    if isinstance(metadata, dict):
        reading.fill("metadata", metadata)
    tags = reading.get("tag.tags")
    if isinstance(tags, list):
        reading.fill("tags", [str(each) for each in tags])
    reading.fill_in("usage", _usage(reading))
    if reading.kind == "model":
        _read_model(reading, word)
    elif reading.kind == "tool":
        _read_tool(reading)
    elif reading.kind == "retrieval":
        _read_documents(reading)
    if reading.kind == "agent":
        reading.fill_in("agent", {"name": reading.text("agent.name")})
        reading.fill("name", reading.text("agent.name"))
    else:
        reading.tell("agent_name", reading.text("agent.name"))


def _usage(reading: Reading) -> dict[str, Any]:
    usage: dict[str, Any] = {f: reading.whole(f"llm.token_count.{name}") for f, name in _COUNTS}
    total = reading.attributes.get("llm.token_count.total")
    if total == (usage["input_tokens"] or 0) + (usage["output_tokens"] or 0):
        reading.get("llm.token_count.total")
    cost = reading.get("llm.cost.total")
    return usage | ({"cost_usd": float(cost)} if isinstance(cost, int | float) else {})


def _read_model(reading: Reading, word: str | None) -> None:
    given = [_message(each) for each in indexed(reading, "llm.input_messages")]
    produced = [_message(each) for each in indexed(reading, "llm.output_messages")]
    reading.given = reading.given or given
    reading.produced = reading.produced or produced
    reading.fill("reasoning", reasoning_of(reading.produced))
    is_embedding = word == "EMBEDDING"
    model_name = reading.text("embedding.model_name" if is_embedding else "llm.model_name")
    system = reading.text("llm.system")
    reason = reading.text("llm.finish_reason")
    reading.fill_in(
        "model",
        {
            "provider": reading.text("llm.provider") or system,
            "request_model": model_name,
            "operation": "embeddings" if is_embedding else None,
            "finish_reasons": [reason] if reason else None,
            "parameters": _parameters(reading),
        },
    )


def _parameters(reading: Reading) -> dict[str, Any]:
    told = json_value(reading.get("llm.invocation_parameters"))
    found = told if isinstance(told, dict) else {}
    parameters = {key: value for key, value in found.items() if key not in _NO_PARAMETERS}
    tools = [_inner(each, "tool").get("json_schema") for each in indexed(reading, "llm.tools")]
    offered = [json_value(each) for each in tools]
    reading.tools = reading.tools or [definition(each) for each in offered if each]
    return parameters


def _read_tool(reading: Reading) -> None:
    reading.fill("name", reading.text("tool.name"))
    call_id = reading.text("tool.id") or reading.text("tool_call.id")
    reading.fill_in("tool", {"description": reading.text("tool.description"), "call_id": call_id})


def _read_documents(reading: Reading) -> None:
    told = indexed(reading, "retrieval.documents") or indexed(reading, "reranker.output_documents")
    found = [_inner(each, "document") for each in told]
    for each in found:
        if "metadata" in each:
            each["metadata"] = json_value(each["metadata"])
    if found:
        reading.fields.pop("output", None)
        reading.fill("output", content(found))


def _message(item: Any) -> dict[str, Any]:
    told = _inner(item, "message")
    calls = [_inner(each, "tool_call") for each in _list(told.get("tool_calls"))]
    said: Any = told.get("content")
    if parts := _list(told.get("contents")):
        said = [_part(_inner(each, "message_content")) for each in parts]
    return message(
        told.get("role"),
        said,
        calls=calls,
        call_id=told.get("tool_call_id"),
        name=told.get("name"),
        finish_reason=told.get("finish_reason"),
    )


def _part(told: Mapping[str, Any]) -> dict[str, Any]:
    kind = str(told.get("type") or "text")
    if kind == "image":
        image = _inner(told.get("image") or {}, "image")
        return {"type": "uri", "modality": "image", "uri": str(image.get("url") or "")}
    return {"type": kind, "content": str(told.get("text") or "")}


def _inner(item: Any, name: str) -> dict[str, Any]:
    """What is under ``name`` in ``item``, where the list's elements are wrapped in it."""
    if not isinstance(item, Mapping):
        return {}
    inner = item.get(name, item)
    return dict(inner) if isinstance(inner, Mapping) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
