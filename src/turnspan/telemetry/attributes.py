"""A turn and its steps as what spans need: name, kind, attributes, status.

They are read as plain mappings in wire shape, as decoded from a `turn` line: no model is built.

Source: https://github.com/open-telemetry/semantic-conventions-genai, spans as of 2026-10
(88eccb15); the overlay of `input.value` and its kin is for tools that read no messages.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import orjson

from turnspan.telemetry import semconv as names
from turnspan.telemetry.carried import carry_notes
from turnspan.telemetry.messages import (
    definitions,
    documents,
    input_messages,
    instructions,
    object_json,
    output_messages,
)
from turnspan.telemetry.model_attributes import is_embedding, model_attributes, put_usage

__all__ = [
    "SpanFacts",
    "failure",
    "nested_agents",
    "put_tool_content",
    "put_turn",
    "step_facts",
    "turn_facts",
    "with_notes",
]

Fields: TypeAlias = Mapping[str, Any]
_FAILED = frozenset(("error", "interrupted"))


@dataclass(slots=True)
class SpanFacts:
    """What is on a span beside its identity, times, events and links."""

    name: str
    kind: int
    attributes: dict[str, Any]
    status: int = names.STATUS_UNSET
    description: str = ""


def turn_facts(turn: Fields, *, content: bool) -> SpanFacts:
    """The root span of ``turn``; without ``content`` nothing that was said is on it."""
    agent: str = turn["agent"]["name"]
    attributes: dict[str, Any] = {
        names.OPERATION_NAME: names.INVOKE_AGENT,
        names.AGENT_NAME: agent,
        names.TURN_ID: turn["id"],
        names.TURN_STATUS: turn.get("status", "ok"),
    }
    if session_id := turn.get("session_id"):
        attributes[names.CONVERSATION_ID] = session_id
    facts = SpanFacts(f"{names.INVOKE_AGENT} {agent}", names.KIND_INTERNAL, attributes)
    _fail(facts, turn)
    put_turn(attributes, turn, content=content)
    return facts


def put_turn(attributes: dict[str, Any], turn: Fields, *, content: bool) -> None:
    """Put on the root's ``attributes`` what else is known of ``turn`` when it has ended.

    Names, ids, how it ended and why it failed are there already.
    """
    if len(agent := turn["agent"]) > 1:  # most have a name and nothing else
        _copy(attributes, agent, _AGENT_FIELDS)
    if "usage" in turn:
        _agent_usage(attributes, turn["usage"])
    _about_turn(attributes, turn)
    _put_reasons(attributes, turn, _about_models(attributes, turn.get("steps", ())))
    if content:
        _said_in_turn(attributes, turn)


def step_facts(step: Fields, turn: Fields, *, agent: str, content: bool) -> SpanFacts:
    """The span of ``step``; of ``turn`` only session, user and messages are read.

    ``agent`` is the name of the agent that did it.
    """
    session_id = turn.get("session_id")
    attributes: dict[str, Any] = {names.AGENT_NAME: agent}
    if session_id:
        attributes[names.CONVERSATION_ID] = session_id
    facts = SpanFacts(step["name"], names.KIND_INTERNAL, attributes)
    _fail(facts, step)
    if (status := step.get("status", "ok")) not in ("ok", "error"):
        attributes[names.STEP_STATUS] = status
    if metadata := step.get("metadata"):
        attributes[names.METADATA] = orjson.dumps(metadata).decode()
    if fill := _KINDS.get(step["kind"]):
        fill(facts, step, turn, content=content)
    elif content:  # no convention names what a plain step was given
        _overlay(attributes, step)
        _reasoning(attributes, step)
    return facts


def with_notes(facts: SpanFacts, notes: Fields | None) -> SpanFacts:
    """``facts`` with what other code left on the span, which wins: it was said on purpose."""
    if not notes:
        return facts
    status = facts.status, facts.description
    noted = carry_notes(facts.attributes, facts.name, status, notes)
    facts.name = notes.get("name") or facts.name
    facts.attributes.update(notes.get("attributes") or {})
    facts.attributes.pop(names.NOTED, None)
    if noted:
        facts.attributes[names.NOTED] = orjson.dumps(noted).decode()
    if notes.get("status") == "ok":
        facts.status, facts.description = names.STATUS_OK, ""
    elif notes.get("status") == "error" and facts.status == names.STATUS_UNSET:
        facts.status = names.STATUS_ERROR
        facts.description = notes.get("status_description") or ""
    return facts


def failure(fields: Fields) -> tuple[str, str] | None:
    """`error.type` and message of a turn or step that failed, None of any other.

    One that was cancelled failed if an exception came with it; one that waits for a
    person, or whose consumer left, did not.
    """
    status = fields.get("status", "ok")
    if status == "ok":
        return None
    error = fields.get("error")
    if status in _FAILED or (error and status == "cancelled"):
        error = error or {}
        other = "interrupted" if status == "interrupted" else names.OTHER_ERROR
        return error.get("type") or other, error.get("message", "")
    return None


def nested_agents(steps: Sequence[Fields]) -> dict[str, str]:
    """Step id → name of the nested agent it ran under; empty where there is none."""
    found: dict[str, str | None] = {s["id"]: _agent_name(s) for s in steps if s["kind"] == "agent"}
    if not found:
        return {}
    parents = {s["id"]: s.get("parent_id") for s in steps}
    for step in steps:
        above, passed = step["id"], []
        while above is not None and above not in found:
            found[above] = None  # a damaged line may hold a cycle
            passed.append(above)
            above = parents.get(above)
        found |= dict.fromkeys(passed, found.get(above))
    return {id: name for id, name in found.items() if name is not None and id in parents}


def _agent_name(step: Fields) -> str:
    return (step.get("agent") or {}).get("name") or str(step["name"])


def _fail(facts: SpanFacts, fields: Fields) -> None:
    if failed := failure(fields):
        facts.status, facts.description = names.STATUS_ERROR, failed[1]
        facts.attributes[names.ERROR_TYPE] = failed[0]


def _agent_usage(attributes: dict[str, Any], usage: Fields | None) -> None:
    if usage:
        # Caches and reasoning were taken off the internal agent span in 2026.
        put_usage(attributes, usage, names.USAGE[:2])


def _about_turn(attributes: dict[str, Any], turn: Fields) -> None:
    # Looked for before they are looked up: a live turn comes by here, and most have none of it.
    if "number" in turn and (number := turn["number"]):
        attributes[names.TURN_NUMBER] = number
    if "resumes" in turn and (resumes := turn["resumes"]):
        attributes[names.TURN_RESUMES] = resumes
    if "tags" in turn and (tags := turn["tags"]):
        attributes[names.TAGS] = list(tags)
    if "metadata" in turn and (metadata := turn["metadata"]):
        attributes[names.METADATA] = orjson.dumps(metadata).decode()


def _said_in_turn(attributes: dict[str, Any], turn: Fields) -> None:
    _messages(attributes, turn, turn.get("messages", ()))
    if tools := turn.get("tool_definitions"):
        attributes[names.TOOL_DEFINITIONS] = definitions([(0, len(tools))], tools)
    _overlay(attributes, turn)
    _whose(attributes, turn.get("session_id"), turn.get("user_id"))


def _whose(attributes: dict[str, Any], session_id: str | None, user_id: str | None) -> None:
    if session_id:
        attributes[names.SESSION_ID] = session_id
    if user_id:
        attributes[names.USER_ID] = user_id


def _about_models(attributes: dict[str, Any], steps: Sequence[Fields]) -> Any:
    """The model, where it was always the same; why the last call stopped."""
    if not (models := _own_models(steps)):
        return None
    requested = {m.get("request_model") for m in models}
    if len(requested) == 1 and (model := requested.pop()):
        attributes[names.REQUEST_MODEL] = model
    return models[-1].get("finish_reasons")


def _put_reasons(attributes: dict[str, Any], fields: Fields, reasons: Any = None) -> None:
    """Why an agent stopped: by its failure, else as its model did, else as it ended."""
    if names.ERROR_TYPE in attributes:
        attributes[names.FINISH_REASONS] = ["error"]
    elif reasons:
        attributes[names.FINISH_REASONS] = list(reasons)
    elif fields.get("status", "ok") == "ok":
        attributes[names.FINISH_REASONS] = ["stop"]


def _own_models(steps: Sequence[Fields]) -> list[Fields]:
    """What the turn's own agent asked of models, in the order the answers came."""
    asked = [s for s in steps if s["kind"] == "model"]
    if not asked:
        return asked
    nested = nested_agents(steps)
    return [s.get("model") or {} for s in asked if s["id"] not in nested and not is_embedding(s)]


