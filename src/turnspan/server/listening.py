"""uvicorn as we run it: bounded heads, bounded waits, and answers in one form."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Final

import uvicorn

from turnspan.server.connection import KEEP_ALIVE_S, connection_of

if TYPE_CHECKING:
    from starlette.types import ASGIApp

    from turnspan.server.limits import Limits

__all__ = ["listening_socket", "uvicorn_config"]

BACKLOG: Final = 1024
_SPARE_BYTES: Final = 48 * 2**10
"""A head that is too long by no more than this is refused in the dialect's own words."""


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
        http=connection_of(limits),
        ws="none",
        lifespan="on",
        access_log=False,
        log_config=None,
        log_level="error",  # what clients say wrong is told to them
        server_header=False,
        date_header=True,
        proxy_headers=False,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=max(1, round(stop_s)),
        h11_max_incomplete_event_size=limits.header_bytes + limits.path_bytes + _SPARE_BYTES,
        backlog=BACKLOG,
    )
