"""Streams that go over the wire: one turn each, whatever the client does."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import threading
import time
from collections.abc import Iterator
from typing import Annotated

import pytest

import turnspan
from turnspan.capture.context import current_draft

fastapi = pytest.importorskip("fastapi")
httpx = pytest.importorskip("httpx")

from fastapi import Depends, FastAPI  # noqa: E402  # it is not there with the lowest versions
from fastapi.responses import StreamingResponse  # noqa: E402


@turnspan.tool
def look_up(key):
    return key


@turnspan.agent
def tell(question):
    yield look_up("It ")
    yield from ("rains", ".")


@turnspan.agent
async def tell_later(question):
    for word in ("It ", "rains", "."):
        await asyncio.sleep(0)
        yield look_up(word)


@turnspan.agent
async def events(question):
    for n in range(3):
        yield f"event: word\ndata: {json.dumps({'n': n})}\n\n"


@turnspan.agent
async def endless(question):
    n = 0
    while True:
        n += 1
        yield f"{n}\n"
        await asyncio.sleep(0.005)


@turnspan.agent
def endless_sync(question):
    n = 0
    while True:
        n += 1
        yield f"{n}\n"
        time.sleep(0.005)


@turnspan.step
def lends():
    yield "lent"


leaks = []


def application():
    app = FastAPI()

    @app.middleware("http")
    async def looks(request, call_next):
        response = await call_next(request)
        leaks.append(current_draft.get())
        return response

    @app.get("/sync")
    def sync(q: str):
        with turnspan.session(f"session of {q}"):
            return StreamingResponse(tell(q))

    @app.get("/later")
    async def later(q: str):
        with turnspan.session(f"session of {q}"):
            return StreamingResponse(tell_later(q))

    @app.get("/events")
    async def sse(q: str):
        return StreamingResponse(events(q), media_type="text/event-stream")

    @app.get("/endless")
    async def without_end(q: str):
        return StreamingResponse(endless(q))

    @app.get("/endless-sync")
    def sync_without_end(q: str):
        return StreamingResponse(endless_sync(q))

    @app.get("/plain")
    @turnspan.agent
    def plain(q: str, thing: Annotated[str, Depends(lends)]) -> dict[str, str]:
        return {"q": q, "thing": thing}

    @app.get("/plain-later")
    @turnspan.agent
    async def plain_later(q: str) -> dict[str, str]:
        return {"q": q}

    return app


def ask(*paths):
    async def main():
        transport = httpx.ASGITransport(app=application())
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            return await asyncio.gather(*(client.get(path) for path in paths))

    leaks.clear()
    return [response.text for response in asyncio.run(main())]


@pytest.mark.parametrize("path", ["/sync", "/later"])
def test_a_streaming_response_is_one_turn_in_the_session_it_was_made_in(tape, path):
    """Though the framework reads it elsewhere, item by item, in threads or in a task."""
    assert ask(f"{path}?q=a") == ["It rains."]
    assert (tape.turn.status, tape.turn.output.content) == ("ok", "It rains.")
    assert (tape.turn.session_id, tape.turn.number) == ("session of a", 1)
    assert {step.name for step in tape.turn.steps} == {"look_up"}
    assert leaks == [None]


def test_many_streaming_responses_at_once_are_a_turn_each(tape):
    """None has the steps of another."""
    names = [f"{n}" for n in range(10)]
    paths = [f"/{('sync', 'later')[n % 2]}?q={name}" for n, name in enumerate(names)]

    assert ask(*paths) == ["It rains."] * 10
    assert sorted(turn.input.content for turn in tape.turns) == names
    assert {turn.output.content for turn in tape.turns} == {"It rains."}
    assert {len(turn.steps) for turn in tape.turns} == {1, 3}
    assert all(turn.session_id == f"session of {turn.input.content}" for turn in tape.turns)


def test_server_sent_events_are_one_turn(tape):
    """With all of them as its output."""
    (body,) = ask("/events?q=a")

    assert body.count("event: word") == 3
    assert tape.turn.output.content == body
    assert (tape.turn.status, tape.turn.chunks) == ("ok", 3)


def test_decorated_endpoints_and_dependencies_are_what_they_were(tape):
    """Their parameters are read, coroutines awaited, generators used as dependencies."""
    found = ask("/plain?q=a", "/plain-later?q=b")

    assert [json.loads(text) for text in found] == [{"q": "a", "thing": "lent"}, {"q": "b"}]
    assert sorted(turn.agent.name for turn in tape.turns) == ["plain", "plain_later"]


@contextlib.contextmanager
def served(app) -> Iterator[str]:
    """``app`` on loopback; its address."""
    uvicorn = pytest.importorskip("uvicorn")
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen()  # whoever comes before the server serves is kept waiting, not refused
    server = uvicorn.Server(uvicorn.Config(app, log_level="critical", lifespan="off", ws="none"))
    thread = threading.Thread(target=lambda: asyncio.run(server.serve([listener])))
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(10)
        listener.close()


@pytest.mark.parametrize("path", ["/endless", "/endless-sync"])
def test_a_client_that_hangs_up_ends_its_turn(tape, path):
    """Abandoned, or cancelled where its own code was cut off, with what had been said."""
    with served(application()) as address:
        with httpx.stream("GET", f"{address}{path}?q=a", trust_env=False) as response:
            lines = response.iter_lines()
            first = [next(lines), next(lines)]
        until = time.monotonic() + 60
        while not tape.turns and time.monotonic() < until:
            time.sleep(0.01)

    assert first == ["1", "2"]
    assert tape.turn.status in ("abandoned", "cancelled")
    assert tape.turn.output.content.startswith("1\n2\n")
    assert tape.turn.chunks == len(tape.turn.output.content.splitlines())
