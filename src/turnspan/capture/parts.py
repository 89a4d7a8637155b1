"""Messages of the common clients → GenAI messages: a role and typed parts.

Source: https://github.com/open-telemetry/semantic-conventions-genai, message parts as of
2026-10. Read shapes: OpenAI chat and responses items, Anthropic messages, LangChain messages,
and dictionaries of the same keys.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import orjson

from turnspan.capture.stored import Entries, plain
from turnspan.capture.texts import short
from turnspan.capture.values import Limits, cut_text, to_json

__all__ = [
    "MAX_PARTS",
    "WHY_CUT",
    "Fields",
    "as_fields",
    "looks_like_message",
    "message_of",
    "parts_of",
    "reasoning_of",
    "rows_of",
    "text_of",
    "without_media",
    "word_of",
]

Fields = dict[str, Any]

MAX_PARTS: Final = 1000
WHY_CUT: Final = "turnspan.cut"
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
_ITEM_ROLES: Final = {  # what the Responses API has in a history beside messages
    "function_call": "assistant",
    "custom_tool_call": "assistant",
    "reasoning": "assistant",
    "function_call_output": "tool",
    "custom_tool_call_output": "tool",
}
_KNOWN_ROLES: Final = frozenset({"user", "assistant", "system", "tool", "developer", "function"})


def as_fields(value: object) -> Fields | None:
    """``value`` as a dictionary of what it stores; None for what has no fields."""
    if type(value) is dict:
        return value
    stored = None if value is None else plain(value)
    if type(stored) is Entries:
        return {key: item for key, item in stored if type(key) is str}
    return stored if type(stored) is dict else None


def rows_of(value: object) -> list[Any] | tuple[Any, ...]:
    """``value`` as a row of items; empty for what is none."""
    stored = None if value is None else plain(value)
    return stored if type(stored) is list or type(stored) is tuple else ()


def word_of(value: object) -> str:
    """``value`` as a word or number, empty for what is neither."""
    if type(value) is str:
        return value
    stored = None if value is None else plain(value)
    if type(stored) is str:
        return stored
    return str(stored) if type(stored) is int or type(stored) is float else ""


def looks_like_message(value: object) -> bool:
    """Whether ``value`` is a message of one of the known shapes."""
    fields = as_fields(value)
    if fields is None:
        return False
    if word_of(fields.get("role")) in _KNOWN_ROLES:
        return "content" in fields or "tool_calls" in fields or "parts" in fields
    kind = word_of(fields.get("type"))
    if kind in _ITEM_ROLES:
        return "call_id" in fields or "summary" in fields
    return kind in _LANGCHAIN_ROLES and "content" in fields


def message_of(value: object, limits: Limits) -> Fields:
    """One message in GenAI form. What is no known shape becomes a user's JSON text."""
    fields = as_fields(value)
    if fields is None:
        return {"role": "user", "parts": [_text(_shown(value, limits), limits)]}
    role = _role(fields)
    message: Fields = {"role": role, "parts": parts_of(fields, role, limits)}
    if not _is_item(fields) and (name := word_of(fields.get("name"))):
        message["name"] = short(name)
    return message


def parts_of(fields: Fields, role: str, limits: Limits) -> list[Fields]:
    """The parts of one message: reasoning, content, then tool calls."""
    if _is_item(fields):
        return _block(fields, limits)
    if role == "tool" and "tool_call_id" in fields:
        return [_response(fields.get("tool_call_id"), fields.get("content"), limits)]
    parts = _reasoning(fields, limits)
    parts += _content(fields["parts"] if "parts" in fields else fields.get("content"), limits)
    if refusal := word_of(fields.get("refusal")):
        parts.append(_text(refusal, limits))
    called = {part.get("id") for part in parts if part["type"] == "tool_call"}
    calls = rows_of(fields.get("tool_calls"))
    for call in calls[:MAX_PARTS]:
        part = _tool_call(call, limits)
        if part.get("id") is None or part["id"] not in called:
            parts.append(part)
    _note_more(parts, calls)
    return parts


def text_of(message: Fields) -> str:
    """The text parts of a GenAI message, joined."""
    return "".join(part["content"] for part in message["parts"] if part["type"] == "text")


