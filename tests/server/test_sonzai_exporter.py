"""Turns that are exported in Sonzai's words, and read back in them and natively."""

from __future__ import annotations

import json
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

import turnspan
from turnspan.dialects.sonzai import LOST, agent_of, request_of, session_of, user_of
from turnspan.errors import ReaderError
from turnspan.exporters.registry import build
from turnspan.ports import JournalledTurn
from turnspan.schema import Agent, Content, decode_turn
from turnspan.settings import Settings
from turnspan.testing.exporter_rules import ExporterMaker, exporter_rules
from turnspan.testing.turns import make_turn, raw_turn, sample_turns

MARKS = {"sonzai.extraction_id", "sonzai.provider", "sonzai.model"}


def processed(api, project="default"):
    """The turns that are there when nothing is left to be done, in their order."""
    until = time.monotonic() + 30
    while api.store.claim_job(["sonzai.nothing"], lease_s=0.0) or _left(api):
        assert time.monotonic() < until
        time.sleep(0.02)
    lines = api.get("/v1/export").body.splitlines()
    return [decode_turn(line) for line in lines]


def _left(api):
    from sqlalchemy import func, select

    from turnspan.server.store.tables import jobs

    asked = select(func.count()).select_from(jobs).where(jobs.c.finished_at.is_(None))
    return api.store._backend.read(lambda connection: connection.execute(asked).scalar())


def exporter_to(api, key=None):
    where = api.url.removeprefix("http://")
    return build(f"sonzai+http://{key + '@' if key else ''}{where}", settings=Settings())


def exported(api, turns, key=None):
    exporter = exporter_to(api, key)
    try:
        return exporter.export([JournalledTurn(line_of(turn)) for turn in turns], timeout_s=60.0)
    finally:
        exporter.close(timeout_s=1.0)


def line_of(turn):
    from turnspan.schema import encode_turn

    return encode_turn(turn)


def text(content):
    return None if content is None else content.content


def calls(turn):
    """What the calls of its tools were given and gave, in the order they began."""
    steps = sorted((s for s in turn.steps if s.kind == "tool"), key=lambda s: s.started_at)
    told = []
    for step in steps:
        given = step.input
        arguments = json.dumps(given.content) if given.mime_type == "text/plain" else given.content
        failed = step.error and (step.error.message or step.error.type)
        told.append((step.name, arguments, failed if step.output is None else step.output.content))
    return told


@pytest.mark.parametrize("rule", exporter_rules(), ids=lambda rule: rule.__name__)
def test_the_sonzai_exporter_keeps(rule, serve):
    """Every rule that third parties are given, against the server; the key is never shown."""
    api = serve()
    key = api.key()

    rule(
        ExporterMaker(
            lambda: exporter_to(api, key),
            arrived=lambda: [turn.id for turn in processed(api)],
            secrets=[key],
        )
    )


@pytest.mark.parametrize("seed", range(3))
def test_what_is_exported_is_read_back_up_to_what_is_lost(serve, seed):
    """Natively and in this dialect: who, where, what was said, and which tools were called."""
    api = serve()
    turns = sample_turns(60, seed=seed)
    carried = [turn for turn in turns if request_of(turn)["messages"]]

    outcome = exported(api, turns)
    held = processed(api)
    sessions = {(agent_of(t), user_of(t), session_of(t)) for t in carried}
    read = {
        where: list(
            turnspan.read(
                f"sonzai+{api.url}", agent=where[0], user_id=where[1], session_id=where[2]
            )
        )
        for where in sessions
    }

    assert outcome.unsent == frozenset()
    assert [turns[index] for index in sorted(outcome.refused)] == [
        turn for turn in turns if turn not in carried
    ]
    assert [told(turn) for turn in held] == [told(turn, sent=True) for turn in carried]
    assert [calls(turn) for turn in held] == [calls(turn) for turn in carried]
    for where, found in read.items():
        own = [t for t in carried if (agent_of(t), user_of(t), session_of(t)) == where]
        assert [said(turn) for turn in found] == merged([said(turn) for turn in own])
        assert all({cut.where for cut in turn.truncated} == LOST for turn in found)


def told(turn, *, sent=False):
    """What both sides know of a turn, its interruption included."""
    where = (session_of(turn), user_of(turn), agent_of(turn)) if sent else _who(turn)
    status = turn.status if turn.status == "interrupted" else "ok"
    return turn.id, *where, status, text(turn.input), text(turn.output)


def _who(turn):
    return turn.session_id, turn.user_id, turn.agent.name


