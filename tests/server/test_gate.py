"""What is asked of every request before a route sees it."""

from __future__ import annotations

import gzip
import http.client
import io
import json
import os
import random
import re
import select
import socket
import time
import zlib
from contextlib import ExitStack, closing
from urllib.parse import urlsplit

import pytest
from backports import zstd
from starlette.responses import JSONResponse

from turnspan.exporters.http import HttpExporter
from turnspan.ports import JournalledTurn
from turnspan.schema import encode_turn
from turnspan.server import Limits
from turnspan.server.access_log import AccessLog
from turnspan.server.call import Calling, Reading, Writing
from turnspan.server.dialect import Dialect, DialectRouter, dialects
from turnspan.server.once import answer_once
from turnspan.server.problem import missing
from turnspan.server.store.port import Answer
from turnspan.testing.turns import make_turn

NDJSON = {"content-type": "application/x-ndjson"}
ULID = re.compile(r"[0-7][0-9A-HJKMNP-TV-Z]{25}")


def line(index=1, **changes):
    return encode_turn(make_turn(index, **changes))


def code(reply):
    assert reply.headers["content-type"] == "application/problem+json"
    return reply.status, reply.json["code"]


def raw(api, request):
    """What comes back for bytes that are sent as they are."""
    with closing(
        socket.create_connection((urlsplit(api.url).hostname, urlsplit(api.url).port), timeout=240)
    ) as connection:
        connection.sendall(request)
        received = b""
        while more := connection.recv(65536):
            received += more
            head, found, body = received.partition(b"\r\n\r\n")
            told = re.search(rb"content-length: (\d+)", head.lower())
            if found and told and len(body) >= int(told[1]):
                break
    return received


def until(fits, ask):
    """What is answered once it fits, asked again and again."""
    deadline_s = time.monotonic() + 60
    while not fits(found := ask()):
        assert time.monotonic() < deadline_s, found
        time.sleep(0.02)
    return found


# --- who asks ------------------------------------------------------------------------------


def test_a_server_without_keys_answers_this_machine(serve):
    """No key is asked for where there is none, and whatever is sent as one is passed over."""
    api = serve()

    assert api.get("/v1/turns").status == 200
    assert api.get("/v1/turns", key="whatever").status == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"host": "evil.example"},
        {"host": "evil.example:80"},
        {"host": ""},
        {"origin": "https://evil.example"},
        {"origin": "null"},
    ],
)
def test_a_server_without_keys_answers_no_page_in_a_browser(serve, headers):
    """A name that was bound to loopback, or another site's page, gets nothing."""
    api = serve()

    reply = api.post("/v1/turns", line(), headers=NDJSON | headers)

    assert code(reply) == (403, "forbidden")
    assert api.get("/v1/turns").json["data"] == []


def test_a_key_is_taken_as_each_vendor_s_client_sends_it(serve):
    """Bearer or X-API-Key, and whatever a vendor puts before the secret."""
    api = serve()
    secret = api.key().rpartition("_")[2]
    sent = [
        prefix + secret for prefix in ("uniq_live_", "uniq_test_", "sb_", "sb_live_", "sk_", "")
    ]
    headers = [
        *({"authorization": f"Bearer {key}"} for key in sent),
        *({"x-api-key": key} for key in sent),
    ]

    replies = [api.get("/v1/turns", key="", headers=each).status for each in headers]

    assert replies == [200] * 12


def test_a_key_is_what_the_strictest_client_accepts(serve):
    """Keys have the form without which uniqOS's client asks nothing."""
    api = serve()

    assert re.fullmatch(r"uniq_(live|test)_[A-Za-z0-9]{8,}", api.key())


