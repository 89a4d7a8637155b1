"""`turnspan.read` against a running server."""

from __future__ import annotations

import json
import sys
import threading
from datetime import UTC, datetime
from functools import partial
from http.server import BaseHTTPRequestHandler, HTTPServer
from itertools import count

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import turnspan
from turnspan.dialects import emergence, uniqos
from turnspan.errors import ReaderError, WireError
from turnspan.exporters.http import HttpExporter
from turnspan.ports import JournalledTurn
from turnspan.readers.registry import known_schemes
from turnspan.schema import Turn, encode_turn
from turnspan.server import Limits
from turnspan.testing.turns import START_NS, make_turn, sample_turns

NDJSON = {"content-type": "application/x-ndjson"}
NUMBERS = count()
JUNK = st.none() | st.integers() | st.text(max_size=3) | st.just([]) | st.just({}) | st.just([1])
LOST = {"": frozenset(), "uniqos+": uniqos.LOST, "emergence+": emergence.LOST}


class Then:
    """A clock that stands an hour after turn 0 of `make_turn`."""

    def now_ns(self):
        return START_NS + 3_600 * 10**9

    monotonic_ns = now_ns


@pytest.fixture
def earlier_api(serve):
    """A server that believes that the turns tests make have just been."""
    return serve(clock=Then())


def carried(turn, lost):
    """``turn`` without the fields that are ``lost``."""
    fields = turn.model_dump(exclude={name for name in lost if "/" not in name})
    for name in lost:
        first, _, last = name.partition("/")
        if first == "agent":
            del fields["agent"][last]
        elif first == "steps" and last and "steps" in fields:
            for step in fields["steps"]:
                del step[last.removeprefix("*/")]
    return fields


def post(api, *turns):
    api.post("/v1/turns", b"".join(encode_turn(turn) for turn in turns), headers=NDJSON)


def test_native_turns_are_read_as_they_were_recorded(serve):
    """All pages are read, newest turn first, and nothing of a turn is lost."""
    api = serve()
    turns = sample_turns(450)
    post(api, *turns)

    assert list(turnspan.read(api.url)) == turns[::-1]


@pytest.mark.parametrize(
    "chosen, ids",
    [
        ({"session_id": "a"}, [3, 1]),
        ({"user_id": "ada"}, [2, 1]),
        ({"agent": "assistant"}, [3, 2, 1]),
        ({"agent": "other"}, []),
        ({"since": START_NS + 2 * 10**9}, [3, 2]),
        ({"until": START_NS + 2 * 10**9}, [1]),
        ({"since": datetime.fromtimestamp(START_NS / 1e9 + 3, tz=UTC)}, [3]),
    ],
)
def test_turns_are_chosen_by_what_is_asked(serve, chosen, ids):
    """Session, user, agent and time, `since` inclusive and `until` exclusive."""
    api = serve()
    post(
        api,
        make_turn(1, session_id="a", user_id="ada"),
        make_turn(2, session_id="b", user_id="ada"),
        make_turn(3, session_id="a"),
    )

    read = [turn.id for turn in turnspan.read(api.url, **chosen)]

    assert read == [make_turn(index).id for index in ids]


def test_the_key_is_found_where_it_was_given(serve, monkeypatch):
    """The argument wins over the URL, it over the environment; without a key it is refused."""
    api = serve()
    key = api.key()
    post(api, make_turn(1))
    host = api.url.removeprefix("http://")
    with pytest.raises(ReaderError, match="401"):
        list(turnspan.read(api.url))

    given = [
        list(turnspan.read(api.url, api_key=key)),
        list(turnspan.read(f"http://wrong@{host}", api_key=key)),
        list(turnspan.read(f"http://{key}@{host}")),
    ]
    monkeypatch.setenv("TURNSPAN_API_KEY", key)
    given.append(list(turnspan.read(api.url)))

    assert given == [[make_turn(1)]] * 4


def test_a_busy_service_is_asked_again(serve):
    """429 is waited out as long as the service says."""
    api = serve(limits=Limits(burst=1, requests_per_s=2.0))
    post(api, make_turn(1))

    assert list(turnspan.read(api.url)) == [make_turn(1)]


@pytest.mark.parametrize(
    "url, said",
    [
        ("nope://host", "nothing is known to read 'nope://host'"),
        ("turns.example.com", "nothing is known to read 'turns.example.com'"),
        ("https://key@", "names no host"),
        ("https://key@host/?a=b", "carries a query"),
    ],
)
def test_a_url_that_cannot_be_read_is_an_error_at_once(unconfigured, url, said):
    """Before anything is iterated, and without the key."""
    with pytest.raises(ReaderError, match=said.replace("?", r"\?")) as caught:
        turnspan.read(url)

    assert "key" not in str(caught.value).partition("\n")[0]


