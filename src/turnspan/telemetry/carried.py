"""What of a turn no other attribute carries, as one JSON attribute: spans read back whole.

What stands on a span already is not said again: each field is looked up among the attributes
first. `turnspan.telemetry.decoding` reads it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, TypeAlias

import orjson

from turnspan.schema.records import SCHEMA_VERSION
from turnspan.telemetry import semconv as names
from turnspan.telemetry.parts import sound_message
from turnspan.telemetry.told import (
    agent_told,
    content_told,
    is_told,
    model_told,
    name_told,
    speaks,
    tool_told,
    usage_told,
)

__all__ = ["carry_notes", "carry_step", "carry_turn"]

Fields: TypeAlias = Mapping[str, Any]
Pairs: TypeAlias = dict[str, Any]

_OURS: Final = ("gen_ai.", "turnspan.", "error.", "input.", "output.", "session.", "user.")
_PLAIN: Final = ("chunks", "resume_key", "truncated")
_TOLD: Final = {"model": model_told, "tool": tool_told, "agent": agent_told}
_ENDS: Final = (("input", "input_messages"), ("output", "output_messages"))
_DEFAULTS: Final = {"type": "text", "mime_type": "text/plain"}
# Most turns and tool calls have no more than these, which attributes tell as they are.
_TURN_TOLD: Final = frozenset({
    "agent", "ended_at", "id", "input", "metadata", "number", "output", "record", "resource",
    "schema_version", "session_id", "span", "started_at", "status", "steps", "tags", "trace",
    "user_id",
})  # fmt: skip
_TOOL_STEP_TOLD: Final = frozenset({
    "ended_at", "id", "input", "kind", "metadata", "name", "output", "parent_id", "span",
    "started_at", "status", "tool",
})  # fmt: skip
_TOOL_TOLD: Final = frozenset({"call_id", "type", "description"})


def carry_turn(
    attributes: Pairs, turn: Fields, failed: tuple[str, str] | None, *, content: bool
) -> None:
    """Add to ``attributes`` what they do not tell of ``turn``, which ``failed`` so."""
    attributes[names.TURN_STEPS] = len(turn.get("steps", ()))
    if content and _is_plain_turn(attributes, turn):
        return
    rest = _common(attributes, turn, failed, content=content)
    if agent := _difference(turn["agent"], agent_told(attributes)):
        rest["agent"] = agent
    if turn.get("schema_version", SCHEMA_VERSION) != SCHEMA_VERSION:
        rest["schema_version"] = turn["schema_version"]
    if content:
        _said(rest, attributes, turn, "turn", turn.get("messages", ()))
        _keep(rest, turn, ("state_before", "state_after"))
        if missing := _missing(turn):
            rest["messages"] = missing
        tools = turn.get("tool_definitions")
        if tools and orjson.dumps(tools).decode() != attributes.get(names.TOOL_DEFINITIONS):
            rest["tool_definitions"] = tools
    _write(attributes, rest)


def carry_step(
    attributes: Pairs,
    step: Fields,
    turn: Fields,
    failed: tuple[str, str] | None,
    *,
    content: bool,
) -> None:
    """Add to ``attributes`` what they do not tell of ``step``."""
    kind = step["kind"]
    if content and kind == "tool" and _is_plain_tool(attributes, step):
        return
    rest = _common(attributes, step, failed, content=content)
    if kind != "step" and name_told(attributes, kind) != step["name"]:
        rest["name"] = step["name"]
    status = attributes.get(names.STEP_STATUS) or ("error" if failed else "ok")
    if step.get("status", "ok") != status:
        rest["status"] = step.get("status", "ok")
    for field in _TOLD:
        if kind == field or step.get(field) is not None:
            told = _TOLD[field](attributes) if kind == field else None
            _keep_group(rest, field, step.get(field), told)
    if not content and rest.get("model"):
        rest["model"].pop("parameters", None)  # what no convention names may be anything
    if content:
        _said(rest, attributes, step, kind, turn.get("messages", ()))
        rest |= {f: step[f] for f in ("system_instructions", "input_tools") if step.get(f)}
    _write(attributes, rest)


def carry_notes(
    attributes: Pairs, name: str, status: tuple[int, str], notes: Fields
) -> dict[str, Any] | None:
    """What other code's ``notes`` are about to cover on a span; None where nothing is."""
    noted: dict[str, Any] = {}
    if notes.get("name"):
        noted["name"] = name
    if "status" in notes or "status_description" in notes:
        noted["said"] = [notes.get("status"), notes.get("status_description")]
        noted["status"] = list(status)
    covered = {
        key: attributes.get(key)
        for key in notes.get("attributes") or ()
        if key != names.NOTED and (key in attributes or key.startswith(_OURS))
    }
    if covered:
        noted["attributes"] = covered
    if links := notes.get("links"):
        noted["links"] = len(links)
    return noted or None


def _is_plain_turn(attributes: Pairs, turn: Fields) -> bool:
    return (
        turn.keys() <= _TURN_TOLD
        and len(turn["agent"]) == 1
        and turn.get("schema_version", SCHEMA_VERSION) == SCHEMA_VERSION
        and _is_plain(attributes, turn, "turn")
    )


