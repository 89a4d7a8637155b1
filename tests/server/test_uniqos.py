"""The uniqOS dialect, with the vendor's own client."""

from __future__ import annotations

import asyncio
import inspect
import re
from datetime import UTC, datetime

import pytest
import uniqos
from uniqos.resources._base import APIResource

import turnspan
from turnspan.dialects.uniqos import LOST, interaction_of, turn_of
from turnspan.schema import (
    Agent,
    Content,
    Error,
    Message,
    MessagePart,
    Model,
    Turn,
    encode_turn,
)
from turnspan.server import Limits
from turnspan.testing.turns import START_NS, make_step, make_turn, sample_turns

NDJSON = {"content-type": "application/x-ndjson"}
ULID = re.compile(r"[0-7][0-9A-HJKMNP-TV-Z]{25}")
DAY = 86_400 * 10**9
OURS = {"interactions.list", "interactions.get", "interactions.aggregates"}
OURS |= {"billing.usage.turns", "billing.usage.active_relationships"}
RATE = {"limit", "remaining", "reset"}
QUOTA = {"turns-used", "turns-limit", "relationships-used", "relationships-limit", "reset"}


class Then:
    """The clock stands an hour after turn 0 of `make_turn`."""

    at = START_NS + 3_600 * 10**9

    def now_ns(self):
        return self.at

    def monotonic_ns(self):
        return self.at


@pytest.fixture
def api(serve):
    """A server with a key, an hour after the turns that tests make."""
    api = serve(clock=Then())
    api.key()
    return api


@pytest.fixture(params=["sync", "async"])
def ask(request, api):
    """Calls a method of the vendor's client, `ask("interactions.list", {…})`, on either face."""
    options = {"api_key": api.keys[-1], "base_url": f"{api.url}/v1", "max_retries": 0}

    def found(client, name):
        for part in name.split("."):
            client = getattr(client, part)
        return client

    def plainly(name, *args, **kwargs):
        with uniqos.UniqOS(**options) as client:
            return found(client, name)(*args, **kwargs)

    def asynchronously(name, *args, **kwargs):
        async def call():
            async with uniqos.AsyncUniqOS(**options) as client:
                return await found(client, name)(*args, **kwargs)

        return asyncio.run(call())

    return plainly if request.param == "sync" else asynchronously


def post(api, *turns):
    reply = api.post("/v1/turns", b"".join(map(encode_turn, turns)), headers=NDJSON)
    assert {each["status"] for each in reply.json["results"]} == {"stored"}


def iso(at):
    return datetime.fromtimestamp(at / 1e9, tz=UTC).isoformat()


# --- the client ------------------------------------------------------------------------------


def methods(resource, prefix=""):
    """Every method of the client's resources, with as many ids as it asks for."""
    for name, each in inspect.getmembers(resource):
        if name.startswith("_"):
            continue
        if isinstance(each, APIResource) or type(each).__module__.startswith("uniqos.resources"):
            yield from methods(each, f"{prefix}{name}.")
        elif inspect.ismethod(each) and prefix:
            yield f"{prefix}{name}", each


def arguments(method):
    """Something for each parameter without a default."""
    needed = [
        each
        for each in inspect.signature(method).parameters.values()
        if each.default is each.empty and each.kind is not each.VAR_KEYWORD
    ]
    return {each.name: {} if "Mapping" in str(each.annotation) else "x/y" for each in needed}


with uniqos.UniqOS(api_key="uniq_test_abcd1234") as _client:
    METHODS = {name: arguments(method) for name, method in methods(_client)}


def test_the_client_has_the_methods_that_are_served():
    """What is said below of every method is said of some."""
    assert set(METHODS) >= OURS
    assert len(METHODS) > 60


def test_what_is_not_served_is_said_to_the_client(ask):
    """Each method beyond interactions and usage raises the client's own error, with its words."""
    told = {}
    for name in METHODS.keys() - OURS:
        with pytest.raises(uniqos.APIError) as caught:
            ask(name, **METHODS[name])
        told[name] = caught.value

    assert {error.http_status for error in told.values()} == {404}
    assert {error.code for error in told.values()} == {"not_found"}
    assert {str(error).partition(";")[0] for error in told.values()} == {
        "turnspan serves interactions and usage of uniqOS"
    }
    assert all(ULID.fullmatch(error.request_id) for error in told.values())


