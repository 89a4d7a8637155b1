"""What an object holds, read without running its code.

Exact standard types have their own form. Subclasses of builtins go through the builtin's own
methods. Dataclasses, attrs, pydantic, msgspec and plain objects are read by their stored
fields: the instance dictionary and the slots, never a property. Everything else is opaque.
"""

from __future__ import annotations

from collections.abc import Callable
from types import GetSetDescriptorType, MemberDescriptorType, ModuleType
from typing import Any, Final

import orjson

__all__ = ["Opaque", "fields_of", "plain", "type_name"]

MAX_INLINE_BYTES: Final = 24 * 1024
_HEAP_TYPE: Final = 1 << 9  # Py_TPFLAGS_HEAPTYPE: the class was made by a class statement
_GONE: Final = object()


class Opaque:
    """Something that holds nothing we may read; ``label`` is its type's name."""

    __slots__ = ("label",)

    def __init__(self, label: str) -> None:
        self.label = label


def plain(value: object) -> Any:
    """One level of ``value`` as exact builtins, or `Opaque`."""
    kind = type(value)
    known = _KNOWN.get(kind)
    if known is not None:
        return known(value)
    for base, through in _BUILTIN_BASES:
        if base in _mro(kind):
            return through(value)
    found = _by_name(kind)
    if found is not None:
        return found(value)
    fields = fields_of(value)
    return Opaque(f"<{type_name(kind)}>") if fields is None else fields


def fields_of(value: object) -> dict[str, Any] | None:
    """The stored fields of an object of a Python class; None where it has none."""
    kind = type(value)
    mro = _mro(kind)
    if not kind.__flags__ & _HEAP_TYPE or type in mro or ModuleType in mro:
        return None
    fields: dict[str, Any] = {}
    has_store = False
    for klass in reversed(mro):
        members = type.__getattribute__(klass, "__dict__")
        for name, member in members.items():
            if type(member) is MemberDescriptorType and not name.startswith("__"):
                has_store = True
                if (item := _slot(member, value)) is not _GONE:
                    fields[name] = item
            elif name == "__dict__" and type(member) is GetSetDescriptorType:
                has_store = True
                fields |= _public(member.__get__(value))
    extra = fields_extra(value)
    return fields | extra if has_store else None


def fields_extra(value: object) -> dict[str, Any]:
    """What a pydantic model was given beyond its declared fields."""
    for klass in _mro(type(value)):
        member = type.__getattribute__(klass, "__dict__").get("__pydantic_extra__")
        if type(member) is MemberDescriptorType:
            extra = _slot(member, value)
            return dict(extra) if type(extra) is dict else {}
    return {}


def type_name(kind: type) -> str:
    """``module.Name`` of a class, the bare name of a builtin."""
    module, name = _module(kind), type.__dict__["__qualname__"].__get__(kind)
    return name if module == "builtins" else f"{module}.{name}"


def _mro(kind: type) -> tuple[type, ...]:
    mro: tuple[type, ...] = type.__dict__["__mro__"].__get__(kind)
    return mro


def _module(kind: type) -> str:
    module: str = type.__dict__["__module__"].__get__(kind)
    return module


def _slot(member: Any, value: object) -> object:
    try:
        return member.__get__(value)
    except AttributeError:
        return _GONE


def _public(stored: Any) -> dict[str, Any]:
    return {
        name: item
        for name, item in dict.items(stored)
        if type(name) is str and not name.startswith("__")
    }


def _bytes(value: Any) -> Any:
    if len(value) > MAX_INLINE_BYTES:
        return Opaque(f"<{len(value)} bytes>")
    from base64 import b64encode

    return b64encode(value).decode()


def _text_of(value: Any) -> str:
    return str(value)


def _enum(value: Any) -> Any:
    return object.__getattribute__(value, "_value_")


_KNOWN: Final[dict[type, Callable[[Any], Any]]] = {
    dict: lambda value: value,
    list: lambda value: value,
    tuple: lambda value: value,
    str: lambda value: value,
    int: lambda value: value,
    float: lambda value: value if value == value and abs(value) != float("inf") else str(value),
    bool: lambda value: value,
    type(None): lambda value: value,
    complex: _text_of,
    range: _text_of,
    bytes: _bytes,
    bytearray: lambda value: _bytes(bytes(value)),
    set: list,
    frozenset: list,
    orjson.Fragment: lambda value: orjson.loads(value.contents),
    type: lambda value: Opaque(f"<class {type_name(value)}>"),
}

_BUILTIN_BASES: Final[tuple[tuple[type, Callable[[Any], Any]], ...]] = (
    (dict, lambda value: dict(dict.items(value))),
    (list, lambda value: list.__getitem__(value, slice(None))),
    (tuple, lambda value: tuple.__getitem__(value, slice(None))),
    (str, lambda value: str.__str__(value) if type(value) is str else str.__add__(value, "")),
    (bool, bool),
    (int, lambda value: int.__add__(value, 0)),
    (float, lambda value: float.__add__(value, 0.0)),
    (bytes, lambda value: _bytes(bytes.__add__(value, b""))),
    (set, lambda value: list(set.__or__(value, frozenset()))),
    (frozenset, lambda value: list(frozenset.__or__(value, frozenset()))),
)

# By name, so that nobody pays for importing what they don't use.
_BY_NAME: Final[dict[tuple[str, str], Callable[[Any], Any]]] = {
    ("datetime", "datetime"): lambda value: value.isoformat(),
    ("datetime", "date"): lambda value: value.isoformat(),
    ("datetime", "time"): lambda value: value.isoformat(),
    ("datetime", "timedelta"): _text_of,
    ("decimal", "Decimal"): _text_of,
    ("fractions", "Fraction"): _text_of,
    ("uuid", "UUID"): _text_of,
    ("pathlib", "PosixPath"): _text_of,
    ("pathlib", "PurePosixPath"): _text_of,
    ("pathlib._local", "PosixPath"): _text_of,
    ("pathlib._local", "PurePosixPath"): _text_of,
    ("collections", "deque"): list,
    ("types", "MappingProxyType"): lambda _: Opaque("<mappingproxy>"),
}


def _by_name(kind: type) -> Callable[[Any], Any] | None:
    found = _BY_NAME.get((_module(kind), kind.__name__))
    if found is not None:
        return found
    if any(k.__name__ == "Enum" and _module(k) == "enum" for k in _mro(kind)):
        return _enum
    return None
