"""Values of attributes as turns hold them: JSON in texts, and contents."""

from __future__ import annotations

from typing import Any

import orjson

__all__ = ["content", "is_text", "json_value", "plain_text"]


def is_text(value: Any) -> bool:
    """Whether ``value`` is a text with something in it."""
    return isinstance(value, str) and value != ""


def json_value(value: Any) -> Any:
    """``value``, decoded where it is a JSON object or array in a text."""
    if isinstance(value, str) and value[:1] in {"{", "["}:
        try:
            return orjson.loads(value)
        except orjson.JSONDecodeError:
            return value
    return value


def plain_text(value: Any) -> str:
    """``value`` as a text: itself, or as JSON."""
    return value if isinstance(value, str) else orjson.dumps(value).decode()


def content(value: Any, mime_type: Any = None) -> dict[str, Any] | None:
    """``value`` as a content; None where there is none."""
    if value is None:
        return None
    if isinstance(value, str):
        structured = value[:1] in {"{", "["} and json_value(value) is not value
        guessed = "application/json" if structured else "text/plain"
        return {"content": value, "mime_type": mime_type if is_text(mime_type) else guessed}
    return {"content": plain_text(value), "mime_type": "application/json"}
