"""The StateBase dialect, with the vendor's own client."""

from __future__ import annotations

import asyncio
import inspect
import json
import random
import re
from itertools import count
from pathlib import Path
from urllib.parse import quote

import httpx
import pytest
import statebase
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

import turnspan
from turnspan.dialects.statebase import NOT_CARRIED, item_of, turn_of
from turnspan.schema import Turn, decode_turn, encode_turn
from turnspan.server import Limits
from turnspan.server.dialect import dialects
from turnspan.testing.turns import START_NS, make_turn, sample_turns

NDJSON = {"content-type": "application/x-ndjson"}
EACH_STORE = pytest.mark.parametrize("store_url", ["sqlite", "postgresql"], indirect=True)
CONTRACT = json.loads((Path(__file__).parents[1] / "contracts" / "statebase.json").read_text())
SAID = {"input": {"type": "text", "content": "hi"}, "output": {"type": "text", "content": "yo"}}
SB = {"x-api-key": "none"}
DAY_S = 86_400
NUMBERS = count()


class Clock:
    """A clock that moves when it is told."""

    def __init__(self):
        self.at = START_NS

    def now_ns(self):
        return self.at

    def monotonic_ns(self):
        return self.at


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def api(serve):
    """A server with a key."""
    api = serve()
    api.key()
    return api


@pytest.fixture
def open_api(serve):
    """A server that anybody on this machine may ask."""
    return serve()


@pytest.fixture(params=["sync", "async"])
def ask(request, api):
    """Calls a method of the vendor's client, `ask("sessions.create", …)`, on either face."""

    def found(client, name):
        for part in name.split("."):
            client = getattr(client, part)
        return client

    def plainly(name, *args, **kwargs):
        with statebase.StateBase(api.keys[-1], base_url=api.url) as client:
            return found(client, name)(*args, **kwargs)

    def asynchronously(name, *args, **kwargs):
        async def call():
            async with statebase.AsyncStateBase(api.keys[-1], base_url=api.url) as client:
                return await found(client, name)(*args, **kwargs)

        return asyncio.run(call())

    return plainly if request.param == "sync" else asynchronously


def session(api, **asked):
    """The id of a new session."""
    reply = api.post("/v1/sessions", {"agent_id": "a", **asked})
    assert reply.status == 201
    return reply.json["id"]


def told(reply):
    """Status and code of an error, in StateBase's envelope."""
    assert reply.json.keys() == {"error"}
    error = reply.json["error"]
    assert error.keys() - {"retry_after"} == {"code", "message", "type", "param"}
    return reply.status, error["code"], error["param"]


def post_natively(api, *turns):
    reply = api.post("/v1/turns", b"".join(map(encode_turn, turns)), headers=NDJSON)
    assert {each["status"] for each in reply.json["results"]} == {"stored"}


# --- the client ------------------------------------------------------------------------------


def test_every_method_of_the_client_is_called_below():
    """The client has these methods and no others."""
    with statebase.StateBase("k") as client:
        methods = {
            f"{name}.{method}"
            for name in ("sessions", "memory")
            for method, _ in inspect.getmembers(getattr(client, name), inspect.ismethod)
            if not method.startswith("_")
        }

    assert methods == {
        "memory.add",
        "memory.search",
        *(f"sessions.{name}" for name in ("create", "get", "list", "delete", "get_context")),
        *(f"sessions.{name}" for name in ("add_turn", "add_tool_call", "list_turns")),
        *(f"sessions.{name}" for name in ("get_state", "update_state", "rollback", "fork")),
    }


def test_the_client_keeps_sessions(ask):
    """Made, shown, listed with every filter, and deleted."""
    made = ask(
        "sessions.create",
        "support",
        user_id="ada",
        metadata={"channel": "web"},
        initial_state={"status": "new"},
        ttl_seconds=3_600,
    )
    bare = ask("sessions.create", "other")
    shown = ask("sessions.get", made.id)
    listed = ask("sessions.list", agent_id="support", created_after="2020-01-01T00:00:00Z")
    after = ask("sessions.list", limit=1, starting_after=bare.id)
    ask("sessions.delete", made.id)

    assert re.fullmatch(r"sess_\w{12}", made.id)
    assert shown == made
    assert (made.agent_id, made.user_id, made.state) == ("support", "ada", {"status": "new"})
    assert (made.metadata, made.turn_count, made.memory_count) == ({"channel": "web"}, 0, 0)
    assert (bare.user_id, bare.state, bare.metadata) == (None, {}, {})
    assert [each["id"] for each in listed["data"]] == [made.id]
    assert ([each["id"] for each in after["data"]], after["has_more"]) == ([made.id], False)
    with pytest.raises(httpx.HTTPStatusError, match="404"):
        ask("sessions.get", made.id)


