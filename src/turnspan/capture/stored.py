"""What an object holds, read without running its code.

Standard types have their own form, and subclasses of builtins go through the builtin's own
methods. Secrets of pydantic are never opened. Dataclasses, attrs, pydantic, msgspec and plain
objects are read by their stored fields: the instance dictionary and the slots, never a
property. Everything else is opaque.
"""

from __future__ import annotations

import sys
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
        self.label: str = label


def plain(value: object) -> Any:
    """One level of ``value`` as exact builtins, or `Opaque`. Never raises."""
    kind = type(value)
    try:
        # By identity: a metaclass may have a `__hash__` or `__eq__` of its own.
        known = _KNOWN.get(id(kind))
        return _by_class(kind, value) if known is None else known(value)
    except Exception:  # noqa: BLE001  # border: whoever asked says that it could not be read
        return Opaque(f"<{type_name(kind)}>")


def fields_of(value: object) -> dict[str, Any] | None:
    """The stored fields of an object of a Python class; None where it has none."""
    kind = type(value)
    mro = _mro(kind)
    if not _flags(kind) & _HEAP_TYPE or any(k is type or k is ModuleType for k in mro):
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
    return name if module in ("", "builtins") else f"{module}.{name}"


def _mro(kind: type) -> tuple[type, ...]:
    mro: tuple[type, ...] = type.__dict__["__mro__"].__get__(kind)
    return mro


def _flags(kind: type) -> int:
    flags: int = type.__dict__["__flags__"].__get__(kind)
    return flags


def _module(kind: type) -> str:
    module = type.__dict__["__module__"].__get__(kind)
    return module if type(module) is str else ""


def _slot(member: Any, value: object) -> object:
    try:
        return member.__get__(value)
    except AttributeError:
        return _GONE


def _public(stored: Any) -> dict[str, Any]:
    return {
        name: item
        for name, item in list(dict.items(stored))  # at once: another thread may be changing it
        if type(name) is str and not name.startswith("__")
    }


def _bytes(value: Any) -> Any:
    if len(value) > MAX_INLINE_BYTES:
        return Opaque(f"<{len(value)} bytes>")
    from base64 import b64encode

    return b64encode(value).decode()


def _text_of(value: Any) -> str:
    return str(value)


def _moment(kind: Any, value: Any) -> Any:
    """ISO 8601; a time zone of the caller's making is named, not asked."""
    zone = kind.tzinfo.__get__(value)
    if zone is None or _module(type(zone)).partition(".")[0] in _ZONES:
        return kind.isoformat(value)
    return f"{kind.date(value)}T{kind.time(value)} {type_name(type(zone))}"


def _clock_time(kind: Any, value: Any) -> Any:
    known = kind.tzinfo.__get__(value) is None
    return kind.isoformat(value) if known else Opaque(f"<{type_name(kind)} with a time zone>")


def _secret(_: Any, value: Any) -> Opaque:
    return Opaque(f"<{type_name(type(value))}>")


def _by_class(kind: type, value: object) -> Any:
    for klass in _mro(kind):
        if (through := _BASES.get(id(klass))) is not None:
            return through(value)
        if (standard := _standard(klass)) is not None:
            return standard(klass, value)
    fields = fields_of(value)
    return Opaque(f"<{type_name(kind)}>") if fields is None else fields


def _standard(klass: type) -> Callable[[Any, Any], Any] | None:
    """How a class of a library is read; only if it is that class, not one of its name."""
    module, name = _module(klass), type.__dict__["__name__"].__get__(klass)
    found = _BY_NAME.get((module, name))
    if found is None or getattr(sys.modules.get(module), name, None) is not klass:
        return None
    return found


_ZONES: Final = frozenset({"datetime", "zoneinfo", "dateutil", "pytz", "pendulum"})

_READ: Final[dict[type, Callable[[Any], Any]]] = {
    dict: lambda value: value,
    list: lambda value: value,
    tuple: lambda value: value,
    str: lambda value: value,
    int: lambda value: value,
    float: lambda value: value,
    bool: lambda value: value,
    type(None): lambda value: value,
    complex: _text_of,
    range: _text_of,
    bytes: _bytes,
    bytearray: lambda value: _bytes(bytes(value)),
    set: list,
    frozenset: list,
    orjson.Fragment: lambda value: orjson.loads(orjson.dumps(value)),
    type: lambda value: Opaque(f"<class {type_name(value)}>"),
}

_THROUGH: Final[dict[type, Callable[[Any], Any]]] = {
    dict: lambda value: dict(dict.items(value)),
    list: lambda value: list.__getitem__(value, slice(None)),
    tuple: lambda value: tuple.__getitem__(value, slice(None)),
    str: lambda value: str.__add__(value, ""),
    int: lambda value: int.__add__(value, 0),
    float: lambda value: float.__add__(value, 0.0),
    bytes: lambda value: _bytes(bytes.__add__(value, b"")),
    set: lambda value: list(set.__or__(value, frozenset())),
    frozenset: lambda value: list(frozenset.__or__(value, frozenset())),
}

_KNOWN: Final = {id(kind): read for kind, read in _READ.items()}
_BASES: Final = {id(kind): read for kind, read in _THROUGH.items()}

# By name, so that nobody pays for importing what they don't use. Each is given the class
# that was found, whose own methods it calls, and the value.
_BY_NAME: Final[dict[tuple[str, str], Callable[[Any, Any], Any]]] = {
    ("datetime", "datetime"): _moment,
    ("datetime", "date"): lambda kind, value: kind.isoformat(value),
    ("datetime", "time"): _clock_time,
    ("datetime", "timedelta"): lambda kind, value: kind.__str__(value),
    ("decimal", "Decimal"): lambda kind, value: kind.__str__(value),
    ("fractions", "Fraction"): lambda kind, value: kind.__str__(value),
    ("uuid", "UUID"): lambda kind, value: kind.__str__(value),
    ("pathlib", "PurePath"): lambda kind, value: kind.__str__(value),
    ("pathlib._local", "PurePath"): lambda kind, value: kind.__str__(value),
    ("collections", "deque"): lambda kind, value: list(kind.__iter__(value)),
    ("enum", "Enum"): lambda _, value: object.__getattribute__(value, "_value_"),
    ("types", "MappingProxyType"): lambda _, __: Opaque("<mappingproxy>"),
    ("types", "SimpleNamespace"): lambda kind, value: _public(
        kind.__dict__["__dict__"].__get__(value)
    ),
    ("pydantic.types", "_SecretBase"): _secret,
    ("pydantic.v1.types", "SecretStr"): _secret,
    ("pydantic.v1.types", "SecretBytes"): _secret,
}
