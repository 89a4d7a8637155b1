"""Turns and tool calls that are alike but for a few values, as most of a program's are.

A shape is what the attributes of their spans have in common; the values are what differs.
What is unusual in any way has no shape, and its span is worked out whole.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, TypeAlias

import orjson

from turnspan.schema.records import SCHEMA_VERSION
from turnspan.telemetry import semconv as names
from turnspan.telemetry.messages import object_json, text_input, text_output

__all__ = ["VARYING", "Plain", "Values", "plain_tool", "plain_turn"]

Fields: TypeAlias = Mapping[str, Any]
Values: TypeAlias = dict[str, bytes | int]
"""Attribute → what it says, as UTF-8 or a number of at least 0."""

Plain: TypeAlias = tuple[tuple[Any, ...], Values]
"""The shape of a span, which never has the same attributes as another shape, and its values."""

VARYING: Final = frozenset({
    names.CONVERSATION_ID,
    names.INPUT_MESSAGES,
    names.INPUT_VALUE,
    names.OUTPUT_MESSAGES,
    names.OUTPUT_VALUE,
    names.SESSION_ID,
    names.TOOL_ARGUMENTS,
    names.TOOL_CALL_ID,
    names.TOOL_RESULT,
    names.TURN_ID,
    names.TURN_NUMBER,
    names.USER_ID,
})  # fmt: skip
"""The attributes that are values; all others belong to a shape."""

_TOO_LARGE: Final = 1 << 63  # OTLP has signed integers of 64 bits
_JSON: Final = "application/json"
_MIME_TYPES: Final = frozenset({_JSON, "text/plain"})
_TURN: Final = frozenset({
    "agent", "ended_at", "id", "input", "number", "output", "record", "resource",
    "schema_version", "session_id", "started_at", "status", "steps", "trace", "user_id",
})  # fmt: skip
_STEP: Final = frozenset({
    "ended_at", "id", "input", "kind", "name", "output", "parent_id", "started_at", "status",
    "tool",
})  # fmt: skip
_TOOL: Final = frozenset({"call_id", "description", "type"})
_ODD: Final = (KeyError, TypeError, AttributeError)


def plain_turn(turn: Fields) -> Plain | None:
    """Of the root span of ``turn``; None where it is not plain, or no turn."""
    try:
        return _turn(turn) if turn.keys() <= _TURN else None
    except _ODD:
        return None


def plain_tool(step: Fields, turn: Fields, agent: str) -> Plain | None:
    """Of the span of ``step``, done by ``agent`` in ``turn``; None where it is no plain tool."""
    try:
        return _tool(step, turn, agent) if step.keys() <= _STEP else None
    except _ODD:
        return None


def _turn(turn: Fields) -> Plain | None:
    agent, given, produced = turn["agent"], turn["input"], turn["output"]
    name, number, steps = agent["name"], turn.get("number"), turn.get("steps", ())
    given_as, produced_as = _mime_type(given, "text"), _mime_type(produced, "text")
    if (
        len(agent) != 1
        or type(name) is not str
        or turn["status"] != "ok"
        or turn["schema_version"] != SCHEMA_VERSION
        or given_as is None
        or produced_as is None
        or (number and (type(number) is not int or not 0 < number < _TOO_LARGE))
    ):
        return None
    for step in steps:
        if step["kind"] == "model":
            return None
    asked, answered = given["content"], produced["content"]
    values: Values = {
        names.TURN_ID: turn["id"].encode(),
        names.INPUT_MESSAGES: text_input(asked),
        names.OUTPUT_MESSAGES: text_output(answered),
        names.INPUT_VALUE: asked.encode(),
        names.OUTPUT_VALUE: answered.encode(),
    }
    if number:
        values[names.TURN_NUMBER] = number
    shape = (name, given_as, produced_as, len(steps), bool(number), *_about_session(turn, values))
    return shape, values


def _tool(step: Fields, turn: Fields, agent: str) -> Plain | None:
    tool, name, given, produced = step["tool"], step["name"], step["input"], step["output"]
    given_as, produced_as = _mime_type(given, "tool_call"), _mime_type(produced, "tool_result")
    if (
        step["kind"] != "tool"
        or step["status"] != "ok"
        or type(name) is not str
        or type(agent) is not str
        or not tool
        or not tool.keys() <= _TOOL
        or given_as is None
        or produced_as is None
    ):
        return None
    for told in tool.values():
        if type(told) is not str or not told:
            return None
    asked, answered = given["content"].encode(), produced["content"].encode()
    arguments, result = _object(given, asked, "input"), _object(produced, answered, "result")
    if arguments is None or result is None:
        return None
    values: Values = {
        names.TURN_ID: turn["id"].encode(),
        names.TOOL_ARGUMENTS: arguments,
        names.TOOL_RESULT: result,
        names.INPUT_VALUE: asked,
        names.OUTPUT_VALUE: answered,
    }
    if call_id := tool.get("call_id"):
        values[names.TOOL_CALL_ID] = call_id.encode()
    about = (agent, name, tool.get("type"), tool.get("description"), call_id is None)
    return (*about, given_as, produced_as, *_about_session(turn, values)), values


def _mime_type(content: Fields, type: str) -> str | None:
    """The MIME type of ``content`` that is of ``type``; None of any other."""
    mime_type: str = content.get("mime_type", "text/plain")
    return mime_type if content.get("type", "text") == type and mime_type in _MIME_TYPES else None


def _about_session(turn: Fields, values: Values) -> tuple[bool, bool]:
    """Add session and user of ``turn`` to ``values``; which of them it has."""
    session_id, user_id = turn.get("session_id"), turn.get("user_id")
    if session_id:
        values[names.CONVERSATION_ID] = values[names.SESSION_ID] = session_id.encode()
    if user_id:
        values[names.USER_ID] = user_id.encode()
    return bool(session_id), bool(user_id)


def _object(content: Fields, data: bytes, key: str) -> bytes | None:
    """``content``, whose text is ``data``, as a JSON object; None where it only looks like one."""
    if content.get("mime_type") != _JSON or not (data.startswith(b"{") and data.endswith(b"}")):
        return object_json(content, key).encode()
    try:
        return data if isinstance(orjson.loads(data), dict) else None
    except orjson.JSONDecodeError:
        return None
