"""The Sonzai dialect, over HTTP."""

from __future__ import annotations

import json
import random
import time
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import quote

import jsonschema
import pytest

from turnspan.dialects.instants import iso_of, ns_of
from turnspan.schema import decode_turn, encode_turn
from turnspan.server.dialect import Dialect, dialects
from turnspan.server.jobs import MAX_ATTEMPTS
from turnspan.server.limits import Limits
from turnspan.server.routes.sonzai import extraction
from turnspan.server.routes.sonzai.intake import exchanges
from turnspan.server.store.port import TurnFilter
from turnspan.testing.turns import make_turn

CONTRACT = json.loads((Path(__file__).parents[1] / "contracts" / "sonzai.json").read_text())
EACH_STORE = pytest.mark.parametrize("store_url", ["sqlite", "postgresql"], indirect=True)
AGENT = "/api/v1/agents/luna"
SESSION = f"{AGENT}/sessions/s"
SAID = [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "hello"}]
TURN = {"userId": "ada", "messages": SAID}
START = {"user_id": "ada", "session_id": "s"}
END = {**START, "total_messages": 2, "duration_seconds": 3}
FUNCTION = {"name": "look_up", "arguments": '{"city":"Oslo"}'}
CALLED = [
    {"role": "user", "content": "weather?"},
    {"role": "assistant", "tool_calls": [{"id": "c1", "type": "function", "function": FUNCTION}]},
    {"role": "tool", "content": "rain", "tool_call_id": "c1"},
    {"role": "assistant", "content": "It rains."},
]
MOOD = {"valence": 0.1, "arousal": 0.0, "tension": 0.0, "affiliation": 0.2}
MOOD |= {"reason": "r", "trigger_type": "emotional_response"}


def valid(name, reply, status=200):
    """The body of ``reply``, once it is known to be what the client takes."""
    assert reply.status == status, reply.body
    schema = {"schemas": CONTRACT["schemas"], "$ref": f"#/schemas/{name}"}
    jsonschema.Draft202012Validator(schema).validate(reply.json)
    return reply.json


def problem(reply):
    """Status and code of a problem, once it is known to be one that all clients can read."""
    assert reply.headers["content-type"] == "application/problem+json"
    body = valid("problem", reply, reply.status)
    assert body["detail"] == body["message"] == body["error"]
    return body["status"], body["code"]


def settled(api, extraction_id, agent=AGENT, **kwargs):
    """The last status of an exchange."""
    until = time.monotonic() + 30
    while time.monotonic() < until:
        told = valid("status", api.get(f"{agent}/turns/{extraction_id}/status", **kwargs))
        if told["state"] in {"done", "failed"}:
            return told
        time.sleep(0.02)
    raise AssertionError(told)


def submitted(api, body=TURN, path=SESSION, **kwargs):
    """The turn that a submission becomes."""
    told = valid("turn", api.post(f"{path}/turn", body, **kwargs))
    assert settled(api, told["extraction_id"])["state"] == "done"
    job = api.store.of("default").job(told["extraction_id"])
    return decode_turn(api.get(f"/v1/turns/{job.result['turn_id']}").body)


def shape(value):
    """A body without what differs from one answer to the next."""
    if isinstance(value, dict):
        return {key: shape(each) for key, each in sorted(value.items())}
    if isinstance(value, list):
        return [shape(value[0])] if value else []
    return type(value).__name__


@pytest.fixture
def plugin(monkeypatch):
    """Installs an extractor."""

    def plugin(**functions):
        found = SimpleNamespace(**functions)
        monkeypatch.setattr(extraction, "extractors", lambda: {"theirs": found})

    return plugin


