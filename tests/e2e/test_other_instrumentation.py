"""Spans of other instrumentations stand under the tool that caused them, whoever makes ours."""

import pytest

PROGRAM = """
    import asyncio, sys, threading
    from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
    import httpx, turnspan
    from opentelemetry import trace
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.instrumentation.httpx import HTTPXClientInstrumentor
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    spans, endpoint, exporter = sys.argv[1:4]

    class Site(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.send_header("x-parent", self.headers["traceparent"])
            self.send_header("content-length", "0")
            self.end_headers()
        def log_message(self, *args): pass

    site = ThreadingHTTPServer(("127.0.0.1", 0), Site)
    threading.Thread(target=site.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{site.server_port}/"

    provider = TracerProvider()
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(f"{endpoint}/v1/traces")))
    trace.set_tracer_provider(provider)
    HTTPXClientInstrumentor().instrument()
    turnspan.configure(exporters=[exporter] if exporter else [], directory="journal", spans=spans)

    @turnspan.tool
    def fetch():
        with httpx.Client() as client:
            return client.get(url).headers["x-parent"]

    @turnspan.tool
    async def fetch_async():
        async with httpx.AsyncClient() as client:
            return (await client.get(url)).headers["x-parent"]

    @turnspan.agent
    def browse():
        return fetch()

    @turnspan.agent
    async def browse_async():
        return await fetch_async()

    with provider.get_tracer("app").start_as_current_span("job"):
        print(browse(), asyncio.run(browse_async()))
    turnspan.close()
    provider.shutdown()
    site.shutdown(); site.server_close()
"""


@pytest.fixture
def arrived(run, otlp):
    """Runs the application; the spans at its backend by id, and what the site was told."""

    def arrived(spans, exporter, **env):
        url = otlp.url if exporter else ""
        done = run(PROGRAM, spans, otlp.endpoint, url, **env)
        assert done.stderr == ""
        return {span.span_id: span for span in otlp.spans}, done.stdout.split()

    return arrived


@pytest.mark.parametrize(
    "spans, exporter", [("live", False), ("auto", False), ("own", True), ("auto", True)]
)
def test_agent_tool_and_request_are_one_connected_trace(arrived, spans, exporter):
    """In live mode and in own mode the same tree arrives at the same backend."""
    found, told = arrived(spans, exporter)

    def path(span):
        above = found.get(span.parent_span_id)
        return [*(path(above) if above else []), span.name]

    leaves = [span for span in found.values() if span.name == "GET"]
    assert sorted(path(span) for span in leaves) == [
        ["job", "invoke_agent browse", "execute_tool fetch", "GET"],
        ["job", "invoke_agent browse_async", "execute_tool fetch_async", "GET"],
    ]
    assert len({span.trace_id for span in found.values()}) == 1
    assert sorted(each[:-3] for each in told) == sorted(
        f"00-{span.trace_id.hex()}-{span.span_id.hex()}" for span in leaves
    )


@pytest.mark.parametrize("spans, exporter", [("live", False), ("own", True)])
def test_a_sampler_that_leaves_out_leaves_out_all_of_it(arrived, spans, exporter):
    """Ours, the application's and the instrumentation's decide alike."""
    found, told = arrived(spans, exporter, OTEL_TRACES_SAMPLER="always_off")

    assert found == {}
    assert [int(each[-2:], 16) & 1 for each in told] == [0, 0]  # bit 0 is `sampled`
