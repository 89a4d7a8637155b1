"""The shape of a turn's record: that a turn can be made of it, seen without making one.

What is taken here, the schema takes, and takes as it is: nothing is converted. What is not taken
here may still be a turn, and is for the schema to judge. So the schema stays the only one that
refuses, and most records cost a third of what it takes.
"""

from __future__ import annotations

from functools import cache
from types import GenericAlias, UnionType
from typing import Annotated, Any, Final, NotRequired, Union, get_args, get_origin, get_type_hints

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

# Of `typing_extensions`, for pydantic reads no other on Python 3.11.
from typing_extensions import TypedDict

from turnspan.schema import Turn

__all__ = ["is_turn"]

_MAX_EXACT: Final = 2.0**63
"""An integer beyond 64 bits is decoded as a float, which is another number."""
_MAX_DEPTH: Final = 190
"""The schema reads some two hundred levels; what comes near is left to it."""


def is_turn(record: dict[str, Any], line: bytes) -> bool:
    """Whether the schema takes ``line``, which orjson decodes to ``record``, just as it is."""
    fits = _turns().isinstance_python(record) and not _is_inexact(record.get("metadata"))
    return fits and not (_is_branched(line) and _is_deep(record))


def _is_inexact(metadata: dict[str, Any] | None) -> bool:
    """Whether a label would not be the number that was written."""
    if not metadata:
        return False
    return any(isinstance(v, float) and abs(v) >= _MAX_EXACT for v in metadata.values())


def _is_branched(line: bytes) -> bool:
    """Whether it opens so many brackets that some could be deep inside one another."""
    return line.count(b"{") + line.count(b"[") > _MAX_DEPTH


def _is_deep(value: Any) -> bool:
    """Whether there is something at the greatest depth, or below it."""
    level = [value]
    for _ in range(_MAX_DEPTH):
        level = [inner for each in level for inner in _parts(each)]
        if not level:
            return False
    return True


def _parts(value: dict[str, Any] | list[Any]) -> list[Any]:
    """The objects and arrays in ``value``."""
    inside = value.values() if isinstance(value, dict) else value
    return [each for each in inside if isinstance(each, dict | list)]


@cache
def _turns() -> Any:
    return TypeAdapter(_object(Turn)).validator


@cache
def _object(model: type[BaseModel]) -> Any:
    """The dictionaries of which ``model`` is made."""
    hints = get_type_hints(model, include_extras=True)
    members: dict[str, Any] = {
        name: _plain(hints[name]) if field.is_required() else NotRequired[_plain(hints[name])]
        for name, field in model.model_fields.items()
    }
    make: Any = TypedDict  # no name that a type checker could know
    made = make(model.__name__, members)
    made.__pydantic_config__ = ConfigDict(strict=True)
    return made


def _plain(hint: Any) -> Any:
    """``hint`` as it is decoded: dictionaries for models, lists for tuples."""
    origin, inner = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return Annotated[(_plain(inner[0]), *inner[1:])]
    if origin in {Union, UnionType}:
        return Union[tuple(_plain(each) for each in inner)]  # noqa: UP007  # made while running
    if origin is tuple:
        return _list(inner)
    if isinstance(hint, type) and issubclass(hint, BaseModel):
        return _object(hint)
    return hint


def _list(items: tuple[Any, ...]) -> Any:
    kind = GenericAlias(list, (_plain(items[0]),))
    if items[1:] == (Ellipsis,):
        return kind
    if len(set(items)) > 1:
        raise TypeError(f"a list cannot hold {items}")
    return Annotated[kind, Field(min_length=len(items), max_length=len(items))]
