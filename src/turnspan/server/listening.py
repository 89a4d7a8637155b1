"""uvicorn as we run it: bounded heads, bounded waits, and answers in one form."""

from __future__ import annotations

import asyncio
import socket
from typing import TYPE_CHECKING, Any, Final

import h11
import orjson
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

if TYPE_CHECKING:
    from starlette.types import ASGIApp

    from turnspan.server.limits import Limits

__all__ = ["listening_socket", "uvicorn_config"]

HEAD_S: Final = 10.0
"""Longest a connection may take to say what it wants."""
KEEP_ALIVE_S: Final = 30
BACKLOG: Final = 1024
_SPARE_BYTES: Final = 48 * 2**10
"""A head that is too long by no more than this is refused in the dialect's own words."""


class _Protocol(H11Protocol):
    """HTTP/1.1 for one connection, which must begin to speak in time."""

    _waiting: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        super().connection_made(transport)
        self._waiting = self.loop.call_later(HEAD_S, self._give_up)

    def connection_lost(self, exc: Exception | None) -> None:
        self._heard()
        super().connection_lost(exc)

    def handle_events(self) -> None:
        before = self.cycle
        super().handle_events()
        if self.cycle is not before:
            self._heard()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self.conn.our_state is h11.IDLE and self._waiting is None:
            self._waiting = self.loop.call_later(KEEP_ALIVE_S + HEAD_S, self._give_up)

    def send_400_response(self, msg: str) -> None:
        """Say in problem details that this was no HTTP."""
        body = orjson.dumps(
            {
                "type": "about:blank",
                "title": "Bad Request",
                "status": 400,
                "detail": msg,
                "code": "invalid_request",
            }
        )
        if self.conn.our_state not in {h11.IDLE, h11.SEND_RESPONSE}:
            self.transport.close()
            return
        headers = [
            (b"content-type", b"application/problem+json"),
            (b"content-length", str(len(body)).encode()),
            (b"connection", b"close"),
        ]
        response = h11.Response(status_code=400, headers=headers, reason=b"Bad Request")
        events: list[Any] = [response, h11.Data(data=body), h11.EndOfMessage()]
        for event in events:
            self.transport.write(self.conn.send(event) or b"")
        self.transport.close()

    def _heard(self) -> None:
        if self._waiting is not None:
            self._waiting.cancel()
            self._waiting = None

    def _give_up(self) -> None:
        self._waiting = None
        if self.cycle is None or self.cycle.response_complete:
            self.transport.close()


def listening_socket(host: str, port: int) -> socket.socket:
    """A socket that listens on one address.

    asyncio sends what it has at once only on sockets that name TCP as their protocol, which
    those of `socket.create_server` do not: answers would wait 40 ms for an acknowledgement.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(BACKLOG)
    except BaseException:
        listener.close()
        raise
    return listener


def uvicorn_config(
    app: ASGIApp, *, host: str, port: int, limits: Limits, stop_s: float = 10.0
) -> uvicorn.Config:
    """How ``app`` is served at one address; a stop waits ``stop_s`` for what is under way."""
    return uvicorn.Config(
        app,
        host=host,
        port=port,
        http=_Protocol,
        ws="none",
        lifespan="on",
        access_log=False,
        log_config=None,
        server_header=False,
        date_header=True,
        proxy_headers=False,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=max(1, round(stop_s)),
        h11_max_incomplete_event_size=limits.header_bytes + limits.path_bytes + _SPARE_BYTES,
        backlog=BACKLOG,
    )