def _messages(attributes: dict[str, Any], fields: Fields, messages: Sequence[Fields]) -> None:
    failed = names.ERROR_TYPE in attributes
    if given := input_messages(fields, messages):
        attributes[names.INPUT_MESSAGES] = given
    if produced := output_messages(fields, messages, failed=failed):
        attributes[names.OUTPUT_MESSAGES] = produced


def _overlay(attributes: dict[str, Any], fields: Fields) -> None:
    if content := fields.get("input"):
        attributes[names.INPUT_VALUE] = content.get("content", "")
        attributes[names.INPUT_MIME_TYPE] = content.get("mime_type", "text/plain")
    if content := fields.get("output"):
        attributes[names.OUTPUT_VALUE] = content.get("content", "")
        attributes[names.OUTPUT_MIME_TYPE] = content.get("mime_type", "text/plain")


def _reasoning(attributes: dict[str, Any], step: Fields) -> None:
    if reasoning := step.get("reasoning"):
        attributes[names.REASONING] = reasoning


def _tool(facts: SpanFacts, step: Fields, turn: Fields, *, content: bool) -> None:
    attributes, name = facts.attributes, step["name"]
    facts.name = f"{names.EXECUTE_TOOL} {name}"
    attributes[names.OPERATION_NAME] = names.EXECUTE_TOOL
    attributes[names.TOOL_NAME] = name
    if tool := step.get("tool"):
        _copy(attributes, tool, _TOOL_FIELDS)
    if content:
        put_tool_content(attributes, step, turn.get("session_id"), turn.get("user_id"))


