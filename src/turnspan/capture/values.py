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

from turnspan.capture.stored import Opaque, plain

__all__ = ["Limits", "Written", "cut_text", "encodable", "quick_json", "to_json"]

FAST: Final = (
    orjson.OPT_PASSTHROUGH_SUBCLASS
    | orjson.OPT_PASSTHROUGH_DATACLASS
    | orjson.OPT_PASSTHROUGH_DATETIME
)
MAX_DEPTH: Final = 64
MAX_NODES: Final = 20_000
PUNCTUATION_BYTES: Final = 32  # brackets and quotes around what is cut
WIDE: Final = 512  # a container with more items is walked, not handed to the encoder unseen


@dataclass(frozen=True, slots=True)
class Limits:
    """How much of one value is kept."""

    max_bytes: int = 2**20
    max_nodes: int = MAX_NODES
    max_depth: int = MAX_DEPTH
    media: bool = False
    """Whether media over 32 KiB of base64 is kept, too."""


@dataclass(slots=True)
class Written:
    """A value as JSON text, and why it is not whole where it is not."""

    text: str
    cut: str | None = None
    size_bytes: int | None = None


def quick_json(value: Any, max_bytes: int) -> str | None:
    """Write what is small and built of exact builtins, as most values are; None otherwise."""
    kind = type(value)
    try:
        if kind is dict and len(value) <= WIDE:
            for item in value.values():
                # A scalar or a short text costs one look; anything long is looked into.
                inner = type(item)
                if (
                    (inner is str or inner is dict or inner is list or inner is tuple)
                    and len(item) > WIDE
                    and not _looks_small(item, max_bytes)
                ):
                    return None
        elif not _looks_small(value, max_bytes):
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
    text = quick_json(value, limits.max_bytes)
    return _walked(value, limits) if text is None else Written(text)


def cut_text(text: str, max_bytes: int) -> tuple[str, int | None]:
    """``text`` within ``max_bytes`` of UTF-8, and its full size where it had to be cut."""
    if len(text) * 4 <= max_bytes or (len(text) <= max_bytes and text.isascii()):
        return text, None
    if len(text) <= max_bytes and _utf8_bytes(text) <= max_bytes:
        return text, None
    kept = text[:max_bytes].encode("utf-8", "replace")[:max_bytes].decode("utf-8", "ignore")
    return kept, len(text) if text.isascii() else _utf8_bytes(text)


def encodable(text: str) -> str:
    """``text`` without lone surrogates, which no encoding carries.

    Raises:
        TypeError: it is no string.
    """
    if not isinstance(text, str):
        raise TypeError(f"a text is a string, not {type(text).__name__}")
    try:
        str.encode(text)
    except UnicodeEncodeError:
        return str.encode(text, "utf-8", "replace").decode()
    return text if type(text) is str else str.__add__(text, "")


def _looks_small(value: Any, max_bytes: int) -> bool:
    """Whether a glance at two levels shows nothing large."""
    kind = type(value)
    if kind is str:
        return len(value) <= max_bytes
    if kind is dict:
        items = value.values()
    elif kind is list or kind is tuple:
        items = value
    else:
        return True
    return len(items) <= WIDE and all(_is_short(item, max_bytes) for item in items)


def _is_short(item: Any, max_bytes: int) -> bool:
    kind = type(item)
    if kind is str:
        return len(item) <= max_bytes
    return not (kind is dict or kind is list or kind is tuple) or len(item) <= WIDE


def _walked(value: object, limits: Limits) -> Written:
    walk = _Walk(limits)
    shown = walk.show(value, 0)
    try:
        data = orjson.dumps(shown)
    except (TypeError, RecursionError) as exc:  # pragma: no cover - the walk leaves nothing odd
        return Written('"<unreadable>"', f"could not be written: {type(exc).__name__}")
    return Written(data.decode(), walk.cut, walk.size_bytes)


class _Walk:
    """Rebuilds a value from exact builtins until a budget is used up."""

    __slots__ = ("_bytes", "_limits", "_nodes", "_path", "cut", "size_bytes")

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._bytes = limits.max_bytes - PUNCTUATION_BYTES
        self._nodes = limits.max_nodes
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
        if id(value) in self._path:
            self.cut = self.cut or "contains itself"
            return "<contains itself>"
        self._path.add(id(value))
        try:
            return self._inside(plain(value), depth)
        finally:
            self._path.discard(id(value))

    def _inside(self, stored: Any, depth: int) -> Any:
        """What `plain` made of a value that is no scalar."""
        kind = type(stored)
        if kind is Opaque:
            self.cut = self.cut or f"could not be read: {stored.label}"
            return stored.label
        if self._spent(depth):
            return "…"
        if kind is dict:
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
        kept, size = cut_text(text, max(self._bytes, 0))
        if size is not None:
            self.cut, self.size_bytes = f"over {self._limits.max_bytes} bytes", size
        self._bytes -= len(kept) + 4
        return kept if kept.isascii() else encodable(kept)

    def _number(self, value: Any) -> Any:
        self._bytes -= 8
        return _number(value)

    def _mapping(self, value: dict[Any, Any], depth: int) -> dict[str, Any]:
        shown: dict[str, Any] = {}
        for key, item in _snapshot(value):
            if self._exhausted():
                break
            name = self._key(key)  # before its value, which may use the budget up
            shown[name] = self.show(item, depth + 1)
        return shown

    def _row(self, value: list[Any] | tuple[Any, ...], depth: int) -> list[Any]:
        shown = []
        for item in value:
            if self._exhausted():
                break
            shown.append(self.show(item, depth + 1))
        return shown

    def _exhausted(self) -> bool:
        if self._nodes > 0 and self._bytes > 0:
            return False
        self.cut = self.cut or f"over {self._limits.max_bytes} bytes"
        if self._nodes <= 0:
            self.cut = f"more than {self._limits.max_nodes} parts"
        return True

    def _key(self, key: object) -> str:
        if type(key) is str:
            return self._text(key)
        shown = self.show(key, MAX_DEPTH - 2)
        return shown if type(shown) is str else orjson.dumps(shown).decode()


def _snapshot(value: dict[Any, Any]) -> list[tuple[Any, Any]]:
    """Its items, though another thread may be changing it."""
    for _ in range(3):
        try:
            return list(value.items())
        except RuntimeError:
            continue
    return []


def _number(value: object) -> object:
    if type(value) is int and not -(2**63) <= value < 2**64:
        return str(value) if value.bit_length() < 4096 else f"<int of {value.bit_length()} bits>"
    return value


def _utf8_bytes(text: str) -> int:
    return len(text.encode("utf-8", "surrogatepass"))
