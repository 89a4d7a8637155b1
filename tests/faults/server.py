"""A destination that misbehaves on request: `POST /v1/turns`, and OTLP at `POST /v1/traces`.

It keys on ids, of turns or of spans: what it knows already it counts as sent again, and keeps
once. `whole` are the numbers of the turns of `producer.py` that arrived with all they held.

In a test: `with FaultServer() as server: server.be("status", status=503, times=2)`.
As a process: `python server.py` prints `{"url": …, "control": …}`; the control address takes
`GET /be?mode=…&…`, `/stats`, `/ids`, `/whole`, `/reset` and `/quit`.

Modes: ok · down · slow (`delay_s`) · silent · half_closing · trickle · garbage ·
status (`status`, `retry_after`) · poison (`ids`, `status`: requests that hold one of them) ·
too_large (`limit_bytes` of the body, inflated) · refuse (`ids`: per item, in the answer) ·
redirect (`location`, `status`) · circle (redirects to a further path, always).
With `times` or `for_s` a mode ends after so many requests or seconds.
"""

from __future__ import annotations

import contextlib
import gzip
import json
import re
import socket
import sys
import threading
import time
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import parse_qsl, urlsplit

ID = re.compile(rb'^\{"record":"(?:turn|feedback)","id":"([^"]+)"')
MARK = re.compile(rb"(?<![A-Za-z0-9])([QPRA])(\d{8})(?!\d)")  # what `producer.py` puts in a turn
TURN_ID = "turnspan.turn.id"


@dataclass(frozen=True)
class Mode:
    """How to answer, and for how long."""

    name: str = "ok"
    status: int = 500
    retry_after: str = ""
    delay_s: float = 0.0
    limit_bytes: int = 0
    ids: tuple[str, ...] = ()
    location: str = ""
    body: str = ""
    times: int | None = None
    until_s: float | None = None


@dataclass(frozen=True)
class Request:
    """One request as it came in."""

    path: str
    headers: dict[str, str]
    ids: tuple[str, ...]
    connection: int
    at_s: float
    body: bytes = b""


@dataclass(frozen=True)
class Content:
    """What a request holds: items by their id, and the ids of the turns they are of."""

    items: dict[str, bytes]
    turns: tuple[str, ...]
    size_bytes: int


@dataclass
class State:
    """What arrived so far."""

    mode: Mode = Mode()
    stored: dict[str, bytes] = field(default_factory=dict)
    order: list[str] = field(default_factory=list)
    duplicates: int = 0
    requests: list[Request] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)


class FaultServer:
    """The server in this process, on a free loopback port that it keeps while it is down."""

    def __init__(self, port: int = 0) -> None:
        self.state = State()
        self._changing = threading.RLock()  # a fault may end by itself meanwhile
        self._timer: threading.Timer | None = None
        self._kept = _kept(port)
        self.port: int = self._kept.getsockname()[1]
        self._http: _Http | None = _Http(("127.0.0.1", self.port), self.state)
        self._serve()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def ids(self) -> list[str]:
        """Ids stored, in the order of their arrival."""
        return list(self.state.order)

    @property
    def whole(self) -> list[int]:
        """Numbers of the turns of which question, answer, and both ends of the tool arrived."""
        seen: dict[bytes, set[int]] = {kind: set() for kind in (b"Q", b"P", b"R", b"A")}
        with self.state.lock:
            stored = list(self.state.stored.values())
        for item in stored:
            for kind, number in MARK.findall(item):
                seen[kind].add(int(number))
        return sorted(set.intersection(*seen.values()))

    def be(self, name: str, *, for_s: float | None = None, **options: Any) -> None:
        """Behave as ``name`` from the next request on, or until ``for_s`` seconds are over."""
        until_s = None if for_s is None else time.monotonic() + for_s
        with self._changing:
            self._forget_timer()
            self.state.mode = Mode(name, until_s=until_s, **options)
            if name == "down":
                self._down()
                if for_s is not None:
                    self._timer = threading.Timer(for_s, self._be_ok_again)
                    self._timer.start()
            elif self._http is None:
                self._http = _Http(("127.0.0.1", self.port), self.state)
                self._serve()

    def reset(self) -> None:
        """Forget what arrived."""
        self.state.stored.clear()
        self.state.order.clear()
        self.state.requests.clear()
        self.state.duplicates = 0

    def close(self) -> None:
        with self._changing:
            self._forget_timer()
            self._down()
            self._kept.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _serve(self) -> None:
        assert self._http is not None
        serve = self._http.serve_forever
        threading.Thread(target=serve, args=(0.02,), name="fault server", daemon=True).start()

    def _down(self) -> None:
        if self._http is not None:
            self._http.shutdown()
            self._http.hang_up()
            self._http = None

    def _be_ok_again(self) -> None:
        with self._changing:
            if self._timer is threading.current_thread():
                self.be("ok")

    def _forget_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