def said(turn):
    return text(turn.input), text(turn.output)


def merged(turns):
    """What is left of turns in their texts: a question without an answer takes the next one."""
    kept = []
    for asked, answered in turns:
        if kept and kept[-1][1] is None and asked is None:
            kept[-1] = (kept[-1][0], answered)
        elif (asked, answered) != (None, None):
            kept.append((asked, answered))
    return kept


def test_what_a_decorator_records_arrives(serve, run, tmp_path):
    """From the agent's function to the store: question, answer, tool, session and user."""
    api = serve()

    ran = run(
        """
        import sys
        import turnspan

        @turnspan.tool
        def look_up(city):
            return {"weather": f"rain in {city}"}

        @turnspan.agent(name="luna")
        def luna(question):
            return "It " + look_up("Oslo")["weather"]

        turnspan.configure(exporters=[sys.argv[1]], directory=sys.argv[2])
        with turnspan.session("chat-1", user_id="ada"):
            luna("weather?")
        print(turnspan.flush(30.0).unsent)
        """,
        f"sonzai+{api.url}",
        str(tmp_path / "journal"),
    )
    (turn,) = processed(api)
    (step,) = turn.steps
    (read,) = turnspan.read(f"sonzai+{api.url}", agent="luna", user_id="ada", session_id="chat-1")

    assert ran.stdout == "0\n"
    assert _who(turn) == ("chat-1", "ada", "luna")
    assert said(turn) == said(read) == ("weather?", "It rain in Oslo")
    assert (step.name, json.loads(step.input.content), json.loads(step.output.content)) == (
        "look_up",
        {"city": "Oslo"},
        {"weather": "rain in Oslo"},
    )
    assert api.store.of("default").session("chat-1").details["sonzai"] == {}


def test_an_interrupted_turn_gives_way_to_what_it_became(serve):
    """Both are sent under the same id; the store keeps the final one, in its place."""
    api = serve()
    cut_off = make_turn(1, id="turn_aaaaaaaaaaaa", status="interrupted", output=None)
    final = make_turn(1, id="turn_aaaaaaaaaaaa")

    exported(api, [cut_off])
    (before,) = processed(api)
    exported(api, [final])
    (after,) = processed(api)

    assert (before.status, text(before.output)) == ("interrupted", None)
    assert (after.status, text(after.output)) == ("ok", "answer 1")
    assert (after.started_at, after.number) == (before.started_at, before.number)


def test_the_same_id_in_another_session_is_another_turn_s(serve):
    """It is not stored; its extraction says why."""
    api = serve()
    exported(api, [make_turn(1, id="turn_aaaaaaaaaaaa")])
    exported(api, [make_turn(1, id="turn_aaaaaaaaaaaa", session_id="other")])

    (held,) = processed(api)

    assert held.session_id == "session-1"


@dataclass
class Service:
    """Sonzai as it may be: answers what it is told to, by what a path ends in."""

    answers: dict = field(default_factory=dict)
    requests: list = field(default_factory=list)

    def __enter__(self):
        service = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                service.requests.append((self.path, body, dict(self.headers)))
                self.answer()

            def answer(self):
                fitting = [s for end, s in service.answers.items() if end in self.path]
                status, told = (fitting or [(200, {"success": True})])[0]
                sent = json.dumps(told).encode()
                self.send_response(status)
                self.send_header("content-length", str(len(sent)))
                if status == 429:
                    self.send_header("retry-after", "7")
                self.end_headers()
                self.wfile.write(sent)

            def do_GET(self):
                self.answer()

            def log_message(self, *_):
                """Quiet."""

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.http.daemon_threads = True
        self.http.handle_error = lambda *_: None  # a client hung up
        threading.Thread(target=self.http.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_):
        self.http.shutdown()
        self.http.server_close()

    @contextmanager
    def open(self):
        exporter = self.exporter()
        yield exporter
        exporter.close(timeout_s=1.0)

    def exporter(self):
        host = f"127.0.0.1:{self.http.server_address[1]}"
        return build(f"sonzai+http://k@{host}", settings=Settings(api_key="not-theirs"))


