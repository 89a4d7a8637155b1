"""Sonzai: an exchange is a list of messages, which is processed after it was taken.

Sonzai takes the latest exchange of a user with an agent, never the history before it, and lists
only the texts of recent messages. Its schemas are closed: what has no field of its own there
cannot be sent at all. docs/dialects/sonzai.md says what maps to what.

Source: sonzai 1.8.0; https://github.com/sonz-ai/sonzai-typescript openapi.json of 2026-07-10.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final
from urllib.parse import quote

import orjson

from turnspan.dialects.unknown import TRACE
from turnspan.schema import JSON, Agent, Content, Message, MessagePart, Status, Step, Tool, Turn

__all__ = [
    "ASIDE",
    "EXTRACTION",
    "LOST",
    "LOST_WRITING",
    "agent_of",
    "derived_id",
    "key_of",
    "request_of",
    "session_of",
    "speaks",
    "text_of",
    "turn_of",
    "user_of",
    "version_of",
]

_BOTH_WAYS: Final = frozenset(
    {"session_id", "user_id", "agent", "input", "output", "schema_version"}
)
_OF_AGENTS: Final = frozenset({"agent/id", "agent/version", "agent/description"})
LOST_WRITING: Final = (
    frozenset(Turn.model_fields) - _BOTH_WAYS - {"id", "steps"} | {"agent/version"}
) | {"agent/description"}
"""Fields of a turn that are not sent. Of its steps, calls of tools are, without their times."""
LOST: Final = (frozenset(Turn.model_fields) - _BOTH_WAYS - {"messages"}) | _OF_AGENTS
"""Fields of a turn that cannot be read. Its times are those at which the service took it, its
id is made from what is read, and of its messages those of tools are missing."""

EXTRACTION: Final = "sonzai.extraction_id"
"""In the metadata of every turn that came to the server in this dialect."""
ASIDE: Final = {
    "instanceId": "sonzai.instance_id",
    "userDisplayName": "sonzai.user_display_name",
    "userTimezone": "sonzai.user_timezone",
    "provider": "sonzai.provider",
    "model": "sonzai.model",
}
"""What comes beside the messages, and under which key of the metadata it is kept."""
_UNHEARD: Final = frozenset({"audio", "image"})
_KEY: Final = re.compile(r"(turn_[0-9A-Za-z]{12})(\.interrupted)?")
_BASE62: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_DEEP: Final = 100  # brackets; what is nested deeper than JSON can be written stays a text


# --- a turn is sent -------------------------------------------------------------------------


def request_of(turn: Turn) -> dict[str, Any]:
    """The body that submits ``turn``; its `messages` are empty where nothing can be carried."""
    return {"userId": user_of(turn), "messages": _exchange(turn), **_aside(turn)}


def agent_of(turn: Turn) -> str:
    """By what the service knows the agent: its id where it has one."""
    return turn.agent.id or turn.agent.name


def session_of(turn: Turn) -> str:
    """The session; a turn without one is a session of its own."""
    return turn.session_id or turn.id


def user_of(turn: Turn) -> str:
    """The user; where nobody is named, the session: strangers must not share one memory."""
    return turn.user_id or session_of(turn)


def key_of(turn: Turn) -> str:
    """The idempotency key: one for each version of a turn, and the same whenever it is sent."""
    key = quote(turn.id, safe="") + (".interrupted" if turn.status == "interrupted" else "")
    return key if len(key) <= 200 else hashlib.blake2b(key.encode(), digest_size=16).hexdigest()


def version_of(key: str) -> tuple[str | None, Status]:
    """The turn that an idempotency key of ours names, and how it stands; None for another's."""
    found = _KEY.fullmatch(key)
    if found is None:
        return None, "ok"
    return found[1], "interrupted" if found[2] else "ok"


# --- messages are taken ---------------------------------------------------------------------


def turn_of(
    messages: Sequence[Mapping[str, Any]],
    *,
    id: str,
    session_id: str,
    agent: str,
    user_id: str,
    at: int,
    number: int | None = None,
    status: Status = "ok",
    metadata: Mapping[str, Any] | None = None,
) -> Turn:
    """The turn that ``messages`` are, taken at ``at``: nobody says when it began or ended."""
    kept = tuple(_message(each) for each in messages)
    said = [index for index, each in enumerate(kept) if each.role == "assistant" and each.text]
    asked = [each.text for each in kept if each.role == "user" and speaks(each)]
    given = next((i for i, each in enumerate(kept) if each.role == "assistant"), len(kept))
    return Turn(
        id=id,
        session_id=session_id,
        number=number,
        agent=Agent(name=agent),
        user_id=user_id,
        status=status,
        started_at=at,
        ended_at=at,
        input=Content(content="\n".join(asked)) if asked else None,
        output=_output(kept, said),
        messages=kept,
        input_messages=((0, given),) if given else (),
        output_messages=((given, len(kept)),) if given < len(kept) else (),
        steps=tuple(_calls(messages, id, at)),
        metadata=dict(metadata or {}),
        trace=TRACE,
    )


def derived_id(*parts: object) -> str:
    """An id of a turn that is the same for the same ``parts``."""
    drawn = hashlib.blake2b(orjson.dumps([str(part) for part in parts]), digest_size=16).digest()
    number = int.from_bytes(drawn, "big")
    digits: list[str] = []
    for _ in range(12):
        number, digit = divmod(number, 62)
        digits.append(_BASE62[digit])
    return "turn_" + "".join(digits)


