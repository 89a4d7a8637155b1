"""StateBase: a turn is an input and an output with reasoning, metadata and two states.

What a StateBase turn has no field for is parked in its metadata, under `turnspan`, and taken from
there when it is read: nothing of a turn is lost between two programs that know this module. What
StateBase's clients put on a turn that a `Turn` has no field for (types of their own, a tool's
arguments) is kept in the turn's metadata under `statebase.more`, and given back in its place.

Source: https://docs.statebase.org (Turns API, Sessions API), statebase 0.4.1.
"""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import blake2b
from typing import Any, Final, get_args

import orjson

from turnspan.dialects.instants import iso_of, ns_of
from turnspan.dialects.unknown import AGENT, TRACE
from turnspan.errors import WireError
from turnspan.schema import Content, Cut, Turn, encode_turn
from turnspan.schema.content import JSON, TEXT, ContentType
from turnspan.schema.wire import turn_of as native_turn

__all__ = [
    "MORE",
    "NOT_CARRIED",
    "PARKED",
    "is_parked",
    "item_of",
    "lean",
    "parked_session_id",
    "preview_of",
    "request_of",
    "session_request_of",
    "turn_of",
]

PARKED: Final = "turnspan"
"""In the metadata of a StateBase turn or session: what StateBase has no field for."""
MORE: Final = "statebase.more"
"""In the metadata of a turn: what StateBase's input and output had beside type and content."""
NOT_CARRIED: Final = frozenset(
    {
        "first_chunk_at",
        "error",
        "messages",
        "input_messages",
        "output_messages",
        "steps",
        "tags",
        "usage",
        "trace",
        "resource",
        "resumes",
        "resume_key",
        "span",
    }
)
"""Fields that are empty in a turn that another program than turnspan wrote to StateBase."""
LONGEST_TTL_S: Final = 2_592_000
PREVIEW_CHARS: Final = 100

_US: Final = 1_000
_MS: Final = 1_000_000
_LONGEST_MS: Final = 10 * 365 * 86_400 * 1_000
_IDENTITY: Final = (
    "id",
    "session_id",
    "number",
    "agent",
    "user_id",
    "status",
    "started_at",
    "ended_at",
    "trace",
)
"""Parked always on the way to a service, which gives ids, numbers and times of its own."""
_HEAVY: Final = ("steps", "messages", "input_messages", "output_messages", "resource", "span")
_TYPES: Final = {name: name for name in get_args(ContentType)} | {"tool_response": "tool_result"}
_EMPTY: Final[dict[str, Any]] = {
    name: field.get_default(call_default_factory=True)
    for name, field in Turn.model_fields.items()
    if not field.is_required()
}


def turn_of(item: Mapping[str, Any], *, agent: str, user_id: str | None) -> Turn:
    """The turn that a StateBase turn stands for; ``agent`` and ``user_id`` are its session's.

    Raises:
        WireError: it is no turn of StateBase.
    """
    try:
        parked = _parked(item.get("metadata"))
        if parked is not None:
            seen = {key: each for key, each in item["metadata"].items() if key != PARKED}
            plain = _record_of({**item, "metadata": seen}, agent, user_id)
            try:
                return native_turn(plain | dict(parked))
            except WireError:  # somebody else's key, of the same name
                pass
        return native_turn(_record_of(item, agent, user_id))
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise WireError(
            f"this is no turn of StateBase: {type(error).__name__}: {error}",
            fix="see that the URL names the right dialect",
        ) from error


def item_of(
    turn: Turn, *, agent: str, user_id: str | None, number: int | None = None
) -> dict[str, Any]:
    """``turn`` as StateBase answers it; ``number`` stands in where it has none."""
    item = _plain(turn, turn.number or number or 1)
    parked = _beyond(turn, turn_of(item, agent=agent, user_id=user_id))
    return _with_parked(turn, item, parked)


