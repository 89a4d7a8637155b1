"""The Emergence dialect."""

from __future__ import annotations

import json
import re

import pytest

import turnspan
from turnspan.dialects.emergence import LOST, turn_of
from turnspan.errors import ReaderError
from turnspan.schema import Agent, Content, Error, Step, Turn, encode_turn
from turnspan.server import Limits
from turnspan.testing.turns import make_step, make_turn, sample_turns

NDJSON = {"content-type": "application/x-ndjson"}
PROJECT = {"x-project-id": "default"}
ROOT = "/talk2data/chat/sessions"
TURNS = f"{ROOT}/session-1/turns"
CHART = {"uri": "s3://charts/1", "type": "chart", "title": "Sales", "metadata": {"rows": 3}}


@pytest.fixture
def api(serve):
    """A server with a key of the project `default`."""
    api = serve()
    api.key()
    return api


def post(api, *turns):
    reply = api.post("/v1/turns", b"".join(map(encode_turn, turns)), headers=NDJSON)
    assert {each["status"] for each in reply.json["results"]} == {"stored"}


def get(api, path, **kwargs):
    return api.get(path, headers=PROJECT, **kwargs)


def ids(reply):
    return [int(each["turn_id"][-6:]) for each in reply.json["data"]]


# --- what a turn is here ---------------------------------------------------------------------


def test_a_turn_is_told_in_messages_and_task_updates(api):
    """What came in, each tool's call and result, what went out; an update a step and a last."""
    called = make_step(1, id="00000000000000aa")
    asked = make_step(1, id="00000000000000bb", kind="model", name="gpt", parent_id=None)
    post(api, make_turn(1, steps=(asked, called), metadata={"tier": "gold"}))

    (item,) = get(api, TURNS).json["data"]

    told = [(m["role"], m["message_type"], m["content"], m["task_id"]) for m in item["messages"]]
    assert told == [
        ("user", "text", "question 1", None),
        ("assistant", "tool_call", '{"key":"value"}', "00000000000000aa"),
        ("tool", "tool_result", '{"found":true}', "00000000000000aa"),
        ("assistant", "text", "answer 1", f"{2:016x}"),
    ]
    assert [m["context"] for m in item["messages"]] == [
        {"tier": "gold"},
        {"name": "look_up"},
        {"name": "look_up"},
        {},
    ]
    assert [m["created_at"] for m in item["messages"]] == [
        "2023-11-14T22:13:21Z",
        "2023-11-14T22:13:21.100Z",
        "2023-11-14T22:13:21.300Z",
        "2023-11-14T22:13:21.500Z",
    ]
    updates = [(u["task_id"], u["state"], u["final"], u["message"]) for u in item["task_updates"]]
    assert updates == [
        ("00000000000000bb", "completed", False, "model gpt"),
        ("00000000000000aa", "completed", False, "tool look_up"),
        (f"{2:016x}", "completed", True, ""),
    ]
    assert {u["agent"] for u in item["task_updates"]} == {"assistant"}
    assert (item["state"], item["feedback"]) == ("completed", None)
    assert len({m["message_id"] for m in item["messages"]}) == 4


@pytest.mark.parametrize(
    "status, state, task",
    [
        ("ok", "completed", "completed"),
        ("error", "failed", "failed"),
        ("cancelled", "canceled", "canceled"),
        ("abandoned", "canceled", "canceled"),
        ("paused", "running", "input-required"),
        ("interrupted", "failed", "failed"),
    ],
)
def test_a_status_has_a_word_here(api, status, state, task):
    """Each way to end is one of the dialect's states, and its task's."""
    post(api, make_turn(1, status=status))

    item = get(api, f"{TURNS}/{make_turn(1).id}").json

    assert (item["state"], item["task_updates"][-1]["state"]) == (state, task)


def test_a_failure_is_a_message(api):
    """A turn that raised, and a tool that did, say so where their answer would have been."""
    failed = make_step(1, status="error", output=None, error=Error(type="E", message="no tool"))
    error = Error(type="ValueError", message="no answer")
    post(api, make_turn(1, status="error", output=None, error=error, steps=(failed,)))

    item = get(api, f"{TURNS}/{make_turn(1).id}").json

    assert [(m["message_type"], m["content"]) for m in item["messages"]][2:] == [
        ("error", "no tool"),
        ("error", "no answer"),
    ]
    assert item["task_updates"][-1]["message"] == "no answer"


