"""Emergence turns: messages, and the updates of the tasks that an agent worked on.

A turn of ours is told in the vendor's words, so that whoever reads that dialect understands it;
what has no word there stands in `data`, which is free: of the task's update for a step, and of
the final one for the turn. A turn of another server has no such data and is read by its words.

No client is published. Source: https://docs.emergence.ai (talk2data, chat sessions).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from turnspan.dialects.instants import iso_of, ns_of
from turnspan.dialects.unknown import AGENT, TRACE
from turnspan.errors import WireError
from turnspan.schema import Agent, Content, Cut, Message, MessagePart, Status, Step, Turn

__all__ = ["LOST", "item_of", "message_count", "turn_of"]

LOST: Final = frozenset(
    {
        "input_messages",
        "messages",
        "output_messages",
        "reasoning",
        "resource",
        "span",
        "state_after",
        "state_before",
        "steps/*/input_messages",
        "steps/*/model",
        "steps/*/output_messages",
        "steps/*/reasoning",
        "steps/*/span",
        "steps/*/usage",
        "trace",
        "truncated",
        "usage",
    }
)
"""Fields of a turn, and of its steps, that the dialect does not carry."""
_TOLD: Final = frozenset({"id", "session_id", "input", "output", "steps", "schema_version"})
_PARKED: Final = frozenset(Turn.model_fields) - LOST - _TOLD
_PARKED_OF_STEPS: Final = frozenset(
    name for name in Step.model_fields if f"steps/*/{name}" not in LOST
)
_STATES: Final[Mapping[Status, str]] = {
    "ok": "completed",
    "error": "failed",
    "cancelled": "canceled",
    "abandoned": "canceled",
    "paused": "running",
    "interrupted": "failed",
    "open": "running",
}
_TASK_STATES: Final[Mapping[Status, str]] = {
    **_STATES,
    "paused": "input-required",
    "open": "working",
}
_STATUSES: Final[Mapping[str, Status]] = {
    "completed": "ok",
    "failed": "error",
    "canceled": "cancelled",
}
_CONTENT_TYPES: Final = frozenset({"text", "audio", "image", "error"})
_OF_TOOLS: Final = frozenset({"tool_call", "tool_result"})


def item_of(
    turn: Turn,
    *,
    feedback: Mapping[str, Any] | None = None,
    artifacts: Sequence[Mapping[str, Any]] = (),
) -> dict[str, Any]:
    """``turn`` as an item of a listing; its artifacts hang on its last message."""
    messages = [
        {"message_id": f"{turn.id}:{number}", "turn_id": turn.id, **said}
        for number, said in enumerate(_messages(turn), start=1)
    ]
    if messages:
        messages[0]["context"] |= turn.metadata
        messages[-1]["generated_artifacts"] = [dict(each) for each in artifacts]
    return {
        "turn_id": turn.id,
        "messages": messages,
        "state": _STATES[turn.status],
        "feedback": None if feedback is None else dict(feedback),
        "task_updates": [*(_step_update(turn, step) for step in turn.steps), _final_update(turn)],
    }


def message_count(record: Mapping[str, Any]) -> int:
    """How many messages the turn of a `turn` record has here."""
    tools: int = sum(step.get("kind") == "tool" for step in record.get("steps") or ())
    answers = record.get("output") is not None or record.get("error") is not None
    return int(record.get("input") is not None) + 2 * tools + int(answers)


def turn_of(item: Mapping[str, Any], *, session_id: str, number: int | None = None) -> Turn:
    """The turn that ``item`` tells; its ``number`` is what its place in the listing says.

    Raises:
        WireError: it has no id or no messages, or they are not what they should be.
    """
    try:
        updates = [dict(each) for each in item.get("task_updates") or ()]
        parked = [each["data"] for each in updates if each.get("final") and _is_ours(each)]
        if parked:
            return _ours(item, session_id, parked[-1], updates)
        return _theirs(item, session_id, number, updates)
    except (AttributeError, LookupError, TypeError, ValueError, OverflowError) as error:
        raise WireError(
            f"a turn is unreadable: {type(error).__name__}: {error}",
            fix="see whether the service speaks another version of the dialect",
        ) from error


def _messages(turn: Turn) -> Iterator[dict[str, Any]]:
    if turn.input is not None:
        yield _message("user", turn.input, turn.started_at)
    for step in turn.steps:
        if step.kind == "tool":
            named = {"name": step.name}
            asked = Content(type="tool_call", content=_text(step.input))
            yield _message("assistant", asked, step.started_at, task_id=step.id, context=named)
            yield _message("tool", _result(step), step.ended_at, task_id=step.id, context=named)
    task_id = turn.trace.span_id
    if turn.output is not None:
        yield _message("assistant", turn.output, turn.ended_at, task_id=task_id)
    elif turn.error is not None:
        said = Content(type="error", content=turn.error.message or turn.error.type)
        yield _message("assistant", said, turn.ended_at, task_id=task_id)


def _result(step: Step) -> Content:
    if step.error is not None:
        return Content(type="error", content=step.error.message or step.error.type)
    return Content(type="tool_result", content=_text(step.output))


def _message(
    role: str,
    content: Content,
    at: int,
    *,
    task_id: str | None = None,
    context: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    return {
        "role": role,
        "content": content.content,
        "message_type": content.type,
        "task_id": task_id,
        "created_at": iso_of(at),
        "generated_artifacts": [],
        "context": dict(context or {}),
    }


def _step_update(turn: Turn, step: Step) -> dict[str, Any]:
    data = step.model_dump(mode="json", exclude_defaults=True, include=set(_PARKED_OF_STEPS))
    del data["id"]
    return {
        "id": f"{turn.id}:{step.id}",
        "turn_id": turn.id,
        "task_id": step.id,
        "state": _TASK_STATES[step.status],
        "final": False,
        "message": step.error.message if step.error is not None else f"{step.kind} {step.name}",
        "data": data,
        "agent": (step.agent or turn.agent).name,
        "created_at": iso_of(step.ended_at),
    }


def _final_update(turn: Turn) -> dict[str, Any]:
    data = turn.model_dump(mode="json", exclude_defaults=True, include=set(_PARKED))
    data["status"] = turn.status
    for name, content in (("input", turn.input), ("output", turn.output)):
        if content is not None:
            data[name] = content.model_dump(mode="json", exclude={"content"})
    return {
        "id": f"{turn.id}:{turn.trace.span_id}",
        "turn_id": turn.id,
        "task_id": turn.trace.span_id,
        "state": _TASK_STATES[turn.status],
        "final": True,
        "message": turn.error.message if turn.error is not None else "",
        "data": data,
        "agent": turn.agent.name,
        "created_at": iso_of(turn.ended_at),
    }


def _text(content: Content | None) -> str:
    return "" if content is None else content.content


# --- and back ---------------------------------------------------------------------------------


def _is_ours(update: Mapping[str, Any]) -> bool:
    data = update.get("data")
    return isinstance(data, Mapping) and {"started_at", "ended_at", "status"} <= data.keys()


def _ours(
    item: Mapping[str, Any],
    session_id: str,
    parked: Mapping[str, Any],
    updates: Sequence[Mapping[str, Any]],
) -> Turn:
    fields = {**parked, "id": item["turn_id"], "session_id": session_id, "trace": TRACE}
    for name, place in (("input", 0), ("output", -1)):
        if name in parked:  # what came in is the first message, what went out the last
            fields[name] = {**parked[name], "content": item["messages"][place]["content"]}
    steps = [each for each in updates if not each.get("final")]
    return Turn(**fields, steps=tuple(Step(**each["data"], id=each["task_id"]) for each in steps))


def _theirs(
    item: Mapping[str, Any],
    session_id: str,
    number: int | None,
    updates: Sequence[Mapping[str, Any]],
) -> Turn:
    messages = list(item["messages"])
    times = [at for each in [*messages, *updates] if (at := _at(each)) is not None]
    agents = [str(each["agent"]) for each in updates if each.get("agent")]
    return Turn(
        id=item["turn_id"],
        session_id=session_id,
        number=number,
        agent=Agent(name=agents[-1]) if agents else AGENT,
        status=_STATUSES.get(str(item.get("state", "created")), "open"),
        started_at=min(times, default=0),
        ended_at=max(times, default=0),
        input=_content(messages, "user", 0),
        output=_content(messages, "assistant", -1),
        messages=tuple(_heard(each) for each in messages),
        metadata=_more(messages, updates),
        trace=TRACE,
        truncated=() if times else (Cut(where="started_at", why="the service does not say"),),
    )


def _content(messages: Sequence[Mapping[str, Any]], role: str, place: int) -> Content | None:
    said = [
        each
        for each in messages
        if each["role"] == role and each.get("message_type") not in _OF_TOOLS
    ]
    if not said:
        return None
    kind = said[place].get("message_type")
    return Content(
        type=kind if kind in _CONTENT_TYPES else "text", content=str(said[place]["content"])
    )


def _heard(message: Mapping[str, Any]) -> Message:
    part = MessagePart.model_validate({"type": "text", "content": str(message["content"])})
    return Message(role=message["role"], parts=(part,))


def _more(
    messages: Sequence[Mapping[str, Any]], updates: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    """What a turn has no field for: contexts, artifacts, updates of tasks."""
    context: dict[str, Any] = {}
    artifacts: list[Any] = []
    for message in messages:
        context |= message.get("context") or {}
        artifacts += message.get("generated_artifacts") or ()
    found = {"artifacts": artifacts, "task_updates": [dict(each) for each in updates]}
    return context | {name: value for name, value in found.items() if value}


def _at(told: Mapping[str, Any]) -> int | None:
    """When it was; None where it does not say, for an empty time is the vendor's default."""
    text = told.get("created_at")
    return ns_of(text) if text else None