@pytest.mark.parametrize(
    "url, fix",
    [
        ("127.0.0.1:8787", "write http://127.0.0.1:8787"),
        (
            ".turnspan",
            (
                "begin with one of: emergence+https://, https://, sonzai+https://, "
                "statebase+https://, uniqos+https://; "
                "a journal on this machine is read by `turnspan tail --once --json`"
            ),
        ),
    ],
)
def test_what_is_no_url_is_told_what_is_one(unconfigured, url, fix):
    """Ready to be written instead."""
    with pytest.raises(ReaderError) as caught:
        turnspan.read(url)

    assert caught.value.fix == fix


@pytest.mark.parametrize(
    "asked, what",
    [
        ({"since": "yesterday"}, "since='yesterday' is no time"),
        ({"until": 1.5}, "until=1.5 is no time"),
        ({"since": True}, "since=True is no time"),
        ({"session_id": 17}, "session_id=17 is no text"),
        ({"agent": object}, "agent=<class 'object'> is no text"),
    ],
)
def test_a_choice_that_cannot_be_read_is_an_error_at_once(unconfigured, asked, what):
    """Before anybody is asked."""
    with pytest.raises(ReaderError) as caught:
        turnspan.read("http://127.0.0.1:9", **asked)

    assert caught.value.what == what


def test_an_answer_that_is_no_page_is_an_error(serve):
    """What is no Turns API is told apart from an empty one."""
    api = serve()

    with pytest.raises(ReaderError, match="404 Not Found"):
        list(turnspan.read(api.url + "/elsewhere"))


@pytest.fixture
def answering(unconfigured):
    """Starts a service that gives one answer to everything."""
    servers = []

    def answering(body):
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                self.send_response(200)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *args):
                pass

        servers.append(HTTPServer(("127.0.0.1", 0), Handler))
        threading.Thread(target=servers[-1].serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{servers[-1].server_port}"

    yield answering
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize("scheme", ["", "uniqos+"])
@pytest.mark.parametrize(
    "body", [b"<html>", b"[]", b"{}", b'{"data":{}}', b'{"data":[1]}', b'{"data":[{"id":7}]}']
)
def test_a_service_that_speaks_otherwise_is_told_apart(answering, scheme, body):
    """What is no page of turns is an error, not an empty place."""
    url = scheme + answering(body)

    with pytest.raises(ReaderError, match="cannot be read"):
        list(turnspan.read(url))


TURN = json.dumps(
    {
        "id": "t",
        "session_id": "s",
        "turn_number": 1,
        "created_at": "2026-01-01T00:00:00Z",
        "input": {"type": "text", "content": ""},
        "output": {"type": "text", "content": ""},
    }
).encode()


@pytest.mark.parametrize(
    "scheme, body",
    [
        ("", b'{"data":[],"next_cursor":"again"}'),
        ("", b'{"data":[],"next_cursor":{"not":"a text"}}'),
        ("uniqos+", b'{"data":[],"next_cursor":"again"}'),
        ("statebase+", b'{"data":[%s],"has_more":true}' % TURN),
    ],
)
def test_pages_that_go_round_in_a_circle_come_to_an_end(answering, scheme, body):
    """A service that names a page again is not read for ever."""
    url = scheme + answering(body)

    with pytest.raises(ReaderError, match="go round in a circle"):
        list(turnspan.read(url, session_id="s" if scheme == "statebase+" else None))


def test_numbered_pages_end_with_an_empty_one(answering):
    """Past its last turn a session has none, whatever page is said to be next."""
    url = answering(b'{"data":[],"pagination":{"next_page":2}}')

    read = list(turnspan.read("emergence+" + url, session_id="s", project_id="p"))

    assert read == []


def test_the_key_is_shown_in_no_error(answering):
    """A service that sends the key back does not get it into what is raised."""
    key = "sesame-sesame"
    url = answering(json.dumps({"data": [{"id": key, "agent": key}]}).encode())

    with pytest.raises(ReaderError) as caught:
        list(turnspan.read(url, api_key=key))

    assert key not in str(caught.value)


# --- there and back ----------------------------------------------------------------------------


@pytest.mark.parametrize("dialect", LOST)
@settings(
    max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(seed=st.integers(0, 2**32))
def test_whatever_is_exported_is_read_back_up_to_what_is_lost(earlier_api, dialect, seed):
    """Any turn, through exporter, server and dialect: what is carried is equal, the rest named."""
    session_id = f"session {next(NUMBERS)}/{seed}"
    turns = [
        turn.model_copy(update={"id": f"turn_{session_id}_{index}", "session_id": session_id})
        for index, turn in enumerate(sample_turns(30, seed=seed))
    ]
    exporter = HttpExporter(earlier_api.url)
    exporter.export([JournalledTurn(encode_turn(turn)) for turn in turns], timeout_s=10)
    exporter.close(timeout_s=1)

    read = turnspan.read(dialect + earlier_api.url, session_id=session_id, project_id="default")
    found = sorted(read, key=lambda turn: turn.started_at)

    lost = LOST[dialect]
    assert [carried(turn, lost) for turn in found] == [carried(turn, lost) for turn in turns]
    whole = [sorted(lost) or [cut.where for cut in turn.truncated] for turn in turns]
    assert [[cut.where for cut in turn.truncated] for turn in found] == whole


def test_what_a_decorator_recorded_is_read_in_each_dialect(serve):
    """Recorded, journalled, delivered over HTTP, stored, and read: as it happened."""
    api = serve()

    @turnspan.tool
    def weather(city):
        return {"city": city, "sky": "grey"}

    @turnspan.agent
    def assistant(question):
        turnspan.current_turn().set_metadata(tier="gold")
        return f"{question} It is {weather('Oslo')['sky']}."

    turnspan.configure(exporters=[api.url], spans="own")
    with turnspan.session("talk", user_id="ada"):
        assistant("What is the weather?")
    assert turnspan.flush(timeout_s=10).unsent == 0

    native, traced, told = (
        next(turnspan.read(dialect + api.url, session_id="talk", project_id="default"))
        for dialect in ("", "uniqos+", "emergence+")
    )

    assert native.output.content == "What is the weather? It is grey."
    assert native.metadata == {"tier": "gold"}
    assert carried(told, emergence.LOST) == carried(native, emergence.LOST)
    assert [step.name for step in told.steps] == ["weather"]
    assert carried(traced, uniqos.LOST) == carried(native, uniqos.LOST)
    assert (traced.input, traced.output, traced.steps) == (None, None, ())


@pytest.mark.parametrize("dialect", LOST)
def test_what_is_lost_is_a_field(dialect):
    """Each name of a loss is a path in a turn."""
    tops = {name.partition("/")[0] for name in LOST[dialect]}

    assert tops <= set(Turn.model_fields)


def spoilt(value, draw):
    """``value`` with something in it that does not belong there."""
    if isinstance(value, dict) and value and draw(st.integers(0, 3)):
        key = draw(st.sampled_from(sorted(value)))
        return value | {key: spoilt(value[key], draw)}
    if isinstance(value, list) and value and draw(st.integers(0, 3)):
        return [spoilt(value[0], draw), *value[1:]]
    return draw(JUNK)


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), ours=st.booleans())
def test_an_item_is_a_turn_or_an_error(contract, data, ours):
    """Whatever a service says in place of what it should, nothing else is raised."""
    told = emergence.item_of(make_turn(1)) if ours else None
    _, theirs = contract("emergence", "GET /talk2data/chat/sessions/{s}/turns")
    _, traced = contract("uniqos", "GET /v1/interactions/{interaction_id}")
    readings = [
        (partial(emergence.turn_of, session_id="s"), told or theirs["data"][0]),
        (uniqos.turn_of, traced),
    ]
    for turn_of, item in readings:
        spoilt_item = spoilt(item, data.draw)
        if isinstance(spoilt_item, dict):
            try:
                assert isinstance(turn_of(spoilt_item), Turn)
            except WireError:
                pass