def test_the_client_logs_turns(ask):
    """Texts, errors and tool calls come back as they were sent, newest first and numbered."""
    id = ask("sessions.create", "support", user_id="ada").id
    text = ask("sessions.add_turn", id, "hi", "yo", metadata={"latency_ms": 450}, reasoning="r")
    error = ask("sessions.add_turn", id, "Größe? 😀", {"type": "error", "content": "timeout"})
    call = ask("sessions.add_tool_call", id, "weather", {"city": "SF"}, {"temp": 72}, "call_1")

    listed = ask("sessions.list_turns", id)
    page = ask("sessions.list_turns", id, limit=1, starting_after=call.id)
    context = ask("sessions.get_context", id, "prefs", turn_limit=2)

    assert re.fullmatch(r"turn_\w{12}", text.id)
    assert (text.turn_number, error.turn_number, call.turn_number) == (1, 2, 3)
    assert (text.metadata, text.reasoning) == ({"latency_ms": 450}, "r")
    assert (error.input.content, error.output.type) == ("Größe? 😀", "error")
    assert (call.input.type, call.output.type) == ("tool_call", "tool_response")
    assert call.metadata is None
    assert listed == [call, error, text]
    assert page == [error]
    assert [each["id"] for each in context["recent_turns"]] == [call.id, error.id]
    assert (context["state"], context["memories"]) == ({}, [])


def test_the_client_keeps_states(ask):
    """Merged, rolled back without losing a version, and forked."""
    id = ask("sessions.create", "a", initial_state={"a": 1}).id
    ask("sessions.add_turn", id, "before", "x")
    merged = ask("sessions.update_state", id, {"b": 2}, reasoning="why")
    ask("sessions.add_turn", id, "after", "x")
    rolled = ask("sessions.rollback", id, 0)
    back = ask("sessions.rollback", id, -1)
    early = ask("sessions.fork", id, version=0)
    late = ask("sessions.fork", id)

    assert (merged.version, merged.state) == (1, {"a": 1, "b": 2})
    assert (rolled.version, rolled.state) == (2, {"a": 1})
    assert (back.version, back.state) == (3, {"a": 1, "b": 2})
    assert ask("sessions.get_state", id).version == 3
    assert early.metadata == {"forked_from": id, "forked_version": 0}
    assert (early.state, early.turn_count) == ({"a": 1}, 1)
    assert late.metadata == {"forked_from": id, "forked_version": 3}
    assert (late.state, late.turn_count) == ({"a": 1, "b": 2}, 2)
    assert [turn.input.content for turn in ask("sessions.list_turns", early.id)] == ["before"]


def test_the_client_is_told_that_there_are_no_memories(ask, api):
    """Memory is not ours: 404, and why in StateBase's envelope; health is answered."""
    for name, args in (("memory.add", ["c"]), ("memory.search", ["q"])):
        with pytest.raises(httpx.HTTPStatusError, match="404") as raised:
            ask(name, *args)
        error = raised.value.response.json()["error"]

        assert error["code"] == "resource_not_found"
        assert error["message"].endswith("it has no memories")
    assert ask("health") == {"status": "healthy"}


def test_the_client_s_ids_may_hold_slashes(ask, api):
    """It leaves slashes and spaces in ids as they are."""
    post_natively(api, make_turn(1, session_id="a/b c"))

    assert ask("sessions.get", "a/b c").turn_count == 1
    assert [turn.id for turn in ask("sessions.list_turns", "a/b c")] == [make_turn(1).id]
    assert ask("sessions.update_state", "a/b c", {"x": 1}).version == 1


# --- the contract ----------------------------------------------------------------------------