# --- pages -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "query, numbers, pagination",
    [
        ("", range(1, 56), (1, 50, 2, 2, None)),
        ("?page=2", range(51, 56), (2, 50, 2, None, 1)),
        ("?page=3&limit=10", range(21, 31), (3, 10, 6, 4, 2)),
        ("?page=2&limit=50&order=desc", range(5, 0, -1), (2, 50, 2, None, 1)),
        ("?page=9", [], (9, 50, 2, None, 8)),
        ("?page=99999999999999999999", [], (99999999999999999999, 50, 2, None, 10**20 - 2)),
    ],
)
def test_turns_are_listed_by_pages(api, query, numbers, pagination):
    """Oldest first unless asked otherwise; past the end is an empty page."""
    post(api, *(make_turn(index) for index in range(1, 56)), make_turn(99, session_id="other"))

    reply = get(api, TURNS + query)

    assert ids(reply) == list(numbers)[:50]
    page, limit, pages, following, before = pagination
    assert reply.json["pagination"] == {
        "page": page,
        "limit": limit,
        "total_items": 55,
        "total_pages": pages,
        "next_page": following,
        "prev_page": before,
    }


def test_a_page_of_long_turns_is_whole(api):
    """A page has what it should have, though it is longer than the store hands out at once."""
    long = Content(content="x" * 6 * 2**20)
    for index in range(1, 6):
        post(api, make_turn(index, output=long))

    assert ids(get(api, f"{TURNS}?limit=4")) == [1, 2, 3, 4]
    assert ids(get(api, f"{TURNS}?limit=4&page=2")) == [5]


@pytest.mark.parametrize(
    "method, path, body, field",
    [
        ("GET", f"{TURNS}?page=0", None, ["query", "page"]),
        ("GET", f"{TURNS}?page=x", None, ["query", "page"]),
        ("GET", f"{TURNS}?limit=101", None, ["query", "limit"]),
        ("GET", f"{TURNS}?order=up", None, ["query", "order"]),
        ("GET", f"{ROOT}/session-1/artifacts?limit=0", None, ["query", "limit"]),
        ("POST", f"{TURNS}/t/feedback", {}, ["body", "rating"]),
        ("POST", f"{TURNS}/t/feedback", {"rating": "good"}, ["body", "rating"]),
        ("POST", f"{TURNS}/t/feedback", {"rating": 1}, ["body", "rating"]),
        ("POST", f"{TURNS}/t/feedback", [], ["body"]),
        ("POST", f"{TURNS}/t/feedback", None, ["body"]),
        (
            "POST",
            f"{TURNS}/t/feedback",
            {"rating": "thumbs_up", "comment": "x" * 2001},
            ["body", "comment"],
        ),
        ("PATCH", f"{ROOT}/session-1", {"title": ""}, ["body", "title"]),
        ("PATCH", f"{ROOT}/session-1", {"title": "x" * 256}, ["body", "title"]),
        ("PATCH", f"{ROOT}/session-1", {}, ["body", "title"]),
    ],
)
def test_what_cannot_be_read_is_told_as_the_vendor_does(api, method, path, body, field):
    """422 with a list of what is wrong, and where."""
    reply = api.request(method, path, body, headers=PROJECT)

    assert reply.status == 422
    assert reply.json.keys() == {"detail"}
    assert [each["loc"] for each in reply.json["detail"]] == [field]
    assert all(each.keys() == {"loc", "msg", "type"} for each in reply.json["detail"])


@pytest.mark.parametrize("body", [b"{", b'{"rating":"thumbs_up","comment":"\\ud800"}', b"\xff"])
def test_a_body_that_is_no_json_is_told_too(api, body):
    """Broken JSON, and texts that are none, are 422 in the same form."""
    reply = api.post(
        f"{TURNS}/t/feedback", body, headers=PROJECT | {"content-type": "application/json"}
    )

    assert (reply.status, reply.json.keys()) == (422, {"detail"})


# --- whose ----------------------------------------------------------------------------------


def everywhere():
    """Each of the dialect's requests, for what is there."""
    turn = f"{TURNS}/{make_turn(1).id}"
    return [
        ("GET", TURNS, None),
        ("GET", turn, None),
        ("GET", f"{turn}/feedback", None),
        ("POST", f"{turn}/feedback", {"rating": "thumbs_up"}),
        ("GET", f"{ROOT}/session-1", None),
        ("PATCH", f"{ROOT}/session-1", {"title": "t"}),
        ("GET", f"{ROOT}/session-1/artifacts", None),
        ("DELETE", f"{ROOT}/session-1", None),
    ]


