"""Turns and steps as values to compare: what counts, and what differs from run to run."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, TypeAlias

from turnspan.schema import JSON, Step, Turn
from turnspan.testing.difference import differences, told

__all__ = ["VOLATILE", "assert_same_turn", "comparable"]

VOLATILE: Final = frozenset(
    {
        "id", "started_at", "ended_at", "first_chunk_at", "duration_ms", "trace", "resource",
        "resumes", "schema_version", "error.stacktrace", "span.events.at",
    }
)  # fmt: skip
"""Fields of turns and steps that differ from run to run: ids, times, where it ran."""

_Fields: TypeAlias = dict[str, Any]
_KNOWN: Final = frozenset([*Turn.model_fields, *Turn.model_computed_fields, *Step.model_fields])


def comparable(turn: Turn | Step, *, ignore: Iterable[str] = VOLATILE) -> dict[str, Any]:
    """``turn`` as plain values, without the fields that ``ignore`` names: to compare or store.

    ``ignore`` names fields of turns and steps (`metadata`), or of what those hold
    (`error.message`): `VOLATILE | {"metadata"}` is one more than usual. Fields that hold
    nothing are left out. JSON content is read, and stands under `json`. Where ids are ignored
    steps are named by their position: a `parent_id` of 0 is the first step.

    Raises:
        TypeError: neither turns nor steps have such a field.
    """
    ignored = [_path(name) for name in ignore]
    fields = turn.model_dump(mode="json", exclude_defaults=True, warnings=False)
    steps: list[_Fields] = fields.get("steps", [])
    if ["id"] in ignored:
        _number(fields, steps)
    for whole, each in zip((turn, *getattr(turn, "steps", ())), (fields, *steps), strict=True):
        each["status"] = whole.status
        for path in ignored:
            _leave_out(each, path)
        for where in ("input", "output"):
            if where in each:
                each[where] = _read(each[where])
    return fields


def assert_same_turn(
    actual: Turn | Step, expected: Turn | Step, *, ignore: Iterable[str] = VOLATILE
) -> None:
    """See that two turns, or two steps, are the same but for the fields ``ignore`` names.

    Raises:
        AssertionError: they are not; it says which fields differ, and how.
        TypeError: ``ignore`` names what no turn or step has.
    """
    __tracebackhide__ = True
    ignored = frozenset(ignore)
    found = differences(comparable(actual, ignore=ignored), comparable(expected, ignore=ignored))
    if found:
        lines = told(found, names=("actual", "expected"))
        raise AssertionError("\n".join(["these turns are not the same:", *lines]))


def _path(name: str) -> list[str]:
    path = name.split(".")
    if path[0] not in _KNOWN:
        raise TypeError(f"there is no field {path[0]!r}")
    return path


def _number(fields: _Fields, steps: Sequence[_Fields]) -> None:
    """Name steps by their position wherever they are named by their id."""
    positions = {step["id"]: index for index, step in enumerate(steps)}
    for step in steps:
        if "parent_id" in step:
            step["parent_id"] = positions.get(step["parent_id"])
    for cut in fields.get("truncated", []):
        first, *rest = cut["where"].split("/", 2)
        if first == "steps" and rest and rest[0] in positions:
            cut["where"] = "/".join([first, str(positions[rest[0]]), *rest[1:]])


def _leave_out(fields: Any, path: Sequence[str]) -> None:
    name, *below = path
    if isinstance(fields, list):
        for item in fields:
            _leave_out(item, path)
    elif isinstance(fields, dict) and below:
        _leave_out(fields.get(name), below)
    elif isinstance(fields, dict):
        fields.pop(name, None)


def _read(content: Mapping[str, Any]) -> Mapping[str, Any]:
    """``content`` with its JSON read, where it is JSON."""
    if content.get("mime_type") != JSON:
        return content
    try:
        value = json.loads(content["content"])
    except ValueError:  # it was cut
        return content
    rest = {key: said for key, said in content.items() if key not in ("content", "mime_type")}
    return {**rest, "json": value}
