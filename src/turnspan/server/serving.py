"""One process that serves: it listens, answers until it is told to stop, then stops."""

from __future__ import annotations

import gc
import ipaddress
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

import uvicorn

from turnspan.errors import ServerError
from turnspan.server.access_log import AccessLog
from turnspan.server.app import create_app
from turnspan.server.listening import listening_socket, uvicorn_config
from turnspan.server.upkeep import Upkeep

if TYPE_CHECKING:
    from turnspan.server.limits import Limits
    from turnspan.server.store.port import Store

__all__ = ["is_loopback", "serve"]

MAX_PORT: Final = 65_535


def serve(
    store: Store,
    *,
    host: str,
    port: int,
    limits: Limits,
    retain_s: float | None = None,
    access_log: bool = True,
    on_ready: Callable[[str], None],
) -> None:
    """Serve ``store`` until SIGINT or SIGTERM; what is under way then is finished first.

    The store stays the caller's to close.

    Raises:
        ServerError: others than this machine could ask, and there is no key; or the address
            cannot be listened on.
    """
    if not is_loopback(host) and all(key.revoked_at is not None for key in store.all_keys()):
        raise ServerError(
            f"--host {host} would let others in, and there is no API key",
            fix="make one with `turnspan keys create`, or stay on --host 127.0.0.1",
        )
    listener = _listener(host, port)
    log = AccessLog(sys.stdout.buffer if access_log else None)
    app = create_app(store, limits=limits, log=log)
    server = uvicorn.Server(uvicorn_config(app, host=host, port=port, limits=limits))
    upkeep = Upkeep(store, retain_s=retain_s)
    upkeep.start()
    try:
        with _ended_by_signals(), _rare_collections(), listener:
            on_ready(_url(host, listener))
            server.run(sockets=[listener])
    finally:
        upkeep.stop()


def is_loopback(host: str) -> bool:
    """Whether only programs of this machine reach ``host``."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _listener(host: str, port: int) -> socket.socket:
    if not 0 <= port <= MAX_PORT:
        raise ServerError(f"there is no port {port}", fix="name another --port, such as 8787")
    try:
        return listening_socket(host, port)
    except OSError as error:
        raise ServerError(
            f"{host}:{port} cannot be listened on: {error}", fix="name another --host or --port"
        ) from error


def _url(host: str, listener: socket.socket) -> str:
    shown = f"[{host}]" if ":" in host else host
    return f"http://{shown}:{listener.getsockname()[1]}"


@contextmanager
def _rare_collections() -> Iterator[None]:
    """Look for cycles seldom: a batch of turns is many objects that all die together.

    With Python's own thresholds a third of the time that a batch takes is spent looking.
    """
    before = gc.get_threshold()
    gc.collect()
    gc.freeze()  # what was imported stays
    gc.set_threshold(20_000, 20, 50)
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()


@contextmanager
def _ended_by_signals() -> Iterator[None]:
    """Uvicorn raises the signal that ended it once more; by then it has done its work."""

    def pass_over(*_: Any) -> None:
        pass

    names = (signal.SIGINT, signal.SIGTERM)
    before = {name: signal.signal(name, pass_over) for name in names}
    try:
        yield
    finally:
        for name, handler in before.items():
            signal.signal(name, handler)