@pytest.mark.parametrize("wrong", ["", "uniq_live_" + "0" * 43, "x", "uniq_live_", "ü" * 10])
def test_without_a_key_nothing_is_learnt(serve, wrong):
    """Unknown keys get 401 for every path, whether there is anything or not."""
    api = serve()
    api.key()
    headers = {"authorization": f"Bearer {wrong}".encode().decode("latin-1")} if wrong else {}

    replies = [
        api.get("/v1/turns", key="", headers=headers),
        api.get("/v1/nothing", key="", headers=headers),
        api.post("/v1/turns", b"{", key="", headers=headers),
    ]

    assert [code(reply) for reply in replies] == [(401, "unauthenticated")] * 3
    assert {reply.headers["www-authenticate"] for reply in replies} == {'Bearer realm="turnspan"'}


def test_a_revoked_key_ends_within_a_second(serve):
    """What was remembered of a key is asked again soon."""
    api = serve()
    api.key()
    assert api.get("/v1/turns").status == 200
    (key,) = api.store.all_keys()
    api.store.revoke_key(key.id)

    time.sleep(1.1)

    assert code(api.get("/v1/turns")) == (401, "unauthenticated")


@pytest.mark.parametrize(
    "scope, method, path",
    [
        ("read", "POST", "/v1/turns"),
        ("read", "PUT", "/v1/turns/t/feedback"),
        ("write", "GET", "/v1/turns"),
        ("write", "GET", "/v1/export"),
        ("write", "GET", "/v1/stats"),
        ("write", "DELETE", "/v1/sessions/s"),
        ("read", "DELETE", "/v1/users/u"),
    ],
)
def test_a_key_does_what_its_scopes_say(serve, scope, method, path):
    """A key without the scope gets 403, which names the scope."""
    api = serve()
    api.key(scopes={scope})

    reply = api.request(method, path, {"rating": "good"} if method == "PUT" else None)

    assert code(reply) == (403, "forbidden")
    assert reply.json["required_scope"] in {"read", "write", "admin"} - {scope}


def test_no_route_shows_what_is_another_project_s(serve):
    """Every route of every dialect, walked with another project's key, shows nothing of ours."""
    api = serve()
    secret, session, user = "rhubarb-secret", "session-ours", "user-ours"
    ours = api.key(project="ours")
    now = time.time_ns()
    body = line(1, session_id=session, user_id=user, reasoning=secret, started_at=now, ended_at=now)
    api.post("/v1/turns", body, headers=NDJSON)
    api.request("PUT", f"/v1/turns/{make_turn(1).id}/feedback", {"comment": secret})
    api.store.of("ours").change_state(session, lambda _: {"secret": secret})
    before = api.get("/v1/export").body, api.get("/v1/sessions").body
    api.key(project="theirs")

    seen = {}
    for dialect in dialects().values():
        for method, path in routes_of(dialect):
            reply = api.request(
                method,
                path,
                {} if method in {"POST", "PUT", "PATCH"} else None,
                {"x-project-id": "theirs"},
            )
            seen[f"{dialect.name} {method} {path}"] = reply

    assert len(seen) >= 12
    assert [name for name, reply in seen.items() if reply.status >= 500] == []
    for word in (secret, '"session-ours"', '"user-ours"', make_turn(1).id):
        shown = [name for name, reply in seen.items() if word in stripped(reply)]
        assert shown == [], word
    assert (api.get("/v1/export", key=ours).body, api.get("/v1/sessions", key=ours).body) == before


def routes_of(dialect):
    """Each route with ids that are ours in its path."""
    turn_id = make_turn(1).id
    named = {"session": "session-ours", "user": "user-ours"}
    named |= {"turn": turn_id, "interaction": turn_id}
    prefix = "" if dialect.name == "native" else f"/{dialect.name}"
    for route in dialect.router.lines:
        path = re.sub(
            r"{(\w+)(:\w+)?}",
            lambda found: next((id for word, id in named.items() if word in found[1]), "x"),
            route.path,
        )
        for method in route.methods:
            yield method, prefix + path


def stripped(reply):
    """The body without what only repeats the request."""
    return re.sub(r"there is no \w+ '[^']*'", "", reply.body.decode())


# --- how much, how fast ---------------------------------------------------------------------