@pytest.mark.parametrize("header", ["x-api-key", "authorization"])
@pytest.mark.parametrize("prefix", ["", "/statebase"])
def test_what_clients_send_is_accepted(api, header, prefix):
    """Requests recorded from the vendor's client and the generated one, with either header."""
    id = session(api)
    api.request("PUT", f"/v1/sessions/{id}/state", {"state": {"a": 1}})
    key = api.keys[-1]
    sent = {header: key if header == "x-api-key" else f"Bearer {key}"}

    answered = []
    for method, path, body, _ in CONTRACT["sent"]:
        reply = api.request(method, prefix + path.format(id=id), body, sent, key="")
        answered.append((method, path, reply.status))

    expected = [(method, path, status) for method, path, _, status in CONTRACT["sent"]]
    if header == "authorization" and not prefix:
        expected[-1] = (*expected[-1][:2], 200)  # there it is the native API's, with a receipt
    assert answered == expected


def test_a_listing_by_what_only_statebase_knows_is_statebases(api):
    """Whatever header the key comes in; else the native API would have no such filter."""
    id = session(api)
    bearer = {"authorization": f"Bearer {api.keys[-1]}"}
    asked = ("agent_id=a", "agent_id=another", "created_after=2000-01-01T00:00:00Z", "limit=5")
    replies = [api.request("GET", f"/v1/sessions?{each}", None, bearer, key="") for each in asked]

    assert [reply.json.get("object") for reply in replies] == ["list", "list", "list", None]
    assert [each["id"] for each in replies[0].json["data"]] == [id]
    assert replies[1].json["data"] == []


@pytest.mark.parametrize("other", ["agent=a", "since=0", "until=1", "cursor=x"])
def test_a_listing_by_what_no_api_knows_together_is_refused(api, other):
    """Else a filter would be passed over, and let everything through."""
    session(api)
    bearer = {"authorization": f"Bearer {api.keys[-1]}"}
    reply = api.request("GET", f"/v1/sessions?agent_id=a&{other}", None, bearer, key="")

    assert (reply.status, reply.json["code"]) == (422, "invalid_request")
    assert "'agent_id'" in reply.json["detail"]


def shapes(api, id, turn_id):
    return {
        "POST /v1/sessions": api.post("/v1/sessions", CONTRACT["sent"][0][2]),
        "GET /v1/sessions/{id}": api.get(f"/v1/sessions/{id}"),
        "GET /v1/sessions": api.get("/v1/sessions?agent_id=a", headers={"x-api-key": api.keys[-1]}),
        "POST /v1/sessions/{id}/turns": api.post(f"/v1/sessions/{id}/turns", SAID),
        "GET /v1/sessions/{id}/turns/{turn_id}": api.get(f"/v1/sessions/{id}/turns/{turn_id}"),
        "GET /v1/sessions/{id}/turns": api.get(f"/v1/sessions/{id}/turns"),
        "GET|PATCH /v1/sessions/{id}/state": api.get(f"/v1/sessions/{id}/state"),
        "POST /v1/sessions/{id}/state/rollback": api.post(
            f"/v1/sessions/{id}/state/rollback", {"version": 0}
        ),
        "POST /v1/sessions/{id}/fork": api.post(f"/v1/sessions/{id}/fork", {"version": 0}),
        "POST /v1/sessions/{id}/context": api.post(
            f"/v1/sessions/{session(api)}/context", {"query": None}
        ),
        "error": api.get("/v1/sessions/sess_x"),
        "DELETE /v1/sessions/{id}": api.request(
            "DELETE", f"/v1/sessions/{id}", headers={"x-api-key": api.keys[-1]}
        ),
    }


def test_bodies_have_the_shape_of_the_contract(api, shape):
    """Every answer has the keys, and the kinds of values, of those that the clients accept."""
    id = session(api, initial_state={"status": "new"}, user_id="user_123")
    turn_id = api.post(f"/v1/sessions/{id}/turns", SAID).json["id"]

    found = shapes(api, id, turn_id)

    def seen(status, body):
        told = shape(body)
        if isinstance(body, dict) and "metadata" in body:
            told["metadata"] = "any"
        return status, told

    answered = {
        name: seen(reply.status, reply.json if reply.body else None)
        for name, reply in found.items()
    }
    bodies = {name: seen(*told) for name, told in CONTRACT.items() if name not in {"_", "sent"}}
    assert answered == bodies


