"""The StateBase exporter: to our own server, and to a service that gives ids of its own."""

from __future__ import annotations

import json
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from urllib.parse import parse_qs, unquote, urlsplit

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import turnspan
from turnspan.errors import ExporterError
from turnspan.exporters.registry import build
from turnspan.exporters.statebase import StatebaseExporter
from turnspan.ports import JournalledTurn, Outcome
from turnspan.schema import decode_turn, encode_turn
from turnspan.server.store.port import TurnFilter
from turnspan.settings import Settings
from turnspan.testing.exporter_rules import ExporterMaker, exporter_rules, keeps_its_timeout
from turnspan.testing.turns import make_turn, sample_turns

KEY = "sb_0123456789abcdefghijklmn"
ALL = TurnFilter()
NUMBERS = count()
every_rule = pytest.mark.parametrize("rule", exporter_rules(), ids=lambda rule: rule.__name__)


class Service:
    """A StateBase that keeps what it is sent, and gives sessions and turns its own ids."""

    def __init__(self):
        self.sessions = {}
        self.turns = []
        self.answers = {}
        self.asked = []
        self.max_bytes = 10**9
        self.status = {}
        self.http = None

    def __enter__(self):
        service = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                """Quiet."""

            def do_GET(self):
                self.answer(*service.get(self.path))

            def do_POST(self):
                body = self.rfile.read(int(self.headers["content-length"]))
                self.answer(*service.post(self.path, body, self.headers))

            def answer(self, status, body):
                service.asked.append((self.command, urlsplit(self.path).path, status))
                sent = json.dumps(body).encode()
                self.send_response(status)
                self.send_header("content-length", str(len(sent)))
                self.end_headers()
                self.wfile.write(sent)

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.http.daemon_threads = True
        self.http.handle_error = lambda *_: None  # a client hung up
        threading.Thread(target=self.http.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_):
        self.http.shutdown()
        self.http.server_close()

    @property
    def url(self):
        return f"statebase+http://127.0.0.1:{self.http.server_address[1]}"

    @property
    def arrived(self):
        """Our ids of the turns that are there."""
        return [turn["metadata"]["turnspan"]["id"] for turn in self.turns]

    def get(self, target):
        path, query = urlsplit(target).path, parse_qs(urlsplit(target).query)
        if path == "/v1/sessions":
            found = [
                each
                for each in reversed(self.sessions.values())
                if query.get("agent_id", [each["agent_id"]]) == [each["agent_id"]]
            ]
            return 200, self.page(found, query)
        id = unquote(path.split("/")[3])
        if path.endswith("/turns"):
            mine = [turn for turn in reversed(self.turns) if turn["session_id"] == id]
            return 200, self.page(mine, query)
        return (200, self.sessions[id]) if id in self.sessions else (404, {})

    @staticmethod
    def page(found, query):
        after, limit = query.get("starting_after", [None])[0], int(query["limit"][0])
        ids = [each["id"] for each in found]
        start = ids.index(after) + 1 if after else 0
        return {"data": found[start : start + limit], "has_more": len(found) > start + limit}

    def post(self, path, body, headers):
        assert headers["x-api-key"] == KEY
        key = (path, headers["idempotency-key"])
        if key in self.answers:
            return self.answers[key]
        answer = self.taken(path, body)
        if answer[0] == 201:
            self.answers[key] = answer
        return answer

    def taken(self, path, body):
        asked = json.loads(body)
        known = {"created_at": "2026-01-31T04:15:00Z"}
        if path == "/v1/sessions":
            id = f"sess_{len(self.sessions):012d}"
            self.sessions[id] = {"id": id, "user_id": None, **asked, **known}
            return 201, self.sessions[id]
        id = unquote(path.split("/")[3])
        if id not in self.sessions:
            return 404, {"error": {"code": "session_not_found"}}
        if len(body) > self.max_bytes:
            return 413, {"error": {"code": "payload_too_large"}}
        status = self.status.get(asked["output"]["content"])
        if status is not None:
            return status, {"error": {"code": "no"}}
        turn = {"id": f"turn_s{len(self.turns)}", "session_id": id, **asked, **known}
        self.turns.append(turn | {"turn_number": len(self.turns) + 1})
        return 201, turn


@pytest.fixture
def service():
    with Service() as service:
        yield service


@pytest.fixture
def to():
    """Builds an exporter; it is closed when the test ends."""
    built = []

    def to(url):
        built.append(StatebaseExporter(url, api_key=KEY))
        return built[-1]

    yield to
    for exporter in built:
        exporter.close(timeout_s=1)