def test_a_key_that_asks_too_much_is_told_when_to_come_again(serve):
    """The burst is answered, the next request is not, and each key has a bucket of its own."""
    api = serve(limits=Limits(requests_per_s=0.5, burst=3))
    first = api.key()
    api.key()

    replies = [api.get("/v1/turns", key=first) for _ in range(4)]
    other = api.get("/v1/turns")

    assert [reply.status for reply in replies] == [200, 200, 200, 429]
    assert code(replies[3]) == (429, "rate_limited")
    assert replies[3].headers["retry-after"] == "2"
    assert [reply.headers["ratelimit-remaining"] for reply in replies] == ["2", "1", "0", "0"]
    assert other.status == 200


@pytest.mark.parametrize("encoding", ["identity", "gzip", "zstd", "chunked"])
def test_a_body_beyond_the_limit_is_refused_by_its_size(serve, encoding):
    """413 says how much may come, however the body is wrapped."""
    api = serve(limits=Limits(body_bytes=100_000))
    whole = b" " * 100_001
    wrapped = {"gzip": gzip.compress, "zstd": zstd.compress}.get(encoding, bytes)(whole)
    headers = dict(NDJSON)
    if encoding in {"gzip", "zstd"}:
        headers["content-encoding"] = encoding
    if encoding == "chunked":
        head = b"POST /v1/turns HTTP/1.1\r\nhost: 127.0.0.1\r\ntransfer-encoding: chunked\r\n\r\n"
        chunk = b"4000\r\n" + b" " * 0x4000 + b"\r\n"
        answer = raw(api, head + chunk * 7 + b"0\r\n\r\n")
        assert answer.startswith(b"HTTP/1.1 413 ")
        assert b'"max_bytes":100000' in answer
        return

    reply = api.post("/v1/turns", wrapped, headers=headers)

    assert code(reply) == (413, "too_large")
    assert reply.json["max_bytes"] == 100_000
    assert api.post("/v1/turns", wrapped[:-1] and line(), headers=NDJSON).status == 200


def test_a_bomb_is_not_blown_up(serve):
    """A quarter of a gigabyte of zeros in little gzip costs no more than the limit."""
    api = serve()
    squeeze = zlib.compressobj(9, wbits=31)
    zeros = bytes(2**20)
    bomb = b"".join([*(squeeze.compress(zeros) for _ in range(256)), squeeze.flush()])
    assert len(bomb) < 2**20

    began = time.monotonic()
    reply = api.post("/v1/turns", bomb, headers=NDJSON | {"content-encoding": "gzip"})

    assert code(reply) == (413, "too_large")
    assert time.monotonic() - began < 30.0


def test_a_body_that_cannot_be_unpacked_is_a_problem(serve):
    """Broken or foreign encodings are refused, quickly."""
    api = serve()
    packed = gzip.compress(b"{}")
    bodies = [
        (b"no gzip", "gzip"),
        (b"no zstd", "zstd"),
        (packed[:-4], "gzip"),
        (gzip.compress(b"") * 1000, "gzip"),
        (b"", "gzip"),
        (b"{}", "br"),
        (packed, "gzip, gzip"),
    ]

    statuses = [
        api.post("/v1/turns", body, headers=NDJSON | {"content-encoding": encoding}).status
        for body, encoding in bodies
    ]

    assert statuses == [400, 400, 400, 400, 400, 415, 415]


def test_an_exporter_learns_that_its_batch_was_too_big(serve, unconfigured):
    """It is answered in full although it sent more than was read, so that delivery can halve."""
    api = serve(limits=Limits(body_bytes=100_000))
    exporter = HttpExporter(api.url)
    batch = [JournalledTurn(line(index, reasoning="x" * 60_000)) for index in (1, 2)]

    outcome = exporter.export(batch, timeout_s=10)
    exporter.close(timeout_s=1)

    assert outcome.refused_whole is not None
    assert outcome.refused_whole.startswith("413 ")