def test_respond_is_not_served(ask):
    """Turns are recorded where they happen; nobody answers a user here."""
    with pytest.raises(uniqos.NotFoundError):
        ask("respond", personality_id="p", message="m", mode="stateless")


def test_the_client_lists_pages_and_shows(ask, api):
    """Newest first, page after page; one alone is what it is in the list."""
    turns = [make_turn(index) for index in range(1, 6)]
    post(api, *turns)

    first = ask("interactions.list", {"limit": 2})
    second = ask("interactions.list", {"limit": 2, "cursor": first["next_cursor"]})
    third = ask("interactions.list", {"limit": 2, "cursor": second["next_cursor"]})
    pages = [page["data"] for page in (first, second, third)]

    assert pages[0] + pages[1] + pages[2] == [interaction_of(turn) for turn in turns[::-1]]
    assert third["next_cursor"] is None
    assert ask("interactions.get", turns[0].id) == interaction_of(turns[0])


def test_an_id_may_hold_a_slash(ask, api):
    """The client encodes it, and it comes out again."""
    post(api, make_turn(1, id="a/b?c"))

    assert ask("interactions.get", "a/b?c")["interaction_id"] == "a/b?c"


def test_nothing_is_an_empty_page(ask, contract):
    """No interaction, or none that matches, is no error."""
    assert ask("interactions.list") == contract("uniqos", "GET /v1/interactions (empty)")[1]
    assert ask("interactions.list", {"user_id": "nobody"})["data"] == []


def test_filters_are_and_combined(ask, api):
    """User and relationship, `from` inclusive and `to` exclusive."""
    post(
        api,
        make_turn(1, user_id="ada", session_id="a"),
        make_turn(2, user_id="ada", session_id="b"),
        make_turn(3, user_id="bob", session_id="a"),
        make_turn(4, user_id="ada", session_id="a"),
    )

    def found(**query):
        return [each["interaction_id"][-1] for each in ask("interactions.list", query)["data"]]

    assert found(user_id="ada") == ["4", "2", "1"]
    assert found(user_id="ada", relationship_id="a") == ["4", "1"]
    assert found(**{"from": iso(START_NS + 2 * 10**9), "to": iso(START_NS + 4 * 10**9)}) == [
        "3",
        "2",
    ]
    assert found(**{"user_id": "ada", "from": iso(START_NS + 2 * 10**9)}) == ["4", "2"]


def test_single_interactions_are_told_for_180_days(ask, api):
    """What is older is neither listed nor shown, even where it is asked for; aggregates have it."""
    old = make_turn(1, started_at=Then.at - 180 * DAY - 1, ended_at=Then.at - 180 * DAY)
    young = make_turn(2, started_at=Then.at - 180 * DAY, ended_at=Then.at - 180 * DAY + 1)
    post(api, old, young)

    listed = ask("interactions.list", {"from": "2020-01-01"})["data"]

    assert [each["interaction_id"] for each in listed] == [young.id]
    assert ask("interactions.get", young.id)["interaction_id"] == young.id
    with pytest.raises(uniqos.NotFoundError):
        ask("interactions.get", old.id)
    assert ask("interactions.aggregates")["data"][0]["total_turns"] == 2


@pytest.mark.parametrize(
    "period, starts",
    [
        ("day", ["2023-10-31", "2023-11-13", "2023-11-14"]),
        ("week", ["2023-10-30", "2023-11-13"]),
        ("month", ["2023-10-01", "2023-11-01"]),
        (None, [None]),
    ],
)
def test_aggregates_count_by_period(ask, api, period, starts):
    """Every status counts; buckets are those of UTC, weeks begin on Monday."""
    post(
        api,
        make_turn(1),
        make_turn(2, status="error", agent=Agent(name="other")),
        make_turn(3, started_at=START_NS - DAY, ended_at=START_NS - DAY + 10**9),
        make_turn(4, started_at=START_NS - 14 * DAY, ended_at=START_NS - 14 * DAY + 10**9),
    )

    data = ask("interactions.aggregates", {"group_by": period})["data"]

    assert [each["period_start"] for each in data] == [
        start and f"{start}T00:00:00Z" for start in starts
    ]
    assert sum(each["total_turns"] for each in data) == 4
    assert data[-1]["unique_personalities_count"] == 2
    if period is None:
        assert data == [
            {
                "period_start": None,
                "total_turns": 4,
                "avg_latency_ms": 750.0,
                "unique_personalities_count": 2,
                "primary_emotion_distribution": {},
            }
        ]


