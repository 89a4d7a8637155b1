"""Requests to an ASGI application, whose turns belong to the trace they come with.

    from turnspan.integrations import asgi

    app.add_middleware(asgi.Middleware)     # Starlette, FastAPI
    app = asgi.Middleware(app)              # any other

Source: https://asgi.readthedocs.io/en/latest/specs/www.html version 2.5 (headers are byte strings,
their names in lower case; one that came twice stands there twice).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Final, TypeAlias

from turnspan.integrations.propagation import received
from turnspan.interrupts import is_anothers
from turnspan.notices import say

__all__ = ["Middleware"]

Scope: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send: TypeAlias = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]

_KINDS: Final = ("http", "websocket")


class Middleware:
    """Has the trace context and baggage of each request in force while ``app`` answers it.

    That is until the last byte of a streamed response, and of what runs after it. Nothing of the
    request or response is touched or held back. With ``session`` the caller's session and user
    are in force too: only where those who call are your own.
    """

    def __init__(self, app: App, *, session: bool = False) -> None:
        self._app = app
        self._session = session

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or whatever else comes in ``scope``."""
        if scope["type"] not in _KINDS:
            await self._app(scope, receive, send)
            return
        with received(_carrier(scope), session=self._session):
            await self._app(scope, receive, send)


def _carrier(scope: Scope) -> dict[str, str]:
    """The headers; none where a server hands on what is no list of pairs of bytes."""
    try:
        return _headers(scope)
    except Exception as exc:  # border: servers and middleware of others' making
        if is_anothers(exc):
            raise
        say("asgi headers", "the headers of a request cannot be read: %s", exc, error=exc)
        return {}


def _headers(scope: Scope) -> dict[str, str]:
    """By name; one that came twice is joined, which is no `traceparent` any more."""
    carrier: dict[str, str] = {}
    for raw_name, raw_value in scope.get("headers") or ():
        name, value = bytes(raw_name).decode("latin-1"), bytes(raw_value).decode("latin-1")
        carrier[name] = f"{carrier[name]},{value}" if name in carrier else value
    return carrier