def test_a_list_shows_turns_whole_and_in_preview(api):
    """The client wants full turns, the generated one previews: there are both."""
    id = session(api)
    long = "x" * 500
    made = api.post(f"/v1/sessions/{id}/turns", {"input": long, "output": "yo"}).json

    (listed,) = api.get(f"/v1/sessions/{id}/turns").json["data"]

    assert listed == made | {"input_preview": "x" * 100, "output_preview": "yo"}
    assert made["input"] == {"type": "text", "content": long}


def test_turns_are_paged_in_either_order(api):
    """`starting_after` goes on after a turn; 100 at most come at once."""
    id = session(api)
    ids = [api.post(f"/v1/sessions/{id}/turns", SAID).json["id"] for _ in range(5)]
    path = f"/v1/sessions/{id}/turns"

    first = api.get(f"{path}?limit=2&order=asc").json
    rest = api.get(f"{path}?limit=1000&order=asc&starting_after={first['last_id']}").json
    newest = api.get(f"{path}?limit=2").json

    assert ([each["id"] for each in first["data"]], first["has_more"]) == (ids[:2], True)
    assert ([each["id"] for each in rest["data"]], rest["has_more"]) == (ids[2:], False)
    assert (newest["first_id"], newest["last_id"]) == (ids[4], ids[3])


def test_state_is_replaced_and_told_from_the_beginning(api):
    """PUT and POST replace, each version stays, and it is known who wrote it."""
    id = session(api, initial_state={"a": 1})
    api.request("PUT", f"/v1/sessions/{id}/state", {"state": {"b": 2}})
    api.post(f"/v1/sessions/{id}/state", {"state": {"c": 3}, "reasoning": "why"})
    rolled = api.post(f"/v1/sessions/{id}/rollback", {"version": 1, "reason": "r"}).json

    history = api.get(f"/v1/sessions/{id}/state/history").json
    since = api.get(f"/v1/sessions/{id}/state/history?since_version=2&limit=1").json

    assert (rolled["new_version"], rolled["restored_from_version"]) == (3, 1)
    assert (rolled["state"], rolled["success"]) == ({"b": 2}, True)
    assert [(each["version"], each["state"], each["updated_by"]) for each in history["data"]] == [
        (3, {"b": 2}, "test"),
        (2, {"c": 3}, "test"),
        (1, {"b": 2}, "test"),
        (0, {"a": 1}, None),
    ]
    assert (history["current_version"], [each["version"] for each in since["data"]]) == (3, [3])


def test_sessions_are_changed_and_found_by_metadata(api):
    """PATCH writes key by key, null takes one away; a list is filtered by metadata and user."""
    id = session(api, metadata={"tier": "gold", "old": 1}, user_id="ada")
    session(api, metadata={"tier": "tin"})
    changed = api.request("PATCH", f"/v1/sessions/{id}", {"metadata": {"n": 2, "old": None}}).json
    asked = {"x-api-key": api.keys[-1]}

    found = [
        [each["id"] for each in api.get(f"/v1/sessions?{query}", headers=asked).json["data"]]
        for query in ("metadata=%7B%22tier%22:%22gold%22%7D", "metadata[n]=2", "user_id=ada")
    ]

    assert changed["metadata"] == {"tier": "gold", "n": 2}
    assert found == [[id]] * 3


def test_a_session_expires(serve, clock):
    """After 24 hours, or what was asked for, it is not there any more; PATCH begins anew."""
    api = serve(clock=clock)
    plain, short, kept = session(api), session(api, ttl_seconds=60), session(api)
    clock.at += 61 * 10**9
    early = [api.get(f"/v1/sessions/{id}").status for id in (plain, short, kept)]
    api.request("PATCH", f"/v1/sessions/{kept}", {"ttl_seconds": 2 * DAY_S})
    clock.at += DAY_S * 10**9

    late = [api.get(f"/v1/sessions/{id}") for id in (plain, short, kept)]

    assert early == [200, 404, 200]
    assert [reply.status for reply in late] == [404, 404, 200]
    assert told(late[0]) == (404, "session_not_found", "session_id")
    assert told(api.post(f"/v1/sessions/{plain}/turns", SAID))[0] == 404


def test_a_session_that_an_exporter_makes_does_not_expire(serve, clock):
    """Its id is kept, whoever makes it again gets it, and it is there as long as its turns."""
    api = serve(clock=clock)
    parked = [{"session_id": "s-1", "schema_version": 1}, {"schema_version": 1}]
    ids = [session(api, metadata={"turnspan": each}, ttl_seconds=60) for each in parked]
    clock.at += 365 * DAY_S * 10**9

    statuses = [api.get(f"/v1/sessions/{id}").status for id in ids]

    assert (ids[0], session(api, metadata={"turnspan": parked[0]})) == ("s-1", "s-1")
    assert statuses == [200, 200]


