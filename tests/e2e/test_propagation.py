"""A turn of one process and a turn of another form one trace, over HTTP and over MCP."""

import json
import time
from textwrap import dedent

import pytest

SITE = """
    import socket, uvicorn
    from starlette.applications import Starlette
    from starlette.responses import StreamingResponse
    from starlette.routing import Route
    import turnspan
    from turnspan.integrations import asgi

    turnspan.configure(exporters=["file:site.ndjson"], directory="site", batch_delay_s=0.05)

    @turnspan.agent
    async def clerk(question):
        for word in ("in ", "stock"):
            yield word

    async def ask(request):
        return StreamingResponse(clerk("Is it there?"), media_type="text/plain")

    app = Starlette(routes=[Route("/ask", ask)])
    app.add_middleware(asgi.Middleware, session=True)
    listening = socket.create_server(("127.0.0.1", 0))
    print(listening.getsockname()[1], flush=True)
    uvicorn.Server(uvicorn.Config(app, log_level="error")).run(sockets=[listening])
"""
SHOPPER = """
    import asyncio, httpx, sys
    import turnspan
    from turnspan.integrations import httpx as httpx_traces

    turnspan.configure(exporters=["file:shopper.ndjson"], directory="shopper")
    httpx_traces.install(session=True)
    url = f"http://127.0.0.1:{sys.argv[1]}/ask"

    @turnspan.tool
    def ask_clerk():
        with httpx.stream("GET", url) as answer:
            return "".join(answer.iter_text())

    @turnspan.tool
    async def ask_clerk_async():
        async with httpx.AsyncClient() as client:
            return (await client.get(url)).text

    @turnspan.agent
    def shopper():
        return ask_clerk()

    @turnspan.agent
    async def patient_shopper():
        return await ask_clerk_async()

    with turnspan.session("trip-7", user_id="ada"):
        print(shopper(), asyncio.run(patient_shopper()), sep="|")
"""
MCP_SHOP = """
    import turnspan
    from mcp.server.mcpserver import MCPServer
    from turnspan.integrations import mcp as mcp_traces

    turnspan.configure(exporters=["file:site.ndjson"], directory="site", batch_delay_s=0.05)
    shop = MCPServer("shop", middleware=[mcp_traces.Middleware(session=True)])

    @turnspan.agent
    def clerk(article):
        return f"{article} in stock"

    @shop.tool()
    def stock(article: str) -> str:
        return clerk(article)

    shop.run()
"""
MCP_SHOPPER = """
    import asyncio, sys
    import turnspan
    from mcp import StdioServerParameters, stdio_client
    from mcp.client.session import ClientSession
    from turnspan.integrations import mcp as mcp_traces

    turnspan.configure(exporters=["file:shopper.ndjson"], directory="shopper")

    @turnspan.tool
    async def ask_clerk(session):
        arguments = {"article": "umbrella"}
        told = await session.call_tool("stock", arguments, meta=mcp_traces.meta(session=True))
        return told.content[0].text

    @turnspan.agent
    async def shopper(session):
        return await ask_clerk(session)

    async def main():
        server = StdioServerParameters(command=sys.executable, args=["shop.py"])
        async with stdio_client(server) as (reading, writing):
            async with ClientSession(reading, writing) as session:
                await session.initialize()
                with turnspan.session("trip-7", user_id="ada"):
                    print(await shopper(session))

    asyncio.run(main())
"""


@pytest.fixture
def turns_of(tmp_path):
    """The turns in a file, as soon as so many are there."""

    def turns_of(name, count):
        path, until_s = tmp_path / name, time.monotonic() + 20
        lines = []
        while len(lines) < count and time.monotonic() < until_s:
            time.sleep(0.02)
            lines = path.read_text().splitlines() if path.exists() else []
        return [json.loads(line) for line in lines]

    return turns_of


def joined(turns):
    """What each turn of a shopper and of a clerk say of where they stand."""
    return [(t["trace"]["trace_id"], t["session_id"], t["user_id"]) for t in turns]


def test_turns_of_two_processes_over_http_form_one_trace(start, run, turns_of):
    """Client, server, streamed answer: each clerk's turn stands under the shopper's tool."""
    server = start(SITE)
    port = server.stdout.readline().strip()
    done = run(SHOPPER, port)
    asked, answered = turns_of("shopper.ndjson", 2), turns_of("site.ndjson", 2)

    assert (done.stdout, done.stderr) == ("in stock|in stock\n", "")
    assert joined(answered) == joined(asked)
    assert [t["trace"]["parent_span_id"] for t in answered] == [t["steps"][0]["id"] for t in asked]
    assert {(t["session_id"], t["user_id"]) for t in asked} == {("trip-7", "ada")}
    assert len({t["trace"]["trace_id"] for t in asked}) == 2


def test_turns_of_two_processes_over_mcp_form_one_trace(run, turns_of, tmp_path):
    """A real client and a real server of the protocol, over standard input and output."""
    pytest.importorskip("mcp.server.mcpserver")
    (tmp_path / "shop.py").write_text(dedent(MCP_SHOP))
    done = run(MCP_SHOPPER)
    asked, answered = turns_of("shopper.ndjson", 1), turns_of("site.ndjson", 1)

    assert done.stdout == "umbrella in stock\n"
    assert joined(answered) == joined(asked)
    assert [t["trace"]["parent_span_id"] for t in answered] == [t["steps"][0]["id"] for t in asked]
