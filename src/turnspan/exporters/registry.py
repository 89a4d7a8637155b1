"""From what `configure(exporters=...)` was given to exporters.

A URL's scheme names its exporter: `abc:...`, `abc+http://...` and `abc+https://...` belong to the
module `turnspan.exporters.abc`, else to the entry point `abc` of the group `turnspan.exporters`
(`https` belongs to `http`). Module and entry point offer the same:

    from_url(url: str, *, settings: Settings) -> Exporter

It opens neither file nor connection, and raises `ExporterError` for a URL it cannot serve.
An entry point may name that function itself or the module that holds it.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from importlib import import_module
from types import ModuleType
from typing import Any, Final, Protocol, cast

from turnspan.errors import ExporterError, TurnspanError
from turnspan.ports import Exporter
from turnspan.settings import Settings

__all__ = ["FromUrl", "build", "build_all", "known_schemes"]

GROUP: Final = "turnspan.exporters"
_SCHEME: Final = re.compile(r"([a-z][a-z0-9_.-]*)(?:\+(https?))?:", re.IGNORECASE)
_USER_INFO: Final = re.compile(r"^([a-z0-9+._-]*:)?(//)?.*@", re.IGNORECASE | re.DOTALL)
_EXAMPLES: Final = "memory:, console:, file:turns.jsonl or https://turns.example.com"


class FromUrl(Protocol):
    """What an exporter's module or entry point offers."""

    def __call__(self, url: str, *, settings: Settings) -> Exporter:
        """The exporter that ``url`` names, with nothing opened yet."""
        ...


def build(target: str | Exporter, *, settings: Settings) -> Exporter:
    """The exporter that the URL ``target`` names, or ``target`` itself where it is one.

    Raises:
        ExporterError: the scheme is unknown, the URL is malformed, a package is missing, or
            the object is no exporter.
    """
    if not isinstance(target, str):
        return _checked(target)
    name = _scheme_name(target)
    factory = _factory(name, target)
    try:
        made = factory(target, settings=settings)
    except TurnspanError:
        raise
    except ImportError as exc:
        raise _missing(name, exc) from exc
    except Exception as exc:
        said = _without_user_info(f"{type(exc).__name__}: {exc}", target)
        raise ExporterError(
            f"the exporter {name!r} cannot be built from {_shown(target)}: {said}",
            fix=f"check the URL, or report it to whoever wrote the exporter {name!r}",
        ) from exc
    return _checked(made)


def build_all(targets: Iterable[str | Exporter], *, settings: Settings) -> tuple[Exporter, ...]:
    """The exporters that ``targets`` name, in their order; each name once.

    Raises:
        ExporterError: one of them cannot be built, or two have the same name.
    """
    if isinstance(targets, str) or not isinstance(targets, Iterable):
        given = _shown(targets) if isinstance(targets, str) else f"a {type(targets).__name__}"
        raise ExporterError(
            f"exporters is {given}, not a list",
            fix="put it in brackets: exporters=[...]",
        )
    built: dict[str, Exporter] = {}
    for target in targets:
        exporter = build(target, settings=settings)
        if exporter.name in built:
            raise ExporterError(
                f"two exporters are called {exporter.name!r}",
                fix="leave one of them out, or give one a name of its own",
            )
        built[exporter.name] = exporter
    return tuple(built.values())


def known_schemes() -> tuple[str, ...]:
    """The schemes that can be named here: built in and installed ones."""
    installed = {point.name for point in _entry_points()}
    return tuple(sorted(installed.union(_built_in())))


def _shown(url: str) -> str:
    """``url`` without user, password and query, fit to be shown."""
    bare = re.split(r"[?#]", _USER_INFO.sub(r"\1\2", url), maxsplit=1)[0]
    return repr(bare)


def _without_user_info(text: str, url: str) -> str:
    found = re.search(r"//(.*)@", url, re.DOTALL)
    user_info = found[1] if found else ""
    for secret in (user_info, *user_info.split(":")):
        if len(secret) > 3:  # a shorter one would take half the sentence with it
            text = text.replace(secret, "***")
    return text


def _scheme_name(url: str) -> str:
    match = _SCHEME.match(url)
    if match is None:
        over_grpc = re.match(r"[a-z]+\+grpcs?:", url, re.IGNORECASE)
        known = f"begin with a scheme: {_EXAMPLES}; for a file write file:PATH"
        raise ExporterError(
            f"{_shown(url)} is no URL that an exporter could serve",
            fix="write otlp+http://HOST:4318, for OTLP goes over HTTP" if over_grpc else known,
        )
    name = match[1].lower()
    name = "http" if name == "https" else name
    if match[2] or name == "http":
        _check_host(url)
    return name