@EACH_STORE
def test_the_same_key_logs_a_turn_once(serve):
    """An `Idempotency-Key` has one effect and one answer; another request under it is refused."""
    api = serve()
    id = session(api)
    key = {"idempotency-key": "k"}

    first, again = (api.post(f"/v1/sessions/{id}/turns", SAID, headers=key) for _ in range(2))
    other = api.post(f"/v1/sessions/{id}/turns", SAID | {"reasoning": "r"}, headers=key)

    assert (first.status, again.status, again.json) == (201, 201, first.json)
    assert told(other) == (409, "conflict", "Idempotency-Key")
    assert api.get(f"/v1/sessions/{id}").json["turn_count"] == 1


@EACH_STORE
def test_a_tool_call_of_the_client_is_a_step(serve):
    """What StateBase's helper logs is found natively by its tool, and counted."""
    api = serve()
    id = session(api)
    with statebase.StateBase("none", base_url=api.url) as client:
        logged = client.sessions.add_tool_call(id, "weather", {"city": "SF"}, {"temp": 72}, "c")

    (turn,) = (
        decode_turn(json.dumps(each).encode())
        for each in api.get("/v1/turns?tool=weather").json["data"]
    )

    assert (turn.id, turn.agent.name) == (logged.id, "a")
    (step,) = turn.steps
    assert (step.name, step.input.content, step.output.content, step.tool.call_id) == (
        "weather",
        '{"city":"SF"}',
        '{"temp":72}',
        "c",
    )


# --- errors ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "method, path, body, expected",
    [
        ("POST", "/v1/sessions", {}, (400, "invalid_request", "agent_id")),
        ("POST", "/v1/sessions", {"agent_id": ""}, (400, "invalid_request", "agent_id")),
        ("POST", "/v1/sessions", b"{", (400, "invalid_request", None)),
        (
            "POST",
            "/v1/sessions",
            {"agent_id": "a", "ttl_seconds": 2_592_001},
            (400, "invalid_request", "ttl_seconds"),
        ),
        ("POST", "/v1/sessions/ID/turns", {"input": "x"}, (400, "invalid_request", "output")),
        (
            "POST",
            "/v1/sessions/ID/turns",
            {"input": {"type": "text", "content": {}}, "output": "x"},
            (400, "invalid_request", "input.content"),
        ),
        ("POST", "/v1/sessions/none/turns", SAID, (404, "session_not_found", "session_id")),
        ("GET", "/v1/sessions/ID/turns/none", None, (404, "turn_not_found", "turn_id")),
        ("GET", "/v1/sessions/ID/turns?limit=0", None, (400, "invalid_request", "limit")),
        ("GET", "/v1/sessions/ID/turns?limit=x", None, (400, "invalid_request", "limit")),
        ("GET", "/v1/sessions/ID/turns?order=up", None, (400, "invalid_request", "order")),
        (
            "GET",
            "/v1/sessions/ID/turns?starting_after=none",
            None,
            (400, "invalid_request", "starting_after"),
        ),
        ("POST", "/v1/sessions/ID/rollback", {"version": 7}, (400, "invalid_request", "version")),
        ("POST", "/v1/sessions/ID/fork", {"version": 7}, (400, "invalid_request", "version")),
        ("PATCH", "/v1/sessions/ID/state", {"state": []}, (400, "invalid_request", "state")),
        ("GET", "/statebase/v1/traces", None, (404, "resource_not_found", None)),
        ("GET", "/statebase/v1/nothing", None, (404, "resource_not_found", None)),
        ("PUT", "/v1/sessions/ID/fork", {}, (405, "invalid_request", None)),
    ],
)
def test_a_mistake_is_told_in_the_envelope(api, method, path, body, expected):
    """Status, code and the parameter at fault, as StateBase tells them."""
    id = session(api)

    reply = api.request(method, path.replace("ID", id), body)

    assert told(reply) == expected


