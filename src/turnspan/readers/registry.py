"""From a URL to the reader that serves it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from importlib import import_module
from importlib.util import find_spec
from typing import Any, Final, Protocol, cast
from urllib.parse import urlsplit, urlunsplit

from turnspan.errors import ExporterError, ReaderError
from turnspan.exporters._address import without_credentials
from turnspan.readers.reader import Reader
from turnspan.settings import Settings

__all__ = ["FromUrl", "build", "known_schemes"]

GROUP: Final = "turnspan.readers"
_SCHEME: Final = re.compile(r"([a-z][a-z0-9_.-]*)(?:\+https?)?:", re.IGNORECASE)


class FromUrl(Protocol):
    """What a reader's module or entry point offers."""

    def __call__(self, url: str, *, settings: Settings) -> Reader:
        """The reader of ``url``, with nothing opened yet."""
        ...


def build(url: str, *, settings: Settings, key_given: bool = False) -> Reader:
    """The reader that ``url`` names; with ``key_given`` the key of the settings is the one.

    Raises:
        ReaderError: the scheme is unknown, or the URL malformed.
    """
    found = _SCHEME.match(url)
    name = found[1].lower() if found else ""
    name = "http" if name == "https" else name
    factory = _built_in(name) or _installed(name)
    if factory is None:
        raise ReaderError(f"nothing is known to read {without_credentials(url)!r}", fix=_fix(url))
    try:
        return factory(_without_user(url) if key_given else url, settings=settings)
    except ExporterError as error:  # an address is read by what exporters read theirs with
        raise ReaderError(error.what, fix=error.fix) from None


def _fix(url: str) -> str:
    if re.match(r"[\w.-]+:\d+(?:/|$)", url):
        return f"write http://{url}"
    known = ("" if name == "http" else f"{name}+" for name in known_schemes())
    return (
        f"begin with one of: {', '.join(sorted(f'{prefix}https://' for prefix in known))}; "
        "a journal on this machine is read by `turnspan tail --once --json`"
    )


def known_schemes() -> tuple[str, ...]:
    """The schemes that can be read: built in and installed ones."""
    from pkgutil import iter_modules

    here = import_module(str(__package__))
    ours = {module.name for module in iter_modules(here.__path__) if _built_in(module.name)}
    return tuple(sorted(ours.union(point.name for point in _entry_points())))


def _built_in(name: str) -> FromUrl | None:
    if not name.isidentifier() or find_spec(f"{__package__}.{name}") is None:
        return None
    return _from_url(import_module(f"{__package__}.{name}"))


def _installed(name: str) -> FromUrl | None:
    for point in _entry_points():
        if point.name == name:
            try:
                return _from_url(point.load())
            except Exception as error:
                raise ReaderError(
                    f"the reader {name!r} cannot be loaded: {type(error).__name__}: {error}",
                    fix=f"update the package that brings {name!r}",
                ) from error
    return None


def _from_url(home: Any) -> FromUrl | None:
    found = getattr(home, "from_url", None)
    return cast("FromUrl", found) if callable(found) else None


def _entry_points() -> Iterable[Any]:
    from importlib.metadata import entry_points  # here: it takes its time

    return entry_points(group=GROUP)


def _without_user(url: str) -> str:
    """``url`` without the key in it, for another was given."""
    try:
        parts = urlsplit(url)
    except ValueError:  # its reader says what is wrong with it
        return url
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))