def test_the_project_must_be_named_and_the_caller_s(api):
    """Without the header 422; with another project's 403; and nothing was done."""
    post(api, make_turn(1))

    for method, path, body in everywhere():
        unnamed = api.request(method, path, body)
        foreign = api.request(method, path, body, headers={"x-project-id": "theirs"})

        assert unnamed.status == 422
        assert unnamed.json["detail"][0]["loc"] == ["header", "x-project-id"]
        assert foreign.status == 403
        assert foreign.json["error"]["code"] == "INSUFFICIENT_PERMISSIONS"
    assert get(api, f"{ROOT}/session-1").json["title"] is None


def test_what_is_another_project_s_is_not_there(api):
    """A session of another project is not found, as one that never was."""
    post(api, make_turn(1))
    theirs = api.key(project="theirs")

    for method, path, body in everywhere():
        reply = api.request(method, path, body, headers={"x-project-id": "theirs"}, key=theirs)

        assert (reply.status, reply.json["error"]["code"]) == (404, "RESOURCE_NOT_FOUND")
    assert len(get(api, TURNS, key=api.keys[0]).json["data"]) == 1


@pytest.mark.parametrize(
    "scopes, method, path",
    [
        ({"read"}, "POST", f"{TURNS}/t/feedback"),
        ({"read"}, "PATCH", f"{ROOT}/session-1"),
        ({"read", "write"}, "DELETE", f"{ROOT}/session-1"),
        ({"write"}, "GET", TURNS),
    ],
)
def test_a_key_does_what_its_scopes_say(api, scopes, method, path):
    """Judging and renaming need `write`, deleting `admin`."""
    key = api.key(scopes=scopes)
    body = {"rating": "thumbs_up", "title": "t"} if method in {"POST", "PATCH"} else None

    reply = api.request(method, path, body, headers=PROJECT, key=key)

    assert (reply.status, reply.json["error"]["code"]) == (403, "INSUFFICIENT_PERMISSIONS")
    assert reply.json["error"]["details"].keys() == {"required_scope"}


@pytest.mark.parametrize(
    "method, path, status, word",
    [
        ("GET", f"{ROOT}/nope/turns", 404, "RESOURCE_NOT_FOUND"),
        ("GET", f"{ROOT}/nope", 404, "RESOURCE_NOT_FOUND"),
        ("GET", f"{ROOT}/nope/artifacts", 404, "RESOURCE_NOT_FOUND"),
        ("DELETE", f"{ROOT}/nope", 404, "RESOURCE_NOT_FOUND"),
        ("GET", f"{TURNS}/nope", 404, "RESOURCE_NOT_FOUND"),
        ("GET", f"{ROOT}/other/turns/{make_turn(1).id}", 404, "RESOURCE_NOT_FOUND"),
        ("GET", f"{TURNS}/{make_turn(1).id}/feedback", 404, "RESOURCE_NOT_FOUND"),
        ("POST", "/talk2data/chat/messages", 404, "RESOURCE_NOT_FOUND"),
        ("GET", "/talk2data/nothing", 404, "RESOURCE_NOT_FOUND"),
        ("PUT", TURNS, 405, "INVALID_REQUEST"),
        ("GET", f"{TURNS}/..%2f..%2fetc", 404, "RESOURCE_NOT_FOUND"),
        ("GET", f"{TURNS}/%ff", 400, "INVALID_REQUEST"),
    ],
)
def test_what_is_not_there_is_told_in_the_platform_s_envelope(api, method, path, status, word):
    """Code, status, request and trace; a trace that came along is the one named."""
    post(api, make_turn(1), make_turn(2, session_id="other"))
    trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    parent = {"traceparent": f"00-{trace}-00f067aa0ba902b7-01"}

    plain = api.request(method, path, headers=PROJECT)
    traced = api.request(method, path, headers=PROJECT | parent)

    for reply in (plain, traced):
        error = reply.json["error"]
        assert (reply.status, error["status"], error["code"]) == (status, status, word)
        assert error["request_id"] == reply.headers["x-request-id"]
    assert re.fullmatch("[0-9a-f]{32}", plain.json["error"]["trace_id"])
    assert traced.json["error"]["trace_id"] == trace


def test_an_unknown_key_and_an_empty_bucket_are_told_there_too(serve):
    """401 and 429, which says when to come again."""
    api = serve(limits=Limits(burst=1, requests_per_s=0.01))
    api.key()

    replies = [get(api, f"{ROOT}/s", key="nobody"), get(api, f"{ROOT}/s"), get(api, f"{ROOT}/s")]

    assert [(reply.status, reply.json["error"]["code"]) for reply in replies] == [
        (401, "INVALID_TOKEN"),
        (404, "RESOURCE_NOT_FOUND"),
        (429, "RATE_LIMIT_EXCEEDED"),
    ]
    assert int(replies[2].headers["retry-after"]) > 0


