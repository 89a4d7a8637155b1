"""The HTTP exporter against a real server, well behaved and otherwise."""

import gzip
import importlib.util
import logging
import os
import socket
import ssl
import subprocess
import sys
import threading
import time
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from turnspan.errors import ExporterError
from turnspan.exporters.http import HttpExporter, from_url
from turnspan.ports import JournalledTurn, Outcome
from turnspan.settings import Settings

HERE = Path(__file__).parent
KEY = "sk-very-secret"


@pytest.fixture(scope="module")
def faults():
    """The module of the misbehaving server."""
    path = HERE.parent / "faults" / "server.py"
    spec = importlib.util.spec_from_file_location("turnspan_http_fault_server", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def server(faults):
    with faults.FaultServer() as server:
        yield server


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch):
    """The machine's own proxies play no part."""
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture
def to():
    """Builds an exporter to a URL; it is closed when the test ends."""
    built = []

    def build(url, **arguments):
        make = from_url if "settings" in arguments else HttpExporter
        built.append(make(url, **arguments))
        return built[-1]

    yield build
    for exporter in built:
        exporter.close(timeout_s=1.0)


@pytest.fixture
def exporter(server, to):
    return to(server.url, api_key=KEY)


def turns(*numbers):
    return [
        JournalledTurn(b'{"record":"turn","id":"turn_%d","status":"ok"}\n' % number)
        for number in numbers
    ]


class RawServer:
    """Accepts connections and hands each to ``talk``."""

    def __init__(self, talk):
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.socket.getsockname()[1]}"
        self.talk = talk
        self.open = []
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            try:
                connection, _ = self.socket.accept()
            except OSError:
                return
            self.open.append(connection)
            threading.Thread(target=self.handle, args=(connection,), daemon=True).start()

    def handle(self, connection):
        try:
            self.talk(connection)
        except OSError:
            return

    def close(self):
        self.socket.close()
        for connection in self.open:
            connection.close()


def read_request(connection):
    """One request, headers and body, whatever pieces it comes in."""
    received = b""
    while b"\r\n\r\n" not in received:
        received += connection.recv(65536)
    head, _, body = received.partition(b"\r\n\r\n")
    length = int(head.lower().split(b"content-length:")[1].split()[0])
    while len(body) < length:
        body += connection.recv(65536)


@pytest.fixture
def raw_server():
    servers = []

    def build(talk):
        servers.append(RawServer(talk))
        return servers[-1]

    yield build
    for server in servers:
        server.close()


# ── what is sent ────────────────────────────────────────────────────────────────────────


def test_the_journalled_bytes_are_posted_as_they_are(server, exporter):
    """NDJSON, gzipped, to `/v1/turns`, with key, idempotency key and user agent."""
    outcome = exporter.export(turns(1, 2, 3), timeout_s=5.0)
    (request,) = server.state.requests
    headers = request.headers

    assert outcome == Outcome()
    assert request.path == "/v1/turns"
    assert server.ids == ["turn_1", "turn_2", "turn_3"]
    assert [line + b"\n" for line in server.state.stored.values()] == [
        turn.raw for turn in turns(1, 2, 3)
    ]
    assert headers["content-type"] == "application/x-ndjson"
    assert headers["content-encoding"] == "gzip"
    assert headers["authorization"] == f"Bearer {KEY}"
    assert headers["user-agent"].startswith("turnspan/")
    assert headers["host"] == server.url.removeprefix("http://")


def test_a_batch_sent_again_carries_the_same_idempotency_key(server, exporter, to):
    """The key comes from the bytes: equal for a resend, in another process too."""
    exporter.export(turns(1, 2), timeout_s=5.0)
    exporter.export(turns(1, 2), timeout_s=5.0)
    to(server.url).export(turns(1, 2), timeout_s=5.0)
    exporter.export(turns(1, 3), timeout_s=5.0)
    keys = [request.headers["idempotency-key"] for request in server.state.requests]

    assert keys[0] == keys[1] == keys[2] != keys[3]
    assert server.state.duplicates == 5


def test_one_connection_is_kept(server, exporter):
    """Requests after the first pay no handshake."""
    for number in range(3):
        exporter.export(turns(number), timeout_s=5.0)

    assert {request.connection for request in server.state.requests} == {1}


def test_an_empty_batch_is_no_request(server, exporter):
    """There is nothing to say."""
    assert exporter.export([], timeout_s=1.0) == Outcome()
    assert server.state.requests == []


