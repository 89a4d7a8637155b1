"""What an object holds, read without running its code.

Standard types have their own form, and subclasses of builtins go through the builtin's own
methods. Secrets of pydantic are never opened. Dataclasses, attrs, pydantic, msgspec and plain
objects are read by their stored fields: the instance dictionary and the slots, never a
property. Everything else is opaque.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from itertools import islice
from types import GetSetDescriptorType, MemberDescriptorType, ModuleType
from typing import Any, Final

import orjson

from turnspan.capture.hidden import HIDDEN
from turnspan.capture.secret_names import is_secret
from turnspan.capture.texts import short
from turnspan.interrupts import is_anothers

__all__ = ["Entries", "Opaque", "is_bytes", "plain", "type_name"]

MAX_INLINE_BYTES: Final = 24 * 1024
MAX_ITEMS: Final = 20_001  # of one container; a walk keeps fewer
MAX_PLANS: Final = 512  # classes whose fields are known
_HEAP_TYPE: Final = 1 << 9  # Py_TPFLAGS_HEAPTYPE: the class was made by a class statement
_GONE: Final = object()


class Entries(list[tuple[Any, Any]]):
    """What a subclass of `dict` holds, as pairs: a dictionary would hash and compare its keys."""

    __slots__ = ()


class Opaque:
    """Something that holds nothing we may read; ``label`` is its type's name."""

    __slots__ = ("label",)

    def __init__(self, label: str) -> None:
        self.label: str = label


def plain(value: object) -> Any:
    """One level of ``value`` as exact builtins, or `Opaque`. Raises only what is another's."""
    kind = type(value)
    try:
        # By identity: a metaclass may have a `__hash__` or `__eq__` of its own.
        known = _KNOWN.get(id(kind))
        return _by_class(kind, value) if known is None else known(value)
    except Exception as exc:  # border: whoever asked says that it could not be read
        if is_anothers(exc):
            raise
        return Opaque(f"<{type_name(kind)}>")


def _fields_of(value: object) -> dict[str, Any] | None:
    """The stored fields of an object of a Python class; None where it has none."""
    kind = type(value)
    plan = _plans.get(id(kind))
    if plan is None or plan.mro is not _mro(kind):
        plan = _planned(kind)
    if not plan.has_store:
        return None
    fields: dict[str, Any] = {}
    for name, member in plan.members:
        if name is None:
            fields |= _public(member.__get__(value))
        elif (item := _slot(member, value)) is not _GONE:
            fields[name] = item if item is None or not is_secret(name) else HIDDEN
    if plan.extra is not None and type(extra := _slot(plan.extra, value)) is dict:
        fields |= _public(extra)
    return fields


class _Plan:
    """Where the objects of one class store their fields."""

    __slots__ = ("extra", "has_store", "members", "mro")

    def __init__(self, mro: tuple[type, ...]) -> None:
        self.mro: tuple[type, ...] = mro
        self.members: list[tuple[str | None, Any]] = []
        """Slots by their name, and what gives the instance dictionary, which has none."""
        self.extra: Any = None
        """The slot of what a pydantic model was given beyond its declared fields."""
        self.has_store: bool = False


def _planned(kind: type) -> _Plan:
    plan = _Plan(_mro(kind))
    if _flags(kind) & _HEAP_TYPE and not any(k is type or k is ModuleType for k in plan.mro):
        for klass in reversed(plan.mro):
            members = type.__getattribute__(klass, "__dict__")
            for name, member in list(members.items()):
                if type(member) is MemberDescriptorType and not name.startswith("__"):
                    plan.members.append((name, member))
                elif name == "__dict__" and type(member) is GetSetDescriptorType:
                    plan.members.append((None, member))
                elif name == "__pydantic_extra__" and type(member) is MemberDescriptorType:
                    plan.extra = member
        plan.has_store = bool(plan.members)
    if len(_plans) >= MAX_PLANS:
        _plans.clear()
    _plans[id(kind)] = plan  # its mro keeps the class, so that nothing else gets its identity
    return plan


def type_name(kind: type) -> str:
    """``module.Name`` of a class, the bare name of a builtin."""
    module, name = _module(kind), type.__dict__["__qualname__"].__get__(kind)
    return short(name if module in ("", "builtins") else f"{module}.{name}")


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
        name: item if item is None or not is_secret(name) else HIDDEN
        for name, item in _first(dict.items(stored))  # at once: another thread may be changing it
        if type(name) is str and not name.startswith("__")
    }


def _bytes(value: Any) -> Any:
    if len(value) > MAX_INLINE_BYTES:
        return Opaque(f"<{len(value)} bytes>")
    from base64 import b64encode

    return b64encode(value).decode()


def _first(items: Iterable[Any]) -> list[Any]:
    """As many as are ever kept, and one more to know by; at once, in C."""
    return list(islice(items, MAX_ITEMS))


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


def _array(kind: Any, value: Any) -> Opaque:
    """What an array is of, and not what it holds: that may be millions of numbers."""
    dtype = kind.__dict__["dtype"].__get__(value)
    code = _mro(type(dtype))[-2].__dict__["str"].__get__(dtype)  # of `numpy.dtype` itself
    return Opaque(f"<{type_name(type(value))} {kind.__dict__['shape'].__get__(value)} {code}>")


