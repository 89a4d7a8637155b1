"""An option, and how what people write for it is read."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import isfinite
from typing import Any

from turnspan.errors import SettingsError

__all__ = ["Option", "from_argument", "from_text", "size_of"]

_WORDS = {"true": True, "1": True, "yes": True, "on": True}
_WORDS |= {"false": False, "0": False, "no": False, "off": False}
_UNITS = {"s": "seconds"}
_SIZES = {"": 1, "b": 1, "kib": 2**10, "mib": 2**20, "gib": 2**30}


@dataclass(frozen=True, slots=True)
class Option:
    """One option as declared: what `doctor`, the docs and the parser need to know of it."""

    name: str
    env: str
    unit: str
    doc: str
    default: Any
    kind: str
    one_of: tuple[str, ...] = ()
    secret: bool = False
    path: bool = False
    share: bool = False


def from_text(option: Option, text: str) -> Any:
    """What ``text``, the value of a variable, means for ``option``.

    Raises:
        SettingsError: it means nothing.
    """
    if option.kind.endswith("| None") and text.lower() == "none":
        return None
    try:
        return _checked(option, _PARSE[option.kind.removesuffix(" | None")](text))
    except (KeyError, ValueError):
        shown = "its value" if option.secret else repr(text)
        raise SettingsError(
            f"{option.env}={shown} cannot be read as {_wanted(option)}",
            fix=f"unset {option.env}, or set it to {_wanted(option)}{_example(option)}",
        ) from None


def from_argument(option: Option, value: Any) -> Any:
    """What ``value``, given as an argument, means for ``option``.

    Raises:
        SettingsError: it means nothing.
    """
    if value is None and option.kind.endswith("| None"):
        return None
    try:
        return _checked(option, _TAKE[option.kind.removesuffix(" | None")](value))
    except (TypeError, ValueError, OverflowError):
        shown = f"a {type(value).__name__}" if option.secret else repr(value)
        raise SettingsError(
            f"{option.name}={shown} is not {_wanted(option)}",
            fix=f"give {_wanted(option)}, or leave it out for {option.default!r}",
        ) from None


def _checked(option: Option, value: Any) -> Any:
    if option.one_of and value not in option.one_of:
        raise ValueError
    if option.unit and value <= 0:
        raise ValueError
    if option.share and not 0 <= value <= 1:
        raise ValueError
    return _usable_path(value) if option.path else value


def _usable_path(text: str) -> str:
    from os import fsencode
    from os.path import expanduser

    if not text.strip() or b"\0" in fsencode(text):  # half a surrogate pair: a ValueError
        raise ValueError
    return expanduser(text)


def _wanted(option: Option) -> str:
    if option.one_of:
        return "one of " + ", ".join(option.one_of)
    if option.path:
        return "a path"
    if option.share:
        return "a number from 0 to 1"
    words = {
        "bool": "true or false",
        "bool | tuple[str, ...]": "true, false, shape, none, or a list of field=level",
        "int": "a whole number above 0",
        "float": "a number above 0",
        "str": "a text",
        "tuple[str, ...]": "a list of texts",
    }
    unit = f" ({_UNITS.get(option.unit, option.unit)})" if option.unit else ""
    return words[option.kind.removesuffix(" | None")] + unit


def _example(option: Option) -> str:
    """How a variable may be written beyond what an argument may."""
    return ", or a size such as 64MiB" if option.unit == "bytes" else ""


def size_of(text: str) -> int:
    """A whole number as a person writes it, with a unit of bytes or without: `64MiB`, `512`.

    Raises:
        ValueError: it is neither.
    """
    match = re.fullmatch(r"(\d+)\s*([a-z]*)", text.strip().lower())
    if not match or match[2] not in _SIZES:
        raise ValueError
    return int(match[1]) * _SIZES[match[2]]


def _number(value: Any) -> float:
    number = float(value)
    if isinstance(value, bool) or not isfinite(number):
        raise ValueError
    return number


def _exactly(*kinds: type) -> Callable[[Any], Any]:
    def take(value: Any) -> Any:
        if type(value) not in kinds:
            raise TypeError
        return value

    return take


def _texts(value: Any) -> tuple[str, ...]:
    if isinstance(value, str | Mapping) or not all(isinstance(item, str) for item in value):
        raise TypeError
    return tuple(value)


def _path(value: Any) -> str:
    from os import fspath  # a path is text too

    if not isinstance(path := fspath(value), str):
        raise TypeError
    return str(path)


def _words(text: str) -> tuple[str, ...]:
    return tuple(filter(None, re.split(r"[\s,]+", text)))


def _switch(text: str) -> bool | tuple[str, ...]:
    """On or off, one level for all, or `field=level` for each that is named."""
    words = _words(text.lower())
    if len(words) == 1 and words[0] in _WORDS:
        return _WORDS[words[0]]
    if words not in {("shape",), ("none",)} and not all("=" in word for word in words):
        raise ValueError
    return words


def _switched(value: Any) -> bool | tuple[str, ...]:
    return value if type(value) is bool else _texts(value)


_PARSE: dict[str, Callable[[str], Any]] = {
    "bool": lambda text: _WORDS[text.strip().lower()],
    "float": _number,
    "int": size_of,
    "str": str,
    "tuple[str, ...]": _words,
    "bool | tuple[str, ...]": _switch,
}
_TAKE: dict[str, Callable[[Any], Any]] = {
    "bool": _exactly(bool),
    "float": _number,
    "int": _exactly(int),
    "str": _path,
    "tuple[str, ...]": _texts,
    "bool | tuple[str, ...]": _switched,
}