def test_a_head_that_is_unreasonable_is_refused(serve):
    """Long heads, paths that are no text, and tricks with dots get a problem, not a failure."""
    api = serve()
    long = "x" * 40_000
    heads = {
        ("/v1/turns", "x" * 20_000): 431,
        ("/v1/turns/" + long, ""): 414,
        ("/v1/turns?text=" + long, ""): 414,
        ("/v1/turns/%ff", ""): 400,
        ("/v1/turns/a%00b", ""): 404,
        ("/v1/turns/..%2f..%2fetc%2fpasswd", ""): 404,
        ("/../../etc/passwd", ""): 404,
        ("/v1/turns/", ""): 404,
        ("http://127.0.0.1/v1/turns", ""): 400,
    }

    statuses = {
        (path, header): code(api.get(path, headers={"x-long": header}))[0] for path, header in heads
    }

    assert statuses == heads


def test_what_is_no_http_gets_a_problem_too(serve):
    """Garbage, and heads beyond what is read at all, are told so and hung up on."""
    api = serve()

    for request in (b"\x16\x03\x01\x02\x00\r\n\r\n", b"GET / HTTP/1.1\r\n" + b"x" * 200_000):
        answer = raw(api, request)
        assert answer.startswith(b"HTTP/1.1 400 ")
        assert b'"code":"invalid_request"' in answer


def test_a_body_that_does_not_arrive_is_not_waited_for(serve):
    """Whoever sends slowly gets 408 after a while."""
    api = serve(limits=Limits(receive_s=0.5))

    answer = raw(api, b"POST /v1/turns HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-length: 10\r\n\r\n{")

    assert answer.startswith(b"HTTP/1.1 408 ")


def test_a_body_that_is_too_long_is_not_asked_for(serve):
    """Who says what it is going to send, and waits for leave, hears 413 at once."""
    api = serve()
    head = b"POST /v1/turns HTTP/1.1\r\nhost: 127.0.0.1\r\nexpect: 100-continue\r\n"
    head += b"connection: close\r\n"

    small = raw(api, head + b"content-type: application/json\r\ncontent-length: 2\r\n\r\n[]")
    large = raw(api, head + b"content-length: 99999999999\r\n\r\n")

    assert small.startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n")
    assert large.startswith(b"HTTP/1.1 413 ")


@pytest.fixture
def full(serve):
    """Makes a server that has more to export than fits into the buffers of a connection."""

    def full(**options):
        api = serve(**options)
        text = "x" * 800_000
        for number in range(20):
            made = make_turn(number, output={"type": "text", "content": text})
            assert api.post("/v1/turns", json.loads(encode_turn(made))).status == 200
        return api

    return full


def export(api, path="/v1/export", kept="close"):
    """A connection on which everything is asked for, and nothing was read."""
    head = f"GET {path} HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: {kept}\r\n\r\n"
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)
    connection.settimeout(240)
    connection.connect((urlsplit(api.url).hostname, urlsplit(api.url).port))
    connection.sendall(head.encode())
    return closing(connection)


def test_whoever_takes_no_answer_is_left(full):
    """After a while there is room again, though nobody hung up."""
    api = full(limits=Limits(concurrency=1, stall_s=0.5))
    with export(api):
        until(lambda reply: reply.status == 503, lambda: api.get("/v1/turns?limit=1"))
        free = until(lambda reply: reply.status != 503, lambda: api.get("/v1/turns?limit=1"))

    assert free.status == 200


@pytest.mark.parametrize(
    "path, kept", [("/v1/export", "close"), ("/v1/turns?limit=20", "keep-alive")]
)
def test_whoever_takes_an_answer_slowly_gets_all_of_it(full, path, kept):
    """It takes longer than a client may take nothing, or a connection may be idle."""
    api = full(limits=Limits(stall_s=2.0))
    api.server.config.timeout_keep_alive = 1
    received = []
    with export(api, path, kept) as connection:
        while more := connection.recv(2**20):
            received.append(more)
            time.sleep(0.003 * len(more) / 2**14)

    assert b"".join(received).count(b'"record"') == 20


