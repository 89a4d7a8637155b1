"""Fields of a turn or step as the attributes of its span tell them.

Writer and reader both look here: the writer to see what is missing yet, the reader to read.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, TypeAlias

from turnspan.telemetry import semconv as names

__all__ = [
    "agent_told",
    "content_told",
    "is_told",
    "model_told",
    "name_told",
    "speaks",
    "tool_told",
    "usage_told",
]

Fields: TypeAlias = Mapping[str, Any]

_SPEAKING: Final = frozenset({"turn", "model", "agent"})
_OVERLAY: Final = {
    "input": (names.INPUT_VALUE, names.INPUT_MIME_TYPE),
    "output": (names.OUTPUT_VALUE, names.OUTPUT_MIME_TYPE),
}
_RETRIEVED: Final = {
    "input": (names.RETRIEVAL_QUERY, "text/plain"),
    "output": (names.RETRIEVAL_DOCUMENTS, "application/json"),
}
_TYPES: Final = {("tool", "input"): "tool_call", ("tool", "output"): "tool_result"}
_NAMES: Final = {
    "agent": names.AGENT_NAME,
    "tool": names.TOOL_NAME,
    "retrieval": names.DATA_SOURCE_ID,
}
_AGENT: Final = (
    ("name", names.AGENT_NAME),
    ("id", names.AGENT_ID),
    ("version", names.AGENT_VERSION),
    ("description", names.AGENT_DESCRIPTION),
)
_MODEL: Final = (
    ("provider", names.PROVIDER_NAME),
    ("request_model", names.REQUEST_MODEL),
    ("response_model", names.RESPONSE_MODEL),
    ("response_id", names.RESPONSE_ID),
    ("finish_reasons", names.FINISH_REASONS),
)
_TOOL: Final = (
    ("call_id", names.TOOL_CALL_ID),
    ("type", names.TOOL_TYPE),
    ("description", names.TOOL_DESCRIPTION),
)
_USAGE: Final = (*names.USAGE, ("cost_usd", names.COST_USD))
_PARAMETERS: Final = {  # attribute → the first parameter that goes there
    name: key
    for table in (names.REQUEST_PARAMETERS, names.EMBEDDING_PARAMETERS)
    for key, (name, _) in reversed(table.items())
}


def agent_told(attributes: Fields) -> dict[str, Any]:
    """The `agent`."""
    return _found(attributes, _AGENT)


def model_told(attributes: Fields) -> dict[str, Any]:
    """The `model` of a model step."""
    model = _found(attributes, _MODEL)
    if model.get("provider") == names.UNKNOWN_PROVIDER:
        del model["provider"]
    operation = attributes.get(names.OPERATION_NAME, names.CHAT)
    if operation != names.CHAT:
        model["operation"] = operation
    parameters = {key: attributes[n] for n, key in _PARAMETERS.items() if n in attributes}
    if attributes.get(names.REQUEST_STREAM) is True and names.TIME_TO_FIRST_CHUNK not in attributes:
        parameters["stream"] = True
    if parameters:
        model["parameters"] = parameters
    return model


def tool_told(attributes: Fields) -> dict[str, Any]:
    """The `tool` of a tool step."""
    return _found(attributes, _TOOL)


def usage_told(attributes: Fields) -> dict[str, Any]:
    """The `usage`."""
    return _found(attributes, _USAGE)


def name_told(attributes: Fields, kind: str) -> Any:
    """The `name` of a step of that ``kind``; None where only the span's own name may tell it."""
    return attributes.get(_NAMES.get(kind, ""))


def content_told(attributes: Fields, field: str, kind: str) -> dict[str, Any] | None:
    """The `input` or `output`, except where it stands in messages alone."""
    value, mime_type = _OVERLAY[field]
    if value in attributes:
        return _content(attributes[value], attributes.get(mime_type, "text/plain"), kind, field)
    retrieved, mime_type = _RETRIEVED[field]
    if kind == "retrieval" and retrieved in attributes:
        return _content(attributes[retrieved], mime_type, kind, field)
    return None


def is_told(attributes: Fields, field: str, kind: str, given: Fields) -> bool:
    """Whether the `input` or `output` ``given`` of a ``kind`` stands there as it is."""
    value, mime_type = _OVERLAY[field]
    return bool(
        attributes.get(value) == given.get("content")
        and attributes.get(mime_type) == given.get("mime_type", "text/plain")
        and given.get("type", "text") == _TYPES.get((kind, field), "text")
    )


def speaks(attributes: Fields, kind: str) -> bool:
    """Whether the messages of a turn or step stand on its span: those of ``kind`` may."""
    return kind in _SPEAKING and attributes.get(names.OPERATION_NAME) != names.EMBEDDINGS


def _content(text: Any, mime_type: Any, kind: str, field: str) -> dict[str, Any]:
    which = _TYPES.get((kind, field), "text")
    return {"type": which, "content": text, "mime_type": mime_type}


def _found(attributes: Fields, table: tuple[tuple[str, str], ...]) -> dict[str, Any]:
    return {field: attributes[name] for field, name in table if name in attributes}
