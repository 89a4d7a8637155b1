"""The shape of a value: its type, size and keys, and nothing that it says."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

__all__ = ["SHAPE", "said_shape", "shape_of", "tool_shape"]

SHAPE: Final = "application/vnd.turnspan.shape+json"
"""The media type of content that is a shape."""

MAX_DEPTH: Final = 4
MAX_KEYS: Final = 50
_TYPES: Final = {str: "string", int: "number", float: "number", bool: "boolean", type(None): "null"}


def shape_of(value: Any, depth: int = 0) -> dict[str, Any]:
    """The shape of plain data, four levels deep and fifty keys wide."""
    kind = type(value)
    if kind is list:
        return {"type": "array", "size": len(value)}
    if kind is not dict:
        known: dict[str, Any] = {"type": _TYPES[kind]}
        return known | {"size": len(value)} if kind is str else known
    shape: dict[str, Any] = {"type": "object", "size": len(value)}
    if depth < MAX_DEPTH:
        keys = list(value)[:MAX_KEYS]
        shape["keys"] = {key: shape_of(value[key], depth + 1) for key in keys}
    return shape


def said_shape(text: str) -> str:
    """The shape of a text where a text has to stand."""
    return f"<{len(text)} characters>"


def tool_shape(tool: Mapping[str, Any]) -> dict[str, Any]:
    """What a tool is called, and that it said more."""
    kept = ("type", "name")
    return {
        key: item if key in kept else said_shape(item) if type(item) is str else shape_of(item)
        for key, item in tool.items()
    }
