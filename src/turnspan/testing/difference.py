"""Where two plain values differ, told field by field."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import SequenceMatcher
from itertools import zip_longest
from typing import Any, Final

__all__ = ["NOTHING", "Difference", "differences", "told"]

_MAX_CHARS: Final = 60
_BEFORE_CHARS: Final = 12


class _Nothing:
    """Stands for a field that one side has not got."""

    def __repr__(self) -> str:
        return "nothing"


NOTHING: Final = _Nothing()


@dataclass(frozen=True, slots=True)
class Difference:
    """One place where two values differ."""

    path: str
    left: Any
    right: Any
    step: str = ""
    """Which step of a turn it is in, as a person would call it."""


def differences(left: Any, right: Any, path: str = "") -> list[Difference]:
    """Where ``left`` and ``right`` differ, in the order of their fields; steps are matched up."""
    return list(_walk(left, right, path))


def told(found: Sequence[Difference], *, names: tuple[str, str]) -> list[str]:
    """A line for each difference, or three where texts are long; ``names`` are the two sides."""
    width = max(map(len, names))
    lines: list[str] = []
    for each in found:
        where = f"{each.path} ({each.step})" if each.step else each.path
        lines += [f"  {line}" for line in _told(where, each, names, width)]
    return lines


def _walk(left: Any, right: Any, path: str) -> Iterator[Difference]:
    if isinstance(left, dict) and isinstance(right, dict):
        for key in left | right:
            below = f"{path}.{key}" if path else str(key)
            yield from _walk(left.get(key, NOTHING), right.get(key, NOTHING), below)
    elif isinstance(left, list) and isinstance(right, list):
        yield from _steps(left, right) if path == "steps" else _items(left, right, path)
    elif type(left) is not type(right) or left != right:
        yield Difference(path, left, right)


def _items(left: list[Any], right: list[Any], path: str) -> Iterator[Difference]:
    for index, (one, other) in enumerate(zip_longest(left, right, fillvalue=NOTHING)):
        yield from _walk(one, other, f"{path}[{index}]")


def _steps(left: list[Any], right: list[Any]) -> Iterator[Difference]:
    """Like with like, by kind and name, so that one step more is one difference."""
    match = SequenceMatcher(None, [*map(_called, left)], [*map(_called, right)], autojunk=False)
    for what, start, end, other_start, other_end in match.get_opcodes():
        if what == "equal":
            pairs = zip(range(start, end), range(other_start, other_end), strict=True)
            for index, other in pairs:
                for each in _walk(left[index], right[other], f"steps[{index}]"):
                    yield replace(each, step=_called(left[index]))
            continue
        for index in range(start, end):
            yield Difference(f"steps[{index}]", _summary(left[index]), NOTHING)
        for index in range(other_start, other_end):
            yield Difference(f"steps[{index}]", NOTHING, _summary(right[index]))


def _called(step: Mapping[str, Any]) -> str:
    return f"{step['kind']} {step['name']}"


def _summary(step: Mapping[str, Any]) -> _Shown:
    given = step.get("input") or {}
    value = given.get("json", given.get("content", NOTHING))
    return _Shown(f"{_called(step)}({'' if value is NOTHING else _clipped(repr(value))})")


class _Shown(str):
    """A text that is shown as it is."""

    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)


def _told(where: str, found: Difference, names: tuple[str, str], width: int) -> Iterator[str]:
    left, right = found.left, found.right
    for side, other, name in ((left, right, names[0]), (right, left, names[1])):
        if other is NOTHING:
            yield f"{where}: only {name}: {_clipped(repr(side))}"
            return
    if _is_long(left) or _is_long(right):
        start = _first_difference(left, right)
        yield f"{where}, from character {start}:" if start else f"{where}:"
        yield f"  {names[0]:{width}} {_window(left, start)}"
        yield f"  {names[1]:{width}} {_window(right, start)}"
    else:
        yield f"{where}: {left!r} != {right!r}"


def _is_long(value: Any) -> bool:
    return len(repr(value)) > _MAX_CHARS


def _first_difference(left: Any, right: Any) -> int:
    """The first character at which they differ, of texts or of how values are shown."""
    if isinstance(left, str) is not isinstance(right, str):
        return 0
    one, other = (side if isinstance(side, str) else repr(side) for side in (left, right))
    return next(
        (index for index, (a, b) in enumerate(zip(one, other, strict=False)) if a != b),
        min(len(one), len(other)),
    )


def _window(value: Any, start: int) -> str:
    """What stands around ``start``."""
    text = value if isinstance(value, str) else repr(value)
    begin = max(start - _BEFORE_CHARS, 0)
    shown = text[begin : begin + _MAX_CHARS]
    before = "…" if begin else ""
    after = "…" if begin + _MAX_CHARS < len(text) else ""
    return f"{before}{shown!r}{after}" if isinstance(value, str) else f"{before}{shown}{after}"


def _clipped(text: str) -> str:
    return text if len(text) <= _MAX_CHARS else text[: _MAX_CHARS - 1] + "…"