def _kept(port: int) -> socket.socket:
    """A socket on ``port`` that never listens, so that no other process is given it meanwhile."""
    kept = socket.socket()
    kept.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)  # with the server, when it is up
    kept.bind(("127.0.0.1", port))
    return kept


class _Http(ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_address = True
    allow_reuse_port = True
    block_on_close = False

    def __init__(self, address: tuple[str, int], state: State) -> None:
        super().__init__(address, _Handler)
        self.state = state
        self.sockets: set[socket.socket] = set()
        self.accepted = 0

    def get_request(self) -> tuple[socket.socket, Any]:
        sock, peer = super().get_request()
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.accepted += 1
        self.sockets.add(sock)
        return sock, peer

    def shutdown_request(self, request: Any) -> None:
        self.sockets.discard(request)
        super().shutdown_request(request)

    def handle_error(self, *_: object) -> None:
        """A client that hung up is nothing to report here."""

    def hang_up(self) -> None:
        self.server_close()
        for sock in list(self.sockets):
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Http

    def setup(self) -> None:
        super().setup()
        self.number = self.server.accepted

    def log_message(self, *_: object) -> None:
        """Quiet."""

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        if self.headers.get("content-encoding") == "gzip":
            body = gzip.decompress(body)
        try:
            content = _content(self.path, body)
        except ValueError as broken:
            self._answer(400, str(broken).encode())
            return
        headers = {name.lower(): value for name, value in self.headers.items()}
        at_s = time.monotonic()
        request = Request(self.path, headers, content.turns, self.number, at_s, body)
        state = self.server.state
        with state.lock:
            state.requests.append(request)
            mode = self._mode(state)
        getattr(self, f"_{mode.name}")(mode, content)

    def _mode(self, state: State) -> Mode:
        """The mode of this request; a spent one makes room for `ok`."""
        mode = state.mode
        spent = mode.until_s is not None and time.monotonic() > mode.until_s
        if spent or mode.times == 0:
            state.mode = mode = Mode()
        elif mode.times is not None:
            state.mode = replace(mode, times=mode.times - 1)
        return mode

    def _answer(self, status: int, body: bytes = b"", **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _store(self, content: Content, refused: tuple[str, ...] = ()) -> bytes:
        results = []
        state = self.server.state
        with state.lock:
            for item_id, item in content.items.items():
                if item_id in refused:
                    results.append({"id": item_id, "status": "refused", "error": "not wanted"})
                    continue
                known = item_id in state.stored
                state.duplicates += known
                if not known:
                    state.stored[item_id] = item
                    state.order.append(item_id)
                results.append({"id": item_id, "status": "duplicate" if known else "stored"})
        is_otlp = self.path.endswith("/v1/traces")
        return b"" if is_otlp else json.dumps({"results": results}).encode()

    def _ok(self, mode: Mode, content: Content) -> None:
        answer = self._store(content)
        self._answer(200, mode.body.encode() or answer)

    def _slow(self, mode: Mode, content: Content) -> None:
        time.sleep(mode.delay_s)
        self._ok(mode, content)

    def _silent(self, *_: object) -> None:
        with contextlib.suppress(OSError):
            self.connection.recv(1)  # until the other side gives up
        self.close_connection = True

    def _half_closing(self, *_: object) -> None:
        self.wfile.write(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n{")
        self.connection.shutdown(socket.SHUT_WR)
        self._silent()

    def _trickle(self, *_: object) -> None:
        with contextlib.suppress(OSError):
            for byte in b"HTTP/1.1 200 OK\r\nx-slow: " + b"y" * 10_000:
                self.wfile.write(bytes([byte]))
                time.sleep(0.02)
        self.close_connection = True

    def _garbage(self, *_: object) -> None:
        self.wfile.write(b"\x00\xff certainly not HTTP \x7f\r\n\r\n")
        self.close_connection = True

    def _status(self, mode: Mode, *_: object) -> None:
        headers = {"retry-after": mode.retry_after} if mode.retry_after else {}
        self._answer(mode.status, mode.body.encode(), **headers)

    def _poison(self, mode: Mode, content: Content) -> None:
        if set(mode.ids).intersection(content.turns):
            self._answer(mode.status, b"cannot digest this")
        else:
            self._ok(mode, content)

    def _too_large(self, mode: Mode, content: Content) -> None:
        if content.size_bytes > mode.limit_bytes:
            self._answer(413, b"too large")
        else:
            self._ok(mode, content)

    def _refuse(self, mode: Mode, content: Content) -> None:
        self._answer(200, self._store(content, mode.ids))

    def _redirect(self, mode: Mode, content: Content) -> None:
        here = (mode.location, mode.location.removeprefix(f"http://{self.headers['host']}"))
        if self.path in here:
            self._ok(mode, content)
        else:
            self._answer(mode.status, location=mode.location)

    def _circle(self, *_: object) -> None:
        self._answer(308, location=f"/round{self.path}")


def _content(path: str, body: bytes) -> Content:
    if path.endswith("/v1/logs"):
        return Content({}, (), len(body))  # events, which are looked at in the request
    return _spans(body) if path.endswith("/v1/traces") else _turns(body)


def _turns(body: bytes) -> Content:
    """The turns of an NDJSON body.

    Raises:
        ValueError: a line is no JSON: as with any server, the whole request is refused.
    """
    lines = [line for line in body.splitlines() if line]
    for line in lines:
        json.loads(line)
    ids = tuple(m[1].decode() if (m := ID.match(line)) else "" for line in lines)
    return Content(dict(zip(ids, lines, strict=True)), ids, len(body))


def _spans(body: bytes) -> Content:
    """The spans of an OTLP body.

    Raises:
        ValueError: it cannot be decoded.
    """
    from google.protobuf.message import DecodeError
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

    try:
        request = ExportTraceServiceRequest.FromString(body)
    except DecodeError as broken:
        raise ValueError(str(broken)) from broken
    spans = [
        span
        for group in request.resource_spans
        for scope in group.scope_spans
        for span in scope.spans
    ]
    turns = [a.value.string_value for s in spans for a in s.attributes if a.key == TURN_ID]
    items = {span.span_id.hex(): span.SerializeToString() for span in spans}
    return Content(items, tuple(turns), len(body))


_READ = {"status": int, "delay_s": float, "limit_bytes": int, "times": int, "for_s": float}


def _control(server: FaultServer, quit_: threading.Event) -> ThreadingHTTPServer:
    class Control(BaseHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            """Quiet."""

        def do_GET(self) -> None:
            where = urlsplit(self.path)
            body = json.dumps(self._told(where.path, dict(parse_qsl(where.query)))).encode()
            self.send_response(200)
            self.end_headers()
            self.wfile.write(body)

        def _told(self, path: str, query: dict[str, str]) -> Any:
            if path == "/be":
                options: dict[str, Any] = {k: _READ.get(k, str)(v) for k, v in query.items()}
                if "ids" in options:
                    options["ids"] = tuple(options["ids"].split(","))
                server.be(options.pop("mode"), **options)
            elif path == "/reset":
                server.reset()
            elif path == "/quit":
                quit_.set()
            elif path == "/ids":
                return server.ids
            elif path == "/whole":
                return server.whole
            state = server.state
            return {
                "stored": len(state.stored),
                "duplicates": state.duplicates,
                "requests": len(state.requests),
                "mode": state.mode.name,
            }

    return ThreadingHTTPServer(("127.0.0.1", 0), Control)


def main() -> None:
    """Serve until `/quit`."""
    quit_ = threading.Event()
    with FaultServer() as server:
        control = _control(server, quit_)
        threading.Thread(target=control.serve_forever, daemon=True).start()
        where = f"http://127.0.0.1:{control.server_address[1]}"
        sys.stdout.write(json.dumps({"url": server.url, "control": where}) + "\n")
        sys.stdout.flush()
        quit_.wait()


if __name__ == "__main__":
    main()