# --- what hangs on it --------------------------------------------------------------------------


def test_feedback_is_written_over(api):
    """The first judgement is made, the next is written over it, and the turn shows it."""
    post(api, make_turn(1), make_turn(2))
    path = f"{TURNS}/{make_turn(1).id}"

    first = api.post(f"{path}/feedback", {"rating": "thumbs_up", "comment": "a"}, headers=PROJECT)
    again = api.post(f"{path}/feedback", {"rating": "thumbs_down"}, headers=PROJECT)

    assert (first.status, again.status) == (201, 200)
    assert first.json["feedback_id"] == again.json["feedback_id"]
    assert (again.json["rating"], again.json["comment"]) == ("thumbs_down", None)
    assert get(api, f"{path}/feedback").json == again.json
    shown = {name: again.json[name] for name in ("rating", "comment", "created_at", "updated_at")}
    assert get(api, path).json["feedback"] == shown
    assert [each["feedback"] for each in get(api, TURNS).json["data"]] == [shown, None]


def test_feedback_that_was_given_elsewhere_is_shown(api):
    """What `turnspan.feedback` recorded is the turn's feedback here."""
    post(api, make_turn(1))
    api.request("PUT", f"/v1/turns/{make_turn(1).id}/feedback", {"rating": "good", "author": "a"})

    assert get(api, f"{TURNS}/{make_turn(1).id}/feedback").json["rating"] == "good"


def test_a_session_is_shown_renamed_and_deleted(api):
    """Its counts are those of its turns; when it is gone, all of it is."""
    post(
        api,
        make_turn(1),
        make_turn(2, steps=(), metadata={"artifacts": [CHART, {"no": "artifact"}, 7]}),
        make_turn(3, session_id="other"),
    )

    shown = get(api, f"{ROOT}/session-1").json
    renamed = api.request("PATCH", f"{ROOT}/session-1", {"title": "Ωmega"}, headers=PROJECT)
    listed = sum(len(each["messages"]) for each in get(api, TURNS).json["data"])

    counts = {name: shown[name] for name in ("turn_count", "message_count", "artifact_count")}
    assert counts == {"turn_count": 2, "message_count": 6, "artifact_count": 1}
    assert listed == 6
    assert (renamed.status, renamed.json["title"]) == (200, "Ωmega")
    assert renamed.json | {"title": None, "updated_at": ""} == shown | {"updated_at": ""}
    gone = api.request("DELETE", f"{ROOT}/session-1", headers=PROJECT)
    assert (gone.status, gone.json) == (200, {})
    assert get(api, TURNS).status == get(api, f"{ROOT}/session-1").status == 404
    assert api.get(f"/v1/turns/{make_turn(1).id}").status == 404
    assert ids(get(api, f"{ROOT}/other/turns")) == [3]


def test_artifacts_are_listed_with_the_session_and_the_turn(api):
    """What a turn's metadata says it produced, by pages and type, each once."""
    table = {"uri": "s3://tables/1", "type": "parquet"}
    turns = [
        make_turn(1, metadata={"artifacts": [CHART]}),
        make_turn(2, metadata={"artifacts": [table, CHART]}),
    ]
    post(api, *turns)
    api.post("/v1/turns", b"".join(map(encode_turn, turns)), headers=NDJSON)
    path = f"{ROOT}/session-1/artifacts"

    def listed(query):
        reply = get(api, path + query)
        data = [(each["turn_id"][-1], each["resource_uri"]) for each in reply.json["data"]]
        return data, reply.json["pagination"]["total_items"]

    assert listed("") == (
        [("1", "s3://charts/1"), ("2", "s3://tables/1"), ("2", "s3://charts/1")],
        3,
    )
    assert listed("?artifact_type=parquet") == ([("2", "s3://tables/1")], 1)
    assert listed("?page=2&limit=2") == ([("2", "s3://charts/1")], 3)
    assert listed("?page=99999999999999999999")[0] == []
    (item, _) = get(api, TURNS).json["data"]
    assert [m["generated_artifacts"] for m in item["messages"]] == [
        [],
        [],
        [],
        [
            {
                "resource_uri": "s3://charts/1",
                "artifact_type": "chart",
                "artifact_title": "Sales",
                "artifact_description": "",
                "metadata": {"rows": 3},
                "created_at": "2023-11-14T22:13:21.500Z",
            }
        ],
    ]


# --- the contract ------------------------------------------------------------------------------


