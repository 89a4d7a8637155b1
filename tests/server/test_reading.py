"""`turnspan.read` against a running server."""

from __future__ import annotations

import json
import threading
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

import turnspan
from turnspan.errors import ReaderError
from turnspan.schema import encode_turn
from turnspan.server import Limits
from turnspan.testing.turns import START_NS, make_turn, sample_turns

NDJSON = {"content-type": "application/x-ndjson"}


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


def test_the_key_is_shown_in_no_error(answering):
    """A service that sends the key back does not get it into what is raised."""
    key = "sesame-sesame"
    url = answering(json.dumps({"data": [{"id": key, "agent": key}]}).encode())

    with pytest.raises(ReaderError) as caught:
        list(turnspan.read(url, api_key=key))

    assert key not in str(caught.value)