def test_usage_counts_turns_and_sessions(ask, api):
    """Turns of the month or of the time that is asked for; sessions of the month."""
    earlier = START_NS - 40 * DAY
    post(
        api,
        make_turn(1, session_id="a"),
        make_turn(2, session_id="b"),
        make_turn(3, session_id="c", started_at=earlier, ended_at=earlier),
    )

    assert ask("billing.usage.turns") == {
        "period_start": "2023-11-01T00:00:00Z",
        "period_end": "2023-12-01T00:00:00Z",
        "turns": 2,
        "limit": None,
    }
    assert ask("billing.usage.turns", {"from": "2023-01-01"})["turns"] == 3
    assert ask("billing.usage.turns", {"to": "2023-01-01"})["turns"] == 0
    assert ask("billing.usage.active_relationships")["count"] == 2


def test_any_year_can_be_asked_for(ask, api):
    """What no turn can be before or after is as good as no bound."""
    post(api, make_turn(1))
    whole = {"from": "0001-01-01", "to": "9999-12-31"}

    assert ask("interactions.list", whole)["data"] == ask("interactions.list")["data"]
    assert ask("interactions.aggregates", whole)["data"][0]["total_turns"] == 1
    assert ask("billing.usage.turns", whole)["turns"] == 1


@pytest.mark.parametrize(
    "query, field",
    [
        ({"from": "yesterday"}, "from"),
        ({"to": "2026-13-01"}, "to"),
        ({"from": "2026-02-01", "to": "2026-01-01"}, "from"),
        ({"limit": 0}, "limit"),
        ({"limit": 101}, "limit"),
        ({"limit": "many"}, "limit"),
        ({"cursor": "abc=="}, "cursor"),
        ({"cursor": "f" * 33}, "cursor"),
        ({"user_id": "x" * 201}, "user_id"),
    ],
)
def test_a_query_that_cannot_be_read_is_a_validation_error(ask, query, field):
    """400, and the field that was wrong."""
    with pytest.raises(uniqos.ValidationError) as caught:
        ask("interactions.list", query)

    assert (caught.value.http_status, caught.value.code) == (400, "validation_error")
    assert [each["field"] for each in caught.value.details] == [field]


def test_the_client_knows_its_errors_again(ask, api):
    """An unknown id, an unknown key, a key that may not read, an empty bucket."""
    with pytest.raises(uniqos.NotFoundError):
        ask("interactions.get", "nope")
    writing = api.key(scopes={"write"})
    with (
        uniqos.UniqOS(api_key=writing, base_url=api.url) as client,
        pytest.raises(uniqos.PermissionError) as caught,
    ):
        client.interactions.list()

    assert caught.value.code == "permission_denied"
    with (
        uniqos.UniqOS(api_key="uniq_live_nobodysKey", base_url=api.url) as client,
        pytest.raises(uniqos.AuthenticationError),
    ):
        client.interactions.list()


def test_a_busy_server_is_asked_again_by_the_client(serve):
    """The client waits as long as `Retry-After` says, and then has its answer."""
    api = serve(limits=Limits(burst=1, requests_per_s=2.0))
    key = api.key()

    with uniqos.UniqOS(api_key=key, base_url=api.url) as client:
        answers = [client.interactions.list() for _ in range(2)]

    assert answers == [{"data": [], "next_cursor": None}] * 2


# --- headers and envelopes -------------------------------------------------------------------