def reasoning_of(message: Fields) -> str:
    """The reasoning parts of a GenAI message, joined."""
    found = [part["content"] for part in message["parts"] if part["type"] == "reasoning"]
    return "\n".join(found)


def without_media(value: object, limits: Limits) -> object:
    """A tool's result: where it is blocks with media among them, these become parts."""
    blocks = rows_of(value)
    fields = [as_fields(block) or {} for block in blocks]
    if not any(_BLOCKS.get(word_of(block.get("type"))) is _media for block in fields):
        return value
    parts = [part for block in blocks for part in _block(block, limits)]
    for part in parts:
        part.pop(WHY_CUT, None)  # inside a result nobody would look for it
    return parts


def _role(fields: Fields) -> str:
    if role := word_of(fields.get("role")):
        return "system" if role == "developer" else short(role)
    kind = word_of(fields.get("type"))
    if kind.endswith("_call"):
        return "assistant"
    return _ITEM_ROLES.get(kind) or _LANGCHAIN_ROLES.get(kind, "user")


def _is_item(fields: Fields) -> bool:
    """Whether it is an item of the Responses API that is no message: a call, its output, …"""
    if "role" in fields:
        return False
    kind = word_of(fields.get("type"))
    return kind in _ITEM_ROLES or kind.endswith("_call")


def _reasoning(fields: Fields, limits: Limits) -> list[Fields]:
    extra = as_fields(fields.get("additional_kwargs")) or {}
    for source in (fields, extra):
        for key in ("reasoning_content", "reasoning"):
            if text := word_of(source.get(key)):
                return [_reasoned(text, limits)]
    return []


def _content(content: object, limits: Limits) -> list[Fields]:
    if content is None:
        return []
    if type(content) is str:
        return [_text(content, limits)] if content else []
    if type(content) is list or type(content) is tuple:
        parts = [part for block in content[:MAX_PARTS] for part in _block(block, limits)]
        _note_more(parts, content)
        return parts
    return [_text(_shown(content, limits), limits)]


def _note_more(parts: list[Fields], given: list[Any] | tuple[Any, ...]) -> None:
    if len(given) > MAX_PARTS and parts:
        parts[-1][WHY_CUT] = f"more than {MAX_PARTS} parts"


def _block(block: object, limits: Limits) -> list[Fields]:
    if type(block) is str:
        return [_text(block, limits)]
    fields = as_fields(block)
    if fields is None:
        return [_text(_shown(block, limits), limits)]
    kind = word_of(fields.get("type"))
    if not kind:
        return [_text(_shown(fields, limits), limits)]
    return [_BLOCKS.get(kind, _other)(fields, limits)]


def _text(text: str, limits: Limits) -> Fields:
    return {"type": "text", "content": _cut(text, limits)}


def _said(key: str) -> Callable[[Fields, Limits], Fields]:
    return lambda fields, limits: _text(
        word_of(fields.get(key)) or word_of(fields.get("content")), limits
    )


def _reasoned(text: str, limits: Limits) -> Fields:
    return {"type": "reasoning", "content": _cut(text, limits)}


def _thought(fields: Fields, limits: Limits) -> Fields:
    for key in ("thinking", "reasoning", "content"):
        if text := word_of(fields.get(key)):
            return _reasoned(text, limits)
    rows = [as_fields(item) or {} for item in rows_of(fields.get("summary"))]
    return _reasoned("\n".join(word_of(row.get("text")) for row in rows), limits)


def _tool_call(call: object, limits: Limits) -> Fields:
    fields = as_fields(call) or {}
    function = as_fields(fields.get("function")) or as_fields(fields.get("custom")) or fields
    part: Fields = {"type": "tool_call", "name": word_of(function.get("name"))}
    if call_id := word_of(fields.get("call_id")) or word_of(fields.get("id")):
        part["id"] = call_id
    arguments = next(
        (function[key] for key in ("arguments", "args", "input") if key in function), None
    )
    part["arguments"] = _json(arguments, limits, part)
    return part


def _response(call_id: object, response: object, limits: Limits) -> Fields:
    shown = response if type(response) is str else without_media(response, limits)
    part: Fields = {"type": "tool_call_response"}
    part["response"] = _json(shown, limits, part)
    if known := word_of(call_id):
        part["id"] = known
    return part