def _check_host(url: str) -> None:
    from urllib.parse import urlsplit

    try:
        parts = urlsplit(url)
        usable = bool(parts.hostname) and parts.port != 0
    except ValueError:  # a port that is no number or too large, half a bracketed address
        usable = False
    if not usable or re.search(r"[\s\x00-\x20\x7f]", url):
        raise ExporterError(
            f"{_shown(url)} names no usable host and port",
            fix="write scheme://host:port/path, as in https://turns.example.com:8443",
        )


def _factory(name: str, url: str) -> FromUrl:
    found = _built_in_factory(name) or _installed_factory(name)
    if found is not None:
        return found
    known = ", ".join(known_schemes())
    looks_like_host = re.match(r"[\w.-]+:\d+(?:/|$)", url)
    raise ExporterError(
        f"no exporter is called {name!r}, which {_shown(url)} asks for; there are: {known}",
        fix=f"write http://{url}"
        if looks_like_host
        else f"use one of those, or install the package that brings {name!r}",
    )


def _built_in_factory(name: str) -> FromUrl | None:
    if not _has_module(name):
        return None
    try:
        return _from_url(import_module(f"{__package__}.{name}"))
    except ImportError as exc:
        raise _missing(name, exc) from exc


def _has_module(name: str) -> bool:
    from importlib.util import find_spec

    return name.isidentifier() and find_spec(f"{__package__}.{name}") is not None


def _built_in() -> Iterator[str]:
    """Names of the modules beside this one that are exporters."""
    from pkgutil import iter_modules

    here = import_module(str(__package__))
    for module in iter_modules(here.__path__):
        try:
            if _from_url(import_module(f"{here.__name__}.{module.name}")):
                yield module.name
        except ImportError:  # one whose extra is missing is known all the same
            yield module.name


def _installed_factory(name: str) -> FromUrl | None:
    for point in _entry_points():
        if point.name == name:
            return _loaded(name, point.load)
    return None


def _loaded(name: str, load: Callable[[], Any]) -> FromUrl:
    try:
        value = load()
    except ImportError as exc:
        raise _missing(name, exc) from exc
    except Exception as exc:
        raise ExporterError(
            f"the exporter {name!r} cannot be loaded: {type(exc).__name__}: {exc}",
            fix=f"update the package that brings {name!r}, or leave it out",
        ) from exc
    factory = _from_url(value)
    if factory is None:
        raise ExporterError(
            f"the entry point {name!r} of {GROUP} offers no from_url(url, *, settings)",
            fix="let it name that function, or a module that holds it",
        )
    return factory


def _from_url(home: Any) -> FromUrl | None:
    found: Any = getattr(home, "from_url", None if isinstance(home, ModuleType) else home)
    return cast("FromUrl", found) if callable(found) else None


def _entry_points() -> Iterable[Any]:
    from importlib.metadata import entry_points  # here: it nearly doubles our import time

    return entry_points(group=GROUP)


def _missing(name: str, exc: ImportError) -> ExporterError:
    needed = exc.name or "a module"
    ours = f"pip install 'turnspan[{name}]'"
    theirs = f"install {needed!r}, or update the package that brings {name!r}"
    return ExporterError(
        f"the exporter {name!r} needs {needed!r}, which cannot be imported: {exc}",
        fix=ours if _has_module(name) else theirs,
    )


def _checked(made: object) -> Exporter:
    if isinstance(made, type):
        kind = made.__name__
        raise ExporterError(
            f"{kind} is a class, not an exporter", fix=f"make one of it: {kind}(...)"
        )
    kind = type(made).__name__
    try:
        name = made.name if isinstance(made, Exporter) else None
    except Exception as exc:
        raise ExporterError(
            f"the name of a {kind} cannot be read: {type(exc).__name__}", fix="mend its `name`"
        ) from exc
    if not isinstance(made, Exporter):
        raise ExporterError(
            f"an object of type {kind} is no exporter",
            fix=f"give a URL such as {_EXAMPLES}, or an object with name, export() and close()",
        )
    if not isinstance(name, str) or not name:
        raise ExporterError(f"the name of a {kind} is no text", fix="let `name` be a text")
    if re.search(r"[\0\ud800-\udfff]", name):
        raise ExporterError(
            f"the name of a {kind} holds what no file can be called by: {name!a}",
            fix="leave NUL and halves of surrogate pairs out of `name`",
        )
    return made
