"""The spans of every example conform, whoever makes them."""

from __future__ import annotations

import gzip
import importlib.util
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from itertools import groupby
from pathlib import Path
from threading import Thread

import pytest
from conventions import SeenSpan, spans_of_request, trace_violations, violations

EXAMPLES = sorted((Path(__file__).parents[2] / "examples").glob("[0-9]*.py"))
WATCHED = Path(__file__).with_name("watched.py")
PLUGINS = ("turnspan_langchain", "langchain_core")


@pytest.fixture
def backend() -> Iterator[HTTPServer]:
    """An OTLP backend on loopback; what it was sent to `/v1/traces` is in `bodies`."""
    bodies: list[bytes] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            if self.path == "/v1/traces":
                bodies.append(gzip.decompress(body))
            self.send_response(200)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Stay quiet."""

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        server.bodies = bodies
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture(params=EXAMPLES, ids=lambda path: path.stem)
def example(request: pytest.FixtureRequest) -> str:
    """The path of an example that can run here."""
    path: Path = request.param
    program = path.read_text(encoding="utf-8")
    for plugin in PLUGINS:
        if plugin in program and importlib.util.find_spec(plugin) is None:
            pytest.skip(f"{plugin} is not installed here")
    return str(path)


def faults(spans: list[SeenSpan]) -> list[str]:
    """What is wrong with ``spans``, which may be of several traces; other code's are left out."""
    ours = sorted((s for s in spans if s.scope == "turnspan"), key=lambda s: s.trace_id)
    found = [f"{span.name}: {fault}" for span in ours for fault in violations(span)]
    for _, trace in groupby(ours, key=lambda span: span.trace_id):
        found += trace_violations(list(trace))
    return found


def test_own_spans_of_an_example_conform(example, backend, run):
    """Sent by turnspan to a backend, they are as the conventions have them."""
    run(WATCHED.read_text(encoding="utf-8"), example, "own",
        f"http://127.0.0.1:{backend.server_port}",
        TURNSPAN_EXPORTERS=f"otlp+http://127.0.0.1:{backend.server_port}")  # fmt: skip
    spans = spans_of_request(b"".join(backend.bodies))

    assert spans
    assert faults(spans) == []


def test_live_spans_of_an_example_conform(example, run, tmp_path):
    """Made by the application's SDK with what was said on them, they are so too."""
    path = tmp_path / "spans"
    run(WATCHED.read_text(encoding="utf-8"), example, "live", str(path),
        TURNSPAN_SPAN_CONTENT="true")  # fmt: skip
    spans = spans_of_request(path.read_bytes())

    assert spans or "otlp+" in Path(example).read_text(encoding="utf-8")
    assert faults(spans) == []
