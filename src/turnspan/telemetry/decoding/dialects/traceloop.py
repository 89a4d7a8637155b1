"""Traceloop's OpenLLMetry: decorated functions, and prompts flattened into attributes.

Source: https://github.com/traceloop/openllmetry, opentelemetry-semantic-conventions-ai and
opentelemetry-instrumentation-openai as noted beside the recorded spans of the tests.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from turnspan.telemetry.decoding.indexed import indexed
from turnspan.telemetry.decoding.messages import message
from turnspan.telemetry.decoding.values import content, json_value

if TYPE_CHECKING:
    from turnspan.telemetry.decoding.reading import Reading
    from turnspan.telemetry.decoding.received import ReceivedSpan

__all__ = ["ALONE", "ORDER", "claims", "read"]

ORDER: Final = 18
ALONE: Final = False
_KINDS: Final = {"workflow": "agent", "agent": "agent", "tool": "tool", "task": "step"}
_OPERATIONS: Final = {"chat": None, "completion": "text_completion", "embedding": "embeddings"}
_PROPERTIES: Final = "traceloop.association.properties."
_SESSIONS: Final = ("session_id", "thread_id", "chat_id", "conversation_id")
_BEGINNINGS: Final = ("traceloop.", "llm.request.", "llm.usage.", "gen_ai.prompt.")


def claims(span: ReceivedSpan) -> bool:
    """Whether any of their attributes is on it."""
    return any(name.startswith(_BEGINNINGS) for name in span.attributes)


def read(reading: Reading) -> None:
    """Fill in what the span says."""
    kind = reading.text("traceloop.span.kind")
    if kind is not None:
        reading.kind = _KINDS.get(kind, "step")
        _read_entity(reading)
    _read_properties(reading)
    if "llm.request.type" in reading.attributes or "gen_ai.prompt.0.role" in reading.attributes:
        reading.be("model")
    if reading.kind == "model":
        _read_model(reading)


def _read_entity(reading: Reading) -> None:
    name = reading.text("traceloop.entity.name")
    reading.fields.pop("name", None)
    reading.fill("name", name)
    if reading.kind == "agent":
        reading.fill_in("agent", {"name": name})
    else:
        reading.tell("agent_name", reading.attributes.get("traceloop.workflow.name"))
    reading.fill("input", content(_arguments(reading.get("traceloop.entity.input"))))
    reading.fill("output", content(_result(reading.get("traceloop.entity.output"))))


def _arguments(told: Any) -> Any:
    """What a function was called with; one argument stands for itself."""
    value = json_value(told)
    if isinstance(value, Mapping) and {"args", "kwargs"} <= value.keys():
        args, named = value["args"], value["kwargs"]
        if isinstance(args, list) and len(args) == 1 and not named:
            return args[0]
        return named if not args and named else dict(value)
    return told


def _result(told: Any) -> Any:
    if isinstance(told, str) and told[:1] == '"':
        found = json_value(f"[{told}]")
        return found[0] if isinstance(found, list) else told
    return told


def _read_properties(reading: Reading) -> None:
    metadata: dict[str, Any] = {}
    for name in list(reading.attributes):
        if not name.startswith(_PROPERTIES):
            continue
        key, value = name[len(_PROPERTIES) :], reading.get(name)
        if key in _SESSIONS:
            reading.tell("session_id", value)
        elif key == "user_id":
            reading.tell("user_id", value)
        else:
            metadata[key] = value
    reading.fill("metadata", metadata)


def _read_model(reading: Reading) -> None:
    given = [_message(each) for each in indexed(reading, "gen_ai.prompt")]
    answers = indexed(reading, "gen_ai.completion")
    produced = [
        _message({"role": "assistant", **each}) for each in answers if isinstance(each, dict)
    ]
    reading.given = reading.given or given
    reading.produced = reading.produced or produced
    reasons = [str(each["finish_reason"]) for each in produced if "finish_reason" in each]
    word = reading.text("llm.request.type")
    tools = [_tool(each) for each in indexed(reading, "llm.request.functions")]
    reading.tools = reading.tools or tools
    parameters: dict[str, Any] = {}
    if reading.get("llm.is_streaming") is True:
        parameters["stream"] = True
    known = reading.fields.get("model", {}).get("parameters", {})
    reading.fields.setdefault("model", {})["parameters"] = {**parameters, **known}
    reading.fill_in(
        "model",
        {"operation": _OPERATIONS.get(word or "chat", word), "finish_reasons": reasons},
    )


def _message(item: Any) -> dict[str, Any]:
    told = item if isinstance(item, Mapping) else {}
    calls = told.get("tool_calls")
    return message(
        told.get("role"),
        told.get("content"),
        calls=calls if isinstance(calls, list) else (),
        call_id=told.get("tool_call_id"),
        finish_reason=told.get("finish_reason"),
    )


def _tool(told: Any) -> dict[str, Any]:
    about = dict(told) if isinstance(told, Mapping) else {}
    if "parameters" in about:
        about["parameters"] = json_value(about["parameters"])
    return {"type": "function", **about}