def test_a_session_is_started_once_before_its_first_turn(unconfigured):
    """Each user's session with an agent, under a key that is the same after a restart."""
    batch = [raw_turn(1, user_id="ada"), raw_turn(2, user_id="ada"), raw_turn(3, user_id="bob")]
    with Service() as service:
        for _ in range(2):
            exporter = service.exporter()
            for _ in range(2):
                assert exporter.export(batch, timeout_s=5.0).unsent == frozenset()
            exporter.close(timeout_s=1.0)
        seen = [(path.rpartition("/")[2], body) for path, body, _ in service.requests]
        keys = [told["idempotency-key"] for path, _, told in service.requests]
        sent = {told["authorization"] for *_, told in service.requests}

    starts = [body for what, body in seen if what == "start"]
    assert [what for what, _ in seen[:5]] == ["start", "turn", "turn", "start", "turn"]
    assert starts == [{"user_id": user, "session_id": "session-1"} for user in ("ada", "bob")] * 2
    assert keys[:5] + keys[1:3] + keys[4:5] == keys[:8]
    assert keys[8:] == keys[:8]
    assert sent == {"Bearer k"}


@pytest.mark.parametrize(
    "answers, refused, unsent",
    [
        ({"/sessions/b/turn": (422, {"detail": "no"})}, {1, 3}, set()),
        ({"/sessions/b/turn": (503, {})}, set(), {1, 2, 3}),
        ({"/turn": (401, {})}, set(), {0, 1, 2, 3}),
        ({"/sessions/b/turn": (429, {})}, set(), {1, 2, 3}),
        ({"/agents/b/": (404, {"detail": "no agent"})}, set(), {1, 3}),
        ({"/agents/b/sessions/start": (409, {})}, set(), set()),
        ({"/agents/b/sessions/start": (422, {})}, {1, 3}, set()),
    ],
)
def test_each_turn_has_an_outcome_of_its_own(unconfigured, answers, refused, unsent):
    """What is at fault in a turn is its own; what ails the service keeps back the rest."""
    batch = [
        raw_turn(index, session_id=name, agent=Agent(name=name))
        for index, name in enumerate("abcb")
    ]
    with Service(answers) as service, service.open() as exporter:
        outcome = exporter.export(batch, timeout_s=5.0)

    assert (set(outcome.refused), set(outcome.unsent)) == (refused, unsent)
    assert bool(outcome.cause) == bool(unsent)
    assert outcome.retry_after_s == (7.0 if "429" in str(answers) else None)


def test_a_turn_without_a_text_is_refused_here(unconfigured):
    """Nothing of it could be carried: it becomes a dead letter, and nothing is sent."""
    picture = Content(type="image", content="data:")
    with Service() as service, service.open() as exporter:
        outcome = exporter.export(
            [raw_turn(1, input=picture, output=None, steps=())], timeout_s=5.0
        )

    assert "is a text" in outcome.refused[0]
    assert service.requests == []


def test_turns_that_were_recorded_natively_are_read(serve):
    """A context tells what was said in any turn of the session, whichever way it came."""
    api = serve()
    turns = [
        turn.model_copy(update={"session_id": "s", "user_id": "ada"})
        for turn in sample_turns(40, seed=7)
    ]
    body = b"".join(map(line_of, turns))
    api.post("/v1/turns", body, headers={"content-type": "application/x-ndjson"})

    read = turnspan.read(f"sonzai+{api.url}", agent="assistant", user_id="ada", session_id="s")

    assert [said(turn) for turn in read] == merged([said(turn) for turn in turns])


# --- reading ---------------------------------------------------------------------------------


@pytest.mark.parametrize("missing", ["agent", "user_id", "session_id"])
def test_reading_asks_for_a_session_of_somebody(unconfigured, missing):
    """The dialect lists neither agents, users nor sessions."""
    asked = {"agent": "luna", "user_id": "ada", "session_id": "s"}
    del asked[missing]

    with pytest.raises(ReaderError, match="in one session of one user with one agent"):
        list(turnspan.read("sonzai+http://127.0.0.1:1", **asked))


@pytest.mark.parametrize(
    "told",
    [{}, {"recent_turns": None}, {"recent_turns": [1]}, {"recent_turns": [{"role": "user"}]}],
)
def test_a_service_that_tells_no_messages_is_an_error(unconfigured, told):
    """What is no context is told apart from one that is empty."""
    with Service({"/context": (200, told)}) as service:
        host = f"127.0.0.1:{service.http.server_address[1]}"
        read = turnspan.read(f"sonzai+http://{host}", agent="a", user_id="u", session_id="s")

        with pytest.raises(ReaderError, match="cannot be read"):
            list(read)


def test_turns_cannot_be_chosen_by_when_they_began(unconfigured):
    """The times that the dialect tells are those of their arrival."""
    with pytest.raises(ReaderError, match="does not carry 'started_at'"):
        turnspan.read("sonzai+http://127.0.0.1:1", agent="luna", since=1)
