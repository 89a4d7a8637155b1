"""The tools that models were offered in a turn, each of them once."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

import orjson

from turnspan.telemetry.decoding.messages import ranges

__all__ = ["Catalogue"]

_SAME: Final = orjson.OPT_SORT_KEYS | orjson.OPT_NON_STR_KEYS


class Catalogue:
    """The definitions of tools; ``known`` are there from the beginning."""

    def __init__(self, known: Iterable[dict[str, Any]]) -> None:
        self.definitions: list[dict[str, Any]] = list(known)
        self._places: dict[bytes, int] = {}
        for at, each in enumerate(self.definitions):
            self._places.setdefault(_key(each), at)

    def place(self, tools: Iterable[dict[str, Any]]) -> list[tuple[int, int]]:
        """Where ``tools`` stand, in ranges; those that are new are added at the end."""
        return ranges([self._place(each) for each in tools])

    def _place(self, tool: dict[str, Any]) -> int:
        at = self._places.setdefault(_key(tool), len(self.definitions))
        if at == len(self.definitions):
            self.definitions.append(tool)
        return at


def _key(tool: dict[str, Any]) -> bytes:
    return orjson.dumps(tool, option=_SAME)