def test_a_line_without_its_newline_gets_one(server, exporter):
    """Two turns never become one line."""
    exporter.export([JournalledTurn(turn.raw.strip()) for turn in turns(1, 2)], timeout_s=5.0)

    assert server.ids == ["turn_1", "turn_2"]


def test_the_base_path_is_kept(server, to):
    """`/v1/turns` is added to it, once."""
    for base in ("/base", "/base/", "/base/v1/turns"):
        to(server.url + base).export(turns(1), timeout_s=5.0)

    assert [request.path for request in server.state.requests] == ["/base/v1/turns"] * 3


def test_the_request_asks_instrumentations_to_look_away(exporter, monkeypatch):
    """OpenTelemetry's suppression keys are set while we send, and no longer."""
    import httpcore
    from opentelemetry import context

    names = ("suppress_instrumentation", "suppress_http_instrumentation")
    keys = [*names, context._SUPPRESS_INSTRUMENTATION_KEY]
    keys.append(context._SUPPRESS_HTTP_INSTRUMENTATION_KEY)
    seen = []
    handle = httpcore.ConnectionPool.handle_request

    def spy(pool, request):
        seen.append([context.get_value(key) for key in keys])
        return handle(pool, request)

    monkeypatch.setattr(httpcore.ConnectionPool, "handle_request", spy)
    exporter.export(turns(1), timeout_s=5.0)

    assert seen == [[True] * 4]
    assert [context.get_value(key) for key in keys] == [None] * 4


def test_a_proxy_of_the_environment_is_used(server, monkeypatch, to):
    """Where a proxy is needed, a client that ignores it reaches nothing."""
    monkeypatch.setenv("http_proxy", server.url)
    outcome = to("http://turns.invalid/base").export(turns(1), timeout_s=5.0)

    assert outcome == Outcome()
    assert server.state.requests[0].path == "http://turns.invalid/base/v1/turns"


def test_no_proxy_is_honoured(server, monkeypatch, to):
    """Hosts it names are reached directly."""
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.setenv("no_proxy", "127.0.0.1")

    assert to(server.url).export(turns(1), timeout_s=5.0) == Outcome()


