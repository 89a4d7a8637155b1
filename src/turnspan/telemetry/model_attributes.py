"""What a model call's span says of it: which model, how it was asked, what it used.

Source: https://github.com/open-telemetry/semantic-conventions-genai, inference and embeddings
spans as of 2026-10 (88eccb15).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from turnspan.telemetry import semconv as names

__all__ = ["is_embedding", "model_attributes", "put_usage"]

Fields: TypeAlias = Mapping[str, Any]

_INT64 = range(-(1 << 63), 1 << 63)


def model_attributes(attributes: dict[str, Any], step: Fields) -> str:
    """Put on ``attributes`` what the model step ``step`` knows of its call; its span's name."""
    model = step.get("model") or {}
    operation: str = model.get("operation") or names.CHAT
    requested = model.get("request_model")
    attributes[names.OPERATION_NAME] = operation
    attributes[names.PROVIDER_NAME] = model.get("provider") or names.UNKNOWN_PROVIDER
    if requested:
        attributes[names.REQUEST_MODEL] = requested
    if answered := model.get("response_model"):
        attributes[names.RESPONSE_MODEL] = answered
    if operation == names.EMBEDDINGS:
        _embedding(attributes, step, model)
    else:
        _inference(attributes, step, model)
    return f"{operation} {requested}" if requested else operation


def is_embedding(step: Fields) -> bool:
    """Does the model step ``step`` embed, rather than answer?"""
    return (step.get("model") or {}).get("operation") == names.EMBEDDINGS


def put_usage(
    attributes: dict[str, Any], usage: Fields, table: Sequence[tuple[str, str]] = names.USAGE
) -> None:
    """Put on ``attributes`` those counts of ``usage`` that ``table`` names, and its cost."""
    for field, name in table:
        if (count := usage.get(field)) is not None:
            attributes[name] = count
    if (cost := usage.get("cost_usd")) is not None:
        attributes[names.COST_USD] = float(cost)


def _inference(attributes: dict[str, Any], step: Fields, model: Fields) -> None:
    if response_id := model.get("response_id"):
        attributes[names.RESPONSE_ID] = response_id
    if parameters := model.get("parameters"):
        _request(attributes, parameters)
    if reasons := model.get("finish_reasons"):
        attributes[names.FINISH_REASONS] = list(reasons)
    elif names.ERROR_TYPE in attributes:
        attributes[names.FINISH_REASONS] = ["error"]
    if usage := step.get("usage"):
        put_usage(attributes, usage)
    if (first := step.get("first_chunk_at")) is not None:
        attributes[names.REQUEST_STREAM] = True
        attributes[names.TIME_TO_FIRST_CHUNK] = (first - step["started_at"]) / 1e9


def _embedding(attributes: dict[str, Any], step: Fields, model: Fields) -> None:
    """The conventions have no tokens that come out of one, and no reasons why it stopped."""
    if parameters := model.get("parameters"):
        _put_parameters(attributes, parameters, names.EMBEDDING_PARAMETERS)
    if usage := step.get("usage"):
        put_usage(attributes, usage, names.USAGE[:1])


def _request(attributes: dict[str, Any], parameters: Fields) -> None:
    _put_parameters(attributes, parameters, names.REQUEST_PARAMETERS)
    if attributes.get(names.CHOICE_COUNT) == 1:
        del attributes[names.CHOICE_COUNT]
    if parameters.get("stream") is True:
        attributes[names.REQUEST_STREAM] = True
    wanted = parameters.get("response_format")
    if isinstance(wanted, Mapping) and isinstance(kind := wanted.get("type"), str):
        attributes[names.OUTPUT_TYPE] = names.OUTPUT_TYPES.get(kind, kind)


def _put_parameters(
    attributes: dict[str, Any], parameters: Fields, table: Mapping[str, tuple[str, type]]
) -> None:
    for key, value in parameters.items():
        if (found := table.get(key)) and (typed := _typed(value, found[1])) is not None:
            attributes[found[0]] = typed


def _typed(value: Any, kind: type) -> Any:
    """``value`` as the convention's type, None where it is of another."""
    if kind is float and type(value) is int:
        return float(value)
    if kind is list:
        items = [value] if isinstance(value, str) else value
        sound = isinstance(items, list) and all(isinstance(item, str) for item in items)
        return items if sound else None
    if type(value) is not kind or (kind is int and value not in _INT64):
        return None
    return value