@pytest.fixture
def open_api(serve):
    """A server that anybody on this machine may ask."""
    return serve()


def exported(exporter, *turns):
    return exporter.export([JournalledTurn(encode_turn(turn)) for turn in turns], timeout_s=20)


# --- what every exporter promises ----------------------------------------------------------


@every_rule
def test_it_keeps_the_rules_on_our_server(rule, serve):
    """To a server of ours, which keeps turns under their own ids."""
    api = serve()
    secret = api.key()

    def arrived():
        return [decode_turn(line).id for line in api.store.of("default").export(ALL)]

    settings = Settings(api_key=secret)
    rule(
        ExporterMaker(
            lambda: build(f"statebase+{api.url}", settings=settings),
            arrived=arrived,
            secrets=[secret],
        )
    )


@every_rule
def test_it_keeps_the_rules_on_a_service(rule, service):
    """To a service that numbers sessions and turns itself."""
    rule(
        ExporterMaker(
            lambda: build(service.url.replace("//", f"//{KEY}@"), settings=Settings()),
            arrived=lambda: service.arrived,
            secrets=[KEY],
        )
    )


def test_it_keeps_its_timeout_when_nobody_answers(to):
    """A service that accepts connections and says nothing is not waited for."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"statebase+http://127.0.0.1:{silent.getsockname()[1]}"
        keeps_its_timeout(lambda: to(url))


def test_a_malformed_url_is_told_without_its_key():
    """The mistake is raised when the exporter is built."""
    with pytest.raises(ExporterError) as raised:
        build("statebase+https://k3y@/", settings=Settings())

    assert "k3y" not in str(raised.value)


# --- outcomes --------------------------------------------------------------------------------


def test_a_turn_that_is_refused_is_refused_alone(service, to):
    """Its neighbours are there; only it is a dead letter, with the reason."""
    service.status = {"poison": 400}
    turns = [make_turn(1), make_turn(2, output={"content": "poison"}), make_turn(3)]

    outcome = exported(to(service.url), *turns)

    assert outcome.refused.keys() == {1}
    assert outcome.refused[1].startswith("400 Bad Request")
    assert not outcome.unsent
    assert service.arrived == [turns[0].id, turns[2].id]


@pytest.mark.parametrize("status", [401, 403, 429, 500, 503])
def test_from_a_fault_of_the_service_on_all_are_unsent(service, to, status):
    """What was before is delivered, and what is after keeps its order."""
    service.status = {"now": status}
    turns = [make_turn(1), make_turn(2, output={"content": "now"}), make_turn(3)]

    outcome = exported(to(service.url), *turns)

    assert (outcome.unsent, outcome.status, outcome.refused) == ({1, 2}, status, {})
    assert service.arrived == [turns[0].id]


def test_a_turn_that_is_too_large_is_sent_without_its_steps(service, to):
    """After a 413 what grows without bound is left out, and said to be."""
    service.max_bytes = 4_000
    steps = make_turn(1).steps * 50
    exported(to(service.url), make_turn(1, steps=steps))

    (read,) = turnspan.read(service.url)

    assert read.steps == ()
    assert [cut.where for cut in read.truncated] == ["steps", "resource"]
    assert read.output == make_turn(1).output


# --- sessions --------------------------------------------------------------------------------


def test_a_session_is_made_once(service, to):
    """Many turns of a session, by one exporter or the next, are in one session of theirs."""
    exported(to(service.url), make_turn(1), make_turn(2))
    exported(to(service.url), make_turn(3), make_turn(4, session_id="other", number=1))
    exported(to(service.url), make_turn(5, session_id="other", number=2))

    assert [turn["session_id"] for turn in service.turns] == [
        *["sess_000000000000"] * 3,
        *["sess_000000000001"] * 2,
    ]
    assert service.sessions["sess_000000000000"]["agent_id"] == "assistant"
    assert service.sessions["sess_000000000000"]["ttl_seconds"] == 2_592_000


def test_a_session_of_theirs_is_used_as_it_is(service, to):
    """Where the application's session id is one of StateBase's, turns are logged there."""
    service.sessions["sess_mine"] = {"id": "sess_mine", "agent_id": "a", "metadata": {}}

    exported(to(service.url), make_turn(1, session_id="sess_mine", number=1))

    assert [turn["session_id"] for turn in service.turns] == ["sess_mine"]
    assert len(service.sessions) == 1


def test_a_session_that_has_expired_is_made_again(service, to):
    """A 404 for a session that was known makes a new one, and the turn is not lost."""
    exporter = to(service.url)
    exported(exporter, make_turn(1))
    service.sessions.pop("sess_000000000000")
    service.sessions["sess_other"] = {"id": "sess_other", "agent_id": "a"}

    outcome = exported(exporter, make_turn(2), make_turn(3))

    assert outcome == Outcome()
    assert [turn["session_id"] for turn in service.turns[1:]] == ["sess_000000000001"] * 2


def test_a_turn_without_a_session_gets_one_of_its_own(service, to):
    """Two such turns are never put into one conversation."""
    turns = [make_turn(index, session_id=None, number=None) for index in (1, 2)]

    exported(to(service.url), *turns)
    read = list(turnspan.read(service.url))

    assert len({turn["session_id"] for turn in service.turns}) == 2
    assert read == turns[::-1]


def test_a_final_turn_follows_the_interrupted_one(serve, to):
    """On our server it takes its place."""
    api = serve()
    exporter = to(f"statebase+{api.url}")
    exported(exporter, make_turn(1, status="interrupted", output=None))
    exported(exporter, make_turn(1))

    assert list(turnspan.read(api.url)) == [make_turn(1)]


# --- there and back --------------------------------------------------------------------------


def in_sessions(turns):
    """``turns``, each by an id of its own, the sessions numbered from 1 as a recorder does."""
    draw = next(NUMBERS)
    placed, numbers = [], {}
    for turn in turns:
        id = turn.session_id and f"{turn.session_id}-{draw}"
        numbers[id] = numbers.get(id, 0) + 1
        place = {"session_id": id, "number": numbers[id] if id else None}
        placed.append(turn.model_copy(update={"id": f"{turn.id}-{draw}", **place}))
    return placed


def without_place(turn, had):
    """``turn`` as StateBase keeps it: one that had no session is in one of its own."""
    return turn if had.session_id else turn.model_copy(update={"session_id": None})


@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(seed=st.integers(0, 2**32))
def test_whatever_is_exported_is_read_back_equal(open_api, seed):
    """Over StateBase's API and natively every turn is the one that was recorded."""
    turns = in_sessions(sample_turns(8, seed=seed))
    exporter = StatebaseExporter(f"statebase+{open_api.url}")
    outcome = exported(exporter, *turns)
    exporter.close(timeout_s=1)
    by_id = {turn.id: turn for turn in turns}

    natively = [decode_turn(open_api.get(f"/v1/turns/{turn.id}").body) for turn in turns]
    theirs = {
        turn.id: turn for turn in turnspan.read(f"statebase+{open_api.url}") if turn.id in by_id
    }

    assert outcome == Outcome()
    assert [without_place(each, by_id[each.id]) for each in natively] == turns
    assert {id: without_place(each, by_id[id]) for id, each in theirs.items()} == by_id


