"""Values that are walked in Python, within a budget: what is large, and all but builtins.

What is plain is encoded in C, a container at a time; only what is between is visited piece by
piece. Each container is copied before it is looked into, and types are compared by identity.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from typing import Any, Final

import orjson

from turnspan.capture.stored import Entries, Opaque, is_bytes, plain
from turnspan.capture.texts import cut_text, encodable, utf8_bytes

__all__ = ["SCALARS", "Limits", "Walk"]

MAX_DEPTH: Final = 64
MAX_NODES: Final = 20_000
MAX_CONTAINERS: Final = 1_000
WIDE: Final = 8  # containers with so many items are worth trying at once
SHORT: Final = 64  # characters of a text that is taken as it is
SMALL: Final = 2**62
PUNCTUATION_BYTES: Final = 32  # brackets and quotes around what is cut
SCALARS: Final = frozenset(map(id, (str, int, float, bool, type(None))))
_STR: Final = frozenset({id(str)})
_EXACT: Final = (
    orjson.OPT_PASSTHROUGH_SUBCLASS
    | orjson.OPT_PASSTHROUGH_DATACLASS
    | orjson.OPT_PASSTHROUGH_DATETIME
)


@dataclass(frozen=True, slots=True)
class Limits:
    """How much of one value is kept."""

    max_bytes: int = 2**20
    max_nodes: int = MAX_NODES
    max_depth: int = MAX_DEPTH
    media: bool = False
    """Whether media over 32 KiB of base64 is kept, too."""
    max_containers: int = MAX_CONTAINERS
    """Lists, mappings and objects: each costs what ten numbers do."""
    words: bool = False
    """Whether texts are searched for secrets: then a cut ends at a white space."""


class Walk:
    """Rebuilds a value from exact builtins until a budget is used up."""

    __slots__ = ("_bytes", "_containers", "_limits", "_nodes", "_path", "cut", "size_bytes")

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._bytes = limits.max_bytes - PUNCTUATION_BYTES
        self._nodes = limits.max_nodes
        self._containers = limits.max_containers
        self._path: set[int] = set()
        self.cut: str | None = None
        self.size_bytes: int | None = None

    def show(self, value: object, depth: int) -> Any:
        """``value`` as plain data, or a short label for what is left out of it."""
        kind = type(value)
        if kind is str:
            return "…" if self._spent(depth) else self._text(value)  # type: ignore[arg-type]
        if kind is int or kind is float or kind is bool or value is None:
            return "…" if self._spent(depth) else self._number(value)
        known = id(value)
        if known in self._path:
            self.cut = self.cut or "contains itself"
            return "<contains itself>"
        self._path.add(known)
        try:
            exact = kind is dict or kind is list or kind is tuple
            return self._inside(value if exact else self._read(value), depth)
        finally:
            self._path.discard(known)

    def _read(self, value: object) -> Any:
        if self._limits.words and is_bytes(value):  # base64 would hide a secret from a search
            return Opaque("<bytes>")
        return plain(value)

    def _inside(self, stored: Any, depth: int) -> Any:
        """What `plain` made of a value that is no scalar."""
        kind = type(stored)
        if kind is Opaque:
            self.cut = self.cut or f"could not be read: {stored.label}"
            return stored.label
        if self._spent(depth):
            return "…"
        if kind is dict or kind is Entries:
            return self._mapping(stored, depth)
        if kind is list or kind is tuple:
            return self._row(stored, depth)
        return self._text(stored) if kind is str else self._number(stored)

    def _spent(self, depth: int) -> bool:
        self._nodes -= 1
        if self._nodes < 0:
            self.cut = f"more than {self._limits.max_nodes} parts"
        elif self._bytes <= 0:
            self.cut = f"over {self._limits.max_bytes} bytes"
        elif depth > self._limits.max_depth:
            self.cut = f"nested deeper than {self._limits.max_depth}"
        else:
            return False
        return True

    def _text(self, text: str) -> str:
        kept, size = cut_text(text, max(self._bytes, 0), words=self._limits.words)
        if size is not None:
            self.cut, self.size_bytes = f"over {self._limits.max_bytes} bytes", size or None
        if kept.isascii():
            self._bytes -= len(kept) + 4
            return kept
        self._bytes -= utf8_bytes(kept) + 4
        return encodable(kept)

    def _number(self, value: Any) -> Any:
        self._bytes -= 8
        return _number(value)

    def _mapping(self, value: dict[Any, Any] | Entries, depth: int) -> Any:
        self._containers -= 1
        entries = self._some(_entries(value, self._nodes + 1))
        if len(entries) >= WIDE and (known := self._all_at_once(entries)) is not None:
            return known
        shown: dict[str, Any] = {}
        for key, item in entries:
            if (
                self._nodes <= 0 or self._bytes <= 0 or self._containers <= 0
            ) and self._exhausted():
                break
            # A key goes before its value, which may use the budget up.
            short = type(key) is str and len(key) <= SHORT and key.isascii()
            name = key if short else self._key(key)
            if short:
                self._bytes -= len(key) + 4
            shown[name] = item if self._is_light(item) else self.show(item, depth + 1)
        return shown

    def _row(self, value: list[Any] | tuple[Any, ...], depth: int) -> Any:
        self._containers -= 1
        items = self._some(value[: self._nodes + 1])
        if len(items) >= WIDE and (known := self._at_once(items, items, 0)) is not None:
            return known
        shown = []
        for item in items:
            if (
                self._nodes <= 0 or self._bytes <= 0 or self._containers <= 0
            ) and self._exhausted():
                break
            shown.append(item if self._is_light(item) else self.show(item, depth + 1))
        return shown

    def _is_light(self, item: Any) -> bool:
        """Whether it is a scalar that stands for itself; it is counted then."""
        kind = type(item)
        if kind is str:
            if len(item) > SHORT or len(item) >= self._bytes or not item.isascii():
                return False
            self._bytes -= len(item) - 4
        elif not (kind is bool or item is None or (kind is int and -SMALL < item < SMALL)):
            return False
        self._nodes -= 1
        self._bytes -= 8
        return True

    def _some(self, items: Any) -> Any:
        """As many as are still to be kept; a container gives one more than that, if it has."""
        if len(items) <= self._nodes:
            return items
        self.cut = f"more than {self._limits.max_nodes} parts"
        return items[: max(self._nodes, 0)]

    def _all_at_once(self, entries: list[tuple[Any, Any]]) -> orjson.Fragment | None:
        if id(type(entries[0][1])) not in SCALARS:
            return None
        keys = [key for key, _ in entries]
        if not frozenset(map(id, map(type, keys))) <= _STR:
            return None
        whole = dict(entries)
        return self._at_once(whole, whole.values(), sum(map(len, keys)))

    def _at_once(self, value: Any, items: Any, chars: int) -> orjson.Fragment | None:
        """``value`` encoded in C, where its ``items`` are scalars that fit; None otherwise."""
        kinds = frozenset(map(id, map(type, items)))
        if not kinds <= SCALARS:
            return None
        if id(str) in kinds:
            chars += sum(len(item) for item in items if type(item) is str)
        if chars > self._bytes:
            return None
        try:
            data = orjson.dumps(value, None, _EXACT)
        except TypeError:  # a number beyond 64 bits, a lone surrogate: piece by piece
            return None
        if len(data) > self._bytes:
            return None
        self._nodes -= len(items)
        self._bytes -= len(data)
        return orjson.Fragment(data)

    def _exhausted(self) -> bool:
        if self._nodes > 0 and self._bytes > 0 and self._containers > 0:
            return False
        if self._nodes <= 0:
            self.cut = f"more than {self._limits.max_nodes} parts"
        elif self._containers <= 0:
            self.cut = f"more than {self._limits.max_containers} lists, mappings and objects"
        else:
            self.cut = self.cut or f"over {self._limits.max_bytes} bytes"
        return True

    def _key(self, key: object) -> str:
        if type(key) is str:
            return self._text(key)
        shown = self.show(key, MAX_DEPTH - 2)
        return shown if type(shown) is str else orjson.dumps(shown).decode()


def _entries(value: dict[Any, Any] | Entries, most: int) -> list[tuple[Any, Any]]:
    """Its first items, though another thread may be changing it."""
    if type(value) is Entries:
        return value
    for _ in range(3):
        try:
            return list(islice(dict.items(value), max(most, 0)))  # type: ignore[arg-type]
        except RuntimeError:
            continue
    return []


def _number(value: object) -> object:
    if type(value) is int and not -(2**63) <= value < 2**64:
        return str(value) if value.bit_length() < 4096 else f"<int of {value.bit_length()} bits>"
    return value
