"""Values → columns, and the other way for what is not kept as it came."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

import orjson

__all__ = [
    "MAX_LABEL_CHARS",
    "clean",
    "json_of",
    "labels_of",
    "text_of",
]

MAX_LABEL_CHARS: Final = 200


def clean(text: str) -> str:
    """``text`` as a column can hold it: without NUL and halves of surrogate pairs."""
    if "\0" in text:
        text = text.replace("\0", "�")
    if text.isascii():
        return text
    return _mended(text) if _is_broken(text) else text


def text_of(value: Any) -> str:
    """``value`` as JSON text."""
    try:
        return orjson.dumps(value).decode()
    except (TypeError, ValueError):  # a number beyond 64 bits, half of a surrogate pair
        return clean(json.dumps(value, ensure_ascii=False))


def json_of(text: str | None) -> Any:
    """The value of JSON text; None where there is none."""
    if text is None:
        return None
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return json.loads(text)


def labels_of(metadata: Mapping[str, Any]) -> dict[str, str] | None:
    """The top-level entries of ``metadata`` that can be asked for, as texts."""
    labels = {
        clean(key): text
        for key, value in metadata.items()
        if (text := _label(value)) is not None and len(text) <= MAX_LABEL_CHARS
    }
    return labels or None


def _label(value: Any) -> str | None:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, int | float):
        return text_of(value)
    return None


def _mended(text: str) -> str:
    return text.encode("utf-8", "replace").decode()


def _is_broken(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return True
    return False
