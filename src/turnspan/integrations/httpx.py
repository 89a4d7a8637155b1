"""Requests of httpx (and httpx2) that carry the trace of the turn they are made in.

    from turnspan.integrations import httpx as httpx_traces

    client = httpx.Client(event_hooks={"request": [httpx_traces.hook()]})
    client = httpx.AsyncClient(event_hooks={"request": [httpx_traces.async_hook()]})

or, for the transports of every client in the process, those inside other libraries included:

    httpx_traces.install()

Where OpenTelemetry's own instrumentation of httpx is in use it does the same, and neither is
needed, unless session and user are to travel: see `turnspan.integrations.propagation`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from importlib import import_module
from threading import RLock
from typing import Any, Final, Protocol

from turnspan.errors import IntegrationError
from turnspan.integrations.installed import Installed
from turnspan.integrations.patches import Patches
from turnspan.integrations.propagation import inject

__all__ = ["Request", "async_hook", "hook", "install", "uninstall"]

_patches: Final = Patches()
_lock: Final = RLock()


class Request(Protocol):
    """What is read of a request."""

    @property
    def headers(self) -> MutableMapping[str, str]:
        """Its headers, which can be changed."""
        ...


def hook(*, session: bool = False) -> Callable[[Any], None]:
    """An event hook for `request` of an `httpx.Client`."""

    def propagate(request: Request) -> None:
        inject(request.headers, session=session)

    return propagate


def async_hook(*, session: bool = False) -> Callable[[Any], Awaitable[None]]:
    """An event hook for `request` of an `httpx.AsyncClient`."""

    async def propagate(request: Request) -> None:
        inject(request.headers, session=session)

    return propagate


def install(*, session: bool = False) -> Installed:
    """Have the transports of all clients of the process propagate. Again, it does nothing.

    Raises:
        IntegrationError: neither httpx nor httpx2 is there to be patched.
    """

    def send(original: Callable[..., Any], transport: object, request: Request) -> Any:
        inject(request.headers, session=session)
        return original(transport, request)

    with _lock:
        if _patches.are_on:
            return Installed(None)
        for transport, method in _transports():
            _patches.wrap(transport, method, send)
        return Installed(uninstall)


def uninstall() -> None:
    """Put back what `install` replaced."""
    with _lock:
        _patches.undo()


def _transports() -> list[tuple[type, str]]:
    found = [module for name in ("httpx", "httpx2") if (module := _imported(name)) is not None]
    if not found:
        raise IntegrationError("there is no httpx in this process", fix="pip install httpx")
    return [
        (getattr(module, name), method)
        for module in found
        for name, method in (
            ("HTTPTransport", "handle_request"),
            ("AsyncHTTPTransport", "handle_async_request"),
        )
    ]


def _imported(name: str) -> Any:
    try:
        return import_module(name)
    except ImportError:
        return None
