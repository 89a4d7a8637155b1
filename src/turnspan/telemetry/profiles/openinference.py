"""OpenInference: span kinds, and its own words for what `gen_ai.*` says already.

For tools that read nothing else. MLflow reads it first where both are there, and shows chats as
plain text then: leave it out where MLflow is among the destinations.

Source: https://github.com/Arize-ai/openinference spec/semantic_conventions.md (2026-10).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeAlias

import orjson

from turnspan.telemetry import semconv as names
from turnspan.telemetry.vendor_keys import Described, as_json

__all__ = ["keys"]

Fields: TypeAlias = Mapping[str, Any]

_KINDS = {
    "turn": "AGENT",
    "agent": "AGENT",
    "model": "LLM",
    "tool": "TOOL",
    "retrieval": "RETRIEVER",
    "embeddings": "EMBEDDING",
}
_COUNTS = (
    ("input_tokens", "llm.token_count.prompt"),
    ("output_tokens", "llm.token_count.completion"),
    ("cache_read_tokens", "llm.token_count.prompt_details.cache_read"),
    ("cache_write_tokens", "llm.token_count.prompt_details.cache_write"),
    ("reasoning_tokens", "llm.token_count.completion_details.reasoning"),
    ("cost_usd", "llm.cost.total"),
)


def keys(span: Described) -> Iterator[tuple[str, Any]]:
    """On every span its kind, session, user, input and output; then what its kind has."""
    yield "openinference.span.kind", _KINDS.get(span.kind, "CHAIN")
    yield names.SESSION_ID, span.session_id
    yield names.USER_ID, span.user_id
    for where, value, mime_type in _SIDES:
        if (text := span.text(where)) is not None:
            yield value, text
            yield mime_type, span.fields[where].get("mime_type", "text/plain")
    if of_kind := _OF_KINDS.get(span.kind):
        yield from of_kind(span)


def _agent(span: Described) -> Iterator[tuple[str, Any]]:
    yield "agent.name", span.attributes.get(names.AGENT_NAME)
    if tags := span.own("tags"):
        yield "tag.tags", list(tags)
    if metadata := span.own("metadata"):
        yield "metadata", as_json(metadata)


def _tool(span: Described) -> Iterator[tuple[str, Any]]:
    yield "tool.name", span.fields["name"]
    yield "tool.description", span.attributes.get(names.TOOL_DESCRIPTION)
    yield "tool.parameters", span.attributes.get(names.TOOL_ARGUMENTS)


def _embeddings(span: Described) -> Iterator[tuple[str, Any]]:
    yield "embedding.model_name", _model_of(span)
    yield from _usage(span)


def _model(span: Described) -> Iterator[tuple[str, Any]]:
    model = span.fields.get("model") or {}
    yield "llm.model_name", _model_of(span)
    yield "llm.provider", model.get("provider")
    if parameters := model.get("parameters"):
        yield "llm.invocation_parameters", as_json(parameters)
    yield from _usage(span)
    for place, tool in enumerate(_told(span, names.TOOL_DEFINITIONS)):
        yield f"llm.tools.{place}.tool.json_schema", as_json(tool)
    yield from _messages("llm.output_messages", _told(span, names.OUTPUT_MESSAGES))
    yield from _messages("llm.input_messages", _told(span, names.INPUT_MESSAGES))


def _retrieval(span: Described) -> Iterator[tuple[str, Any]]:
    for place, document in enumerate(_told(span, names.RETRIEVAL_DOCUMENTS)):
        at = f"retrieval.documents.{place}.document"
        said = next((document[k] for k in ("content", "text", "page_content") if k in document), "")
        yield f"{at}.id", document.get("id")
        yield f"{at}.content", as_json(said)
        if (score := document.get("score")) is not None:
            yield f"{at}.score", float(score)


def _messages(prefix: str, messages: Sequence[Fields]) -> Iterator[tuple[str, Any]]:
    for place, message in enumerate(messages):
        at = f"{prefix}.{place}.message"
        yield f"{at}.role", message["role"]
        parts = message["parts"]
        yield f"{at}.content", "".join(p["content"] for p in parts if p.get("type") == "text")
        calls = [part for part in parts if part.get("type") == "tool_call"]
        for number, call in enumerate(calls):
            function = f"{at}.tool_calls.{number}.tool_call"
            yield f"{function}.id", call.get("id")
            yield f"{function}.function.name", call["name"]
            yield f"{function}.function.arguments", as_json(call.get("arguments"))
        if answered := next((p for p in parts if p.get("type") == "tool_call_response"), None):
            yield f"{at}.tool_call_id", answered.get("id")
            yield f"{at}.content", as_json(answered["response"])


def _usage(span: Described) -> Iterator[tuple[str, Any]]:
    usage = span.fields.get("usage") or {}
    for field, name in _COUNTS:
        yield name, usage.get(field)
    both = [usage.get("input_tokens"), usage.get("output_tokens")]
    yield "llm.token_count.total", sum(n for n in both if n) if any(both) else None


def _model_of(span: Described) -> str | None:
    """The model that answered, else the one that was asked."""
    found = span.attributes.get
    return found(names.RESPONSE_MODEL) or found(names.REQUEST_MODEL)


def _told(span: Described, name: str) -> list[Any]:
    """The list that stands in the content attribute ``name``, where it is on the span."""
    text = span.attributes.get(name)
    found: list[Any] = orjson.loads(text) if text else []
    return found


_SIDES = (
    ("input", names.INPUT_VALUE, names.INPUT_MIME_TYPE),
    ("output", names.OUTPUT_VALUE, names.OUTPUT_MIME_TYPE),
)
_OF_KINDS = {
    "turn": _agent,
    "agent": _agent,
    "model": _model,
    "tool": _tool,
    "retrieval": _retrieval,
    "embeddings": _embeddings,
}