def test_headers_are_on_the_answers_that_have_them(serve):
    """The id on all; the rate on 200 and 429; the quota on 403 and 429; when to come on 429."""
    api = serve(clock=Then(), limits=Limits(burst=4, requests_per_s=0.01, turns_per_month=9))
    key, writing = api.key(), api.key(scopes={"write"})
    post(api, make_turn(1, session_id="a"), make_turn(2, session_id="a"))
    path = "/v1/interactions"
    replies = {
        200: api.get(path, key=key),
        404: api.get(f"{path}/nope", key=key),
        400: api.get(f"{path}?limit=0", key=key),
        401: api.get(path, key="nobody"),
        403: api.get(path, key=writing),
    }
    api.get(path, key=key)
    replies[429] = api.get(path, key=key)

    def told(prefix):
        return {
            status: {name.removeprefix(prefix) for name in reply.headers if name.startswith(prefix)}
            for status, reply in replies.items()
            if any(name.startswith(prefix) for name in reply.headers)
        }

    assert [reply.status for reply in replies.values()] == list(replies)
    assert told("x-ratelimit-") == {200: RATE, 429: RATE}
    assert told("x-quota-") == {403: QUOTA, 429: QUOTA}
    assert told("retry-after") == {429: {""}}
    assert all(ULID.fullmatch(reply.headers["x-request-id"]) for reply in replies.values())
    for status, reply in replies.items():
        if status != 200:
            assert reply.json["error"]["request_id"] == reply.headers["x-request-id"]
    limited = replies[429].headers
    assert (limited["x-ratelimit-limit"], limited["x-ratelimit-remaining"]) == ("4", "0")
    assert limited["x-ratelimit-reset"] == "2023-11-14T23:20:00Z"
    assert {name: limited[f"x-quota-{name}"] for name in QUOTA} == {
        "turns-used": "2",
        "turns-limit": "9",
        "relationships-used": "1",
        "relationships-limit": str(2**53 - 1),
        "reset": "2023-12-01T00:00:00Z",
    }


def test_bodies_have_the_shape_of_the_contract(serve, contract, shape):
    """The answers have the keys, and kinds of values, that the contract's bodies have."""
    api = serve(clock=Then(), limits=Limits(burst=3, requests_per_s=0.01))
    asked = Model(provider="p", response_model="m")
    turn = make_turn(1, user_id="u", steps=(make_step(1, kind="model", model=asked),))
    api.store.of("default").add([_incoming(turn)])

    one = api.get(f"/v1/interactions/{turn.id}")
    numbers = api.get("/v1/interactions/aggregates")
    api.get("/v1/interactions")
    limited = api.get("/v1/interactions")

    status, expected = contract("uniqos", "GET /v1/interactions/{interaction_id}")
    assert one.json.pop("inferred_emotional_state") is None  # nobody infers emotions here
    del expected["inferred_emotional_state"]
    body = dict(one.json)
    del body["inferred_emotional_state"]
    assert (one.status, shape(body)) == (status, shape(expected))
    status, expected = contract("uniqos", "GET /v1/interactions/aggregates")
    assert (numbers.status, shape(numbers.json)) == (status, shape(expected))
    status, expected = contract("uniqos", "error")
    assert (limited.status, shape(limited.json)) == (status, shape(expected))
    assert limited.json["error"]["code"] == expected["error"]["code"]


def _incoming(turn):
    from turnspan.server.store.port import Incoming

    return Incoming.of(turn)


def test_the_dialect_has_a_document(api):
    """OpenAPI of the dialect's own paths; times are told as they are asked for."""
    document = api.get("/uniqos/openapi.json").json
    parameters = document["paths"]["/v1/interactions"]["get"]["parameters"]

    assert set(document["paths"]) == {
        "/v1/interactions",
        "/v1/interactions/aggregates",
        "/v1/interactions/{interaction_id}",
        "/v1/usage/turns",
        "/v1/usage/active-relationships",
    }
    (since,) = (each["schema"] for each in parameters if each["name"] == "from")
    assert {"type": "string", "format": "date-time"} in since["anyOf"]


@pytest.mark.parametrize(
    "method, path, headers, status, code",
    [
        ("GET", "/v1/interactions/%ff", {}, 400, "validation_error"),
        ("GET", "/v1/interactions/..%2f..%2fetc%2fpasswd", {}, 404, "not_found"),
        ("GET", "/v1/interactions/a%00b", {}, 404, "not_found"),
        ("GET", "/v1/interactions/", {}, 404, "not_found"),
        ("GET", "/v1/interactions?cursor=" + "f" * 40_000, {}, 414, "validation_error"),
        ("GET", "/v1/interactions", {"x-long": "x" * 20_000}, 431, "validation_error"),
        ("PUT", "/v1/interactions", {}, 405, "method_not_allowed"),
        ("POST", "/v1/usage/turns", {"content-encoding": "br"}, 415, "validation_error"),
        ("POST", "/v1/respond", {"x-uniqos-sdk": "uniqos/0.6.0"}, 404, "not_found"),
    ],
)
def test_what_is_unreasonable_is_told_in_the_envelope(api, method, path, headers, status, code):
    """Long heads, odd ids, foreign methods and paths get a 4xx in the vendor's form."""
    body = b"x" if "content-encoding" in headers else None

    reply = api.request(method, path, body, headers=headers)

    error = reply.json["error"]
    assert (reply.status, error["code"]) == (status, code)
    assert error.keys() == {
        "code", "message", "type", "request_id", "details", "documentation_url",
    }  # fmt: skip