@pytest.mark.parametrize("trusted", [True, False])
def test_tls_is_verified(monkeypatch, trusted, to):
    """A certificate is accepted when its authority is trusted, and only then."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            self.rfile.read(int(self.headers["content-length"]))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_):
            """Quiet."""

    pem = HERE / "tls" / "localhost.pem"
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.handle_error = lambda *_: None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    if trusted:
        monkeypatch.setenv("SSL_CERT_FILE", str(pem))
    exporter = to(f"https://localhost:{server.server_address[1]}")
    outcome = exporter.export(turns(1), timeout_s=5.0)
    exporter.close(timeout_s=1.0)
    server.shutdown()
    server.server_close()

    if trusted:
        assert outcome == Outcome()
    else:
        assert outcome.unsent == {0}
        assert "CERTIFICATE_VERIFY_FAILED" in outcome.cause


# ── what the answer means ───────────────────────────────────────────────────────────────


def test_refused_items_are_named_by_index(server, exporter):
    """An answer without indexes is matched by id; the others count as stored."""
    server.be("refuse", ids=("turn_2", "turn_9"))
    outcome = exporter.export(turns(1, 2, 3), timeout_s=5.0)

    assert outcome == Outcome(refused={1: "not wanted"})


@pytest.mark.parametrize(
    "result, refused",
    [
        ('{"index":1,"id":null,"status":"refused","error":"no"}', {1: "no"}),
        ('{"index":2,"status":"refused","error":"no"}', {2: "no"}),
        ('{"index":1,"id":"turn_1","status":"refused","error":"no"}', {1: "no"}),
        ('{"index":0,"id":"turn_2","status":"refused","error":"no"}', {2: "no"}),
        ('{"index":9,"id":"turn_2","status":"refused","error":"no"}', {2: "no"}),
        ('{"id":"turn_1","status":"refused","error":"no"}', {0: "no", 1: "no"}),
        ('{"index":3,"id":null,"status":"refused","error":"no"}', {}),
        ('{"index":-1,"id":null,"status":"refused","error":"no"}', {}),
        ('{"index":true,"id":null,"status":"refused","error":"no"}', {}),
        ('{"index":0,"id":["turn_1"],"status":"refused","error":"no"}', {}),
    ],
)
def test_a_refused_line_is_known_by_its_index(server, exporter, result, refused):
    """A line whose id could not be read is refused too, and its namesake is not."""
    server.be("ok", body=f'{{"results":[{result}]}}')

    assert exporter.export(turns(1, 1, 2), timeout_s=5.0) == Outcome(refused=refused)


@pytest.mark.parametrize(
    "body",
    [
        " ",
        "thanks",
        "refused",
        "{",
        "[]",
        '{"results":null,"x":"refused"}',
        '{"results":["refused",{"status":"refused"},{"id":7,"status":"refused"}]}',
        '{"results":[{"id":"turn_77","status":"refused"}]}',
        '{"results":[{"id":"turn_1","status":"stored"}],"note":"none refused"}',
    ],
)
def test_a_2xx_of_any_other_shape_means_all_were_stored(server, exporter, body):
    """Only an item that is refused by its id is refused."""
    server.be("ok", body=body)

    assert exporter.export(turns(1, 2), timeout_s=5.0) == Outcome()


@pytest.mark.parametrize("status", [200, 201, 202, 204])
def test_a_plain_2xx_means_all_were_stored(server, exporter, status):
    """No body is needed."""
    server.be("status", status=status)

    assert exporter.export(turns(1), timeout_s=5.0) == Outcome()


@pytest.mark.parametrize(
    "status", [401, 402, 403, 404, 405, 407, 408, 410, 418, 425, 429, 451, 500, 502, 503, 504, 599]
)
def test_a_fault_of_the_destination_leaves_all_unsent(server, exporter, status):
    """With the status, and its words for the log."""
    server.be("status", status=status, body='{"error":"go\naway"}')
    outcome = exporter.export(turns(1, 2), timeout_s=5.0)

    assert (outcome.unsent, outcome.status, outcome.refused_whole) == ({0, 1}, status, None)
    assert outcome.cause.startswith(str(status))
    assert outcome.cause.endswith(': {"error":"go away"}')


@pytest.mark.parametrize("status", [400, 409, 413, 415, 422])
def test_a_fault_of_turns_refuses_the_batch_or_its_only_turn(server, exporter, status):
    """Of several nobody knows which; one alone is the culprit."""
    server.be("status", status=status, body="no")
    several = exporter.export(turns(1, 2), timeout_s=5.0)
    alone = exporter.export(turns(1), timeout_s=5.0)

    assert several.refused_whole is not None
    assert several == Outcome(refused_whole=several.refused_whole)
    assert several.refused_whole.startswith(str(status))
    assert alone == Outcome(refused={0: several.refused_whole})


@pytest.mark.parametrize(
    "text, low, high",
    [
        ("7", 7.0, 7.0),
        ("0", 0.0, 0.0),
        (formatdate(time.time() + 7200, usegmt=True), 3600.0, 7200.0),
        (formatdate(time.time() - 120, usegmt=True), 0.0, 0.0),
        (formatdate(time.time() + 7200), 3600.0, 7200.0),
    ],
    ids=["seconds", "none", "a date", "a date that is over", "a date with a zone"],
)
def test_retry_after_is_read_in_both_forms(server, exporter, text, low, high):
    """Seconds, or an HTTP date; the past means now."""
    server.be("status", status=429, retry_after=text)
    outcome = exporter.export(turns(1), timeout_s=5.0)

    assert outcome.retry_after_s is not None
    assert low <= outcome.retry_after_s <= high


@pytest.mark.parametrize("text", ["", "soon", "-5", "1e3", "²", "Mon, 99 Foo 2026 00:00:00 GMT"])
def test_a_retry_after_that_says_nothing_is_passed_over(server, exporter, text):
    """Backoff decides then."""
    server.be("status", status=503, retry_after=text.encode().decode("latin-1"))

    assert exporter.export(turns(1), timeout_s=5.0).retry_after_s is None


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_within_the_origin_is_followed(server, exporter, status):
    """The same body goes to the new place."""
    server.be("redirect", status=status, location="/elsewhere")
    outcome = exporter.export(turns(1), timeout_s=5.0)

    assert outcome == Outcome()
    assert [request.path for request in server.state.requests] == ["/v1/turns", "/elsewhere"]
    assert server.ids == ["turn_1"]


def test_a_redirect_to_another_origin_is_not_followed(server, exporter, faults):
    """Neither turns nor key go where nobody configured them to go."""
    with faults.FaultServer() as other:
        location = f"http://user:pw@{other.url[7:]}/v1/turns?token=x"
        server.be("redirect", status=307, location=location)
        outcome = exporter.export(turns(1), timeout_s=5.0)

        assert outcome == Outcome.all_unsent(
            1, f"307: redirected to {other.url}/v1/turns", status=307
        )
        assert other.state.requests == []


@pytest.mark.parametrize(
    "status, location", [(303, "/x"), (304, ""), (307, ""), (307, "http://[bad/")]
)
def test_a_redirect_that_leads_nowhere_leaves_all_unsent(server, exporter, status, location):
    """It is never taken for a success."""
    server.be("redirect", status=status, location=location)
    outcome = exporter.export(turns(1), timeout_s=5.0)

    assert (outcome.unsent, outcome.status) == ({0}, status)


def test_a_redirect_in_circles_ends(server, exporter):
    """After a few hops all are unsent."""
    server.be("redirect", status=308, location="?again")
    outcome = exporter.export(turns(1), timeout_s=5.0)

    assert outcome == Outcome.all_unsent(1, "redirected more than 5 times")
    assert len(server.state.requests) == 5


# ── a server at its worst ───────────────────────────────────────────────────────────────


@pytest.mark.parametrize("mode", ["silent", "trickle", "half_closing"])
def test_the_deadline_holds_for_the_whole_request(server, exporter, mode):
    """A server that accepts and never finishes its answer costs no more than the timeout."""
    server.be(mode)
    began_s = time.monotonic()
    outcome = exporter.export(turns(1, 2), timeout_s=0.3)

    assert time.monotonic() - began_s < 0.6
    assert outcome.unsent == {0, 1}
    assert outcome.cause


def test_a_server_that_does_not_read_costs_no_more_than_the_timeout(raw_server, to):
    """Writing keeps the deadline too."""
    server = raw_server(lambda connection: time.sleep(5))
    noise = os.urandom(12 * 2**20).hex().encode()
    big = JournalledTurn(b'{"record":"turn","id":"turn_1","x":"' + noise + b'"}\n')
    exporter = to(server.url)
    began_s = time.monotonic()
    outcome = exporter.export([big], timeout_s=1.5)

    assert time.monotonic() - began_s < 2.5
    assert "Timeout" in outcome.cause


def test_an_answer_without_end_is_read_only_so_far(raw_server, to):
    """Memory is bounded; a 2xx is a 2xx."""

    def talk(connection):
        read_request(connection)
        connection.sendall(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
        while True:
            connection.sendall(b"10000\r\n" + b"x" * 0x10000 + b"\r\n")

    exporter = to(raw_server(talk).url)

    assert exporter.export(turns(1), timeout_s=5.0) == Outcome()


def test_a_gzipped_answer_is_understood(raw_server, to):
    """Although we asked for none: a proxy may do as it likes."""
    body = gzip.compress(b'{"results":[{"id":"turn_1","status":"refused","error":"no"}]}')

    def talk(connection):
        read_request(connection)
        head = f"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: {len(body)}\r\n\r\n"
        connection.sendall(head.encode() + body)

    exporter = to(raw_server(talk).url)

    assert exporter.export(turns(1), timeout_s=5.0) == Outcome(refused={0: "no"})


@pytest.mark.parametrize("mode", ["garbage", "down"])
def test_no_answer_leaves_all_unsent_and_the_next_one_counts(server, exporter, mode):
    """A broken connection is replaced."""
    server.be(mode)
    broken = exporter.export(turns(1), timeout_s=2.0)
    server.be("ok")

    assert broken.unsent == {0}
    assert broken.status is None
    assert broken.cause
    assert exporter.export(turns(1), timeout_s=2.0) == Outcome()


def test_a_kept_connection_that_was_closed_meanwhile_is_no_fault(server, exporter):
    """A restarted server is reached by the next request, without an unsent turn."""
    exporter.export(turns(1), timeout_s=2.0)
    server.be("down")
    server.be("ok")

    assert exporter.export(turns(2), timeout_s=2.0) == Outcome()


def test_a_connection_closed_in_answer_to_a_request_is_tried_anew_once(raw_server, to):
    """A server may close an idle connection the moment we write to it."""
    connections = []

    def talk(connection):
        connections.append(connection)
        read_request(connection)
        connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
        read_request(connection)
        connection.close()  # no answer to the second request

    exporter = to(raw_server(talk).url)

    assert exporter.export(turns(1), timeout_s=2.0) == Outcome()
    assert exporter.export(turns(2), timeout_s=2.0) == Outcome()
    assert len(connections) == 2


def test_a_host_without_an_address_leaves_all_unsent(to):
    """Name resolution is the destination's fault as well."""
    outcome = to("http://turns.invalid").export(turns(1), timeout_s=2.0)

    assert outcome.unsent == {0}