@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(seed=st.integers(0, 2**32))
def test_whatever_a_service_keeps_is_read_back_equal(service, seed):
    """From a service with ids and times of its own, too, even without a session."""
    turns = in_sessions(sample_turns(8, seed=seed))
    exporter = StatebaseExporter(service.url, api_key=KEY)
    exported(exporter, *turns)
    exporter.close(timeout_s=1)

    read = {turn.id: turn for turn in turnspan.read(service.url)}

    assert [read[turn.id] for turn in turns] == turns


def test_what_a_decorator_records_goes_over_the_dialect_and_back(serve, run):
    """A process exports over StateBase's API; the turn is read from it, and natively, equal."""
    api = serve()

    said = run(
        """
        import sys
        import turnspan
        from turnspan.exporters.memory import MemoryExporter
        from turnspan.schema import encode_turn

        @turnspan.tool
        def add(a, b):
            return a + b

        @turnspan.agent(name="adder", state=lambda: {"sum": 3})
        def adder(question):
            turnspan.current_turn().set_metadata(tier="gold")
            return str(add(1, 2))

        memory = MemoryExporter()
        turnspan.configure(exporters=[memory, "statebase+" + sys.argv[1]], directory="journal")
        with turnspan.session("s", user_id="ada"):
            adder("1 + 2?")
            adder("2 + 1?")
        print(turnspan.flush(10.0).unsent)
        for turn in memory.turns:
            print(encode_turn(turn).decode(), end="")
        """,
        api.url,
    ).stdout.splitlines()
    recorded = [decode_turn(line.encode()) for line in said[1:]]

    assert said[0] == "0"
    assert list(turnspan.read(api.url))[::-1] == recorded
    assert list(turnspan.read(f"statebase+{api.url}", session_id="s"))[::-1] == recorded
    assert api.get("/v1/sessions").json["data"][0]["id"] == "s"