def test_whoever_takes_an_answer_steadily_is_not_left(full):
    """Though the system, which holds megabytes of it, asks for no more in the time of a stall."""
    api = full(limits=Limits(stall_s=1.0))
    received, size = [], 0
    with export(api) as connection:
        while more := connection.recv(2**15):
            received.append(more)
            size += len(more)
            time.sleep(0.06 if size < 4 * 2**20 else 0)

    assert b"".join(received).count(b'"record"') == 20


def test_a_stop_waits_for_nobody_who_takes_no_answer(full, caplog):
    """It ends in time, and has nothing to complain of."""
    api = full(stop_s=1.0)
    with export(api), export(api) as one:
        assert one.recv(12) == b"HTTP/1.1 200"
        api.stop()

    assert [each.getMessage() for each in caplog.records] == []


def test_more_requests_than_can_be_worked_on_are_turned_away(serve):
    """Of those that come at once as many are let in as there is room for, and no fewer.

    The others get 503 and are asked to come again.
    """
    api = serve(limits=Limits(concurrency=3, receive_s=60.0))
    api.key()
    address = (urlsplit(api.url).hostname, urlsplit(api.url).port)
    head = f"POST /v1/turns HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {api.keys[-1]}\r\n"
    begun = f"{head}content-type: application/json\r\ncontent-length: 2\r\n\r\n[".encode()
    with ExitStack() as stack:
        waiting = [stack.enter_context(socket.create_connection(address)) for _ in range(9)]
        for each in waiting:
            each.sendall(begun)
        refused = []
        while len(refused) < 6:
            for each in select.select(waiting, [], [], 60)[0]:
                refused.append(each.recv(65536))
                waiting.remove(each)
        busy = api.get("/v1/turns")
        alive = api.get("/health/live", key="")
        for each in waiting:
            each.sendall(b"]")
        answers = [each.recv(65536) for each in waiting]
    free = until(lambda reply: reply.status != 503, lambda: api.get("/v1/turns"))

    assert [answer[9:12] for answer in refused] == [b"503"] * 6
    assert code(busy) == (503, "unavailable")
    assert alive.status == 200  # a probe asks for no work
    assert busy.headers["retry-after"] == "1"
    assert [answer[9:12] for answer in answers] == [b"200"] * 3
    assert free.status == 200


def test_an_exporter_with_a_wrong_key_is_told_so(serve, unconfigured):
    """It hears 401 although nobody read its two mebibytes, and keeps its turns."""
    api = serve()
    api.key()
    noise = random.Random(0).randbytes(2**20).hex()
    exporter = HttpExporter(api.url, api_key="wrong")

    outcomes = [
        exporter.export([JournalledTurn(line(1, reasoning=noise))], timeout_s=10) for _ in range(2)
    ]
    exporter.close(timeout_s=1)

    assert [(each.status, set(each.unsent)) for each in outcomes] == [(401, {0})] * 2


def test_a_month_s_turns_may_be_limited(serve):
    """A project that stored its turns of the month waits for the next; reading goes on."""
    api = serve(limits=Limits(turns_per_month=2))
    now = time.time_ns()
    bodies = [line(index, started_at=now, ended_at=now) for index in range(1, 4)]

    replies = [api.post("/v1/turns", body, headers=NDJSON) for body in bodies]

    assert [reply.status for reply in replies] == [200, 200, 429]
    assert code(replies[2]) == (429, "quota_exhausted")
    assert 0 < int(replies[2].headers["retry-after"]) <= 31 * 86_400
    assert len(api.get("/v1/turns").json["data"]) == 2


def test_an_answer_waits_for_no_acknowledgement(serve):
    """Requests on a kept connection are answered at once, not 40 ms later."""
    api = serve()
    took_s = []
    address = (urlsplit(api.url).hostname, urlsplit(api.url).port)
    with closing(http.client.HTTPConnection(*address, timeout=240)) as connection:
        for _ in range(100):  # now and then nobody else keeps it waiting either
            began = time.monotonic()
            connection.request("GET", "/v1/turns")
            connection.getresponse().read()
            took_s.append(time.monotonic() - began)

    assert min(took_s[5:]) < 0.03