def put_tool_content(
    attributes: dict[str, Any], step: Fields, session_id: str | None, user_id: str | None
) -> None:
    """Put on ``attributes`` what ``step``, of a tool, was given and answered, and for whom.

    Why it failed is there already.
    """
    if given := step.get("input"):
        attributes[names.TOOL_ARGUMENTS] = object_json(given, "input")
    if (result := step.get("output")) and names.ERROR_TYPE not in attributes:
        attributes[names.TOOL_RESULT] = object_json(result, "result")
    _overlay(attributes, step)
    _reasoning(attributes, step)
    _whose(attributes, session_id, user_id)


def _model(facts: SpanFacts, step: Fields, turn: Fields, *, content: bool) -> None:
    facts.kind = names.KIND_CLIENT
    facts.name = model_attributes(facts.attributes, step)
    if not content:
        return
    if is_embedding(step):
        _overlay(facts.attributes, step)
        _reasoning(facts.attributes, step)
        return
    messages = turn.get("messages", ())
    _messages(facts.attributes, step, messages)
    if ranges := step.get("system_instructions"):
        facts.attributes[names.SYSTEM_INSTRUCTIONS] = instructions(ranges, messages)
    if ranges := step.get("input_tools"):
        known = turn.get("tool_definitions", ())
        facts.attributes[names.TOOL_DEFINITIONS] = definitions(ranges, known)


def _retrieval(facts: SpanFacts, step: Fields, _turn: Fields, *, content: bool) -> None:
    attributes, name = facts.attributes, step["name"]
    facts.name = f"{names.RETRIEVAL} {name}"
    facts.kind = names.KIND_CLIENT
    attributes[names.OPERATION_NAME] = names.RETRIEVAL
    attributes[names.DATA_SOURCE_ID] = name
    if not content:
        return
    _reasoning(attributes, step)
    if given := step.get("input"):
        attributes[names.RETRIEVAL_QUERY] = given.get("content", "")
    if found := step.get("output"):
        attributes[names.RETRIEVAL_DOCUMENTS] = documents(found)


def _agent(facts: SpanFacts, step: Fields, turn: Fields, *, content: bool) -> None:
    attributes, name = facts.attributes, _agent_name(step)
    facts.name = f"{names.INVOKE_AGENT} {name}"
    attributes[names.OPERATION_NAME] = names.INVOKE_AGENT
    attributes[names.AGENT_NAME] = name
    _copy(attributes, step.get("agent") or {}, _AGENT_FIELDS)
    _agent_usage(attributes, step.get("usage"))
    _put_reasons(attributes, step)
    if content:
        _messages(attributes, step, turn.get("messages", ()))


def _copy(attributes: dict[str, Any], source: Fields, table: tuple[tuple[str, str], ...]) -> None:
    for field, name in table:
        if value := source.get(field):
            attributes[name] = value


_KINDS = {"tool": _tool, "model": _model, "retrieval": _retrieval, "agent": _agent}
_AGENT_FIELDS = (
    ("description", names.AGENT_DESCRIPTION),
    ("id", names.AGENT_ID),
    ("version", names.AGENT_VERSION),
)
_TOOL_FIELDS = (
    ("call_id", names.TOOL_CALL_ID),
    ("type", names.TOOL_TYPE),
    ("description", names.TOOL_DESCRIPTION),
)
