"""The native API, over HTTP."""

from __future__ import annotations

import gzip
import json
from itertools import count

import pytest
from backports import zstd
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from turnspan.exporters.http import HttpExporter
from turnspan.ports import JournalledTurn, Outcome
from turnspan.schema import decode_turn, encode_turn
from turnspan.testing.turns import START_NS, make_turn, sample_turns

NUMBERS = count()
EACH_STORE = pytest.mark.parametrize("store_url", ["sqlite", "postgresql"], indirect=True)
NDJSON = {"content-type": "application/x-ndjson"}


@pytest.fixture
def open_api(serve):
    """A server that anybody on this machine may ask."""
    return serve()


def lines(*turns):
    """The body of a request that brings ``turns``."""
    return b"".join(encode_turn(turn) for turn in turns)


def post(api, *turns, **kwargs):
    """Stores ``turns``."""
    reply = api.post("/v1/turns", lines(*turns), headers=NDJSON, **kwargs)
    assert reply.status == 200
    return reply.json["results"]


def ids(reply):
    return [turn["id"] for turn in reply.json["data"]]


def times(count, first=1):
    """Ids of turns made by `make_turn`, newest first."""
    return [f"turn_{index:012d}" for index in range(first + count - 1, first - 1, -1)]


@EACH_STORE
def test_a_turn_comes_back_as_it_was_recorded(serve):
    """What `GET /v1/turns/{id}` answers is, byte for byte, the line that was posted."""
    api = serve()
    turns = sample_turns(60)

    results = post(api, *turns)
    read = [api.get(f"/v1/turns/{turn.id}").body for turn in turns]

    assert [each["status"] for each in results] == ["stored"] * 60
    assert read == [encode_turn(turn) for turn in turns]


@EACH_STORE
def test_the_same_turn_twice_is_stored_once(serve):
    """A second copy, in the same request or a later one, is a duplicate and changes nothing."""
    api = serve()

    first = post(api, make_turn(1), make_turn(1, reasoning="changed"))
    second = post(api, make_turn(1, reasoning="changed again"))

    assert [each["status"] for each in first + second] == ["stored", "duplicate", "duplicate"]
    assert decode_turn(api.get("/v1/turns/turn_000000000001").body) == make_turn(1)


@EACH_STORE
def test_a_final_version_replaces_an_interrupted_turn(serve):
    """An interrupted turn gives way to what it became, steps and words included, and only once."""
    api = serve()
    cut_off = make_turn(1, status="interrupted", output=None, steps=())
    whole = make_turn(1, reasoning="rhubarb")
    post(api, cut_off)

    outcomes = [post(api, each)[0]["status"] for each in (cut_off, whole, cut_off, whole)]

    assert outcomes == ["duplicate", "stored", "duplicate", "duplicate"]
    assert decode_turn(api.get(f"/v1/turns/{whole.id}").body) == whole
    assert ids(api.get("/v1/turns?text=rhubarb")) == [whole.id]
    assert ids(api.get("/v1/turns?tool=look_up")) == [whole.id]
    assert api.get("/v1/sessions").json["data"][0]["turn_count"] == 1


def test_another_turn_of_the_same_id_is_refused(serve):
    """An id that comes with another start is no duplicate: it is refused, and said so."""
    api = serve()
    post(api, make_turn(1))

    (result,) = post(api, make_turn(1, started_at=START_NS))

    assert result == {
        "index": 0,
        "id": "turn_000000000001",
        "status": "refused",
        "error": "another turn has this id: it started at another time",
    }


def test_each_record_has_an_outcome_of_its_own(serve):
    """Bad records are refused alone, openings and steps are passed over, the rest is stored."""
    api = serve()
    bad = [b"{", b"[]", b'{"record":"turn","id":"turn_x"}\n', b'{"record":"noise","id":"n"}']
    judged = b'{"record":"feedback","turn_id":"turn_000000000001","rating":"good"}'
    first = encode_turn(make_turn(1)).strip()
    body = b"\n".join([first, *bad, b'{"record":"open","id":"turn_o"}', b"", judged])

    results = api.post("/v1/turns", body, headers=NDJSON).json["results"]

    assert [(each["id"], each["status"]) for each in results[:6]] == [
        ("turn_000000000001", "stored"),
        (None, "refused"),
        (None, "refused"),
        ("turn_x", "refused"),
        ("n", "refused"),
        (None, "ignored"),
    ]
    assert results[6]["status"] == "stored"
    (judgement,) = api.get("/v1/turns/turn_000000000001/feedback").json["data"]
    assert judgement["rating"] == "good"


