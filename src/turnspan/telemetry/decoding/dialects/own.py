"""Our own spans, which say everything: what no convention names stands in `turnspan.rest`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import deepcopy
from typing import TYPE_CHECKING, Any, Final

import orjson

from turnspan.telemetry import semconv as names
from turnspan.telemetry.decoding.messages import reasoning_of
from turnspan.telemetry.told import (
    agent_told,
    content_told,
    model_told,
    name_told,
    speaks,
    tool_told,
    usage_told,
)

if TYPE_CHECKING:
    from turnspan.telemetry.decoding.reading import Reading
    from turnspan.telemetry.decoding.received import ReceivedSpan

__all__ = ["ALONE", "ORDER", "claims", "read"]

ORDER: Final = 0
ALONE: Final = True
_KINDS: Final = {
    names.EXECUTE_TOOL: "tool",
    names.RETRIEVAL: "retrieval",
    names.INVOKE_AGENT: "agent",
}
_GROUPS: Final = {"model": model_told, "tool": tool_told, "agent": agent_told}
_ABOUT: Final = (
    ("turn_id", names.TURN_ID),
    ("session_id", names.CONVERSATION_ID),
    ("user_id", names.USER_ID),
    ("agent_name", names.AGENT_NAME),
)
_TAKEN_OVER: Final = ("chunks", "resume_key", "truncated", "schema_version", "state_before")
_TAKEN_OVER_TOO: Final = ("state_after", "input", "output", "reasoning", "name", "status")
_TAKEN_OVER_LAST: Final = ("system_instructions", "input_tools", "tool_definitions")


def claims(span: ReceivedSpan) -> bool:
    """Whether turnspan made it, through whatever provider."""
    return names.TURN_ID in span.attributes or span.scope == names.SCOPE_NAME


def read(reading: Reading) -> None:
    """Fill in everything, and keep apart what other code put on the span."""
    notes = _uncover(reading)
    attributes, rest = reading.attributes, _object(reading.attributes.get(names.REST))
    is_turn = names.TURN_STATUS in attributes and names.TURN_ID in attributes
    reading.is_own = True
    kind = "agent" if is_turn else _kind(attributes)
    reading.kind = kind
    fields = reading.fields
    _read_common(fields, attributes, rest, reading.span.started_at)
    _read_error(fields, attributes, rest, notes)
    if is_turn:
        _read_turn(fields, attributes, rest)
    else:
        _read_step(fields, attributes, rest, kind, notes)
    _read_said(reading, rest, "turn" if is_turn else kind)
    for field, name in _ABOUT:
        reading.tell(field, attributes.get(name))
    for field in (*_TAKEN_OVER, *_TAKEN_OVER_TOO, *_TAKEN_OVER_LAST):
        if field in rest:
            fields[field] = rest[field]
    reading.used |= {name for name in attributes if name.startswith(_OURS)}
    profiled = attributes.get(names.PROFILED)
    reading.used |= {str(name) for name in profiled} if isinstance(profiled, list) else set()
    _write_notes(reading, notes, is_turn=is_turn)


_OURS: Final = ("gen_ai.", "turnspan.", "error.type", "input.", "output.", "session.id", "user.id")


class _Notes:
    """What other code said, and how the span was before."""

    def __init__(self, reading: Reading) -> None:
        noted = _object(reading.attributes.get(names.NOTED))
        span = reading.span
        self.name: str | None = span.name if "name" in noted else None
        self.span_name = str(noted.get("name", span.name))
        self.said: Sequence[Any] = noted.get("said") or (None, None)
        self.status: Sequence[Any] = noted.get("status") or (span.status, span.description)
        self.covered: Mapping[str, Any] = noted.get("attributes") or {}
        self.link_count: int | None = noted.get("links")
        self.attributes: dict[str, Any] = {}


def _uncover(reading: Reading) -> _Notes:
    """Put back what other code covered."""
    notes = _Notes(reading)
    for name, before in notes.covered.items():
        if name in reading.attributes:
            notes.attributes[name] = reading.attributes.pop(name)
        if before is not None:
            reading.attributes[name] = before
    return notes


def _write_notes(reading: Reading, notes: _Notes, *, is_turn: bool) -> None:
    attributes = notes.attributes | {
        name: value for name, value in reading.left.items() if name not in notes.attributes
    }
    links, count = reading.links, notes.link_count
    if count is None:
        count = 0 if is_turn else len(links)
    told = {
        "name": notes.name,
        "attributes": attributes,
        "events": reading.events,
        "links": links[len(links) - count :],
        "status": notes.said[0],
        "status_description": notes.said[1],
    }
    reading.fields["span"] = {field: value for field, value in told.items() if value} or None
    reading.links = links[: len(links) - count]
    reading.events = []
    reading.used |= set(reading.attributes)


def _kind(attributes: Mapping[str, Any]) -> str:
    operation = attributes.get(names.OPERATION_NAME)
    return "step" if operation is None else _KINDS.get(str(operation), "model")


def _read_common(
    fields: dict[str, Any], attributes: Mapping[str, Any], rest: Mapping[str, Any], began: int
) -> None:
    if usage := usage_told(attributes) | rest.get("usage", {}):
        fields["usage"] = usage
    if metadata := _object(attributes.get(names.METADATA)):
        fields["metadata"] = metadata
    wait_s = attributes.get(names.TIME_TO_FIRST_CHUNK)
    if isinstance(wait_s, int | float):
        fields["first_chunk_at"] = began + round(wait_s * 1e9)
    if "first_chunk_at" in rest:
        fields["first_chunk_at"] = rest["first_chunk_at"]


def _read_error(
    fields: dict[str, Any], attributes: Mapping[str, Any], rest: Mapping[str, Any], notes: _Notes
) -> None:
    error = None
    if notes.status[0] == names.STATUS_ERROR and names.ERROR_TYPE in attributes:
        error = {"type": attributes[names.ERROR_TYPE], "message": notes.status[1]}
    error = rest.get("error", error)
    if error is not None:
        stack = {"stacktrace": rest["stacktrace"]} if "stacktrace" in rest else {}
        fields["error"] = {**error, **stack}


def _read_turn(
    fields: dict[str, Any], attributes: Mapping[str, Any], rest: Mapping[str, Any]
) -> None:
    fields["agent"] = _merged(agent_told(attributes), rest.get("agent", {}))
    fields["id"] = attributes[names.TURN_ID]
    fields["status"] = attributes[names.TURN_STATUS]
    fields["tool_definitions"] = _list(attributes.get(names.TOOL_DEFINITIONS))
    for field, name in (
        ("session_id", names.CONVERSATION_ID),
        ("user_id", names.USER_ID),
        ("number", names.TURN_NUMBER),
        ("resumes", names.TURN_RESUMES),
        ("tags", names.TAGS),
    ):
        if name in attributes:
            fields[field] = attributes[name]


def _read_step(
    fields: dict[str, Any],
    attributes: Mapping[str, Any],
    rest: Mapping[str, Any],
    kind: str,
    notes: _Notes,
) -> None:
    failed = notes.status[0] == names.STATUS_ERROR
    fields["status"] = attributes.get(names.STEP_STATUS) or ("error" if failed else "ok")
    told_name = name_told(attributes, kind)
    fields["name"] = notes.span_name if told_name is None else told_name
    for field, told in _GROUPS.items():
        found: Any = told(attributes) if kind == field else None
        given = rest.get(field, {})
        if given is None or (not found and not given and field not in rest and kind != "model"):
            found = None
        elif found is not None or field in rest:
            found = _merged(found or {}, given)
        if found is not None:
            fields[field] = found


def _read_said(reading: Reading, rest: Mapping[str, Any], kind: str) -> None:
    """Input, output, reasoning and messages; ranges say where each message stands."""
    attributes, fields = reading.attributes, reading.fields
    told: dict[str, list[Any]] = {"input": [], "output": []}
    if speaks(attributes, kind):
        told["input"] = _list(attributes.get(names.INPUT_MESSAGES))
        told["output"] = _list(attributes.get(names.OUTPUT_MESSAGES))
    for field, messages in told.items():
        if places := rest.get(f"{field}_messages"):
            fields[f"{field}_messages"] = places
        found = content_told(attributes, field, kind)
        if found is None and messages and not places:
            found = _content_in(messages[0])
        if found is not None:
            fields[field] = found
    _read_endings(fields, attributes, rest, told["output"])
    fields["messages"] = rest.get("messages") or []
    for message in (*told["input"], *told["output"], *(each for _, each in fields["messages"])):
        if not message.get("finish_reason"):
            message.pop("finish_reason", None)
    reading.given = told["input"] if "input_messages" in fields else []
    reading.produced = told["output"] if "output_messages" in fields else []


def _read_endings(
    fields: dict[str, Any],
    attributes: Mapping[str, Any],
    rest: Mapping[str, Any],
    produced: list[Any],
) -> None:
    """Take out of the messages produced what was put in for the span alone."""
    if names.REASONING in attributes:
        fields["reasoning"] = attributes[names.REASONING]
    elif "output_messages" not in fields and (said := reasoning_of(produced)):
        fields["reasoning"] = said
    if rest.get("reasoned") and produced:
        first = produced[0]
        fields["reasoning"] = first["parts"][0].get("content")
        first["parts"] = first["parts"][1:]
    for at in rest.get("unsaid") or ():
        produced[at].pop("finish_reason", None)


def _content_in(message: Mapping[str, Any]) -> dict[str, Any] | None:
    for part in message.get("parts") or ():
        if part.get("type") == "text":
            return {"type": "text", "content": part.get("content", "")}
        if part.get("type") == "uri":
            return {"type": part.get("modality"), "content": part.get("uri")}
    return None


def _merged(told: Mapping[str, Any], difference: Mapping[str, Any]) -> dict[str, Any]:
    return {f: v for f, v in {**told, **difference}.items() if v is not None}


def _object(text: Any) -> dict[str, Any]:
    found = _loaded(text)
    return found if isinstance(found, dict) else {}


def _list(text: Any) -> list[Any]:
    found = _loaded(text)
    return [each for each in found if isinstance(each, dict)] if isinstance(found, list) else []


def _loaded(text: Any) -> Any:
    try:
        return orjson.loads(text) if isinstance(text, str) else deepcopy(text)
    except orjson.JSONDecodeError:
        return None
