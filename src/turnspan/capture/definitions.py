"""The tools that the models of one turn were offered, each kept once.

Source: https://github.com/open-telemetry/semantic-conventions-genai, tool definitions as of
2026-10. Read shapes: OpenAI chat and responses, Anthropic, Google, and dictionaries alike.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from typing import Any, Final

import orjson

from turnspan.capture.parts import Fields, as_fields, word_of
from turnspan.capture.values import Limits, to_json

__all__ = ["MAX_TOOLS", "Definitions", "looks_like_tools"]

MAX_TOOLS: Final = 1000  # that a model is offered at once: each takes the caller some microseconds
_PARAMETERS = ("parameters", "input_schema", "parametersJsonSchema")


class Definitions:
    """Tool definitions in the order they were first seen, each once.

    They are known by object, and by what they say. The objects are held until the turn ends, so
    that no identity is used twice. A definition that is changed after it was seen keeps its
    first form. Thread-safe: steps of one turn may run in several threads.
    """

    __slots__ = ("_held", "_limits", "_lock", "_places", "_said", "kept")

    def __init__(self, limits: Limits) -> None:
        self.kept: list[Fields] = []
        self._limits = limits
        self._lock = threading.RLock()  # a finaliser may come by in the thread that holds it
        self._places: dict[int, int | None] = {}
        self._said: dict[bytes, int | None] = {}
        self._held: list[object] = []

    def given(
        self, tools: Iterable[object], fits: Callable[[int, int], bool]
    ) -> list[tuple[int, int]]:
        """Where ``tools`` stand, as half-open ranges; new ones are added.

        ``fits`` is asked of each new one, by its place and size; without it, it is left out.
        """
        ranges: list[tuple[int, int]] = []
        for tool in tools:
            with self._lock:
                known = id(tool) in self._places
                place = self._places[id(tool)] if known else self._add(tool, fits)
            if place is None:
                continue
            if ranges and ranges[-1][1] == place:
                ranges[-1] = (ranges[-1][0], place + 1)
            else:
                ranges.append((place, place + 1))
        return ranges

    def _add(self, tool: object, fits: Callable[[int, int], bool]) -> int | None:
        definition = _definition(tool, self._limits)
        said = orjson.dumps(definition)
        if said not in self._said:
            place = len(self.kept)
            is_kept = fits(place, len(said))
            self._said[said] = place if is_kept else None
            if is_kept:
                self.kept.append(definition)
        self._places[id(tool)] = self._said[said]
        self._held.append(tool)
        return self._said[said]


def looks_like_tools(value: object) -> bool:
    """Whether ``value`` is a list of tool definitions of a known shape."""
    if (type(value) is not list and type(value) is not tuple) or not value:
        return False
    return all(
        (fields := as_fields(tool)) is not None and _is_tool(fields) for tool in value[:MAX_TOOLS]
    )


def _is_tool(fields: Fields) -> bool:
    if word_of(fields.get("name")):
        return "type" in fields or any(key in fields for key in _PARAMETERS)
    inner = as_fields(fields.get("function"))
    return (inner is not None and bool(word_of(inner.get("name")))) or (
        len(fields) == 1 and "type" in fields
    )


def _definition(tool: object, limits: Limits) -> Fields:
    fields = as_fields(tool) or {}
    inner = as_fields(fields.get("function")) or fields
    kind = word_of(fields.get("type")) or "function"
    found: Fields = {"type": kind, "name": word_of(inner.get("name")) or kind}
    if description := word_of(inner.get("description")):
        found["description"] = description
    for key in _PARAMETERS:
        if (parameters := inner.get(key)) is not None:
            found["parameters"] = _plain(parameters, limits)
            break
    return found


def _plain(value: object, limits: Limits) -> Any:
    """As JSON has it, shared with nobody."""
    return orjson.loads(to_json(value, limits).text)
