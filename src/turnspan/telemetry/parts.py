"""Message parts, documents and tool definitions as the conventions' schemas have them.

What capture makes is sound already; what came in over the wire, or from a client that sends
something new under a known name, may lack what its type asks for.

Source: https://github.com/open-telemetry/semantic-conventions-genai, message, retrieval document
and tool definition schemas as of 2026-10.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final, TypeAlias

import orjson

__all__ = ["sound_definition", "sound_document", "sound_message", "sound_parts"]

Fields: TypeAlias = Mapping[str, Any]


def sound_message(message: Fields) -> Fields:
    """``message`` with parts, each as its type asks for."""
    parts = message.get("parts")
    if parts is not None and all(map(_is_sound, parts)):
        return message
    return {**message, "parts": sound_parts(parts or ())}


def sound_parts(parts: Iterable[Fields]) -> list[Fields]:
    """``parts``, each with the fields that its type asks for."""
    return [part if _is_sound(part) else _mended(part) for part in parts]


def sound_document(item: Any) -> Fields:
    """One document that a retrieval found: a text id and a numeric score, where it has any."""
    if not isinstance(item, Mapping):
        return {"content": item}
    document = dict(item)
    if not isinstance(document.get("id"), _TEXT_OR_NONE):
        document["id"] = _text(document["id"])
    score = document.get("score")
    if score is not None and (isinstance(score, bool) or not isinstance(score, int | float)):
        document["score_text"] = _text(document.pop("score"))
    return document


def sound_definition(definition: Fields) -> Fields:
    """One tool that a model was offered: a type and a name, and an object of parameters."""
    known = dict(definition)
    known["type"] = _text(known.get("type") or "function")
    known["name"] = _text(known.get("name") or known["type"])
    parameters = known.get("parameters")
    if parameters is not None and not isinstance(parameters, dict):
        known["parameters"] = {"schema": parameters}
    return known


def _is_sound(part: Fields) -> bool:
    wanted = _WANTED.get(part.get("type", ""))
    if wanted is None:
        return True
    for key, kinds in wanted.items():
        if not isinstance(part.get(key, _ABSENT), kinds):
            return False
    return all(isinstance(part.get(key), _TEXT_OR_NONE) for key in _OPTIONAL)


def _mended(part: Fields) -> Fields:
    """``part`` with something plain where what its type asks for is missing or is no text."""
    found = dict(part)
    for key, kinds in _WANTED[part["type"]].items():
        given = found.get(key, _ABSENT)
        if not isinstance(given, kinds):
            found[key] = _instead(given, kinds)
    for key in _OPTIONAL:
        if key in found and not isinstance(found[key], _TEXT_OR_NONE):
            found[key] = _text(found[key])
    return found


def _instead(given: Any, kinds: tuple[type, ...]) -> Any:
    if dict in kinds:
        return None if len(kinds) > 1 else {"type": "unknown"}
    return "" if given is _ABSENT or given is None else _text(given)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else orjson.dumps(value).decode()


_ABSENT: Final = object()
_STRING: Final = (str,)
_OBJECT: Final = (dict,)
_TEXT_OR_NONE: Final = (str, type(None))
_ANYTHING: Final = (dict, list, str, int, float, bool, type(None))
_OPTIONAL: Final = ("id", "mime_type")
_WANTED: Final[dict[str, dict[str, tuple[type, ...]]]] = {
    "text": {"content": _STRING},
    "reasoning": {"content": _STRING},
    "tool_call": {"name": _STRING},
    "tool_call_response": {"response": _ANYTHING},
    "server_tool_call": {"name": _STRING, "server_tool_call": _OBJECT},
    "server_tool_call_response": {"server_tool_call_response": _OBJECT},
    "blob": {"modality": _STRING, "content": _STRING},
    "uri": {"modality": _STRING, "uri": _STRING},
    "file": {"modality": _STRING, "file_id": _STRING},
    "compaction": {},
}
