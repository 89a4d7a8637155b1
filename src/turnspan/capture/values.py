"""Values → JSON text, without running any code of the caller's.

What is small and built of exact builtins is encoded in C at one go: no code of anybody's runs
meanwhile, and no other thread. Everything else is walked in Python within a budget of bytes,
nodes and depth.
"""

from __future__ import annotations

import marshal
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
WIDE: Final = 512  # a mapping with more items is counted, not handed to the encoder unseen
FEW: Final = 32  # items of a container inside another that are glanced at
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
        if type(value) is dict and len(value) <= WIDE:
            for item in value.values():
                kind = type(item)
                if kind is str:
                    if len(item) > WIDE and len(item) > max_bytes:
                        return None
                elif (kind is dict or kind is list or kind is tuple) and not _is_flat(item):
                    if _is_small([value], max_bytes):
                        break
                    return None
        elif not _is_small([value], max_bytes):
            return None
        # The encoder would ask an enumeration for its value, which is code; this refuses
        # whatever is no builtin before anything is asked.
        marshal.dumps(value)
        data = orjson.dumps(value, None, FAST)
    except (TypeError, ValueError, RecursionError, RuntimeError):
        return None  # no exact builtin, or another thread is changing it: to be walked
    return data.decode() if len(data) <= max_bytes else None


def to_json(value: object, limits: Limits) -> Written:
    """Write ``value`` as JSON. Never raises, whatever ``value`` is."""
    text = quick_json(value, limits.max_bytes) if limits.max_nodes >= MAX_NODES else None
    return _walked(value, limits) if text is None else Written(text)


def _is_flat(container: Any) -> bool:
    """Whether it is short, and holds nothing that holds anything: a glance is enough."""
    if len(container) > FEW:
        return False
    for item in container.values() if type(container) is dict else container:
        kind = type(item)
        if kind is dict or kind is list or kind is tuple or (kind is str and len(item) > WIDE):
            return False
    return True


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