def test_keys_scopes_and_limits_are_told_in_the_envelope(serve):
    """401, 403, 413 and 429 with the code, the headers and the wait that StateBase documents."""
    api = serve(limits=Limits(burst=3, requests_per_s=0.5, body_bytes=1_000))
    api.key(scopes={"read"})

    replies = [
        api.get("/v1/sessions/x", key=""),
        api.post("/v1/sessions", {"agent_id": "a"}),
        api.post("/v1/sessions", b" " * 1_001),
        api.get("/v1/sessions/x"),
        api.get("/v1/sessions/x"),
    ]

    assert [told(reply)[:2] for reply in replies] == [
        (401, "authentication_failed"),
        (403, "permission_denied"),
        (413, "payload_too_large"),
        (404, "session_not_found"),
        (429, "rate_limit_exceeded"),
    ]
    last = replies[-1]
    assert (last.json["error"]["retry_after"], last.headers["retry-after"]) == (2, "2")
    assert [reply.headers["x-ratelimit-remaining"] for reply in replies[1:]] == ["2", "1", "0", "0"]
    assert last.headers["x-ratelimit-limit"] == "3"
    assert int(last.headers["x-ratelimit-reset"]) > 1_700_000_000


def test_a_month_that_is_used_up_takes_no_more_turns(serve):
    """Where a project's month is limited, the turn after the last is told when to come again."""
    api = serve(limits=Limits(turns_per_month=1, requests_per_s=1e6, burst=1_000_000))
    id = session(api)

    replies = [api.post(f"/v1/sessions/{id}/turns", SAID) for _ in range(2)]

    assert replies[0].status == 201
    assert told(replies[1])[:2] == (429, "rate_limit_exceeded")
    assert told(api.post(f"/v1/sessions/{id}/fork", {}))[0] == 429


def test_what_a_turn_says_it_produced_is_listed(api):
    """Artifacts that metadata names are kept, as they are of turns that come natively."""
    id = session(api)
    produced = [{"uri": "s3://charts/1.json", "type": "chart"}]
    turn = SAID | {"metadata": {"artifacts": produced}}

    made = api.post(f"/v1/sessions/{id}/turns", turn).json
    found, _ = api.store.of("default").artifacts(id)

    assert [(each.turn_id, each.uri) for each in found] == [(made["id"], "s3://charts/1.json")]


def test_a_thousand_malformed_requests_are_refused_one_by_one(serve):
    """Broken JSON, wrong types, deep nests and odd ids get a 4xx in the envelope, and no effect."""
    api = serve(limits=Limits(requests_per_s=1e6, burst=1_000_000, receive_s=2.0))
    id = session(api)
    draw = random.Random(0)
    odd = {}

    for number in range(1_000):
        method, path, body = malformed(draw, id)
        reply = api.request(method, path, body, headers=SB)
        if not 400 <= reply.status < 500 or reply.json.keys() != {"error"}:
            odd[number] = (method, path[:80], str(body)[:80], reply.status, reply.body[:200])

    assert odd == {}
    assert api.get(f"/v1/sessions/{id}").json["turn_count"] == 0


def malformed(draw, id):
    """A request that nobody means."""
    nest = [0]
    for _ in range(draw.choice([101, 900])):
        nest = draw.choice([[nest], {"a": nest}])
    bad = draw.choice([1, True, [], {"a": nest}, 1.5, "x"])
    whole = draw.choice([b"{", b"", b"\xff", b"[" * 5_000, b"null", b"[]", b'{"a":NaN}'])
    turns = f"/v1/sessions/{id}/turns"
    return draw.choice(
        [
            ("POST", turns, whole),
            ("POST", "/v1/sessions", whole),
            ("POST", turns, SAID | {"metadata": bad}),
            ("POST", turns, SAID | {"reasoning": draw.choice([1, [], {}])}),
            ("POST", turns, SAID | {"input": draw.choice([None, 1, [], {}, {"type": 1}])}),
            ("POST", turns, SAID | {"input": {"type": "x", "content": "y", "more": {"a": nest}}}),
            ("POST", "/v1/sessions", {"agent_id": draw.choice([1, None, "x" * 201, []])}),
            ("POST", "/v1/sessions", {"agent_id": "a", "ttl_seconds": draw.choice([0, "1", 1e9])}),
            ("PATCH", f"/v1/sessions/{id}/state", {"state": bad}),
            ("POST", f"/v1/sessions/{id}/rollback", {"version": draw.choice([2**70, "1", None])}),
            ("POST", f"/v1/sessions/{id}/context", {"turn_limit": draw.choice([-1, "x"])}),
            ("GET", turns + draw.choice(["?limit=-1", "?order=", "?limit=1e3"]), None),
            ("GET", "/v1/sessions?" + draw.choice(["created_after=x", "metadata=[]"]), None),
            (
                "GET",
                f"/v1/sessions/{draw.choice(['%00', '..%2f..%2fetc', '%ff', 'x' * 40_000])}",
                None,
            ),
            ("POST", f"/v1/sessions/{draw.choice(['%00', '%2e%2e', 'x'])}/turns", SAID),
        ]
    )


