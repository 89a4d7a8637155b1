"""Values → JSON text, without running any code of the caller's.

What is small and built of exact builtins is encoded in C at one go: no code of anybody's runs
meanwhile, and no other thread. Everything else is walked in Python within a budget of bytes,
nodes and depth.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

import orjson

from turnspan.capture.texts import cut_text, encodable
from turnspan.capture.walk import Limits, Walk

__all__ = ["Limits", "Written", "cut_text", "encodable", "quick_json", "to_json"]

FAST: Final = (
    orjson.OPT_PASSTHROUGH_SUBCLASS
    | orjson.OPT_PASSTHROUGH_DATACLASS
    | orjson.OPT_PASSTHROUGH_DATETIME
)
WIDE: Final = 512  # a mapping with more items is counted item by item
ROOM: Final = 2**15  # characters, or their weight in items: what has room is not counted
ITEM: Final = 16
SHORT: Final = 64
MAX_CONTAINERS: Final = 2_000  # so many are counted before a value is walked instead
MAX_NODES: Final = 20_000


@dataclass(slots=True)
class Written:
    """A value as JSON text, and why it is not whole where it is not."""

    text: str
    cut: str | None = None
    size_bytes: int | None = None


def quick_json(value: Any, max_bytes: int) -> str | None:
    """Write what is small and built of exact builtins, as most values are; None otherwise."""
    try:
        if (
            type(value) is not dict or len(value) > WIDE or _room_after(value.values(), ROOM) < 0
        ) and not _is_small([value], max_bytes):
            return None
        # Of exact builtins the encoder asks nothing that is code, and refuses any other name
        # than a string.
        data = orjson.dumps(value, None, FAST)
    except (TypeError, ValueError, RecursionError, RuntimeError):
        return None  # or another thread is changing it: to be walked
    return data.decode() if len(data) <= max_bytes else None


def to_json(value: object, limits: Limits) -> Written:
    """Write ``value`` as JSON. Never raises, whatever ``value`` is."""
    text = quick_json(value, limits.max_bytes) if limits.max_nodes >= MAX_NODES else None
    return _walked(value, limits) if text is None else Written(text)


def _room_after(items: Iterable[Any], room: int) -> int:
    """What is left of ``room`` after ``items``; less than none if some is no exact builtin.

    What `_is_small` finds out, for little and in less time: each call of the caller's comes by
    here. There is one budget, in which an item weighs as much as some characters, and a container
    has paid for its items before they are looked at.
    """
    for item in items:
        kind = type(item)
        if kind is str:
            if len(item) > SHORT:  # the others are paid for with their container
                room -= len(item)
        elif kind is dict:
            if (room := room - len(item) * ITEM) < 0:
                return room
            room = _room_after(item.values(), room)
        elif kind is float or kind is int or kind is bool or item is None:
            continue
        elif kind is list or kind is tuple:
            if (room := room - len(item) * ITEM) < 0:
                return room
            room = _room_after(item, room)
        else:
            return -1
    return room


def _is_small(waiting: list[Any], max_bytes: int) -> bool:
    """Whether all in ``waiting`` and inside it is little: counted, and never more than that."""
    nodes, chars, containers = MAX_NODES, max_bytes, MAX_CONTAINERS
    while waiting:
        item = waiting.pop()
        kind = type(item)
        if kind is str:
            chars -= len(item)
        elif kind is dict or kind is list or kind is tuple:
            containers -= 1
            nodes -= len(item)
            if containers < 0 or nodes < 0:
                return False
            waiting += item.values() if kind is dict else item
        elif not (kind is int or kind is float or kind is bool or item is None):
            return False  # a set, bytes, an object: to be walked
    return chars >= 0


def _walked(value: object, limits: Limits) -> Written:
    walk = Walk(limits)
    shown = walk.show(value, 0)
    try:
        data = orjson.dumps(shown)
    except (TypeError, RecursionError) as exc:  # pragma: no cover - the walk leaves nothing odd
        return Written('"<unreadable>"', f"could not be written: {type(exc).__name__}")
    return Written(data.decode(), walk.cut, walk.size_bytes)