def request_of(turn: Turn) -> dict[str, Any]:
    """The body that adds ``turn`` to a session of a service."""
    item = _plain(turn, 1)
    parked = _beyond(turn, turn_of(item, agent=turn.agent.name, user_id=None))
    whole = _record(turn)
    parked |= {name: whole.get(name, _EMPTY.get(name)) for name in _IDENTITY}
    asked = _with_parked(turn, item, parked)
    sent = ("input", "output", "reasoning", "metadata", "state_before", "state_after")
    return {name: asked[name] for name in sent}


def session_request_of(turn: Turn) -> dict[str, Any]:
    """The body that makes the session of ``turn`` on a service."""
    asked: dict[str, Any] = {
        "agent_id": turn.agent.name or AGENT.name,
        "metadata": {PARKED: {"session_id": turn.session_id, "schema_version": 1}},
        "ttl_seconds": LONGEST_TTL_S,
    }
    return asked if turn.user_id is None else asked | {"user_id": turn.user_id}


def lean(turn: Turn) -> Turn:
    """``turn`` without what grows without bound; each field that was left out says so."""
    left_out = {name: _EMPTY[name] for name in _HEAVY if getattr(turn, name) != _EMPTY[name]}
    cuts = tuple(Cut(where=name, why="too large for StateBase") for name in left_out)
    return turn.model_copy(update={**left_out, "truncated": turn.truncated + cuts})


def is_parked(metadata: Any) -> bool:
    """Whether ``metadata`` of a StateBase turn holds what turnspan parked there."""
    return _parked(metadata) is not None


def parked_session_id(metadata: Any) -> str | None:
    """The id under which turnspan knows the session with this ``metadata``."""
    found = (_parked(metadata) or {}).get("session_id")
    return found if isinstance(found, str) else None


def preview_of(part: Mapping[str, Any]) -> str:
    """The beginning of an input or output, as lists show it."""
    return str(part["content"])[:PREVIEW_CHARS]


def _record_of(item: Mapping[str, Any], agent: str, user_id: str | None) -> dict[str, Any]:
    """The native record of what StateBase's own fields say."""
    at = ns_of(item["created_at"])
    metadata = dict(item.get("metadata") or {})
    taken, given = item["input"], item["output"]
    record = {
        "id": item["id"],
        "session_id": item["session_id"],
        "number": item["turn_number"],
        "agent": {"name": agent},
        "user_id": user_id,
        "status": "error" if given["type"] == "error" else "ok",
        "started_at": at,
        "ended_at": at + _length_ns(metadata.get("latency_ms")),
        "input": _content(taken),
        "output": _content(given),
        "reasoning": item.get("reasoning"),
        "state_before": item.get("state_before"),
        "state_after": item.get("state_after"),
        "metadata": metadata,
        "trace": TRACE.model_dump(),
    }
    more = {name: said for name in ("input", "output") if (said := _more(item[name]))}
    if more:
        metadata[MORE] = more
    if (step := _tool_step(record, more)) is not None:
        record["steps"] = [step]
    return record


def _tool_step(record: Mapping[str, Any], more: Mapping[str, Any]) -> dict[str, Any] | None:
    """The tool call that StateBase's client tells of in a turn of its own."""
    call = more.get("input", {}).get("tool_metadata")
    if record["input"]["type"] != "tool_call" or not isinstance(call, Mapping):
        return None
    name, call_id = call.get("name"), call.get("id")
    if not isinstance(name, str):
        return None
    output = more.get("output", {})
    answered = _told(output["output"]) if "output" in output else record["output"]
    return {
        # The same whenever the same turn is read.
        "id": blake2b(f"{record['id']}/tool".encode("utf-8", "replace"), digest_size=8).hexdigest(),
        "kind": "tool",
        "name": name,
        "status": record["status"],
        "started_at": record["started_at"],
        "ended_at": record["ended_at"],
        "input": _told(call.get("arguments")),
        "output": answered,
        "tool": {"call_id": call_id if isinstance(call_id, str) else None},
    }