@pytest.mark.parametrize(
    "encoding, pack", [("gzip", gzip.compress), ("zstd", zstd.compress), ("identity", bytes)]
)
def test_bodies_may_be_compressed(serve, encoding, pack):
    """gzip and zstd are understood."""
    api = serve()
    body = pack(lines(*sample_turns(20)))

    reply = api.post("/v1/turns", body, headers=NDJSON | {"content-encoding": encoding})

    assert [each["status"] for each in reply.json["results"]] == ["stored"] * 20


@pytest.mark.parametrize("wrapped", [False, True])
def test_turns_may_come_as_plain_json(serve, wrapped):
    """One object or an array of them is taken like lines are."""
    api = serve()
    turn = make_turn(1)
    record = json.loads(encode_turn(turn))
    del record["record"]

    reply = api.post("/v1/turns", [record] if wrapped else record)

    assert [each["status"] for each in reply.json["results"]] == ["stored"]
    assert decode_turn(api.get(f"/v1/turns/{turn.id}").body) == turn


@pytest.mark.parametrize(
    "change, status, code",
    [({"agent": None}, 422, "invalid_request"), ({"started_at": START_NS}, 409, "conflict")],
)
def test_a_single_turn_that_is_refused_is_a_problem(serve, change, status, code):
    """Whoever posts one turn reads from the status what became of it."""
    api = serve()
    post(api, make_turn(1))

    reply = api.post("/v1/turns", json.loads(encode_turn(make_turn(1))) | change)

    assert (reply.status, reply.json["code"]) == (status, code)
    assert reply.headers["content-type"] == "application/problem+json"


FILTERS = {
    "session_id=a": [1, 2],
    "agent=other": [3],
    "user_id=ada": [2],
    "status=error&status=paused": [2, 4],
    "tool=look_up": [1, 2, 3],
    "tool=ask": [4],
    f"since={START_NS + 3_000_000_000}": [3, 4],
    "until=2023-11-14T22:13:22Z": [1],
    "text=rhubarb": [3],
    "text=RHUBARB+crumble": [3],
    "text=rhubarb+missing": [],
    "text=caf%C3%A9": [4],
    "text=%22%27%28": [1, 2, 3, 4],
    "metadata[tier]=gold": [1, 4],
    "metadata[tier]=gold&metadata[n]=1.5": [4],
    "metadata[flag]=true": [4],
    "session_id=a&user_id=ada": [2],
    "session_id=nobody": [],
}


@EACH_STORE
def test_turns_are_found_by_what_is_asked(serve):
    """Every filter finds its turns and no others, and together they narrow."""
    api = serve()
    post(
        api,
        make_turn(1, session_id="a", metadata={"tier": "gold"}),
        make_turn(2, session_id="a", user_id="ada", status="error"),
        make_turn(3, session_id=None, agent={"name": "other"}, reasoning="Rhubarb, crumble."),
        make_turn(
            4,
            session_id="b",
            status="paused",
            metadata={"tier": "gold", "n": 1.5, "flag": True},
            input={"content": "un café"},
            steps=[make_turn(4).steps[0].model_copy(update={"name": "ask"})],
        ),
    )

    found = {query: ids(api.get(f"/v1/turns?{query}")) for query in FILTERS}

    assert found == {
        query: [f"turn_{index:012d}" for index in reversed(wanted)]
        for query, wanted in FILTERS.items()
    }


@EACH_STORE
@pytest.mark.parametrize(
    "path", ["/v1/turns", "/v1/export", "/v1/stats", "/v1/sessions", "/native/v1/export"]
)
def test_a_misspelt_filter_is_refused(open_api, path):
    """Else it would let through whatever it was to keep back."""
    post(open_api, make_turn(1))
    names = ("sesion_id", "metadata[k", "metadata[k]x", "metadata", "[k]")
    replies = [open_api.get(f"{path}?agent=a&metadata[k]=v&{name}=s") for name in names]

    assert [(each.status, each.json["code"]) for each in replies] == [(422, "invalid_request")] * 5
    assert all(f"{n!r}" in each.json["detail"] for n, each in zip(names, replies, strict=True))
    assert open_api.get(f"{path}?agent=a&metadata[k]=v").status == 200