# --- pieces ---------------------------------------------------------------------------------


def _exchange(turn: Turn) -> list[dict[str, Any]]:
    if EXTRACTION in turn.metadata:
        return [_wire(each) for each in turn.messages]
    asked, answered = text_of(turn.input), text_of(turn.output)
    sent: list[dict[str, Any]] = []
    if asked is not None:
        sent.append({"role": "user", "content": asked})
    for call_id, step in _tool_steps(turn):
        sent += _call_of(step, call_id)
    if answered is not None:
        sent.append({"role": "assistant", "content": answered})
    return sent


def _aside(turn: Turn) -> dict[str, str]:
    named = {name: turn.metadata.get(key) for name, key in ASIDE.items()}
    asked = [step.model for step in turn.steps if step.model is not None and step.model.provider]
    if asked and not (named["provider"] and named["model"]):
        last = asked[-1]
        name = last.response_model or last.request_model
        if name:
            named |= {"provider": last.provider, "model": name}
    return {name: value for name, value in named.items() if isinstance(value, str) and value}


def _tool_steps(turn: Turn) -> list[tuple[str, Step]]:
    """Its calls of tools in the order they began, each with an id that no other has."""
    steps = sorted((each for each in turn.steps if each.kind == "tool"), key=_began)
    given = [each.tool.call_id if each.tool else None for each in steps]
    return [
        (call_id if call_id and given.count(call_id) == 1 else step.id, step)
        for call_id, step in zip(given, steps, strict=True)
    ]


def _began(step: Step) -> int:
    return step.started_at


def _call_of(step: Step, call_id: str) -> list[dict[str, Any]]:
    given = step.input
    arguments = "{}" if given is None else given.content
    if given is not None and given.mime_type != JSON:
        arguments = orjson.dumps(given.content).decode()
    function = {"name": step.name, "arguments": arguments}
    call = {"id": call_id, "type": "function", "function": function}
    answer: dict[str, Any] = {"role": "tool", "tool_call_id": call_id}
    if (told := _told(step)) is not None:
        answer["content"] = told
    return [{"role": "assistant", "tool_calls": [call]}, answer]


def _told(step: Step) -> str | None:
    """What a tool answered, or how it failed."""
    if step.output is not None:
        return text_of(step.output)
    return (step.error.message or step.error.type) if step.error is not None else None


def text_of(content: Content | None) -> str | None:
    """What a message says of ``content``; sounds and pictures have no place in one."""
    return None if content is None or content.type in _UNHEARD else content.content


def _message(given: Mapping[str, Any]) -> Message:
    parts: list[dict[str, Any]] = []
    content = given.get("content")
    if given["role"] == "tool":
        parts.append({"type": "tool_call_response", "id": given.get("tool_call_id")})
        parts[0]["response"] = content
    elif content is not None:
        parts.append({"type": "text", "content": content})
    for call in given.get("tool_calls") or ():
        function = call["function"]
        said = {"name": function["name"], "arguments": _value(function["arguments"])}
        parts.append({"type": "tool_call", "id": call["id"], **said})
    return Message(
        role=given["role"], parts=tuple(MessagePart.model_validate(each) for each in parts)
    )


def _wire(message: Message) -> dict[str, Any]:
    """A message that came in this dialect, as it came."""
    sent: dict[str, Any] = {"role": message.role}
    calls: list[dict[str, Any]] = []
    for part in message.parts:
        fields = part.fields
        if part.type == "tool_call":
            given = fields["arguments"]
            text = given if isinstance(given, str) else orjson.dumps(given).decode()
            function = {"name": fields["name"], "arguments": text}
            calls.append({"id": fields["id"], "type": "function", "function": function})
        elif part.type == "tool_call_response":
            answer = {"content": fields.get("response"), "tool_call_id": fields.get("id")}
            sent |= {name: value for name, value in answer.items() if value is not None}
        else:
            sent["content"] = message.text
    return sent | ({"tool_calls": calls} if calls else {})


def _output(kept: Sequence[Message], said: Sequence[int]) -> Content | None:
    """The last thing that the agent said; what it said to its tools' calls is in the messages."""
    if said:
        return Content(content=kept[said[-1]].text)
    silent = any(each.role == "assistant" and speaks(each) for each in kept)
    return Content(content="") if silent else None


def speaks(message: Message) -> bool:
    """Whether there is text in ``message``, be it an empty one."""
    return any(part.type == "text" for part in message.parts)


def _calls(messages: Sequence[Mapping[str, Any]], turn_id: str, at: int) -> Iterator[Step]:
    answers = {each.get("tool_call_id"): each for each in messages if each["role"] == "tool"}
    calls = [call for each in messages for call in each.get("tool_calls") or ()]
    for index, call in enumerate(calls):
        function, answer = call["function"], answers.get(call["id"], {}).get("content")
        id = hashlib.blake2b(f"{turn_id} {index}".encode(), digest_size=8).hexdigest()
        yield Step(
            id=id,
            kind="tool",
            name=function["name"],
            started_at=at,
            ended_at=at,
            input=Content(type="tool_call", content=function["arguments"], mime_type=JSON),
            output=None if answer is None else Content(type="tool_result", content=answer),
            tool=Tool(call_id=call["id"], type="function"),
        )


def _value(text: str) -> Any:
    """The value of JSON text; the text itself where it is none, or too deep to be written."""
    if text.count("[") + text.count("{") > _DEEP:
        return text
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return text
