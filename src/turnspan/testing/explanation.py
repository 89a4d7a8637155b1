"""Why two turns that were asserted to be equal are not, as pytest shows it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final, TypeAlias

from turnspan.schema import Step, Turn
from turnspan.testing.comparison import VOLATILE, comparable
from turnspan.testing.difference import Difference, differences, told

__all__ = ["explained"]

_Pair: TypeAlias = tuple[Any, Any]
_SIDES: Final = ("left", "right")
_NOISE: Final = frozenset(VOLATILE | {"parent_id"})


def explained(left: object, right: object) -> list[str] | None:
    """How two turns, two steps or two lists of them differ; None of anything else.

    Only what differs is told. Where more than ids and times do, those get one line.
    """
    try:
        if _are_alike(left, right):
            return [f"{_named(left)} == {_named(right)}", *_told(_found((left, right)))]
        if type(left) is type(right) and _is_list(left) and _is_list(right):
            return _lists(left, right)
    except Exception as exc:  # noqa: BLE001  # border: pytest, which would lose the failure itself
        return [f"turns that cannot be told apart by field: {type(exc).__name__}: {exc}"]
    return None


def _lists(left: Any, right: Any) -> list[str] | None:
    if not all(_are_alike(*pair) for pair in zip(left, right, strict=False)):
        return None
    found = [
        replace(each, path=f"[{index}].{each.path}")
        for index, pair in enumerate(zip(left, right, strict=False))
        for each in _found(pair)
    ]
    shorter = min(len(left), len(right))
    only = [f"  only left: {_named(each)}" for each in left[shorter:]]
    only += [f"  only right: {_named(each)}" for each in right[shorter:]]
    return [f"a list of {len(left)} == a list of {len(right)}", *only, *_told(found)]


def _found(pair: _Pair) -> list[Difference]:
    left, right = (comparable(each, ignore=()) for each in pair)
    if found := differences(left, right):
        return found
    # The same JSON in other words, such as other white space.
    return differences(*(each.model_dump(mode="json", warnings=False) for each in pair))


def _told(found: Sequence[Difference]) -> list[str]:
    noise = [each for each in found if _is_noise(each)]
    said = [each for each in found if not _is_noise(each)]
    if not said:
        return told(noise, names=_SIDES)
    lines = told(said, names=_SIDES)
    if noise:
        fields = dict.fromkeys(_field(each.path) for each in noise)
        lines.append(f"  and what differs from run to run: {', '.join(fields)}")
    return lines


def _is_noise(found: Difference) -> bool:
    """Whether it is about what differs from run to run anyway."""
    field = _field(found.path)
    return field in _NOISE or field.partition(".")[0] in _NOISE


def _field(path: str) -> str:
    """The field of a turn or step that ``path`` leads to, whichever turn or step it is."""
    names = path.replace("[", ".[").split(".")
    fields = [name for name in names if name and not name.startswith("[")]
    return ".".join(fields[1:] if fields[0] == "steps" and len(fields) > 1 else fields)


def _are_alike(left: object, right: object) -> bool:
    return isinstance(left, Turn | Step) and type(left) is type(right)


def _is_list(value: object) -> bool:
    return (
        isinstance(value, Sequence)
        and len(value) > 0
        and all(isinstance(each, Turn | Step) for each in value)
    )


def _named(value: Any) -> str:
    return f"turn {value.id}" if isinstance(value, Turn) else f"step {value.kind} {value.name}"