# --- other readers ------------------------------------------------------------------------------


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """Installs a package that brings the reader `toy`, whose module holds ``source``."""

    def installed(source):
        (tmp_path / "toy_reader.py").write_text(source, encoding="utf-8")
        info = tmp_path / "toy_reader-1.dist-info"
        info.mkdir()
        (info / "METADATA").write_text("Name: toy-reader\nVersion: 1\n", encoding="utf-8")
        points = "[turnspan.readers]\ntoy = toy_reader\n"
        (info / "entry_points.txt").write_text(points, encoding="utf-8")
        monkeypatch.syspath_prepend(str(tmp_path))
        monkeypatch.delitem(sys.modules, "toy_reader", raising=False)

    return installed


TOY = """
from turnspan.testing.turns import make_turn


class Toy:
    name = "toy:"
    dialect = "toy"
    lost = frozenset({"reasoning", "user_id"})

    def turns(self, query):
        yield make_turn(1)

    def close(self):
        pass


def from_url(url, *, settings):
    return Toy()
"""


def test_another_package_s_reader_is_found_by_its_entry_point(installed, unconfigured):
    """Its turns are marked like ours, and what it loses cannot be chosen by."""
    installed(TOY)

    (turn,) = turnspan.read("toy:anywhere")

    assert [(cut.where, cut.why) for cut in turn.truncated] == [
        ("reasoning", "not carried by toy"),
        ("user_id", "not carried by toy"),
    ]
    assert set(known_schemes()) >= {"emergence", "http", "toy", "uniqos"}
    with pytest.raises(ReaderError, match="toy does not carry 'user_id'"):
        turnspan.read("toy:anywhere", user_id="ada")


def test_a_reader_that_cannot_be_loaded_says_so(installed, unconfigured):
    """The package that brings it is to be blamed."""
    installed("import nothing_of_this_name")

    with pytest.raises(ReaderError, match="the reader 'toy' cannot be loaded"):
        turnspan.read("toy:anywhere")
