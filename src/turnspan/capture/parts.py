"""Messages of the common clients → GenAI messages: a role and typed parts.

Source: https://github.com/open-telemetry/semantic-conventions-genai, message parts as of
2026-10. Read shapes: OpenAI chat and responses items, Anthropic messages, LangChain messages,
and dictionaries of the same keys.
"""

from __future__ import annotations

import hashlib
from typing import Any, Final

import orjson

from turnspan.capture.stored import fields_of, plain
from turnspan.capture.values import FAST, Limits, cut_text, to_json

__all__ = ["Fields", "looks_like_message", "message_of", "parts_of", "text_of"]

Fields = dict[str, Any]

MEDIA_BASE64_CHARS: Final = 32 * 1024
_LANGCHAIN_ROLES: Final = {
    "human": "user",
    "ai": "assistant",
    "AIMessageChunk": "assistant",
    "system": "system",
    "tool": "tool",
    "function": "tool",
    "developer": "system",
}
_KNOWN_ROLES: Final = frozenset({"user", "assistant", "system", "tool", "developer", "function"})


def as_fields(value: object) -> Fields | None:
    """``value`` as a dictionary of what it stores; None for what has no fields."""
    if type(value) is dict:
        return value
    stored = plain(value) if value is not None else None
    return stored if type(stored) is dict else fields_of(value)


def looks_like_message(value: object) -> bool:
    """Whether ``value`` is a message of one of the known shapes."""
    fields = as_fields(value)
    if fields is None:
        return False
    if fields.get("role") in _KNOWN_ROLES:
        return "content" in fields or "tool_calls" in fields or "parts" in fields
    return fields.get("type") in _LANGCHAIN_ROLES and "content" in fields


def message_of(value: object, limits: Limits) -> Fields:
    """One message in GenAI form. What is no known shape becomes a user's JSON text."""
    fields = as_fields(value)
    if fields is None:
        return {"role": "user", "parts": [_text(_shown(value, limits), limits)]}
    role = _role(fields)
    message: Fields = {"role": role, "parts": parts_of(fields, role, limits)}
    if type(name := fields.get("name")) is str and name:
        message["name"] = name
    return message


def parts_of(fields: Fields, role: str, limits: Limits) -> list[Fields]:
    """The parts of one message: reasoning, content, then tool calls."""
    if role == "tool" and "tool_call_id" in fields:
        return [_response(fields.get("tool_call_id"), fields.get("content"), limits)]
    parts = _reasoning(fields, limits)
    parts += _content(fields["parts"] if "parts" in fields else fields.get("content"), limits)
    called = {part.get("id") for part in parts if part["type"] == "tool_call"}
    for call in fields.get("tool_calls") or ():
        part = _tool_call(call, limits)
        if part.get("id") is None or part["id"] not in called:
            parts.append(part)
    return parts


def text_of(message: Fields) -> str:
    """The text parts of a GenAI message, joined."""
    return "".join(part["content"] for part in message["parts"] if part["type"] == "text")


def reasoning_of(message: Fields) -> str:
    """The reasoning parts of a GenAI message, joined."""
    found = [part["content"] for part in message["parts"] if part["type"] == "reasoning"]
    return "\n".join(found)


def _role(fields: Fields) -> str:
    role = fields.get("role")
    if type(role) is str and role:
        return "system" if role == "developer" else role
    return _LANGCHAIN_ROLES.get(str(fields.get("type")), "user")


def _reasoning(fields: Fields, limits: Limits) -> list[Fields]:
    extra = as_fields(fields.get("additional_kwargs")) or {}
    for source in (fields, extra):
        for key in ("reasoning_content", "reasoning"):
            if type(text := source.get(key)) is str and text:
                return [{"type": "reasoning", "content": cut_text(text, limits.max_bytes)[0]}]
    return []


def _content(content: object, limits: Limits) -> list[Fields]:
    if content is None or content == "":
        return []
    if type(content) is str:
        return [_text(content, limits)]
    if type(content) is list or type(content) is tuple:
        return [part for block in content for part in _block(block, limits)]
    return [_text(_shown(content, limits), limits)]