def _other(fields: Fields, limits: Limits) -> Fields:
    """A part of a kind that the conventions have no name for: kept under its own."""
    kept = {key: item for key, item in fields.items() if key != "type"}
    part: Fields = {"type": word_of(fields["type"])}
    part["content"] = _json(kept, limits, part)
    return part


def _as_it_is(fields: Fields, limits: Limits) -> Fields:
    """A part in the conventions' own form."""
    part: Fields = {}
    kept = _json({key: item for key, item in fields.items() if key != "type"}, limits, part)
    return {**kept, **part, "type": word_of(fields["type"])}


def _json(value: object, limits: Limits, part: Fields) -> Any:
    """Structured data, whether it came as such or as JSON text; shared with nobody.

    Why it is not whole stands in ``part`` until the turn knows: see `weigh_messages`.
    """
    if type(value) is str:
        if not value.startswith(("{", "[")) or len(value) > limits.max_bytes:
            return _cut(value, limits)
        try:
            return orjson.loads(value)
        except orjson.JSONDecodeError:
            return _cut(value, limits)
    written = to_json(value, limits)
    if written.cut is not None:
        part[WHY_CUT] = written.cut
    return orjson.loads(written.text)


def _media(fields: Fields, limits: Limits) -> Fields:
    kind = word_of(fields.get("modality")) or word_of(fields["type"])
    kind = kind.removeprefix("input_").removesuffix("_url")
    places = ("source", f"{kind}_url", f"input_{kind}", kind)
    source = next((found for key in places if (found := as_fields(fields.get(key)))), fields)
    kind = "document" if kind == "file" else kind
    if known := word_of(source.get("file_id")):
        return {"type": "file", "modality": kind, "file_id": known}
    where = next((text for key in _WHERE if (text := word_of(source.get(key)))), "")
    if where and not where.startswith("data:"):
        return {"type": "uri", "modality": kind, "uri": where}
    mime, data = _inline(source, where)
    if limits.media or len(data) <= MEDIA_BASE64_CHARS:
        return {"type": "blob", "modality": kind, "content": data, "mime_type": mime}
    import hashlib  # here: large media are rare

    digest = hashlib.sha256(data.encode("utf-8", "surrogatepass")).hexdigest()
    uri = f"sha256:{digest}"
    return {"type": "uri", "modality": kind, "uri": uri, "mime_type": mime, "size": len(data)}


def _inline(source: Fields, where: str) -> tuple[str, str]:
    """The media type and base64 of what stands in the message itself."""
    data = where or next((text for key in _DATA if (text := word_of(source.get(key)))), "")
    if data.startswith("data:"):
        head, _, data = data.removeprefix("data:").partition(",")
        return head.partition(";")[0], data
    mime = word_of(source.get("media_type")) or word_of(source.get("mime_type"))
    return mime or word_of(source.get("format")) or "application/octet-stream", data


def _cut(text: str, limits: Limits) -> str:
    return cut_text(text, limits.max_bytes, words=limits.words)[0]


def _shown(value: object, limits: Limits) -> str:
    return to_json(value, limits).text


_WHERE: Final = ("url", "image_url", "file_url", "uri")
_DATA: Final = ("data", "base64", "file_data", "content")
_BLOCKS: Final[dict[str, Callable[[Fields, Limits], Fields]]] = {
    "text": _said("text"),
    "input_text": _said("text"),
    "output_text": _said("text"),
    "refusal": _said("refusal"),
    "thinking": _thought,
    "reasoning": _thought,
    "tool_use": _tool_call,
    "server_tool_use": _tool_call,
    "tool_call": _tool_call,
    "function_call": _tool_call,
    "custom_tool_call": _tool_call,
    "tool_result": lambda fields, limits: _response(
        fields.get("tool_use_id"), fields.get("content"), limits
    ),
    "custom_tool_call_output": lambda fields, limits: _response(
        fields.get("call_id"), fields.get("output"), limits
    ),
    "function_call_output": lambda fields, limits: _response(
        fields.get("call_id"), fields.get("output"), limits
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
    "input_file": _media,
    "document": _media,
    "blob": _media,
    "uri": _media,
    "compaction": _as_it_is,
    "server_tool_call": _as_it_is,
    "server_tool_call_response": _as_it_is,
}