def asked(api, name):
    """The answer that the body ``name`` of the contract is an example of."""
    turn = {**TURN, "fetchNextContext": {"query": "q"}} if "context" in name else TURN
    if name.startswith(("turn", "refused")):
        body = {**turn, "messages": []} if name == "refused" else turn
        return api.post(f"{SESSION}/turn", body)
    if name in {"start", "end later", "process"}:
        path, body = {
            "start": ("sessions/start", START),
            "end later": ("sessions/end", END),
            "process": ("process", TURN),
        }[name]
        return api.post(f"{AGENT}/{path}", body)
    if name == "end at once":
        return api.post(f"{AGENT}/sessions/end", {**END, "wait": True})
    if name == "context":
        submitted(api)
        return api.get(f"{AGENT}/context?userId=ada&sessionId=s")
    if name == "status":
        told = api.post(f"{SESSION}/turn", TURN).json
        settled(api, told["extraction_id"])
        return api.get(f"{AGENT}/turns/{told['extraction_id']}/status")
    told = api.post(f"{AGENT}/sessions/end", END).json
    return ended(api, told)


def ended(api, told):
    until = time.monotonic() + 30
    while time.monotonic() < until:
        reply = api.get(told["status_url"])
        if valid("end_status", reply)["state"] in {"done", "failed"}:
            return reply
        time.sleep(0.02)
    raise AssertionError(reply.json)


@pytest.mark.parametrize("name", CONTRACT["bodies"])
def test_every_body_that_the_client_takes_is_what_we_answer(serve, plugin, name):
    """Our answers have the keys and types of the bodies that the client is known to take."""
    if "mood" in name:
        plugin(mood=lambda _: MOOD)
    status, body = CONTRACT["bodies"][name]

    reply = asked(serve(), name)

    assert (reply.status, shape(reply.json)) == (status, shape(body))


@EACH_STORE
def test_an_exchange_becomes_a_turn(serve):
    """Its messages, calls of tools included, are stored as a turn that the native API finds."""
    api = serve()
    before = time.time_ns()
    body = {"userId": "ada", "messages": CALLED, "instanceId": "i", "provider": "p", "model": "m"}

    turn = submitted(api, body)
    (step,) = turn.steps
    found = api.get("/v1/turns?tool=look_up&user_id=ada&metadata[sonzai.instance_id]=i").json

    assert [each["id"] for each in found["data"]] == [turn.id]
    assert (turn.session_id, turn.number, turn.agent.name) == ("s", 1, "luna")
    assert (turn.input.content, turn.output.content) == ("weather?", "It rains.")
    assert [each.role for each in turn.messages] == ["user", "assistant", "tool", "assistant"]
    assert (step.name, step.input.content, step.output.content) == (
        "look_up",
        FUNCTION["arguments"],
        "rain",
    )
    assert {key: turn.metadata[key] for key in ("sonzai.provider", "sonzai.model")} == {
        "sonzai.provider": "p",
        "sonzai.model": "m",
    }
    assert before <= turn.started_at <= time.time_ns()


@EACH_STORE
def test_states_go_from_queued_over_running_to_done(serve, plugin):
    """While the plug-in works the state is `running`; the answer before it said `queued`."""
    begun, go_on = [], []

    def extract(turn):
        begun.append(turn.id)
        while not go_on:
            time.sleep(0.01)
        return {"facts": ["ada says hi"]}

    plugin(extract=extract)
    api = serve()
    first, second = (api.post(f"{SESSION}/turn", TURN).json for _ in range(2))
    while not begun:
        time.sleep(0.01)

    states = [
        api.get(f"{AGENT}/turns/{each['extraction_id']}/status").json["state"]
        for each in (first, second)
    ]
    go_on.append(True)
    last = [settled(api, each["extraction_id"]) for each in (first, second)]

    assert [first["extraction_status"], second["extraction_status"]] == ["queued", "queued"]
    assert states == ["running", "queued"]
    assert last == [{**each, "state": "done"} for each in map(_named, (first, second))]
    turns = [decode_turn(line) for line in api.get("/v1/export").body.splitlines()]
    assert [turn.metadata["sonzai.extracted"] for turn in turns] == [
        {"theirs": {"facts": ["ada says hi"]}}
    ] * 2


def _named(told):
    return {"extraction_id": told["extraction_id"]}