# --- what goes out --------------------------------------------------------------------------


def test_an_id_may_hold_a_slash(serve):
    """A slash that is percent-encoded in a path is part of an id."""
    api = serve()
    api.post("/v1/turns", line(1, id="a/b c?ü"), headers=NDJSON)

    reply = api.get("/v1/turns/a%2Fb%20c%3F%C3%BC")

    assert reply.json["id"] == "a/b c?ü"
    assert api.get("/v1/turns/a/b%20c%3F%C3%BC").status == 404


@pytest.mark.parametrize("path", ["/v1/turns", "/v1/turns/nope", "/health", "/v1/turns?limit=0"])
def test_every_answer_has_an_id_and_is_kept_from_browsers(serve, path):
    """A ULID to ask about, and the headers that keep a browser from guessing or framing."""
    api = serve()

    reply = api.get(path, headers={"origin": api.url})

    assert ULID.fullmatch(reply.headers["x-request-id"])
    assert {
        name: reply.headers.get(name)
        for name in ("x-content-type-options", "cache-control", "access-control-allow-origin")
    } == {
        "x-content-type-options": "nosniff",
        "cache-control": "no-store",
        "access-control-allow-origin": None,
    }


def test_no_other_origin_is_let_in_by_preflight(serve):
    """There is no CORS: a preflight is an unknown method like any other."""
    api = serve()
    api.key()

    reply = api.request("OPTIONS", "/v1/turns", headers={"origin": "https://a.example"})

    assert code(reply) == (405, "method_not_allowed")
    assert reply.headers["allow"] == "GET, POST"


def test_the_access_log_tells_no_content(serve):
    """One object a request, with the pattern of its path: no id, no query, no body, no key."""
    stream = io.BytesIO()
    api = serve(log=AccessLog(stream))
    secret = api.key()
    api.post("/v1/turns", line(1, id="turn_private", reasoning="private"), headers=NDJSON)
    api.get("/v1/turns/turn_private")
    api.get("/v1/turns?text=private")
    api.get("/private")
    api.stop()  # a line is written when its answer is out

    told = [json.loads(each) for each in stream.getvalue().splitlines()]

    assert [(each["method"], each["route"], each["status"]) for each in told] == [
        ("POST", "/v1/turns", 200),
        ("GET", "/v1/turns/{turn_id:segment}", 200),
        ("GET", "/v1/turns", 200),
        ("GET", None, 404),
    ]
    assert b"private" not in stream.getvalue()
    assert secret.encode() not in stream.getvalue()


def test_an_access_log_that_nobody_reads_stops_nothing(serve, caplog):
    """A pipe whose reader went away costs a line in the log, and no answer."""
    reader, writer = os.pipe()
    with os.fdopen(writer, "wb") as stream:
        api = serve(log=AccessLog(stream))
        os.close(reader)
        statuses = [api.get("/v1/turns").status for _ in range(3)]
        api.stop()
        stream.raw.close()

    assert statuses == [200, 200, 200]
    assert "the access log cannot be written" in caplog.text


# --- dialects -------------------------------------------------------------------------------


@pytest.fixture
def toy():
    """A dialect with one word for everything."""
    router = DialectRouter()

    @router.get("/v9/toys/{toy_id:segment}")
    def show(store: Reading, toy_id: str, size: int = 1):
        if toy_id == "broken":
            raise RuntimeError("content that nobody may see")
        raise missing("toy", toy_id)

    @router.post("/v9/toys", status_code=201)
    def make(call: Calling, store: Writing, toy: dict):
        def work(within):
            job = within.enqueue("toy.paint", {"color": toy["color"]}, session_id="s")
            return Answer(status=201, body=json.dumps({"job": job.id}).encode())

        return answer_once(call, store, work)

    def paint(store, job):
        if job.payload["color"] == "octarine":
            raise ValueError("no such color")
        return {"painted": job.payload["color"]}

    return Dialect(
        name="toy",
        router=router,
        render=lambda problem, call: JSONResponse(
            {"oops": problem.code, "what": problem.resource},
            problem.status_code,
            problem.headers,
        ),
        claims=lambda request: request.path.startswith("/v9/"),
        headers=lambda call, status: {"x-toy": f"{status}"},
        max_body_bytes=1_000,
        jobs={"toy.paint": paint},
    )


