"""What a test expects of a value: the value, a pattern, a predicate, or anything."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from turnspan.capture.shapes import SHAPE
from turnspan.schema import JSON, Content

__all__ = ["content_matches", "matches", "shown", "value_of"]


def matches(expected: Any, actual: Any) -> bool:
    """Whether ``actual``, a JSON value, is what was ``expected``.

    `...` is anything, a compiled pattern is searched for, a callable is asked; a dict and a
    list hold expectations themselves. Anything else is compared, where True is not 1.
    """
    if expected is ...:
        return True
    if isinstance(expected, re.Pattern):
        return isinstance(actual, str) and expected.search(actual) is not None
    if isinstance(expected, Mapping):
        return (
            isinstance(actual, dict)
            and expected.keys() == actual.keys()
            and all(matches(each, actual[key]) for key, each in expected.items())
        )
    if isinstance(expected, list | tuple):
        return (
            isinstance(actual, list)
            and len(expected) == len(actual)
            and all(map(matches, expected, actual))
        )
    if callable(expected):
        return bool(expected(actual))
    if isinstance(expected, bool) is not isinstance(actual, bool):
        return not isinstance(expected, bool | int | float) and bool(expected == actual)
    return bool(expected == actual)


def value_of(content: Content | None) -> Any:
    """What ``content`` says: JSON read, text as it is, None where nothing was recorded of it."""
    if content is None or content.mime_type == SHAPE:
        return None
    if content.mime_type != JSON:
        return content.content
    try:
        return json.loads(content.content)
    except ValueError:  # it was cut
        return content.content


def content_matches(expected: Any, content: Content | None) -> bool:
    """Whether ``content`` is what was ``expected``; JSON may be written as it was, too."""
    if (
        isinstance(expected, str | re.Pattern)
        and content is not None
        and content.mime_type != SHAPE
    ):
        return matches(expected, content.content)
    return matches(expected, value_of(content))


def shown(expected: Any) -> str:
    """An expectation as it was written, nearly."""
    if expected is ...:
        return "..."
    if isinstance(expected, re.Pattern):
        return f"/{expected.pattern}/"
    if isinstance(expected, Mapping):
        inside = (f"{key!r}: {shown(each)}" for key, each in expected.items())
        return "{" + ", ".join(inside) + "}"
    if isinstance(expected, list | tuple):
        return "[" + ", ".join(map(shown, expected)) + "]"
    return str(getattr(expected, "__name__", repr(expected)))