def test_an_extraction_that_fails_loses_no_turn(serve, plugin):
    """The state is `failed` and says why; the turn is stored all the same."""

    def extract(turn):
        raise ValueError("no idea")

    plugin(extract=extract)
    api = serve()

    told = api.post(f"{SESSION}/turn", TURN).json
    last = settled(api, told["extraction_id"])
    turns = api.get("/v1/turns").json["data"]

    assert last == {**_named(told), "state": "failed", "error": "ValueError: no idea"}
    assert [each["input"]["content"] for each in turns] == ["hi"]


@pytest.mark.parametrize(
    "told", [{"valence": 0.1}, {**MOOD, "valence": "high"}, {**MOOD, "x": 1}, 7]
)
def test_a_mood_that_is_none_is_left_out(serve, plugin, told):
    """Whatever a plug-in answers, the client gets a body it takes."""
    plugin(mood=lambda _: told)

    body = valid("turn", serve().post(f"{SESSION}/turn", TURN))

    assert "mood" not in body


def test_a_mood_is_kept_with_its_turn(serve, plugin):
    """What was answered at once is in the metadata of the turn later."""
    plugin(mood=lambda _: MOOD)

    assert submitted(serve()).metadata["sonzai.mood"] == MOOD


def test_a_plugin_is_found_by_its_entry_point(serve, tmp_path, monkeypatch):
    """A distribution that names one in `turnspan.extractors` is asked; a broken one is not."""
    info = tmp_path / "theirs-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: theirs\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        "[turnspan.extractors]\nbroken = no_such_module\ntheirs = their_extractor\n"
    )
    (tmp_path / "their_extractor.py").write_text("def extract(turn):\n    return {'facts': [1]}\n")
    monkeypatch.syspath_prepend(tmp_path)
    extraction.extractors.cache_clear()
    try:
        told = valid("process", serve().post(f"{AGENT}/process", TURN))
    finally:
        extraction.extractors.cache_clear()

    assert told["facts_extracted"] == 1


# --- once ------------------------------------------------------------------------------------


@EACH_STORE
def test_a_request_that_is_sent_again_has_one_effect(serve):
    """The same idempotency key gets the same extraction; another body under it is a conflict."""
    api = serve()
    key = {"idempotency-key": "k"}

    first, again = (api.post(f"{SESSION}/turn", TURN, headers=key) for _ in range(2))
    other = api.post(f"{SESSION}/turn", {**TURN, "userId": "bob"}, headers=key)
    settled(api, first.json["extraction_id"])

    assert again.json == first.json
    assert problem(other) == (409, "conflict")
    assert len(api.get("/v1/turns").json["data"]) == 1


@EACH_STORE
def test_a_job_that_is_done_twice_makes_one_turn(serve):
    """A process that dies after storing leaves the job to another, which finds the turn there."""
    idle = serve(known=_without_jobs())
    idle.post(f"{SESSION}/turn", TURN)
    store = idle.store.of("default")
    handler = dialects()["sonzai"].jobs["sonzai.turn"]
    job = idle.store.claim_job(["sonzai.turn"], lease_s=300.0)

    for _ in range(2):
        handler(store, job)

    assert len(list(store.export(TurnFilter()))) == 1


@EACH_STORE
def test_the_last_attempt_asks_no_plugin(serve, plugin):
    """Whatever ended the process each time before, the turn is stored in the end."""
    calls = []
    plugin(extract=calls.append)
    idle = serve(known=_without_jobs())
    idle.post(f"{SESSION}/turn", TURN)
    for _ in range(MAX_ATTEMPTS):
        job = idle.store.claim_job(["sonzai.turn"], lease_s=-1.0)

    dialects()["sonzai"].jobs["sonzai.turn"](idle.store.of("default"), job)

    assert (job.attempt, calls) == (MAX_ATTEMPTS, [])
    assert len(idle.get("/v1/turns").json["data"]) == 1


@EACH_STORE
def test_what_was_erased_meanwhile_does_not_come_back(serve):
    """A job whose session is erased while it is being done stores nothing."""
    idle = serve(known=_without_jobs())
    idle.post(f"{SESSION}/turn", TURN)
    store = idle.store.of("default")
    job = idle.store.claim_job(["sonzai.turn"], lease_s=300.0)
    store.erase_user("ada")

    dialects()["sonzai"].jobs["sonzai.turn"](store, job)

    assert list(store.export(TurnFilter())) == []