def test_a_shallow_lie_about_what_is_parked_is_no_harm(api):
    """A client's own `turnspan` in its metadata is kept as it came, whatever it looks like."""
    id = session(api)
    for parked in ("x", {"schema_version": 1, "steps": "none"}, {"schema_version": 1, "id": 5}):
        metadata = {"turnspan": parked, "k": 1}
        made = api.post(f"/v1/sessions/{id}/turns", SAID | {"metadata": metadata})

        assert (made.status, made.json["metadata"]) == (201, metadata)


ODD = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
    | st.sampled_from(["open", "interrupted", "x" * 300, "0" * 32]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(fields=st.dictionaries(st.sampled_from(sorted(Turn.model_fields)), ODD, max_size=3))
@example(fields={"user_id": ""})
def test_whatever_is_parked_is_stored_or_refused(open_api, fields):
    """Fields laid over a turn by anybody are answered with 201, 400 or 409, and read again."""
    session(open_api, metadata={"turnspan": {"session_id": "s", "schema_version": 1}})
    parked = {"id": f"turn-{next(NUMBERS)}", **fields, "schema_version": 1}
    path = "/v1/sessions/s/turns"

    made = open_api.post(path, SAID | {"metadata": {"turnspan": parked}})

    assert made.status in {201, 400, 409}, made.body
    if made.status == 201:
        id = quote(made.json["id"], safe="")
        assert open_api.get(f"{path}/{id}").json == made.json
        assert open_api.get(f"/v1/turns/{id}").json["session_id"] == "s"


# --- whose it is -----------------------------------------------------------------------------


def bodies(path):
    """A body that the route at ``path`` would take."""
    last = path.rpartition("/")[2]
    return {
        "turns": SAID,
        "state": {"state": {"x": 1}},
        "rollback": {"version": 0},
        "fork": {},
        "context": {},
        "sessions": {"agent_id": "theirs"},
    }.get(last, {"metadata": {"x": 1}})


def test_no_route_shows_or_changes_what_is_another_project_s(serve):
    """Well-formed requests with another project's key find nothing and change nothing."""
    api = serve()
    ours = api.key(project="ours")
    secret = "rhubarb-secret"
    id = session(api, metadata={"m": secret}, initial_state={"s": secret}, user_id="user-ours")
    turn = api.post(f"/v1/sessions/{id}/turns", SAID | {"reasoning": secret}).json
    store = api.store.of("ours")
    before = store.session(id), store.turn(turn["id"]).raw, store.states(id, limit=10)
    api.key(project="theirs")

    seen = {}
    for line in dialects()["statebase"].router.lines:
        path = re.sub(r"{session_id:\w+}", id, line.path)
        path = re.sub(r"{turn_id:\w+}", turn["id"], re.sub(r"{rest:\w+}", "x", path))
        for method in line.methods:
            body = bodies(path) if method in {"POST", "PUT", "PATCH"} else None
            seen[f"{method} {path}"] = api.request(method, f"/statebase{path}", body)
    taken = api.get(f"/v1/sessions?starting_after={id}", headers={"x-api-key": api.keys[-1]})

    assert len(seen) > 15
    assert {reply.status for name, reply in seen.items() if id in name} == {404}
    assert [name for name, reply in seen.items() if secret in reply.body.decode()] == []
    assert told(taken) == (400, "invalid_request", "starting_after")
    assert (store.session(id), store.turn(turn["id"]).raw, store.states(id, limit=10)) == before
    assert api.get(f"/v1/sessions/{id}", key=ours).status == 200


def test_the_native_api_keeps_its_paths(api):
    """Where both have a path, the header of StateBase's client tells whose request it is."""
    post_natively(api, make_turn(1))
    key = {"x-api-key": api.keys[-1]}

    native = api.get("/v1/sessions").json
    theirs = api.get("/v1/sessions", key="", headers=key).json
    receipt = api.request("DELETE", "/v1/sessions/session-1")

    assert (native["data"][0]["agent"], theirs["data"][0]["agent_id"]) == ("assistant",) * 2
    assert receipt.json["turns"] == 1
    assert api.get("/health", key="").json == {"status": "ok"}


# --- there and back --------------------------------------------------------------------------


def whole(turn):
    """``turn`` without its place in a session, which StateBase gives one that has none."""
    return turn.model_copy(update={"session_id": None}) if turn.number is None else turn


@pytest.mark.parametrize("seed", range(20))
def test_a_turn_is_the_same_after_the_mapping_and_back(seed):
    """Nothing is lost between two that know how fields without a place are parked."""
    turns = sample_turns(20, seed=seed)

    shown = json.loads(json.dumps([item_of(each, agent="x", user_id="u") for each in turns]))
    read = [turn_of(each, agent="x", user_id="u") for each in shown]

    named = [each if each.session_id else None for each in turns]
    assert [each if each.session_id else None for each in read] == named
    assert [whole(each) for each in read] == [whole(each) for each in turns]


def test_keys_of_a_user_that_look_like_ours_survive():
    """Metadata named like what is parked, or like what is kept of StateBase's, comes back."""
    turns = [
        make_turn(1, metadata={"turnspan": {"schema_version": 1, "id": "x"}, "k": 1}),
        make_turn(2, metadata={"statebase.more": {"input": {"content": 5}}}),
        make_turn(3, metadata={"statebase.more": {"input": {"type": 5}}}),
        make_turn(4, metadata={"latency_ms": "fast"}),
        make_turn(5, metadata={"latency_ms": 1e30}),
    ]

    read = [
        turn_of(item_of(each, agent="x", user_id=None), agent="x", user_id=None) for each in turns
    ]

    assert read == turns


@settings(
    max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(seed=st.integers(0, 2**32))
def test_what_is_recorded_natively_is_read_in_the_dialect(open_api, seed):
    """Turns of a session come back equal over StateBase's API, the newest first."""
    id = f"session-{next(NUMBERS)}"
    turns = [
        turn.model_copy(update={"id": f"{turn.id}-{id}", "session_id": id})
        for turn in sample_turns(8, seed=seed)
    ]
    post_natively(open_api, *turns)

    read = list(turnspan.read(f"statebase+{open_api.url}", session_id=id))

    assert read == turns[::-1]


def test_what_another_program_logged_says_what_is_not_known(api):
    """Each field that StateBase did not carry is named in `truncated`, over several pages."""
    id = session(api, user_id="ada")
    for number in range(60):
        api.post(f"/v1/sessions/{id}/turns", SAID | {"reasoning": f"{number}"})

    read = list(turnspan.read(f"statebase+{api.url}", api_key=api.keys[-1], user_id="ada"))

    assert [turn.reasoning for turn in read] == [f"{number}" for number in reversed(range(60))]
    assert {cut.where for cut in read[0].truncated} == NOT_CARRIED
    assert (read[0].agent.name, read[0].number, read[0].session_id) == ("a", 60, id)


@pytest.mark.parametrize("ttl_seconds, status", [(60, 201), (60.0, 201), (60.5, 400), ("60", 400)])
def test_a_whole_number_may_be_written_with_a_fraction(api, ttl_seconds, status):
    """JSON tells 60.0 not from 60."""
    asked = {"agent_id": "a", "ttl_seconds": ttl_seconds}

    assert api.post("/statebase/v1/sessions", asked).status == status


@pytest.mark.parametrize(
    "method, path, allowed",
    [
        ("PATCH", "/turns", "GET, POST"),
        ("DELETE", "/turns/t", "GET"),
        ("PATCH", "/state/history", "GET"),
        ("DELETE", "/state", "GET, PATCH, POST, PUT"),
        ("GET", "/fork", "POST"),
        ("DELETE", "/b/rollback", "POST"),
    ],
)
def test_what_belongs_to_a_session_is_no_session(open_api, method, path, allowed):
    """A method that it does not take is a 405, not a session of that name."""
    reply = open_api.request(method, f"/statebase/v1/sessions/a{path}", {})

    assert (reply.status, reply.headers["allow"]) == (405, allowed)
