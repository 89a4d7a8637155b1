"""What a call with messages is given beside them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from turnspan.capture.stored import type_name

__all__ = ["beside"]

_DATA: Final = frozenset(map(id, (str, int, float, bool, dict, list, tuple)))


def beside(named: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of ``named`` that tell something; empty where none of them is data.

    An object is told by its type alone: beside messages stand clients and configurations, and
    a model that is asked two hundred times would have them read two hundred times.
    """
    given = {name: item for name, item in named.items() if item is not None}
    if not any(map(_is_data, given.values())):
        return {}
    return {name: item if _is_data(item) else _label(item) for name, item in given.items()}


def _is_data(value: object) -> bool:
    kind = type(value)
    return id(kind) in _DATA or issubclass(kind, str)


def _label(value: object) -> str:
    return f"<{type_name(type(value))}>"