def _without_jobs():
    """All dialects, and nobody who does what they leave for later."""
    sonzai = dialects()["sonzai"]
    idle = Dialect(
        name="sonzai",
        router=sonzai.router,
        render=sonzai.render,
        claims=sonzai.claims,
        headers=sonzai.headers,
    )
    return dict(dialects()) | {"sonzai": idle}


@EACH_STORE
def test_several_servers_share_the_work(serve):
    """Two servers on one store make one turn of each exchange, numbered without gaps."""
    one, other = serve(), serve()

    told = [api.post(f"{SESSION}/turn", TURN).json for _ in range(20) for api in (one, other)]
    states = {settled(other, each["extraction_id"])["state"] for each in told}
    turns = [decode_turn(line) for line in one.get("/v1/export").body.splitlines()]

    assert states == {"done"}
    assert sorted(turn.number for turn in turns) == list(range(1, 41))


# --- sessions --------------------------------------------------------------------------------


@EACH_STORE
def test_a_session_is_started_and_ended(serve):
    """What was said of it is kept in its details; starting it again opens it again."""
    api = serve()
    tools = [{"name": "look_up", "description": "d", "parameters": {"type": "object"}}]
    store = api.store.of("default")

    valid("success", api.post(f"{AGENT}/sessions/start", {**START, "provider": "p", "model": "m"}))
    valid("success", api.request("PUT", f"{SESSION}/tools", tools))
    valid("end", api.post(f"{AGENT}/sessions/end?force_sync=true", END))
    session = store.session("s")
    valid("success", api.post(f"{AGENT}/sessions/start", START))

    assert (session.agent, session.user_id, session.ended_at is not None) == ("luna", "ada", True)
    assert session.details["sonzai"] == {
        "provider": "p",
        "model": "m",
        "tool_definitions": tools,
        "total_messages": 2,
        "duration_seconds": 3,
    }
    assert store.session("s").ended_at is None


@EACH_STORE
def test_a_session_ends_in_the_background(serve):
    """Polling tells its own words for the states, and what was said in it is stored."""
    api = serve()
    messages = [*SAID, *CALLED, {"role": "user", "content": "bye", "author": "ada"}]

    told = valid("end", api.post(f"{AGENT}/sessions/end", {**END, "messages": messages}), 202)
    last = ended(api, told).json
    turns = [decode_turn(line) for line in api.get("/v1/export").body.splitlines()]

    assert (last["state"], last["session_id"], last["agent_id"], last["attempt"]) == (
        "done",
        "s",
        "luna",
        1,
    )
    assert last["enqueued_at"] == told["enqueued_at"] <= last["started_at"] <= last["finished_at"]
    assert [turn.input.content for turn in turns] == ["hi", "weather?", "bye"]
    assert api.store.of("default").session("s").ended_at is not None


def test_an_end_that_has_yet_to_come_is_pending(serve):
    """Before anybody takes the job up, the state is `pending`, then `processing`."""
    api = serve(known=_without_jobs())
    told = api.post(f"{AGENT}/sessions/end", END).json

    pending = valid("end_status", api.get(told["status_url"]))
    api.store.claim_job(["sonzai.end"], lease_s=300.0)
    processing = valid("end_status", api.get(told["status_url"]))

    assert (pending["state"], processing["state"]) == ("pending", "processing")
    assert (pending["agent_id"], processing["agent_id"]) == ("luna", "luna")


def test_an_end_that_fails_says_so(serve, plugin):
    """The state is `failed`, and whose session it was is still told."""

    def extract(turn):
        raise ValueError("no idea")

    plugin(extract=extract)
    api = serve()

    last = ended(api, api.post(f"{AGENT}/sessions/end", {**END, "messages": SAID}).json).json

    assert (last["state"], last["error"], last["agent_id"]) == (
        "failed",
        "ValueError: no idea",
        "luna",
    )
    assert len(api.get("/v1/turns").json["data"]) == 1


# --- context ---------------------------------------------------------------------------------