def test_pages_neither_repeat_nor_hide_a_turn(serve):
    """A listing that goes on while turns are stored shows each that was there exactly once."""
    api = serve()
    post(api, *(make_turn(index) for index in range(1, 24)))
    seen, cursor, more = [], "", 100
    while cursor is not None:
        reply = api.get(f"/v1/turns?limit=5{cursor and '&cursor=' + cursor}")
        seen += ids(reply)
        cursor = reply.json["next_cursor"]
        post(api, make_turn(more), make_turn(0, id=f"turn_old{more}", session_id=None))
        more += 1

    assert [id for id in seen if id in times(23)] == times(23)
    assert len(seen) == len(set(seen))


def test_turns_of_one_moment_are_paged_too(serve):
    """Turns that started in the same nanosecond are told apart by their arrival."""
    api = serve()
    post(api, *(make_turn(1, id=f"turn_{index}") for index in range(7)))
    first = api.get("/v1/turns?limit=4")

    second = api.get(f"/v1/turns?limit=4&cursor={first.json['next_cursor']}")

    assert ids(first) + ids(second) == [f"turn_{index}" for index in range(6, -1, -1)]
    assert second.json["next_cursor"] is None


def test_a_page_holds_no_more_than_sixteen_mebibytes(serve):
    """Big turns make short pages, so that a listing never fills the memory."""
    api = serve()
    for index in range(1, 5):
        post(api, make_turn(index, reasoning="x" * 7 * 2**20))

    reply = api.get("/v1/turns")

    assert ids(reply) == times(2, first=3)
    assert reply.json["next_cursor"] is not None


@EACH_STORE
def test_all_turns_are_exported_as_lines(serve):
    """`GET /v1/export` gives back what was stored, oldest first, a line each."""
    api = serve()
    turns = [make_turn(index) for index in range(1, 501)]
    post(api, *turns)

    reply = api.get("/v1/export?session_id=session-1")

    assert reply.headers["content-type"] == "application/x-ndjson"
    assert reply.body == lines(*turns)


@EACH_STORE
def test_numbers_tell_how_turns_went(serve):
    """Outcomes, lengths, tokens and tools are counted, by period and agent where asked."""
    api = serve()
    day = 86_400 * 10**9
    turns = [
        make_turn(1, usage={"input_tokens": 10, "output_tokens": 5, "cost_usd": 0.5}),
        make_turn(2, status="error"),
        make_turn(3, agent={"name": "other"}, status="cancelled"),
        make_turn(4, started_at=START_NS + day, ended_at=START_NS + day + 2 * 10**9),
    ]
    post(api, *turns)

    by_day = api.get("/v1/stats?period=day&tools=true").json
    by_agent = api.get("/v1/stats?by_agent=true").json
    of_tool = api.get("/v1/stats?tool=look_up&tools=true&status=error").json

    midnight = START_NS // day * day
    first, second = by_day["groups"]
    assert first | {"latency_ms": None} == {
        "period_start": midnight,
        "agent": None,
        "turns": 3,
        "by_status": {"cancelled": 1, "error": 1, "ok": 1},
        "success_rate": 0.5,
        "latency_ms": None,
        "input_tokens": 10,
        "output_tokens": 5,
        "cost_usd": 0.5,
    }
    assert first["latency_ms"]["mean"] == 500.0
    assert second["period_start"] == midnight + day
    assert second["latency_ms"]["p50"] == pytest.approx(2000, rel=0.05)
    assert by_day["tools"] == {"look_up": {"calls": 4, "errors": 0}}
    assert [(each["agent"], each["turns"]) for each in by_agent["groups"]] == [
        ("assistant", 3),
        ("other", 1),
    ]
    assert by_agent.get("tools") is None
    assert of_tool["tools"] == {"look_up": {"calls": 1, "errors": 0}}