def _block(block: object, limits: Limits) -> list[Fields]:
    if type(block) is str:
        return [_text(block, limits)]
    fields = as_fields(block)
    if fields is None:
        return [_text(_shown(block, limits), limits)]
    read = _BLOCKS.get(str(fields.get("type")))
    return [read(fields, limits)] if read else [_text(_shown(fields, limits), limits)]


def _text(text: str, limits: Limits) -> Fields:
    return {"type": "text", "content": cut_text(text, limits.max_bytes)[0]}


def _thought(fields: Fields, limits: Limits) -> Fields:
    text = fields.get("thinking") or fields.get("reasoning") or fields.get("content")
    if type(text) is not str:
        summary = fields.get("summary") or ()
        text = "\n".join(str((as_fields(item) or {}).get("text", "")) for item in summary)
    return {"type": "reasoning", "content": cut_text(text, limits.max_bytes)[0]}


def _tool_call(call: object, limits: Limits) -> Fields:
    fields = as_fields(call) or {}
    function = as_fields(fields.get("function")) or fields
    part: Fields = {"type": "tool_call", "name": str(function.get("name", ""))}
    if (call_id := fields.get("call_id") or fields.get("id")) is not None:
        part["id"] = str(call_id)
    arguments = next(
        (function[key] for key in ("arguments", "args", "input") if key in function), None
    )
    part["arguments"] = _json(arguments, limits)
    return part


def _response(call_id: object, response: object, limits: Limits) -> Fields:
    part: Fields = {"type": "tool_call_response", "response": _json(response, limits)}
    if call_id is not None:
        part["id"] = str(call_id)
    return part


def _json(value: object, limits: Limits) -> Any:
    """Structured data, whether it came as such or as JSON text; shared with nobody."""
    if type(value) is str:
        if not value.startswith(("{", "[")):
            return cut_text(value, limits.max_bytes)[0]
        try:
            return orjson.loads(value)
        except orjson.JSONDecodeError:
            return cut_text(value, limits.max_bytes)[0]
    return orjson.loads(to_json(value, limits).text)


def _media(fields: Fields, _: Limits) -> Fields:
    kind = str(fields["type"]).removeprefix("input_").removesuffix("_url")
    source = as_fields(fields.get("source")) or as_fields(fields.get(f"{kind}_url")) or fields
    where = source.get("url") or fields.get("image_url")
    if type(where) is str and not where.startswith("data:"):
        return {"type": "uri", "modality": kind, "uri": where}
    mime, data = _inline(source, where)
    if len(data) <= MEDIA_BASE64_CHARS:
        return {"type": "blob", "modality": kind, "content": data, "mime_type": mime}
    digest = hashlib.sha256(data.encode("utf-8", "surrogatepass")).hexdigest()
    uri = f"sha256:{digest}"
    return {"type": "uri", "modality": kind, "uri": uri, "mime_type": mime, "size": len(data)}


def _inline(source: Fields, where: object) -> tuple[str, str]:
    if type(where) is str:
        head, _, data = where.removeprefix("data:").partition(",")
        return head.partition(";")[0], data
    mime = source.get("media_type") or source.get("mime_type") or "application/octet-stream"
    data = source.get("data") or source.get("base64") or ""
    return str(mime), data if type(data) is str else ""


def _shown(value: object, limits: Limits) -> str:
    try:
        return orjson.dumps(value, None, FAST).decode()
    except (TypeError, RecursionError):
        return to_json(value, limits).text


_BLOCKS: Final = {
    "text": lambda fields, limits: _text(str(fields.get("text", fields.get("content", ""))), limits),
    "input_text": lambda fields, limits: _text(str(fields.get("text", "")), limits),
    "output_text": lambda fields, limits: _text(str(fields.get("text", "")), limits),
    "refusal": lambda fields, limits: _text(str(fields.get("refusal", "")), limits),
    "thinking": _thought,
    "reasoning": _thought,
    "tool_use": _tool_call,
    "tool_call": _tool_call,
    "function_call": _tool_call,
    "tool_result": lambda fields, limits: _response(
        fields.get("tool_use_id"), fields.get("content"), limits
    ),
    "tool_call_response": lambda fields, limits: _response(
        fields.get("id"), fields.get("response"), limits
    ),
    "image": _media,
    "image_url": _media,
    "input_image": _media,
    "audio": _media,
    "input_audio": _media,
    "video": _media,
    "file": _media,
    "document": _media,
}
