"""One connection, whose client may neither speak nor listen too slowly."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

import h11
import orjson
from uvicorn.protocols.http.h11_impl import H11Protocol

from turnspan.server.unsent import unsent_bytes

if TYPE_CHECKING:
    from turnspan.server.limits import Limits

__all__ = ["KEEP_ALIVE_S", "connection_of"]

HEAD_S: Final = 10.0
"""Longest a connection may take to say what it wants."""
KEEP_ALIVE_S: Final = 30
LEAST_BYTES: Final = 16 * 2**10
"""What a client must take of an answer in `Limits.stall_s`."""
LAST_CALL: Final = 0.8
"""When, of the time that a stop waits, whoever is still speaking or listening is left."""


def connection_of(limits: Limits) -> type[H11Protocol]:
    """The protocol of connections that have ``limits``."""
    return type("Connection", (_Connection,), {"stall_s": limits.stall_s})


class _Connection(H11Protocol):
    """HTTP/1.1 for one connection, which must begin to speak, and take its answers, in time."""

    stall_s: float
    _waiting: asyncio.TimerHandle | None = None
    _stalled: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        super().connection_made(transport)
        self._waiting = self.loop.call_later(HEAD_S, self._give_up)

    def connection_lost(self, exc: Exception | None) -> None:
        self._heard()
        self._taken()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        super().pause_writing()
        self._watch()

    def resume_writing(self) -> None:
        self._taken()
        super().resume_writing()

    def timeout_keep_alive_handler(self) -> None:
        super().timeout_keep_alive_handler()
        self._leave()

    def shutdown(self) -> None:
        super().shutdown()
        stop_s = self.config.timeout_graceful_shutdown or 1
        self.loop.call_later(stop_s * LAST_CALL, self.transport.abort)

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
            self._leave()

    def _watch(self) -> None:
        """See to it that the client takes what waits for it."""
        waiting = unsent_bytes(self.transport)
        self._stalled = self.loop.call_later(self.stall_s, self._look_again, waiting)

    def _look_again(self, waited: int) -> None:
        if waited - unsent_bytes(self.transport) < LEAST_BYTES:
            self.transport.abort()
        else:
            self._watch()

    def _taken(self) -> None:
        if self._stalled is not None:
            self._stalled.cancel()
            self._stalled = None

    def _leave(self) -> None:
        """See to it that a connection which is to end does, though its client took not all yet."""
        if self._stalled is None and self.transport.get_write_buffer_size():
            self._watch()
