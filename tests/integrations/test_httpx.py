"""Requests of httpx carry the trace of their turn."""

import asyncio
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx
import pytest

import turnspan
from turnspan.integrations import httpx as httpx_traces


@pytest.fixture
def site():
    """A site on loopback; answers its URL, and the headers it was sent."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            seen.append({name.lower(): value for name, value in self.headers.items()})
            self.send_response(307 if self.path == "/old" else 200)
            self.send_header("location", "/new")
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *args):
            pass

    seen = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", seen
    server.shutdown()
    thread.join()
    server.server_close()


@turnspan.tool
def fetch(make, url):
    with make() as client:
        return client.get(url, follow_redirects=True).status_code


@turnspan.tool
async def fetch_async(make, url):
    async with make() as client:
        return (await client.get(url)).status_code


@turnspan.agent
def browse(make, url):
    return fetch(make, url)


@turnspan.agent
async def browse_async(make, url):
    return await fetch_async(make, url)


def parents(seen):
    return [headers.get("traceparent") for headers in seen]


def of_tool(turn):
    return f"00-{turn.trace.trace_id}-{turn.steps[0].id}-01"


def test_a_hook_propagates_for_one_client(recorded, site):
    """Under the tool that sends; each hop of a redirect too."""
    url, seen = site
    browse(lambda: httpx.Client(event_hooks={"request": [httpx_traces.hook()]}), f"{url}/old")
    browse(httpx.Client, url)

    assert parents(seen) == [of_tool(recorded.turns[0])] * 2 + [None]


def test_an_asynchronous_hook_does_as_well(recorded, site):
    """In coroutines that run at once, each under its own tool."""
    url, seen = site

    def make():
        return httpx.AsyncClient(event_hooks={"request": [httpx_traces.async_hook(session=True)]})

    async def main():
        with turnspan.session("trip"):
            await asyncio.gather(*(browse_async(make, url) for _ in range(3)))

    asyncio.run(main())

    assert sorted(parents(seen)) == sorted(map(of_tool, recorded.turns))
    assert {headers["baggage"] for headers in seen} == {"gen_ai.conversation.id=trip"}


@pytest.mark.parametrize("session", [True, False])
def test_installed_every_client_propagates_until_it_is_undone(recorded, site, session):
    """Clients of either kind, made before or after."""
    url, seen = site
    made = httpx.Client()
    with httpx_traces.install(session=session), turnspan.session("trip"):
        assert httpx_traces.install().undo() is None  # a second one changes nothing
        browse(lambda: made, url)
        asyncio.run(browse_async(httpx.AsyncClient, url))
    browse(httpx.Client, url)

    assert parents(seen) == [*map(of_tool, recorded.turns[:2]), None]
    assert ["baggage" in headers for headers in seen] == [session, session, False]
    assert vars(httpx.HTTPTransport)["handle_request"].__module__.startswith("httpx")
