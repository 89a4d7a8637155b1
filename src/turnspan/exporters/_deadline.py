"""A network backend for httpcore that ends a whole request at one moment.

httpcore bounds each read and write by itself, so a server that trickles a byte now and
then is waited for without end. Here every operation gets what is left until `at_s`, name
resolution included.

Source: https://www.encode.io/httpcore/network-backends/ (httpcore 1.0).
"""

from __future__ import annotations

import contextlib
import contextvars
import ssl
import threading
import time
from collections.abc import Iterable
from typing import Any, Final

import httpcore

__all__ = ["DeadlineBackend"]

CHUNK_BYTES: Final = 16 * 1024  # written in one go: the deadline is looked at in between


class DeadlineBackend(httpcore.NetworkBackend):
    """Connects and talks until ``at_s`` on the monotonic clock, then times out.

    For one request at a time; set `at_s` before each.
    """

    def __init__(self) -> None:
        self._backend = httpcore.SyncBackend()
        self.at_s = 0.0
        self.connections = 0
        """Connections tried so far: unchanged after a request means one was reused."""
        self._latest: httpcore.NetworkStream | None = None

    def hang_up(self) -> None:
        """In a forked child: close its copy of the connection, which stays the parent's."""
        if self._latest is not None:
            self._latest.close()

    def left_s(self, expired: type[Exception]) -> float:
        """Seconds left; raises ``expired`` where there are none."""
        left_s = self.at_s - time.monotonic()
        if left_s <= 0:
            raise expired("the time given for the whole request is over")
        return left_s

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # the deadline stands for it
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        left_s = self.left_s(httpcore.ConnectTimeout)

        def connect() -> httpcore.NetworkStream:
            return self._backend.connect_tcp(host, port, left_s, local_address, socket_options)

        self.connections += 1
        return self.watched(_Connecting(connect).within(left_s))

    def watched(self, stream: httpcore.NetworkStream) -> httpcore.NetworkStream:
        """``stream``, whose every operation ends at the deadline."""
        self._latest = _DeadlineStream(stream, self)
        return self._latest


class _Connecting:
    """A connection being made in a thread of its own: a resolver cannot be interrupted."""

    def __init__(self, connect: Any) -> None:
        self._connect = connect
        self._stream: httpcore.NetworkStream | None = None
        self._error: Exception | None = None
        self._abandoned = False
        self._lock = threading.Lock()
        self._done = threading.Event()

    def within(self, left_s: float) -> httpcore.NetworkStream:
        run = contextvars.copy_context().run  # our request stays unobserved there too
        name = "turnspan connect"
        try:
            threading.Thread(target=run, args=(self._run,), name=name, daemon=True).start()
        except RuntimeError:  # Python 3.12 and later start no thread at exit
            self._run()
        self._done.wait(left_s)
        with self._lock:
            if self._stream is not None:
                return self._stream
            self._abandoned = True
        raise self._error or httpcore.ConnectTimeout("no connection in the time given")

    def _run(self) -> None:
        try:
            stream = self._connect()
        except Exception as exc:  # noqa: BLE001  # handed to the thread that waits
            self._error = exc
        else:
            with self._lock:
                self._stream = stream
                if self._abandoned:
                    stream.close()
        self._done.set()


class _DeadlineStream(httpcore.NetworkStream):
    """A stream whose every operation ends at the backend's deadline."""

    def __init__(self, stream: httpcore.NetworkStream, backend: DeadlineBackend) -> None:
        self._stream = stream
        self._backend = backend

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, self._backend.left_s(httpcore.ReadTimeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        for start in range(0, len(buffer), CHUNK_BYTES):
            left_s = self._backend.left_s(httpcore.WriteTimeout)
            self._stream.write(buffer[start : start + CHUNK_BYTES], left_s)

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._stream.close()

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore.NetworkStream:
        left_s = self._backend.left_s(httpcore.ConnectTimeout)
        secured = self._stream.start_tls(ssl_context, server_hostname, left_s)
        return self._backend.watched(secured)

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)