def _told(value: Any) -> dict[str, str]:
    """A value as content: a text as it is, anything else as JSON."""
    if isinstance(value, str):
        return {"content": value, "mime_type": TEXT}
    return {"content": orjson.dumps(value).decode(), "mime_type": JSON}


def _content(part: Mapping[str, Any]) -> dict[str, Any]:
    return {"type": _TYPES.get(part["type"], "text"), "content": part["content"]}


def _more(part: Mapping[str, Any]) -> dict[str, Any]:
    """What ``part`` says that a content cannot: other keys, and a type that is not one of ours."""
    said = {key: value for key, value in part.items() if key not in {"type", "content"}}
    return said if part["type"] in get_args(ContentType) else {"type": part["type"], **said}


def _plain(turn: Turn, number: int) -> dict[str, Any]:
    """``turn`` in StateBase's own fields, as far as they go."""
    metadata = dict(turn.metadata)
    more = metadata.pop(MORE, None) if _is_more(turn.metadata.get(MORE)) else {}
    return {
        "object": "turn",
        "id": turn.id,
        "session_id": turn.session_id or "",
        "turn_number": number,
        "created_at": iso_of(turn.started_at // _US * _US),
        "input": _part(turn.input, more.get("input", {})),
        "output": _part(turn.output or _failure(turn), more.get("output", {})),
        "reasoning": turn.reasoning,
        "metadata": metadata or None,
        "state_before": _object(turn.state_before),
        "state_after": _object(turn.state_after),
    }


def _failure(turn: Turn) -> Content | None:
    """What stands for an answer that there is none of."""
    if turn.error is None:
        return None
    return Content(type="error", content=f"{turn.error.type}: {turn.error.message}")


def _part(content: Content | None, more: Mapping[str, Any]) -> dict[str, Any]:
    shown = Content(content="") if content is None else content
    return {"type": shown.type, **more, "content": shown.content}


def _is_more(found: Any) -> bool:
    """Whether ``found`` is what `_record_of` put under `MORE`."""
    return (
        isinstance(found, Mapping)
        and bool(found)
        and found.keys() <= {"input", "output"}
        and all(
            isinstance(each, Mapping) and isinstance(each.get("type", ""), str)
            for each in found.values()
        )
    )


def _with_parked(turn: Turn, item: dict[str, Any], parked: dict[str, Any]) -> dict[str, Any]:
    """``item`` with ``parked`` in its metadata, where there is something to park."""
    if not parked:
        return item
    seen = dict(item["metadata"] or {})
    if PARKED in seen:  # a key of the user's own, of the same name
        del seen[PARKED]
        parked |= {"metadata": _record(turn)["metadata"]}
    return {**item, "metadata": {**seen, PARKED: {**parked, "schema_version": turn.schema_version}}}


def _beyond(turn: Turn, read: Turn) -> dict[str, Any]:
    """The fields of ``turn`` that differ in what would be ``read``."""
    ours, theirs = _record(turn), _record(read)
    found: dict[str, Any] = {}
    for name in sorted(ours.keys() | theirs.keys()):
        value = ours.get(name, _EMPTY.get(name))
        if value != theirs.get(name, _EMPTY.get(name)):
            found[name] = value
    return found


def _parked(metadata: Any) -> Mapping[str, Any] | None:
    found = metadata.get(PARKED) if isinstance(metadata, Mapping) else None
    is_ours = isinstance(found, Mapping) and isinstance(found.get("schema_version"), int)
    return found if is_ours else None


def _record(turn: Turn) -> dict[str, Any]:
    record: dict[str, Any] = orjson.loads(encode_turn(turn))
    del record["record"]
    return record


def _object(state: Any) -> Any:
    """``state`` where StateBase can carry it: its states are objects."""
    return state if isinstance(state, dict) else None


def _length_ns(latency_ms: Any) -> int:
    """How long a turn took, where its metadata says so as StateBase's guide has it."""
    if isinstance(latency_ms, bool) or not isinstance(latency_ms, int | float):
        return 0
    return round(latency_ms * _MS) if 0 <= latency_ms <= _LONGEST_MS else 0