@EACH_STORE
def test_a_context_tells_what_was_said_lately(serve):
    """Messages of one user with one agent, oldest first, whoever recorded them."""
    api = serve()
    native = make_turn(1, session_id="s", user_id="ada", agent={"name": "luna"})
    for turn in (native, make_turn(2, session_id="s", user_id="bob", agent={"name": "luna"})):
        api.post("/v1/turns", encode_turn(turn), headers={"content-type": "application/x-ndjson"})
    turn = submitted(api, {"userId": "ada", "messages": CALLED, "instanceId": "i"})
    now, then = iso_of(turn.started_at), iso_of(native.started_at)

    told = valid("context", api.get(f"{AGENT}/context?userId=ada&sessionId=s&query=q&timezone=UTC"))
    of_instance = valid("context", api.get(f"{AGENT}/context?userId=ada&instanceId=i"))
    elsewhere = valid("context", api.get("/api/v1/agents/other/context?userId=ada"))

    submitted_then = [
        {"role": "user", "content": "weather?", "timestamp": now},
        {"role": "assistant", "content": "It rains.", "timestamp": now},
    ]
    assert told["recent_turns"] == [
        {"role": "user", "content": "question 1", "timestamp": then},
        {"role": "assistant", "content": "answer 1", "timestamp": iso_of(native.ended_at)},
        *submitted_then,
    ]
    assert of_instance["recent_turns"] == submitted_then
    assert elsewhere["recent_turns"] == []
    assert ns_of(now) == turn.started_at


def test_the_next_context_holds_this_exchange_already(serve):
    """It comes with the answer, before the exchange is a turn."""
    api = serve(known=_without_jobs())

    told = valid("turn", api.post(f"{SESSION}/turn", {**TURN, "fetchNextContext": {}}))

    assert [each["content"] for each in told["next_context"]["recent_turns"]] == ["hi", "hello"]


def test_a_key_that_may_not_read_gets_no_context(serve):
    """Neither by itself nor with the answer to a turn; submitting and polling it may."""
    api = serve()
    api.key(scopes={"write"})

    replies = [
        api.get(f"{AGENT}/context?userId=ada"),
        api.post(f"{SESSION}/turn", {**TURN, "fetchNextContext": {}}),
    ]
    told = valid("turn", api.post(f"{SESSION}/turn", TURN))

    assert [problem(reply) for reply in replies] == [(403, "forbidden")] * 2
    assert [reply.json["required_scope"] for reply in replies] == ["read", "read"]
    assert settled(api, told["extraction_id"])["state"] == "done"


# --- who, and what not -----------------------------------------------------------------------


def test_nothing_of_another_project_is_seen(serve):
    """Its extractions and ends are not there, its messages in no context."""
    api = serve()
    ours = api.key(project="ours")
    turn = api.post(f"{SESSION}/turn", TURN).json
    end = api.post(f"{AGENT}/sessions/end", END).json
    settled(api, turn["extraction_id"], key=ours)
    theirs = api.key(project="theirs")

    seen = [
        api.get(f"{AGENT}/turns/{turn['extraction_id']}/status"),
        api.get(end["status_url"]),
        api.request("PUT", f"{SESSION}/tools", []),
    ]
    context = api.get(f"{AGENT}/context?userId=ada&sessionId=s").json
    started = api.post(f"{AGENT}/sessions/start", {**START, "user_id": "eve"})

    assert [problem(reply) for reply in seen] == [(404, "not_found")] * 3
    assert context == {"recent_turns": []}
    assert started.status == 200
    assert api.store.of("ours").session("s").user_id == "ada"
    assert theirs != ours


def test_limits_are_told_as_the_client_reads_them(serve):
    """Whole numbers, the time in Unix seconds, and how long to wait."""
    api = serve(limits=Limits(burst=1, requests_per_s=0.1))
    api.key()

    first, second = (api.get(f"{AGENT}/context?userId=ada") for _ in range(2))

    assert (first.headers["x-ratelimit-limit"], first.headers["x-ratelimit-remaining"]) == (
        "1",
        "0",
    )
    assert 0 <= int(first.headers["x-ratelimit-reset"]) - time.time() <= 11
    assert problem(second) == (429, "rate_limited")
    assert 1 <= int(second.headers["retry-after"]) <= 10


