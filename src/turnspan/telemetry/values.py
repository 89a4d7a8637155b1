"""Attribute values of other code as JSON, without running any code of theirs."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping
from math import isfinite
from typing import Any

__all__ = ["attribute_values"]

_MAX_DEPTH = 8
_INT64 = range(-(1 << 63), 1 << 63)


def attribute_values(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """``attributes`` as the wire holds them; what has no key or no value is left out.

    Bytes become base64, integers beyond 64 bits and numbers that JSON lacks become text,
    and of a value of any other type its type's name stays.
    """
    if not isinstance(attributes, Mapping):
        return {}
    return {
        _text(key): _value(value, 0)
        for key, value in attributes.items()
        if isinstance(key, str) and key and value is not None
    }


def _value(value: Any, depth: int) -> Any:
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, int):
        number = int.__int__(value)
        return number if number in _INT64 else int.__repr__(number)
    if isinstance(value, float):
        real = float.__float__(value)
        return real if isfinite(real) else float.__repr__(real)
    if isinstance(value, bytes):
        return b64encode(value).decode()
    return _nested(value, depth + 1)


def _nested(value: Any, depth: int) -> Any:
    if depth <= _MAX_DEPTH:
        if isinstance(value, list):
            return [_value(item, depth) for item in list.__iter__(value)]
        if isinstance(value, tuple):
            return [_value(item, depth) for item in tuple.__iter__(value)]
        if isinstance(value, dict):
            pairs = dict.items(value)
            return {_text(k): _value(v, depth) for k, v in pairs if isinstance(k, str)}
    return f"<{type(value).__qualname__}>"


def _text(value: str) -> str:
    text = str.__str__(value)
    if text.isascii():
        return text
    return text.encode("utf-8", "replace").decode()  # lone surrogates cannot be written