# --- what is never shown ---------------------------------------------------------------------


def test_content_is_in_no_answer(api):
    """A word that is in every place of a turn that content may be in is in no answer."""
    word = "rhubarb"
    said = Content(content=word)
    part = MessagePart.model_validate({"type": "text", "content": word, word: word})
    step = make_step(
        1,
        kind="model",
        name=word,
        input=said,
        output=said,
        reasoning=word,
        error=Error(type=word, message=word, stacktrace=word),
        model=Model(parameters={word: word}, finish_reasons=(word,), response_id=word),
        metadata={word: word},
    )
    post(
        api,
        make_turn(
            1,
            input=said,
            output=said,
            reasoning=word,
            status="error",
            error=Error(type=word, message=word, stacktrace=word),
            messages=(Message(role="user", parts=(part,), name=word),),
            input_messages=((0, 1),),
            steps=(step,),
            state_before={word: word},
            state_after={word: [word]},
            metadata={word: word, "mode": word, "usage": {word: word}, "memory": word},
            tags=(word,),
            resource={word: word},
            resume_key=word,
        ),
    )
    paths = ["", "?limit=1", "/aggregates", "/aggregates?group_by=day", f"/{make_turn(1).id}"]
    paths = [f"/v1/interactions{path}" for path in paths]
    paths += ["/v1/usage/turns", "/v1/usage/active-relationships", f"/v1/interactions/x?{word}=1"]

    replies = [api.get(path) for path in paths]

    assert replies[0].json["data"][0]["status"] == "failed"
    assert [reply.status for reply in replies] == [200] * 7 + [404]
    assert not any(word in f"{reply.headers}{reply.body}" for reply in replies)


# --- reading ---------------------------------------------------------------------------------


def test_turns_are_read_up_to_what_is_lost(api):
    """What is read equals what was recorded in every field that the dialect carries."""
    turns = sample_turns(250)
    post(api, *turns)
    url = f"uniqos+{api.url}"

    read = list(turnspan.read(url, api_key=api.keys[-1]))

    carried = set(Turn.model_fields) - LOST
    assert carried >= {"id", "session_id", "user_id", "agent", "status", "started_at", "ended_at"}
    assert [turn.model_dump(include=carried) for turn in read] == [
        turn.model_dump(include=carried) for turn in turns[::-1]
    ]
    assert {tuple(cut.where for cut in turn.truncated) for turn in read} == {tuple(sorted(LOST))}
    assert {cut.why for turn in read for cut in turn.truncated} == {"not carried by uniqos"}


def test_reading_chooses(api):
    """Session, user, time to the nanosecond, and the agent, which the API cannot choose by."""
    post(api, make_turn(1), make_turn(2, agent=Agent(name="other")), make_turn(3, session_id="b"))
    at = make_turn(2).started_at

    def found(**chosen):
        turns = turnspan.read(f"uniqos+{api.url}", api_key=api.keys[-1], **chosen)
        return [turn.id[-1] for turn in turns]

    assert found(session_id="session-1") == ["2", "1"]
    assert found(agent="other") == ["2"]
    assert found(since=at) == ["3", "2"]
    assert found(since=at + 1) == ["3"]
    assert found(until=at) == ["1"]
    assert found(until=at + 1) == ["2", "1"]


@pytest.mark.parametrize("status", ["processing", "", None])
def test_what_a_service_says_beyond_ours_is_kept(contract, status):
    """Emotions and the like stand in the metadata; a status that is not ours is no failure."""
    _, item = contract("uniqos", "GET /v1/interactions/{interaction_id}")

    turn = turn_of(item | {"status": status})

    assert turn.metadata["inferred_emotional_state"]["primary"] == "curiosity"
    assert (turn.status, turn.duration_ms) == ("ok", 812.0)
