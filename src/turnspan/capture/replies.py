"""What a model call returned → message, usage, model, finish reasons.

Source: response shapes of openai 3 (chat completions, responses), anthropic 2 (messages),
langchain-core 1 (AIMessage, ChatResult), litellm 1 (as openai); plain dictionaries alike.
Only stored fields are read: no property, no method of the client's is called.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from turnspan.capture.parts import (
    MAX_PARTS,
    Fields,
    as_fields,
    looks_like_message,
    message_of,
    parts_of,
    rows_of,
    word_of,
)
from turnspan.capture.texts import short
from turnspan.capture.values import Limits

__all__ = ["Reply", "read_reply"]


@dataclass(slots=True)
class Reply:
    """A model's answer in our words; empty where the client said nothing."""

    message: Fields
    usage: Fields = field(default_factory=dict)
    model: Fields = field(default_factory=dict)
    origin: tuple[object, ...] = ()


def read_reply(result: object, limits: Limits) -> Reply | None:
    """Read ``result`` if it has one of the known shapes; None otherwise."""
    if type(result) is str or result is None:
        return None
    fields = as_fields(result)
    if fields is None:
        return None
    for matches, read in _SHAPES:
        if matches(fields):
            return read(fields, result, limits)
    return None


def _chat_completion(fields: Fields, _: object, limits: Limits) -> Reply:
    choices = [as_fields(choice) or {} for choice in fields["choices"][:MAX_PARTS]]
    first = choices[0] if choices else {}
    source = _first(first, "message", "delta")
    message = message_of({"role": "assistant"} if source is None else source, limits)
    message["role"] = "assistant"
    reasons = _words(choice.get("finish_reason") for choice in choices)
    _finish(message, reasons)
    model = _model(fields, reasons)
    return Reply(message, _openai_usage(fields.get("usage")), model, (source,))


def _responses(fields: Fields, _: object, limits: Limits) -> Reply:
    parts: list[Fields] = []
    for item in fields["output"][:MAX_PARTS]:
        entry = as_fields(item) or {}
        told = entry.get("content") if word_of(entry.get("type")) == "message" else [entry]
        parts += parts_of({"content": told}, "assistant", limits)
    message: Fields = {"role": "assistant", "parts": parts}
    status = word_of(fields.get("status"))
    called = any(part["type"] == "tool_call" for part in parts)
    ended = "tool_call" if called else "stop" if status == "completed" else status
    reasons = [ended] if status else []
    _finish(message, reasons)
    usage = _openai_usage(fields.get("usage"))
    return Reply(message, usage, _model(fields, reasons), tuple(fields["output"]))


def _anthropic(fields: Fields, result: object, limits: Limits) -> Reply:
    message: Fields = {"role": "assistant", "parts": parts_of(fields, "assistant", limits)}
    reasons = _words([fields["stop_reason"]])
    _finish(message, reasons)
    model = _model(fields, reasons) | {"provider": "anthropic"}
    return Reply(message, _anthropic_usage(fields.get("usage")), model, (fields["content"], result))


def _langchain(fields: Fields, result: object, limits: Limits) -> Reply:
    message = message_of(fields, limits)
    meta = as_fields(fields.get("response_metadata")) or {}
    reasons = _words([_first(meta, "finish_reason", "stop_reason")])
    _finish(message, reasons)
    named = {"model": _first(meta, "model_name", "model"), "id": meta.get("id")}
    model = _model(named, reasons)
    if provider := word_of(meta.get("model_provider")):
        model["provider"] = short(provider)
    return Reply(message, _langchain_usage(fields.get("usage_metadata")), model, (result,))


def _langchain_result(fields: Fields, _: object, limits: Limits) -> Reply:
    first = fields["generations"][0]
    rows = rows_of(first)
    generation = as_fields(rows[0] if rows else first) or {}
    source = generation.get("message")
    message = as_fields(source)
    if message is None:
        message = {"role": "assistant", "content": generation.get("text")}
    reply = _langchain(message, source, limits)
    output = as_fields(fields.get("llm_output")) or {}
    if not reply.usage:
        reply.usage = _openai_usage(_first(output, "token_usage", "usage"))
    if name := word_of(output.get("model_name")):
        reply.model.setdefault("response_model", short(name))
    return reply