TOY_PROBLEMS = {
    ("GET", "/v9/toys/x", None): (404, "not_found"),
    ("GET", "/v9/toys/x?size=big", None): (422, "invalid_request"),
    ("GET", "/v9/toys/broken", None): (500, "internal"),
    ("GET", "/v9/toys/a/b", None): (404, "not_found"),
    ("PUT", "/v9/toys/x", None): (405, "method_not_allowed"),
    ("POST", "/v9/toys", b"{"): (422, "invalid_request"),
    ("POST", "/v9/toys", b'{"color":"\\ud800"}'): (422, "invalid_request"),
    ("POST", "/v9/toys", b'{"color":NaN}'): (422, "invalid_request"),
    ("POST", "/v9/toys", b" " * 1_001): (413, "too_large"),
    ("GET", "/v9/toys/%ff", None): (400, "invalid_request"),
}


@pytest.mark.parametrize("prefix", ["", "/toy"])
def test_a_dialect_words_every_problem_itself(serve, toy, prefix, caplog):
    """Whatever goes wrong at a dialect's path is told in its envelope, with its headers."""
    api = serve(known=dict(dialects()) | {"toy": toy})
    headers = {"content-type": "application/json"}

    replies = {
        (method, path, body): api.request(method, prefix + path, body, headers=headers)
        for method, path, body in TOY_PROBLEMS
    }

    told = {asked: (reply.status, reply.json["oops"]) for asked, reply in replies.items()}
    assert told == TOY_PROBLEMS
    assert all(reply.headers["x-toy"] == str(reply.status) for reply in replies.values())
    assert "content that nobody may see" not in caplog.text


def test_a_dialect_s_keys_and_limits_are_the_server_s(serve, toy):
    """A missing key and an empty bucket are told in the dialect's envelope too."""
    api = serve(known=dict(dialects()) | {"toy": toy}, limits=Limits(burst=1, requests_per_s=0.01))
    api.key()

    replies = [api.get("/v9/toys/x", key=""), api.get("/v9/toys/x"), api.get("/v9/toys/x")]

    assert [(reply.status, reply.json["oops"]) for reply in replies] == [
        (401, "unauthenticated"),
        (404, "not_found"),
        (429, "rate_limited"),
    ]


@pytest.mark.parametrize("store_url", ["sqlite", "postgresql"], indirect=True)
def test_the_same_idempotency_key_has_one_effect(serve, toy):
    """A repeated request gets the first answer again, another one under its key gets 409."""
    api = serve(known=dict(dialects()) | {"toy": toy})
    key = {"idempotency-key": "k"}

    first, again, other = (
        api.post("/v9/toys", {"color": color}, headers=key) for color in ("red", "red", "blue")
    )
    without = api.post("/v9/toys", {"color": "red"})

    assert (first.status, again.status, other.status) == (201, 201, 409)
    assert again.json == first.json
    assert again.headers["idempotency-replayed"] == "true"
    assert without.json != first.json


@pytest.mark.parametrize("store_url", ["sqlite", "postgresql"], indirect=True)
def test_deferred_work_is_done_by_its_dialect(serve, toy):
    """A queued job is run in the background and says how it ended; its payload is dropped."""
    api = serve(known=dict(dialects()) | {"toy": toy})
    ids = [api.post("/v9/toys", {"color": color}).json["job"] for color in ("red", "octarine")]
    store = api.store.of("default")
    until(lambda job: job.state not in {"queued", "running"}, lambda: store.job(ids[1]))

    jobs = [store.job(id) for id in ids]

    assert [(job.state, job.result, job.error, job.payload) for job in jobs] == [
        ("done", {"painted": "red"}, None, {}),
        ("failed", None, "ValueError: no such color", {}),
    ]