def _is_plain_tool(attributes: Pairs, step: Fields) -> bool:
    tool = step.get("tool")
    return bool(
        tool  # an empty one is told from none by the rest alone
        and step.keys() <= _TOOL_STEP_TOLD
        and tool.keys() <= _TOOL_TOLD
        and all(tool.values())
        and _is_plain(attributes, step, "tool")
    )


def _is_plain(attributes: Pairs, fields: Fields, kind: str) -> bool:
    given, produced = fields.get("input"), fields.get("output")
    return (
        fields.get("status", "ok") == "ok"
        and (not given or is_told(attributes, "input", kind, given))
        and (not produced or is_told(attributes, "output", kind, produced))
    )


def _common(
    attributes: Pairs, fields: Fields, failed: tuple[str, str] | None, *, content: bool
) -> Pairs:
    rest: Pairs = {}
    _keep(rest, fields, _PLAIN)
    if names.TIME_TO_FIRST_CHUNK not in attributes:
        _keep(rest, fields, ("first_chunk_at",))
    if usage := fields.get("usage"):
        told = usage_told(attributes)
        if missing := {f: v for f, v in usage.items() if v is not None and told.get(f) != v}:
            rest["usage"] = missing
    _keep_error(rest, fields.get("error"), failed, content=content)
    return rest


def _keep(rest: Pairs, fields: Fields, which: Sequence[str]) -> None:
    for field in which:  # every span passes here
        if (value := fields.get(field)) is not None:
            rest[field] = value


def _keep_error(
    rest: Pairs, error: Fields | None, failed: tuple[str, str] | None, *, content: bool
) -> None:
    if failed is None and error is None:
        return
    told = None if failed is None else {"type": failed[0], "message": failed[1]}
    given = None if error is None else {"message": "", **error}
    stacktrace = None if given is None else given.pop("stacktrace", None)
    if given != told:
        rest["error"] = given if content or given is None else {"type": given.get("type", "")}
    if stacktrace is not None and content:
        rest["stacktrace"] = stacktrace


def _keep_group(rest: Pairs, field: str, given: Fields | None, told: Fields | None) -> None:
    """Keep how ``given`` differs from what is ``told``, field by field; None takes one away."""
    if given is None:
        if told or (told is not None and field == "model"):
            rest[field] = None
        return
    difference = _difference(given, told or {})
    if difference or (not told and field != "model") or told is None:
        rest[field] = difference


def _difference(given: Fields, told: Fields) -> Pairs:
    if given == told:
        return {}
    return {f: given.get(f) for f in {**told, **given} if told.get(f) != given.get(f)}


def _said(
    rest: Pairs, attributes: Pairs, fields: Fields, kind: str, messages: Sequence[Fields]
) -> None:
    speaking = speaks(attributes, kind)
    for field, ranges in _ENDS:
        places = fields.get(ranges)
        if places:
            rest[ranges] = places
        given = fields.get(field)
        if given and not is_told(attributes, field, kind, given):
            told = content_told(attributes, field, kind)
            if told is None and speaking and not places:
                told = _in_message(given)
            if {**_DEFAULTS, **given} != told:
                rest[field] = given
    if speaking:
        _keep_endings(rest, fields, messages)
    elif fields.get("reasoning") != attributes.get(names.REASONING):
        rest["reasoning"] = fields.get("reasoning")


def _in_message(given: Fields) -> Pairs:
    """What a reader makes of the one message that ``given`` becomes."""
    kind, text = given.get("type", "text"), given.get("content", "")
    as_uri = kind in names.MODALITIES and text.startswith(names.URI_SCHEMES)
    return {"type": kind if as_uri else "text", "content": text, "mime_type": "text/plain"}


def _keep_endings(rest: Pairs, fields: Fields, messages: Sequence[Fields]) -> None:
    """Of the messages produced: which said no reason to finish, and where reasoning stands."""
    if not fields.get("output_messages"):
        if fields.get("reasoning") == "":
            rest["reasoning"] = ""
        return
    produced = [messages[at] for at in _places(fields, "output_messages", len(messages))]
    if unsaid := [at for at, each in enumerate(produced) if not each.get("finish_reason")]:
        rest["unsaid"] = unsaid
    reasoning = fields.get("reasoning")
    if reasoning is None:
        return
    shown = any(p.get("type") == "reasoning" for m in produced for p in m.get("parts") or ())
    if reasoning and produced and not shown:
        rest["reasoned"] = True
    else:
        rest["reasoning"] = reasoning


def _missing(turn: Fields) -> list[list[Any]]:
    """The messages that stand on no span, or not as they are, each after its place."""
    messages = turn.get("messages", ())
    if not messages:
        return []
    named: set[int] = set()
    for each in (turn, *turn.get("steps", ())):
        operation = (each.get("model") or {}).get("operation")
        if speaks({names.OPERATION_NAME: operation}, each.get("kind", "turn")):
            for ranges in ("input_messages", "output_messages"):
                named.update(_places(each, ranges, len(messages)))
    return [
        [at, each]
        for at, each in enumerate(messages)
        if at not in named or (each.get("parts") and sound_message(each) is not each)
    ]


def _places(fields: Fields, ranges: str, count: int) -> list[int]:
    return [at for start, end in fields.get(ranges) or () for at in range(count)[start:end]]


def _write(attributes: Pairs, rest: Pairs) -> None:
    if rest:
        attributes[names.REST] = orjson.dumps(rest).decode()