def _message(fields: Fields, result: object, limits: Limits) -> Reply:
    message = message_of(fields, limits) | {"role": "assistant"}
    return Reply(message, origin=(result,))


def _finish(message: Fields, reasons: list[str]) -> None:
    if reasons:
        message["finish_reason"] = reasons[0]


def _model(fields: Fields, reasons: list[str]) -> Fields:
    model: Fields = {}
    if name := word_of(fields.get("model")):
        model["response_model"] = short(name)
    if response_id := word_of(fields.get("id")):
        model["response_id"] = short(response_id)
    if reasons:
        model["finish_reasons"] = reasons
    return model


def _first(fields: Fields, *keys: str) -> Any:
    """What the first of ``keys`` holds that holds anything."""
    return next((fields[key] for key in keys if fields.get(key) is not None), None)


def _words(given: Iterable[object]) -> list[str]:
    return [short(word) for item in given if (word := word_of(item))]


def _openai_usage(given: object) -> Fields:
    usage = as_fields(given) or {}
    details = as_fields(_first(usage, "prompt_tokens_details", "input_tokens_details")) or {}
    spent = as_fields(_first(usage, "completion_tokens_details", "output_tokens_details")) or {}
    return _counts(
        input_tokens=_first(usage, "prompt_tokens", "input_tokens"),
        output_tokens=_first(usage, "completion_tokens", "output_tokens"),
        cache_read_tokens=details.get("cached_tokens"),
        cache_write_tokens=details.get("cache_write_tokens"),
        reasoning_tokens=spent.get("reasoning_tokens"),
    )


def _anthropic_usage(given: object) -> Fields:
    """Anthropic counts cached tokens beside the input; the conventions count them in it."""
    usage = as_fields(given) or {}
    read, write = usage.get("cache_read_input_tokens"), usage.get("cache_creation_input_tokens")
    entered = usage.get("input_tokens")
    if type(entered) is int:
        entered += sum(cached for cached in (read, write) if type(cached) is int)
    return _counts(
        input_tokens=entered,
        output_tokens=usage.get("output_tokens"),
        cache_read_tokens=read,
        cache_write_tokens=write,
    )


def _langchain_usage(given: object) -> Fields:
    usage = as_fields(given) or {}
    entered = as_fields(usage.get("input_token_details")) or {}
    left = as_fields(usage.get("output_token_details")) or {}
    return _counts(
        input_tokens=usage.get("input_tokens"),
        output_tokens=usage.get("output_tokens"),
        cache_read_tokens=entered.get("cache_read"),
        cache_write_tokens=entered.get("cache_creation"),
        reasoning_tokens=left.get("reasoning"),
    )


def _counts(**counts: Any) -> Fields:
    return {name: count for name, count in counts.items() if type(count) is int}


def _has(*keys: str) -> Callable[[Fields], bool]:
    return lambda fields: all(key in fields for key in keys)


def _is_responses(fields: Fields) -> bool:
    return type(fields.get("output")) is list and (
        word_of(fields.get("object")) == "response" or "output_text" in fields
    )


def _is_langchain_result(fields: Fields) -> bool:
    generations = fields.get("generations")
    return type(generations) is list and bool(generations)


_SHAPES: tuple[tuple[Callable[[Fields], bool], Callable[[Fields, object, Limits], Reply]], ...] = (
    (lambda fields: type(fields.get("choices")) is list, _chat_completion),
    (_is_responses, _responses),
    (_has("content", "stop_reason"), _anthropic),
    (_is_langchain_result, _langchain_result),
    (_has("content", "response_metadata"), _langchain),
    (looks_like_message, _message),
)
