"""Content attributes: what went in and came out, as the JSON strings the conventions want.

Source: https://github.com/open-telemetry/semantic-conventions-genai, input and output message,
tool call and retrieval document schemas as of 2026-10. Spans carry them as JSON strings.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import orjson

from turnspan.telemetry import semconv as names
from turnspan.telemetry.parts import (
    sound_definition,
    sound_document,
    sound_message,
    sound_parts,
)

__all__ = [
    "definitions",
    "documents",
    "honest",
    "input_messages",
    "instructions",
    "object_json",
    "output_messages",
    "text_input",
    "text_output",
]

Fields: TypeAlias = Mapping[str, Any]

_dumps = orjson.dumps
_USER = b'[{"role":"user","parts":['
_ASSISTANT = b'[{"role":"assistant","parts":['
_TEXT = b'{"type":"text","content":'
_JSON = "application/json"


def input_messages(fields: Fields, messages: Sequence[Fields]) -> str | None:
    """What a turn or step was given: the messages its ranges name, else its input as one."""
    if ranges := fields.get("input_messages"):
        return _dump([sound_message(m) for m in _at(ranges, messages)])
    if content := fields.get("input"):
        return (_USER + _part(content) + b"]}]").decode()
    return None


def output_messages(fields: Fields, messages: Sequence[Fields], *, failed: bool) -> str | None:
    """What a turn or step produced; every message carries its `finish_reason`."""
    if ranges := fields.get("output_messages"):
        found = _at(ranges, messages)
        said = (fields.get("model") or {}).get("finish_reasons") or ()
        told = [
            _finished(sound_message(m), said[i] if i < len(said) else None, failed=failed)
            for i, m in enumerate(found)
        ]
        return _dump(_reasoned(told, fields.get("reasoning")))
    content, reasoning = fields.get("output"), fields.get("reasoning")
    if not content and not reasoning:
        return None
    parts = [_dumps({"type": "reasoning", "content": reasoning})] if reasoning else []
    if content:
        parts.append(_part(content))
    reasons = (fields.get("model") or {}).get("finish_reasons")
    reason = reasons[0] if reasons else "error" if failed else "stop"
    end = b'],"finish_reason":' + _dumps(reason) + b"}]"
    return (_ASSISTANT + b",".join(parts) + end).decode()


def text_input(text: str) -> bytes:
    """`input_messages` of a ``text`` that is all there is."""
    return _USER + _TEXT + _dumps(text) + b"}]}]"


def text_output(text: str) -> bytes:
    """`output_messages` of the same, where nothing failed."""
    return _ASSISTANT + _TEXT + _dumps(text) + b'}],"finish_reason":"stop"}]'


def instructions(ranges: Sequence[Sequence[int]], messages: Sequence[Fields]) -> str:
    """The parts of the messages that stand at ``ranges`` as system instructions."""
    found = _at(ranges, messages)
    return _dump([part for m in found for part in sound_parts(m.get("parts") or ())])


def definitions(ranges: Sequence[Sequence[int]], known: Sequence[Fields]) -> str:
    """The tool definitions at ``ranges`` among those that are ``known``."""
    return _dump([sound_definition(definition) for definition in _at(ranges, known)])


def object_json(content: Fields, key: str) -> str:
    """``content`` as a JSON object; what is none is wrapped as ``{key: …}``.

    Content that says it is JSON and looks like an object is taken at its word: see `honest`.
    """
    text: str = content.get("content", "")
    if content.get("mime_type") != _JSON:
        return _dump({key: text})
    return text if _looks_like_object(text) else _dump({key: _value(text)})


def honest(fields: Fields) -> Fields:
    """``fields`` of a step whose input and output are JSON where they say so, else text.

    Those that were just captured are. Of a turn that was read from somewhere, nobody knows.
    """
    for where in ("input", "output"):
        content = fields.get(where)
        if content and content.get("mime_type") == _JSON:
            text = content.get("content", "")
            if _looks_like_object(text) and not isinstance(_value(text), dict):
                fields = {**fields, where: {**content, "mime_type": "text/plain"}}
    return fields


def documents(content: Fields) -> str:
    """What a retrieval found, as a list of documents."""
    found = content.get("content", "")
    if content.get("mime_type") == _JSON:
        found = _value(found)
    items = found if isinstance(found, list) else [found]
    return _dump([sound_document(item) for item in items])


def _at(ranges: Sequence[Sequence[int]], messages: Sequence[Fields]) -> list[Fields]:
    return [m for start, end in ranges for m in messages[start:end]]


def _finished(message: Fields, said: str | None, *, failed: bool) -> Fields:
    if message.get("finish_reason"):
        return message
    parts = message["parts"]
    calls = bool(parts) and parts[-1].get("type") == "tool_call"
    reason = said or ("error" if failed else "tool_call" if calls else "stop")
    return {**message, "finish_reason": reason}


def _reasoned(messages: list[Fields], reasoning: str | None) -> list[Fields]:
    """``messages`` with ``reasoning`` in front of the first, unless they show theirs already."""
    if not reasoning or not messages:
        return messages
    if any(part.get("type") == "reasoning" for m in messages for part in m["parts"]):
        return messages
    first = messages[0]
    parts = [{"type": "reasoning", "content": reasoning}, *first["parts"]]
    return [{**first, "parts": parts}, *messages[1:]]


def _part(content: Fields) -> bytes:
    """``content`` as a JSON part; pasted, for a turn passes here four times."""
    kind, text = content.get("type"), content.get("content", "")
    if kind in names.MODALITIES and text.startswith(names.URI_SCHEMES):
        return _dumps({"type": "uri", "modality": kind, "uri": text})
    return _TEXT + _dumps(text) + b"}"


def _looks_like_object(text: str) -> bool:
    return text.startswith("{") and text.endswith("}")


def _value(text: str) -> Any:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:  # cut by a size limit
        return text


def _dump(value: Any) -> str:
    return _dumps(value).decode()