def test_bodies_have_the_shape_of_the_contract(api, contract, shape):
    """The answers have the keys, and kinds of values, that the documentation has."""
    post(api, make_turn(1, steps=(), metadata={"artifacts": [CHART]}))
    turn = f"{TURNS}/{make_turn(1).id}"

    replies = {
        "GET /talk2data/chat/sessions/{s}/turns": get(api, TURNS),
        "POST .../turns/{t}/feedback": api.post(
            f"{turn}/feedback", {"rating": "thumbs_up"}, headers=PROJECT
        ),
        "error (platform envelope)": get(api, f"{ROOT}/nope"),
    }

    for name, reply in replies.items():
        status, body = contract("emergence", name)
        assert (reply.status, shaped(reply.json, shape)) == (status, shaped(body, shape))


def shaped(body, shape):
    """The shape of ``body``; the objects that are free have none."""
    found = shape(body)
    for item, told in zip(body.get("data", ()), found.get("data", ()), strict=False):
        told["messages"] = [shape({**each, "context": {}}) for each in item["messages"]]
        for each in item["messages"]:
            for artifact in each["generated_artifacts"]:
                artifact["metadata"] = {}
        told["messages"] = [shape({**each, "context": {}}) for each in item["messages"]]
        told["task_updates"] = [shape({**each, "data": {}}) for each in item["task_updates"]]
    if "error" in found:
        found["error"]["details"] = {}
    return found


# --- reading -----------------------------------------------------------------------------------


def carried(turn):
    """``turn`` without what the dialect loses."""
    fields = turn.model_dump(exclude={name for name in LOST if "/" not in name})
    for step in fields["steps"]:
        for name in LOST:
            if name.startswith("steps/"):
                step.pop(name.rpartition("/")[2], None)
    return fields


def test_turns_are_read_up_to_what_is_lost(api):
    """What is read equals what was recorded in every field that the dialect carries."""
    turns = [turn for turn in sample_turns(400) if turn.session_id == "session-1"]
    post(api, *turns)

    read = list(
        turnspan.read(
            f"emergence+{api.url}",
            session_id="session-1",
            project_id="default",
            api_key=api.keys[-1],
        )
    )

    assert len(turns) > 100
    assert [carried(turn) for turn in read] == [carried(turn) for turn in turns]
    assert {tuple(cut.where for cut in turn.truncated) for turn in read} == {tuple(sorted(LOST))}
    for name in LOST:
        top, _, below = name.partition("/*/")
        assert top in Turn.model_fields
        assert not below or below in Step.model_fields


def test_a_session_whose_id_is_a_path_is_read(api):
    """Ids are encoded on the way, and come out again."""
    turn = make_turn(1, id="a/b", session_id="x/../y?z", steps=())
    post(api, turn)

    (read,) = turnspan.read(
        f"emergence+{api.url}", session_id="x/../y?z", project_id="default", api_key=api.keys[-1]
    )

    assert carried(read) == carried(turn)


@pytest.mark.parametrize("given", [{}, {"session_id": "s"}, {"project_id": "p"}])
def test_a_session_and_a_project_must_be_named(unconfigured, given):
    """At once, before anything is asked."""
    with pytest.raises(ReaderError, match="listed by session, for one project"):
        turnspan.read("emergence+https://127.0.0.1:9", **given)


def test_a_turn_of_another_server_is_read_by_its_words(contract):
    """Messages, state and agent are what they are called; what has no field is kept."""
    _, body = contract("emergence", "GET /talk2data/chat/sessions/{s}/turns")

    turn = turn_of(body["data"][0], session_id="s", number=3)

    assert (turn.id, turn.session_id, turn.number, turn.status) == ("t1", "s", 3, "ok")
    assert turn.input == Content(content="hi")
    assert turn.output == Content(content="yo")
    assert turn.agent == Agent(name="a")
    assert [(message.role, message.text) for message in turn.messages] == [
        ("user", "hi"),
        ("assistant", "yo"),
    ]
    assert turn.started_at == turn.ended_at == 1_769_832_900 * 10**9
    assert turn.metadata["artifacts"][0]["resource_uri"] == "u"
    assert turn.metadata["task_updates"][0]["message"] == "done"


def test_a_turn_without_times_or_tasks_is_read_too(contract):
    """Empty times are the vendor's default: then the turn says that it has none."""
    _, body = contract("emergence", "GET /talk2data/chat/sessions/{s}/turns")
    (item,) = json.loads(json.dumps(body).replace("2026-01-31T04:15:00Z", ""))["data"]

    turn = turn_of({**item, "task_updates": [], "state": "created"}, session_id="s")

    assert (turn.started_at, turn.status, turn.agent.name) == (0, "open", "unknown")
    assert [cut.where for cut in turn.truncated] == ["started_at"]