def test_a_resolver_that_hangs_keeps_to_the_deadline(monkeypatch, to):
    """It cannot be interrupted, so it is left behind."""
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: time.sleep(2))
    began_s = time.monotonic()
    outcome = to("http://turns.invalid").export(turns(1), timeout_s=0.2)

    assert time.monotonic() - began_s < 0.6
    assert "ConnectTimeout" in outcome.cause


def test_after_close_every_turn_is_unsent(server, exporter):
    """Closing twice is harmless."""
    exporter.export(turns(1), timeout_s=2.0)
    exporter.close(timeout_s=1.0)
    exporter.close(timeout_s=1.0)

    assert exporter.export(turns(2), timeout_s=2.0) == Outcome.all_unsent(
        1, "the exporter is closed"
    )


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_forked_child_opens_a_connection_of_its_own(server, exporter):
    """Two processes on one socket would answer each other's requests."""
    exporter.export(turns(1), timeout_s=2.0)
    child = os.fork()
    if child == 0:
        os._exit(0 if exporter.export(turns(2), timeout_s=2.0) == Outcome() else 1)
    status = os.waitpid(child, 0)[1]
    exporter.export(turns(3), timeout_s=2.0)

    assert status == 0
    assert [request.connection for request in server.state.requests] == [1, 2, 1]


