"""Lists and objects flattened into attributes: `llm.input_messages.0.message.role`."""

from __future__ import annotations

from copy import deepcopy
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from turnspan.telemetry.decoding.reading import Reading

__all__ = ["indexed"]

_MOST_DIGITS = 5


def indexed(reading: Reading, prefix: str) -> list[Any]:
    """The list under ``prefix``, by its indexes; its attributes count as understood."""
    found: dict[str, Any] = {}
    for name, value in reading.attributes.items():
        if not name.startswith(f"{prefix}."):
            continue
        first, *path = name[len(prefix) + 1 :].split(".")
        if first.isdigit() and len(first) <= _MOST_DIGITS and _put(found, [first, *path], value):
            reading.used.add(name)
    listed = _listed(found)
    return listed if isinstance(listed, list) else []


def _put(into: dict[str, Any], path: list[str], value: Any) -> bool:
    """Put ``value`` at ``path``; not where a value stands in its way."""
    for key in path[:-1]:
        into = into.setdefault(key, {})
        if not isinstance(into, dict):
            return False
    if path[-1] in into:
        return False
    into[path[-1]] = deepcopy(value)  # more may be put into it
    return True


def _listed(value: Any) -> Any:
    """``value`` with every object whose keys are all numbers as a list, in their order."""
    if not isinstance(value, dict):
        return value
    inner = {key: _listed(each) for key, each in value.items()}
    if inner and all(key.isdigit() for key in inner):
        return [inner[key] for key in sorted(inner, key=int)]
    return inner
