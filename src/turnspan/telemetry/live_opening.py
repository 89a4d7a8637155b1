"""What a live span has from its start, for samplers to decide by.

Source: https://github.com/open-telemetry/semantic-conventions-genai, attributes that are relevant
to sampling, as of 2026-10 (88eccb15).
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, TypeAlias

from opentelemetry.trace import SpanKind

from turnspan.telemetry import semconv as names

__all__ = ["opening"]

Fields: TypeAlias = Mapping[str, Any]


def opening(
    kind: str, name: str, agent: str, known: Fields
) -> tuple[str, SpanKind, Mapping[str, Any]]:
    """Name, kind and first attributes of a span of ``kind``.

    ``known`` are fields of a step that it has from its start. Whoever changes the attributes
    takes a copy.
    """
    return _opening(kind, name, agent, *_sampled_by(kind, known))


def _sampled_by(kind: str, known: Fields) -> tuple[str | None, ...]:
    """What of ``known`` the conventions want known to samplers, beside names."""
    if kind == "tool" and (tool := known.get("tool")):
        return (tool.get("type"),)
    if kind == "model" and (model := known.get("model")):
        return (model.get("operation"), model.get("provider"), model.get("request_model"))
    return ()


@lru_cache(maxsize=1024)
def _opening(
    kind: str,
    name: str,
    agent: str,
    detail: str | None = None,
    provider: str | None = None,
    model: str | None = None,
) -> tuple[str, SpanKind, dict[str, Any]]:
    """``detail`` is the type of a tool, or the operation of a model call."""
    given: dict[str, Any] = {names.AGENT_NAME: agent}
    span_kind = _KINDS.get(kind, SpanKind.INTERNAL)
    operation = _OPERATIONS.get(kind)
    if operation is None:
        return name, span_kind, given
    if kind == "model":
        # Which model a call will name may not be known yet: its span is renamed at the end.
        operation, name = detail or operation, model or ""
    elif kind == "tool" and detail:
        given[names.TOOL_TYPE] = detail
    given[names.OPERATION_NAME] = operation
    said = ((_NAMED.get(kind), name), (names.PROVIDER_NAME, provider))
    given |= {key: value for key, value in said if key and value}
    return f"{operation} {name}" if name else operation, span_kind, given


_KINDS = {"model": SpanKind.CLIENT, "retrieval": SpanKind.CLIENT}
_OPERATIONS = {
    "turn": names.INVOKE_AGENT,
    "agent": names.INVOKE_AGENT,
    "tool": names.EXECUTE_TOOL,
    "model": names.CHAT,
    "retrieval": names.RETRIEVAL,
}
_NAMED = {
    "tool": names.TOOL_NAME,
    "model": names.REQUEST_MODEL,
    "retrieval": names.DATA_SOURCE_ID,
}