def test_a_project_whose_month_is_full_submits_no_more(serve):
    """Whatever would become a turn is told to wait; a session without messages still ends."""
    api = serve(limits=Limits(burst=1_000, turns_per_month=1))
    submitted(api)

    full = [
        api.post(f"{SESSION}/turn", TURN),
        api.post(f"{AGENT}/process", TURN),
        api.post(f"{AGENT}/sessions/end", {**END, "messages": SAID}),
    ]

    assert [problem(reply) for reply in full] == [(429, "quota_exhausted")] * 3
    valid("end", api.post(f"{AGENT}/sessions/end", {**END, "wait": True}))


@pytest.mark.parametrize(
    "method, path, body, field",
    [
        ("POST", f"{SESSION}/turn", {"messages": SAID}, "body.userId"),
        ("POST", f"{SESSION}/turn", {**TURN, "user_id": "ada"}, "body.user_id"),
        ("POST", f"{SESSION}/turn", {**TURN, "messages": None}, "body.messages"),
        ("POST", f"{SESSION}/turn", {**TURN, "messages": []}, "body.messages"),
        ("POST", f"{SESSION}/turn", {**TURN, "fetchNextContext": "q"}, "body.fetchNextContext"),
        (
            "POST",
            f"{SESSION}/turn",
            {**TURN, "messages": [{"role": "developer"}]},
            "body.messages.0.role",
        ),
        (
            "POST",
            f"{SESSION}/turn",
            {**TURN, "messages": [{"role": "user", "name": "bob"}]},
            "body.messages.0.name",
        ),
        (
            "POST",
            f"{SESSION}/turn",
            {**TURN, "messages": [{"role": "user", "content": [{"type": "text"}]}]},
            "body.messages.0.content",
        ),
        ("POST", f"{AGENT}/process", {**TURN, "messages": SAID[:1]}, "body.messages"),
        ("POST", f"{AGENT}/sessions/start", {"user_id": "ada"}, "body.session_id"),
        ("POST", f"{AGENT}/sessions/end", START, "body.total_messages"),
        ("PUT", f"{SESSION}/tools", [{"name": "sonzai_x"}], "body.0.name"),
        ("PUT", f"{SESSION}/tools", {"name": "x"}, "body"),
        ("GET", f"{AGENT}/context", None, "query.userId"),
    ],
)
def test_what_the_schema_does_not_allow_is_refused_by_its_field(serve, method, path, body, field):
    """422 names each field in every word that a client looks for, and never shows its value."""
    reply = serve().request(method, path, body)

    assert problem(reply) == (422, "validation_error")
    assert reply.json["errors"][0] | {"message": ""} == {
        "location": field,
        "field": field,
        "message": "",
        "value": None,
    }


@pytest.mark.parametrize("role", ["user", "assistant", "tool", "system"])
def test_a_message_may_be_nothing_but_a_role(serve, role):
    """As in the vendor's own example of a request."""
    turn = submitted(serve(), {"userId": "ada", "messages": [{"role": role}], "$schema": "/x"})

    assert [each.role for each in turn.messages] == [role]
    assert (turn.input, turn.output) == (None, None)


def test_arguments_that_are_no_json_are_kept_as_they_are(serve):
    """Broken, not finite, or too deep to be written again: a text is a text."""
    api = serve()
    odd = ["{", "NaN", "[" * 400 + "]" * 400, '"\\ud800"', "1" * 400]
    calls = [
        {"id": f"c{index}", "type": "function", "function": {"name": "f", "arguments": text}}
        for index, text in enumerate(odd)
    ]

    turn = submitted(
        api, {"userId": "ada", "messages": [{"role": "assistant", "tool_calls": calls}]}
    )

    assert [step.input.content for step in turn.steps] == odd