# ── the key ─────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("userinfo", [KEY, f"anyone:{KEY}", "sk%2Dvery%2Dsecret"])
def test_the_key_may_stand_in_the_url_and_is_never_shown(server, caplog, userinfo, to):
    """Not by name, repr, log or error, even where the server says it back to us."""
    exporter = to(server.url.replace("//", f"//{userinfo}@"), settings=Settings(api_key="other"))
    server.be("status", status=401, body=f"bad key {KEY}")
    with caplog.at_level(logging.DEBUG, "turnspan"):
        outcome = exporter.export(turns(1), timeout_s=2.0)

    assert server.state.requests[0].headers["authorization"] == f"Bearer {KEY}"
    assert exporter.name == server.url
    assert outcome.cause == "401 Unauthorized: bad key [key]"
    for shown in (repr(exporter), outcome.cause, caplog.text):
        assert KEY not in shown
        assert userinfo not in shown


def test_the_key_of_the_settings_is_used_without_one_in_the_url(server, to):
    """And none is sent where there is none."""
    to(server.url, settings=Settings(api_key=KEY)).export(turns(1), timeout_s=2.0)
    to(server.url, settings=Settings()).export(turns(2), timeout_s=2.0)
    sent = [request.headers.get("authorization") for request in server.state.requests]

    assert sent == [f"Bearer {KEY}", None]


@pytest.mark.parametrize("key", ["evil\r\nx-evil: 1", "ключ", "evil\x00", " evil"])
def test_a_key_that_no_header_can_carry_is_refused_at_the_door(key):
    """The message does not show it."""
    with pytest.raises(ExporterError) as caught:
        HttpExporter("http://127.0.0.1", api_key=key)

    assert key.strip() not in str(caught.value)


# ── the URL ─────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "url, name",
    [
        ("https://Turns.Example:443/base/", "https://turns.example/base"),
        ("http://turns.example:8080", "http://turns.example:8080"),
        ("http://k@[::1]:8080/v1/turns", "http://[::1]:8080"),
        ("https://bücher.example", "https://xn--bcher-kva.example"),
    ],
)
def test_one_destination_has_one_name(url, name):
    """Default port, case, trailing slash, credentials and `/v1/turns` make no other."""
    assert HttpExporter(url).name == name


@pytest.mark.parametrize(
    "url",
    [
        "http://",
        "http:///path",
        "http://host:port",
        "http://host:0",
        "http://host:99999",
        "http://[::1",
        "ftp://host",
        "host",
        "http://ho st",
        "http://host/\n",
        "http://host?key=secret",
        "http://host/#x",
        f"http://{KEY}@host:port",
        f"http://{KEY}@",
    ],
)
def test_a_malformed_url_is_an_error_at_the_door(url):
    """With the fix, and without what may be a secret."""
    with pytest.raises(ExporterError) as caught:
        from_url(url, settings=Settings())

    assert caught.value.fix
    assert KEY not in str(caught.value)
    assert "secret" not in str(caught.value)


def test_building_an_exporter_loads_no_client():
    """httpcore, TLS and OpenTelemetry come with the first request."""
    code = """
import sys
from turnspan.exporters.http import HttpExporter
HttpExporter("https://key@host/base")
heavy = {"httpcore", "httpx", "ssl", "opentelemetry", "asyncio", "email", "orjson", "pydantic"}
print(sorted(heavy & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout == "[]\n"
