"""Messages: from the many shapes they have into the GenAI form, and each of them once.

Source: https://github.com/open-telemetry/semantic-conventions-genai, input and output message
schemas as of 2026-10 (the form they are given).
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from turnspan.telemetry.decoding.values import is_text, json_value, plain_text

__all__ = [
    "Transcript",
    "definition",
    "message",
    "messages_of",
    "ranges",
    "reasoning_of",
    "text_of",
]

Message = dict[str, Any]


def messages_of(value: Any) -> list[Message]:
    """The messages in ``value``, a list or JSON of one; what is no message is left out."""
    items = json_value(value)
    if isinstance(items, Mapping):
        items = [items]
    if not isinstance(items, list):
        return []
    return [found for item in items if (found := _message(json_value(item))) is not None]


def message(
    role: Any,
    said: Any,
    *,
    calls: Sequence[Any] = (),
    call_id: Any = None,
    finish_reason: Any = None,
    name: Any = None,
) -> Message:
    """A message in the GenAI form, from what clients of models call its content and calls."""
    role = str(role or "user")
    parts = [_answer(said, call_id)] if role == "tool" else _parts(said)
    parts += [_call(each) for each in calls]
    made: Message = {"role": role, "parts": parts}
    if is_text(name):
        made["name"] = name
    if is_text(finish_reason):
        made["finish_reason"] = finish_reason
    return made


def definition(tool: Any) -> dict[str, Any]:
    """The definition of a tool in the GenAI form: what OpenAI nests is unfolded."""
    told = dict(tool) if isinstance(tool, Mapping) else {"name": plain_text(tool)}
    inner = told.pop("function", None)
    if isinstance(inner, Mapping):
        told |= inner
    return {"type": "function", **told}


def text_of(messages: Sequence[Message]) -> str | None:
    """The texts of ``messages``, joined; None where they hold none."""
    said = [
        str(part["content"])
        for each in messages
        for part in each["parts"]
        if part["type"] == "text" and part.get("content")
    ]
    return "".join(said) or None


def reasoning_of(messages: Sequence[Message]) -> str | None:
    """The same of their reasoning."""
    said = [
        str(part["content"])
        for each in messages
        for part in each["parts"]
        if part["type"] == "reasoning" and part.get("content")
    ]
    return "\n".join(said) or None


class Transcript:
    """The messages of a turn, each once, in the order in which they were said."""

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self._places: dict[bytes, list[int]] = {}
        self._indexed = 0

    def place(self, told: Sequence[Message]) -> list[tuple[int, int]]:
        """Where ``told`` stand, in ranges; those that are new are added at the end.

        They are looked for in order: a conversation that says the same thing twice keeps both.
        """
        places: list[int] = []
        after = 0
        for each in told:
            at = self._find(each, after)
            if at is None:
                at = len(self.messages)
                self.messages.append(each)
            elif "finish_reason" in each:
                self.messages[at].setdefault("finish_reason", each["finish_reason"])
            places.append(at)
            after = at + 1
        return ranges(places)

    def _find(self, wanted: Message, after: int) -> int | None:
        self._index()
        found = self._places.get(_key(wanted), [])
        at = bisect_left(found, after)
        return found[at] if at < len(found) else None

    def _index(self) -> None:
        """Know where the messages stand that came since: a long trace has thousands."""
        for at in range(self._indexed, len(self.messages)):
            self._places.setdefault(_key(self.messages[at]), []).append(at)
        self._indexed = len(self.messages)


def ranges(places: Sequence[int]) -> list[tuple[int, int]]:
    """``places`` as half-open ranges."""
    found: list[tuple[int, int]] = []
    for at in places:
        if found and found[-1][1] == at:
            found[-1] = (found[-1][0], at + 1)
        else:
            found.append((at, at + 1))
    return found


def _key(message: Message) -> bytes:
    """What makes a message the same message: who said it, and what."""
    return orjson.dumps([message["role"], message["parts"]], option=orjson.OPT_SORT_KEYS)


def _message(item: Any) -> Message | None:
    if not isinstance(item, Mapping):
        return None
    if isinstance(item.get("message"), Mapping):
        item = {**item, **item["message"]}
    parts = item.get("parts")
    if not isinstance(parts, list):
        return message(
            item.get("role"),
            item.get("content"),
            calls=_calls(item),
            call_id=item.get("tool_call_id") or item.get("id"),
            finish_reason=item.get("finish_reason"),
            name=item.get("name"),
        )
    made: Message = {"role": str(item.get("role") or "user"), "parts": [_part(p) for p in parts]}
    for field in ("name", "finish_reason"):
        if is_text(item.get(field)):
            made[field] = item[field]
    return made


def _calls(item: Mapping[str, Any]) -> Sequence[Any]:
    calls = json_value(item.get("tool_calls"))
    return calls if isinstance(calls, list) else ()


def _parts(said: Any) -> list[dict[str, Any]]:
    said = json_value(said) if isinstance(said, str) and said.startswith('[{"type"') else said
    if said is None or said == "":
        return []
    if isinstance(said, list):
        return [_part(each) for each in said]
    if isinstance(said, Mapping):
        return [_part(said)] if "type" in said else [_text(plain_text(dict(said)))]
    return [_text(plain_text(said))]


def _part(part: Any) -> dict[str, Any]:
    """A part in the GenAI form; the parts of OpenAI's and Anthropic's clients are put into it."""
    if not isinstance(part, Mapping):
        return _text(plain_text(part))
    kind = part.get("type")
    if kind in {"text", "input_text", "output_text"} and "content" not in part:
        return _text(plain_text(part.get("text", "")))
    if kind in {"thinking", "reasoning"} and "content" not in part:
        said = part.get("thinking") or part.get("text") or part.get("reasoning") or ""
        return {"type": "reasoning", "content": plain_text(said)}
    if kind == "tool_use":
        return _call(part)
    if kind == "tool_result":
        return _answer(part.get("content"), part.get("tool_use_id"))
    if kind == "image_url":
        at = part.get("image_url")
        uri = at.get("url") if isinstance(at, Mapping) else at
        return {"type": "uri", "modality": "image", "uri": plain_text(uri)}
    made = {**part, "type": str(kind or "unknown")}
    if kind == "tool_call" and "arguments" in part:
        made["arguments"] = json_value(part["arguments"])
    if kind == "tool_call_response" and "response" not in part and "result" in part:
        made["response"] = json_value(made.pop("result"))
    return made


def _text(said: str) -> dict[str, Any]:
    return {"type": "text", "content": said}


def _answer(said: Any, call_id: Any) -> dict[str, Any]:
    part: dict[str, Any] = {"type": "tool_call_response", "response": json_value(said)}
    return part | {"id": call_id} if is_text(call_id) else part


def _call(call: Any) -> dict[str, Any]:
    if not isinstance(call, Mapping):
        return {"type": "tool_call", "name": plain_text(call)}
    inner = call.get("function")
    about = inner if isinstance(inner, Mapping) else call
    part: dict[str, Any] = {"type": "tool_call", "name": str(about.get("name") or "")}
    given = next((about[key] for key in ("arguments", "input", "args") if key in about), None)
    if given is not None:
        part["arguments"] = json_value(given)
    return part | {"id": call["id"]} if is_text(call.get("id")) else part