@EACH_STORE
def test_values_that_are_hard_to_write_are_taken_or_refused(serve):
    """Nothing that JSON can say makes the server fail."""
    api = serve()
    deep = b'{"a":' * 900 + b"1" + b"}" * 900
    head = b'{"user_id":"a","session_id":"\\u0000","tool_definitions":'
    ends = b'{"user_id":"a","session_id":"s","duration_seconds":1,"total_messages":'
    asked = [
        ("POST", f"{AGENT}/sessions/start", head + deep + b"}"),
        ("POST", f"{AGENT}/sessions/start", head + b"1" * 400 + b"}"),
        ("POST", f"{AGENT}/sessions/start", b'{"user_id":"a","session_id":"s"}'),
        ("PUT", f"{SESSION}/tools", b'[{"name":"x","parameters":' + deep + b"}]"),
        ("POST", f"{AGENT}/sessions/end", ends + b"1" * 30 + b"}"),
        ("POST", f"{AGENT}/sessions/end", ends + b'1,"wait":true}'),
    ]

    statuses = [
        api.request(method, path, body, headers={"content-type": "application/json"}).status
        for method, path, body in asked
    ]

    assert [status for status in statuses if status not in {200, 202, 422}] == []


def test_malformed_requests_are_refused_in_the_dialect_s_words(serve):
    """Broken JSON, odd ids, other methods and other paths get a 4xx that all clients can read."""
    api = serve()
    draw = random.Random(0)
    odd_ids = ["..", "%00", "a%2Fb", quote("ü👩‍🚀", safe=""), "'; DROP TABLE turns; --", "x" * 3000]
    odd = {}

    for number in range(300):
        id = quote(draw.choice(odd_ids), safe="%")
        method, path, body = draw.choice(
            [
                ("POST", f"/api/v1/agents/{id}/sessions/{id}/turn", b"{"),
                ("POST", f"/api/v1/agents/{id}/sessions/{id}/turn", b'{"userId":NaN}'),
                ("POST", f"/api/v1/agents/{id}/sessions/start", b"[]"),
                ("POST", f"/api/v1/agents/{id}/sessions/end", b'"\xff"'),
                ("POST", f"/api/v1/agents/{id}/process", b"null"),
                ("PUT", f"/api/v1/agents/{id}/sessions/{id}/tools", b"7"),
                ("PUT", f"/api/v1/agents/{id}/sessions/{id}/tools", b"[]"),
                ("GET", f"/api/v1/agents/{id}/turns/{id}/status", None),
                ("GET", f"/api/v1/sessions/end/status/{id}", None),
                ("GET", f"/api/v1/agents/{id}/context", None),
                ("DELETE", f"/api/v1/agents/{id}/sessions/start", None),
                ("GET", f"/api/v1/{id}", None),
                ("GET", "/api/v1/agents/%ff/context?userId=a", None),
            ]
        )
        reply = api.request(method, path, body, headers={"content-type": "application/json"})
        if not 400 <= reply.status < 500 or problem(reply)[0] != reply.status:
            odd[number] = (method, path[:80], reply.status, reply.body[:200])

    assert odd == {}


@pytest.mark.parametrize(
    "body",
    [
        {**TURN, "messages": [1] * 200_000},
        {**TURN, "messages": [{"role": "user", "content": "hi", "tool_calls": [1] * 200_000}]},
        {**TURN, **{f"k{index}": 1 for index in range(50_000)}},
        {**TURN, "messages": [{**SAID[0], **{f"k{index}": 1 for index in range(50_000)}}]},
    ],
    ids=["messages", "calls", "keys", "keys of a message"],
)
def test_a_flood_of_mistakes_is_told_in_a_few_lines(serve, body):
    """What is wrong a hundred thousand times is not answered a hundred thousand times."""
    reply = serve().post(f"{SESSION}/turn", body)

    assert problem(reply) == (422, "validation_error")
    assert len(reply.body) < 30_000


def test_a_long_transcript_takes_no_longer_than_its_length():
    """A hundred thousand messages that nobody answered are told apart in one pass."""
    messages = [{"role": "user", "content": "hi"}] * 100_000
    began = time.process_time()

    (exchange,) = exchanges(messages)

    assert len(exchange) == 100_000
    assert time.process_time() - began < 5
