"""The GenAI conventions as they are now.

Source: https://github.com/open-telemetry/semantic-conventions-genai, spans as of 2026-10
(88eccb15); opentelemetry-util-genai 1.3b0 is what they look like in practice.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from turnspan.telemetry import semconv as names
from turnspan.telemetry.decoding.messages import messages_of, reasoning_of
from turnspan.telemetry.decoding.values import content, is_text

if TYPE_CHECKING:
    from turnspan.telemetry.decoding.reading import Reading
    from turnspan.telemetry.decoding.received import ReceivedSpan

__all__ = ["ALONE", "ORDER", "claims", "read"]

ORDER: Final = 10
ALONE: Final = False
_KINDS: Final = {
    "chat": "model",
    "text_completion": "model",
    "generate_content": "model",
    "embeddings": "model",
    "fetch_response": "model",
    "execute_tool": "tool",
    "retrieval": "retrieval",
    "search_memory": "retrieval",
    "invoke_agent": "agent",
    "invoke_workflow": "agent",
    "create_agent": "step",
    "plan": "step",
}
_TEXTS: Final = (
    ("provider", names.PROVIDER_NAME),
    ("request_model", names.REQUEST_MODEL),
    ("response_model", names.RESPONSE_MODEL),
    ("response_id", names.RESPONSE_ID),
)
_TOOL: Final = (
    ("call_id", names.TOOL_CALL_ID),
    ("type", names.TOOL_TYPE),
    ("description", names.TOOL_DESCRIPTION),
)
_AGENT: Final = (
    ("name", names.AGENT_NAME),
    ("id", "gen_ai.agent.id"),
    ("version", "gen_ai.agent.version"),
    ("description", names.AGENT_DESCRIPTION),
)


def claims(span: ReceivedSpan) -> bool:
    """Whether any attribute of the conventions is on it."""
    return any(name.startswith("gen_ai.") for name in span.attributes)


def read(reading: Reading) -> None:
    """Fill in what the span says."""
    operation = reading.text(names.OPERATION_NAME)
    reading.be(_kind(reading, operation))
    reading.tell("session_id", reading.text(names.CONVERSATION_ID))
    _read_usage(reading)
    _read_messages(reading)
    if reading.kind == "model":
        _read_model(reading, operation)
    elif reading.kind == "tool":
        _read_tool(reading)
    elif reading.kind == "retrieval":
        _read_retrieval(reading)
    elif reading.kind == "agent":
        _read_agent(reading)
    if reading.kind != "agent":
        reading.tell("agent_name", reading.text(names.AGENT_NAME))


def _kind(reading: Reading, operation: str | None) -> str | None:
    if operation is not None:
        return _KINDS.get(operation, "step")
    if names.TOOL_NAME in reading.attributes:
        return "tool"
    return "model" if names.REQUEST_MODEL in reading.attributes else None


def _read_usage(reading: Reading) -> None:
    reading.fill_in("usage", {field: reading.whole(name) for field, name in names.USAGE})


def _read_messages(reading: Reading) -> None:
    given = messages_of(reading.get(names.INPUT_MESSAGES))
    produced = messages_of(reading.get(names.OUTPUT_MESSAGES))
    told = reading.json(names.SYSTEM_INSTRUCTIONS)
    if told:
        parts = told if isinstance(told, list) else [told]
        reading.instructions = messages_of([{"role": "system", "content": parts}])
    reading.given = reading.given or given
    reading.produced = reading.produced or produced
    if (reading.kind or "step") in {"model", "agent"}:
        reading.fill("reasoning", reasoning_of(reading.produced))


def _read_model(reading: Reading, operation: str | None) -> None:
    model: dict[str, Any] = {field: reading.text(name) for field, name in _TEXTS}
    model["operation"] = None if operation == names.CHAT else operation
    reasons = reading.get(names.FINISH_REASONS)
    if isinstance(reasons, list):
        model["finish_reasons"] = [str(each) for each in reasons]
    parameters = {
        key: reading.get(name)
        for key, (name, _) in reversed(names.REQUEST_PARAMETERS.items())
        if name in reading.attributes
    }
    for twin in ("max_completion_tokens", "max_output_tokens", "stop_sequences"):
        parameters.pop(twin, None)
    if reading.get(names.REQUEST_STREAM) is True:
        parameters["stream"] = True
    tools = reading.json(names.TOOL_DEFINITIONS)
    if isinstance(tools, list):
        reading.tools = [each for each in tools if isinstance(each, dict)]
    model["parameters"] = parameters
    reading.fill_in("model", model)
    wait_s = reading.get(names.TIME_TO_FIRST_CHUNK)
    if isinstance(wait_s, int | float):
        reading.fill("first_chunk_at", reading.span.started_at + round(wait_s * 1e9))


def _read_tool(reading: Reading) -> None:
    reading.fill("name", reading.text(names.TOOL_NAME))
    reading.fill_in("tool", {field: reading.text(name) for field, name in _TOOL})
    reading.fill("input", content(reading.get(names.TOOL_ARGUMENTS)))
    reading.fill("output", content(reading.get(names.TOOL_RESULT)))


def _read_retrieval(reading: Reading) -> None:
    reading.fill("name", reading.text(names.DATA_SOURCE_ID))
    reading.fill("input", content(reading.get(names.RETRIEVAL_QUERY)))
    reading.fill("output", content(reading.get(names.RETRIEVAL_DOCUMENTS)))


def _read_agent(reading: Reading) -> None:
    workflow = reading.text("gen_ai.workflow.name")
    agent = {field: reading.text(name) for field, name in _AGENT}
    reading.fill_in("agent", agent if is_text(agent["name"]) else agent | {"name": workflow})
    reading.fill("name", agent["name"] or workflow)
