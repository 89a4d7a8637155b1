"""Which names and paths are secret.

A path is names joined by dots, from the top of a turn: `input.user.card`. `*` alone stands for
any number of names, also none; within a name for any characters. A single name is short for
`*.name`: wherever it stands. Upper and lower case are the same. Lists are passed through: their
items stand where the list does.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final, TypeAlias

__all__ = ["Paths", "Place", "matches"]

Place: TypeAlias = frozenset[tuple[int, int]]
"""Where in the paths a walk stands: which of them, and how much of it was met."""

MAX_KNOWN: Final = 4096  # answers kept in memory
MAX_KEY_CHARS: Final = 256  # of those whose answers are kept
HIDDEN: Final = "<hidden>"
DEEPEST: Final = 4  # brackets in brackets whose end is found in a text


class Paths:
    """Follows a walk through a value and says where it meets a secret. Thread-safe."""

    def __init__(self, paths: Sequence[str]) -> None:
        self._paths = tuple(_names(path) for path in paths)
        self._known: dict[tuple[Place, str], tuple[Place, bool]] = {}
        self.top: Place = self._closed({(number, 0) for number in range(len(self._paths))})
        names = [path[-1] for path in self._paths if len(path) == 2 and path[0] == "*"]
        self._assigned = _assignments(names) if names else None
        self._needles = tuple(max(name.split("*"), key=len) for name in names)

    def __bool__(self) -> bool:
        return bool(self._paths)

    def below(self, place: Place, key: str) -> tuple[Place, bool]:
        """Where ``key`` leads from ``place``, and whether what stands there is secret."""
        if not place:
            return place, False
        if (known := self._known.get((place, key))) is not None:
            return known
        found = self._step(place, key)
        if len(key) <= MAX_KEY_CHARS:
            if len(self._known) >= MAX_KNOWN:
                self._known.clear()
            self._known[place, key] = found
        return found

    def at(self, *keys: str) -> tuple[Place, bool]:
        """The same from the top, several names at once."""
        place, met = self.top, False
        for key in keys:
            place, hit = self.below(place, key)
            met = met or hit
        return place, met

    def of_any_step(self, where: str) -> tuple[Place, bool]:
        """``where`` of a step whose name is not known: whatever is secret there of any."""
        place, _ = self.at("steps")
        within = set(place)
        for number, at in place:
            path = self._paths[number]
            if path[0] == "steps" and at < len(path):  # its next name may be that of the step
                within.add((number, at + 1))
        met = any(at == len(self._paths[number]) for number, at in within)
        place, hit = self.below(self._closed(within), where)
        return place, met or hit

    def in_text(self, text: str) -> str:
        """``text`` without what is assigned to a secret name in it, as code or JSON would."""
        if self._assigned is None:
            return text
        lower = text.lower()
        if not any(needle in lower for needle in self._needles):
            return text
        return self._assigned.sub(_unassigned, text)

    def _step(self, place: Place, key: str) -> tuple[Place, bool]:
        met = False
        for name in key.lower().split("."):  # a key with dots counts as its names
            place = self._closed(
                {
                    (number, at + step)
                    for number, at in place
                    for step in self._met(number, at, name)
                }
            )
            met = met or any(at == len(self._paths[number]) for number, at in place)
        return place, met

    def _met(self, number: int, at: int, name: str) -> tuple[int, ...]:
        path = self._paths[number]
        if at == len(path):
            return ()
        if path[at] == "*":
            return (0,)
        return (1,) if matches(path[at], name) else ()

    def _closed(self, place: set[tuple[int, int]]) -> Place:
        """With what a `*` that stands for nothing leads to."""
        closed = set(place)
        waiting = list(place)
        while waiting:
            number, at = waiting.pop()
            if self._paths[number][at : at + 1] == ("*",):
                closed.add((number, at + 1))
                waiting.append((number, at + 1))
        return frozenset(closed)


def _names(path: str) -> tuple[str, ...]:
    names = tuple(path.lower().split("."))
    return ("*", *names) if len(names) == 1 else names


def matches(pattern: str, name: str) -> bool:
    """Whether ``name`` is ``pattern``, where `*` stands for any characters; in linear time."""
    head, *rest = pattern.split("*")
    if not rest:
        return pattern == name
    if not name.startswith(head) or len(name) < len(pattern) - pattern.count("*"):
        return False
    at = len(head)
    for part in rest[:-1]:
        at = name.find(part, at)
        if at < 0:
            return False
        at += len(part)
    return name.endswith(rest[-1]) and len(name) - len(rest[-1]) >= at


# A text in quotes, as it stands in code or JSON, in three of them, and as JSON within JSON.
_TRIPLE: Final = r'''"""(?:[^"]|"(?!""))*+(?:""")?|'{3}(?:[^']|'(?!''))*+(?:'{3})?'''
_ESCAPED: Final = r"""\\"(?:[^"\\\n]|\\(?!"))*+(?:\\")?"""
_QUOTED: Final = r""""(?:[^"\\\n]|\\.)*+"?|'(?:[^'\\\n]|\\.)*+'?"""


def _assignments(names: Sequence[str]) -> re.Pattern[str]:
    """`NAME = value`, `NAME: "value"`, `NAME=["value", …]` and the like.

    Linear: what is before the value is bounded, and a value, once begun, is always taken.
    """
    known = "|".join("[A-Za-z0-9_-]{0,64}".join(map(re.escape, n.split("*"))) for n in names)
    item = f"[bfru]{{0,2}}+(?:{_TRIPLE}|{_QUOTED})|{_ESCAPED}"
    several = rf"[\[({{](?:{item}|[^\[\](){{}}])*+[\])}}]?"
    for _ in range(DEEPEST):
        several = rf"[\[({{](?:{item}|{several}|[^\])}}])*+[\])}}]?"
    value = rf"{item}|{several}|[^\s,;)}}\]]++"
    sign = r"""\\?["']?\s{0,16}+[:=]\s{0,16}+"""
    before = "(?<![A-Za-z0-9_-])"
    return re.compile(f"{before}(?P<name>{known})(?P<sign>{sign})(?:{value})", re.IGNORECASE)


def _unassigned(found: re.Match[str]) -> str:
    return f"{found['name']}{found['sign']}{HIDDEN}"