def _scalar(item: Any, value: Any) -> Any:
    kind = type(item)
    plain_one = kind is int or kind is float or kind is bool or kind is str or kind is complex
    return (_text_of(item) if kind is complex else item) if plain_one else _named_only(None, value)


def _partial(kind: Any, value: Any) -> dict[str, Any]:
    """Its keywords are arguments, of which those of a secret name are never recorded."""
    fields = {name: kind.__dict__[name].__get__(value) for name in ("func", "args", "keywords")}
    return {**fields, "keywords": _public(fields["keywords"])}


def _named_only(_: Any, value: Any) -> Opaque:
    return Opaque(f"<{type_name(type(value))}>")


def _by_class(kind: type, value: object) -> Any:
    if id(kind) not in _plans:  # of none of the standard types, where it has a plan
        for klass in _mro(kind):
            if (through := _BASES.get(id(klass))) is not None:
                return through(value)
            if (standard := _standard(klass)) is not None:
                return standard(klass, value)
    fields = _fields_of(value)
    return Opaque(f"<{type_name(kind)}>") if fields is None else fields


def _standard(klass: type) -> Callable[[Any, Any], Any] | None:
    """How a class of a library is read; only if it is that class, not one of its name."""
    module, name = _module(klass), type.__dict__["__name__"].__get__(klass)
    found = _named_only if _is_inside(module) else _BY_NAME.get((module, name))
    if found is None or getattr(sys.modules.get(module), name, None) is not klass:
        return None
    return found


def _is_inside(module: str) -> bool:
    """Whether it is of turnspan's own machinery, which holds what the policy has yet to hide."""
    return module.startswith("turnspan.") and not module.startswith(_OUR_VALUES)


def is_bytes(value: object) -> bool:
    """Whether ``value`` is a row of bytes, by its class."""
    return any(klass is bytes or klass is bytearray for klass in _mro(type(value)))


_plans: dict[int, _Plan] = {}
_OUR_VALUES: Final = ("turnspan.schema.", "turnspan.delivery.health", "turnspan.testing.")
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
    set: _first,
    frozenset: _first,
    orjson.Fragment: lambda value: orjson.loads(orjson.dumps(value)),
    type: lambda value: Opaque(f"<class {type_name(value)}>"),
}

_THROUGH: Final[dict[type, Callable[[Any], Any]]] = {
    dict: lambda value: Entries(_first(dict.items(value))),
    list: lambda value: list.__getitem__(value, slice(MAX_ITEMS)),
    tuple: lambda value: tuple.__getitem__(value, slice(MAX_ITEMS)),
    str: lambda value: str.__add__(value, ""),
    int: lambda value: int.__add__(value, 0),
    float: lambda value: float.__add__(value, 0.0),
    bytes: lambda value: _bytes(bytes.__add__(value, b"")),
    set: lambda value: _first(set.__iter__(value)),
    frozenset: lambda value: _first(frozenset.__iter__(value)),
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
    ("collections", "deque"): lambda kind, value: _first(kind.__iter__(value)),
    ("enum", "Enum"): lambda _, value: object.__getattribute__(value, "_value_"),
    ("_io", "_IOBase"): _named_only,  # from Python 3.12 on, files have an instance dictionary
    ("functools", "partial"): _partial,
    ("types", "MappingProxyType"): lambda _, __: Opaque("<mappingproxy>"),
    ("types", "SimpleNamespace"): lambda kind, value: _public(
        kind.__dict__["__dict__"].__get__(value)
    ),
    ("numpy", "ndarray"): _array,
    ("numpy", "generic"): lambda kind, value: _scalar(kind.item(value), value),
    ("pandas.core.frame", "DataFrame"): _named_only,
    ("pandas.core.series", "Series"): _named_only,
    ("pandas", "DataFrame"): _named_only,
    ("pandas", "Series"): _named_only,
    ("pydantic.types", "_SecretBase"): _named_only,
    ("pydantic.v1.types", "SecretStr"): _named_only,
    ("pydantic.v1.types", "SecretBytes"): _named_only,
}

# What travels over HTTP carries the keys, tokens and cookies of whoever sent it, as bytes or in
# mappings where no name tells, and a server's request holds the whole application.
_OF_HTTP: Final = {
    "aiohttp.client_reqrep": ("ClientRequest", "ClientResponse"),
    "aiohttp.web_request": ("BaseRequest",),
    "django.http.request": ("HttpRequest",),
    "http.client": ("HTTPConnection", "HTTPMessage"),
    "http.cookiejar": ("CookieJar",),
    "httpx": ("Cookies", "Headers", "Request", "Response"),
    "requests.models": ("PreparedRequest", "Request", "Response"),
    "requests.sessions": ("Session",),
    "starlette.datastructures": ("Headers",),
    "starlette.requests": ("HTTPConnection",),
    "tornado.httputil": ("HTTPServerRequest",),
    "urllib.request": ("Request",),
    "werkzeug.sansio.request": ("Request",),
}
_BY_NAME.update({(home, name): _named_only for home in _OF_HTTP for name in _OF_HTTP[home]})