@EACH_STORE
def test_feedback_is_put_and_put_again(serve):
    """An author's first judgement of a turn answers 201, another replaces it and answers 200."""
    api = serve()
    post(api, make_turn(1))
    path = "/v1/turns/turn_000000000001/feedback"

    first = api.request("PUT", path, {"rating": "good", "author": "ada"})
    second = api.request("PUT", path, {"score": 0.2, "author": "ada"})
    api.request("PUT", path, {"comment": "why?"})

    assert (first.status, second.status) == (201, 200)
    assert second.json["id"] == first.json["id"]
    assert [
        (each["author"], each["rating"], each["score"], each["comment"])
        for each in api.get(path).json["data"]
    ] == [("ada", None, 0.2, None), ("", None, None, "why?")]
    assert api.request("PUT", "/v1/turns/nope/feedback", {"rating": "good"}).status == 404


def test_the_exporter_reads_which_turns_were_refused(serve, unconfigured):
    """A batch of ours with one turn the server refuses loses that one alone, with its reason."""
    api = serve()
    post(api, make_turn(2, started_at=START_NS))
    batch = [JournalledTurn(encode_turn(make_turn(index))) for index in (1, 2, 3)]
    exporter = HttpExporter(api.url)

    outcome = exporter.export(batch, timeout_s=10)
    exporter.close(timeout_s=1)

    assert outcome == Outcome(refused={1: "another turn has this id: it started at another time"})
    assert ids(api.get("/v1/turns")) == times(3)[:1] + times(1) + times(1, first=2)


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(seed=st.integers(0, 2**32))
def test_whatever_is_exported_is_read_back_equal(open_api, seed):
    """Any turn goes through exporter, server and store unchanged."""
    named = {"id": f"turn_{next(NUMBERS)}_{{}}"}
    turns = [
        turn.model_copy(update={"id": named["id"].format(index)})
        for index, turn in enumerate(sample_turns(8, seed=seed))
    ]
    exporter = HttpExporter(open_api.url)
    exporter.export([JournalledTurn(encode_turn(turn)) for turn in turns], timeout_s=10)

    read = [decode_turn(open_api.get(f"/v1/turns/{turn.id}").body) for turn in turns]
    exporter.close(timeout_s=1)

    assert read == turns


def test_what_a_decorator_records_arrives_whole(serve, run):
    """A function's turns, recorded in a process of its own, are on the server when it has ended."""
    api = serve()

    said = run(
        """
        import sys
        import turnspan
        from turnspan.exporters.memory import MemoryExporter

        @turnspan.tool
        def add(a, b):
            return a + b

        @turnspan.agent(name="adder", state=lambda: {"sum": 3})
        def adder(question):
            turnspan.current_turn().set_metadata(tier="gold")
            return str(add(1, 2))

        memory = MemoryExporter()
        turnspan.configure(exporters=[memory, sys.argv[1]], directory="journal")
        with turnspan.session("s", user_id="ada"):
            adder("1 + 2?")
            turnspan.feedback(memory.turns[0].id, rating="good", score=0.5)
        print(turnspan.flush(10.0).unsent)
        from turnspan.schema import encode_turn
        print(encode_turn(memory.turns[0]).decode(), end="")
        """,
        api.url,
    ).stdout.splitlines()
    stored = api.get("/v1/turns?session_id=s&agent=adder&user_id=ada&metadata[tier]=gold")

    assert said[0] == "0"
    assert [decode_turn(json.dumps(turn).encode()) for turn in stored.json["data"]] == [
        decode_turn(said[1].encode())
    ]
    (judgement,) = api.get(f"/v1/turns/{ids(stored)[0]}/feedback").json["data"]
    assert (judgement["author"], judgement["rating"], judgement["score"]) == ("ada", "good", 0.5)


@EACH_STORE
@pytest.mark.parametrize("path", ["turns", "stats", "export", "sessions"])
def test_any_year_can_be_asked_for(serve, path):
    """What no turn can be before or after leaves everything, and is no failure."""
    api = serve()
    post(api, make_turn(1, session_id="s"))

    everything = api.get(f"/v1/{path}")
    asked = api.get(f"/v1/{path}?since=0001-01-01T00:00:00Z&until=9999-12-31T23:59:59Z")

    assert (asked.status, asked.body) == (200, everything.body)
