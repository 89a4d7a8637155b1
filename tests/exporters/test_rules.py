"""Every exporter of the house keeps the rules that third parties are given."""

import gzip
import io
import sys
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pytest

from turnspan.exporters.console import ConsoleExporter
from turnspan.exporters.file import FileExporter
from turnspan.exporters.identity import record_id, turn_id
from turnspan.exporters.memory import MemoryExporter
from turnspan.exporters.registry import build
from turnspan.settings import Settings
from turnspan.testing.exporter_rules import ExporterMaker, exporter_rules, keeps_its_timeout

SETTINGS = Settings(api_key="s3cret-key")
every_rule = pytest.mark.parametrize("rule", exporter_rules(), ids=lambda rule: rule.__name__)


def fault_server():
    """The misbehaving server of tests/faults, which here behaves."""
    path = Path(__file__).parents[1] / "faults" / "server.py"
    spec = spec_from_file_location("fault_server", path)
    module = module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module.FaultServer()


@dataclass
class SpanServer:
    """An OTLP backend: keeps the turn ids of root spans, a span once, and feedback once."""

    spans: dict = field(default_factory=dict)
    feedback_ids: list = field(default_factory=list)

    def __enter__(self):
        from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import (
            ExportLogsServiceRequest,
        )
        from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
            ExportTraceServiceRequest,
        )

        spans, feedback_ids = self.spans, self.feedback_ids

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                """Quiet."""

            def do_POST(self):
                body = gzip.decompress(self.rfile.read(int(self.headers["content-length"])))
                if self.path.endswith("/v1/logs"):
                    self.keep_feedback(ExportLogsServiceRequest.FromString(body))
                    body = b""
                request = ExportTraceServiceRequest.FromString(body)
                for resource in request.resource_spans:
                    for scope in resource.scope_spans:
                        for span in scope.spans:
                            spans.setdefault(span.span_id, span)
                self.send_response(200)
                self.send_header("content-length", "0")
                self.end_headers()

            def keep_feedback(self, request):
                for resource in request.resource_logs:
                    for record in resource.scope_logs[0].log_records:
                        told = {pair.key: pair.value.string_value for pair in record.attributes}
                        if told["turnspan.feedback.id"] not in feedback_ids:
                            feedback_ids.append(told["turnspan.feedback.id"])

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.http.daemon_threads = True
        self.http.handle_error = lambda *_: None  # a client hung up
        threading.Thread(target=self.http.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_):
        self.http.shutdown()
        self.http.server_close()

    @property
    def address(self):
        return f"127.0.0.1:{self.http.server_address[1]}"

    @property
    def turn_ids(self):
        return [
            pair.value.string_value
            for span in self.spans.values()
            for pair in span.attributes
            if pair.key == "turnspan.turn.id" and not span.parent_span_id
        ]


@every_rule
def test_the_memory_exporter_keeps(rule):
    """Memory: what several exporters hold, each turn once, is taken as one destination."""
    made = []

    def make():
        made.append(MemoryExporter())
        return made[-1]

    def arrived():
        return list(dict.fromkeys(turn.id for memory in made for turn in memory.turns))

    def feedback_arrived():
        return list(dict.fromkeys(each.id for memory in made for each in memory.feedback))

    rule(ExporterMaker(make, arrived=arrived, feedback_arrived=feedback_arrived))


@every_rule
def test_the_console_exporter_keeps(rule):
    """The console, where a turn sent again is printed again: it cannot say what arrived."""
    rule(ExporterMaker(lambda: ConsoleExporter(io.StringIO())))


@every_rule
@pytest.mark.parametrize("rotate_bytes", [None, 2_000])
def test_the_file_exporter_keeps(rule, tmp_path, rotate_bytes):
    """A file, rotated or not."""
    path = tmp_path / "turns.jsonl"

    def lines():
        paths = [*sorted(tmp_path.glob("turns.jsonl.*")), path]
        return b"".join(each.read_bytes() for each in paths if each.exists()).splitlines()

    def arrived():
        return [found for line in lines() if (found := turn_id(line))]

    def feedback_arrived():
        return [record_id(line) for line in lines() if not turn_id(line)]

    def make():
        return FileExporter(path, rotate_bytes=rotate_bytes)

    rule(ExporterMaker(make, arrived=arrived, feedback_arrived=feedback_arrived))


@every_rule
def test_the_http_exporter_keeps(rule):
    """A Turns API that keys on our ids; the key is never shown."""
    pytest.importorskip("turnspan.exporters.http")
    with fault_server() as server:
        make = ExporterMaker(
            lambda: build(server.url, settings=SETTINGS),
            arrived=lambda: [each for each in server.ids if each.startswith("turn")],
            feedback_arrived=lambda: [each for each in server.ids if each.startswith("feed")],
            secrets=["s3cret-key"],
        )

        rule(make)


@every_rule
def test_the_otlp_exporter_keeps(rule):
    """An OTLP backend that merges spans by id; the key is never shown."""
    pytest.importorskip("turnspan.exporters.otlp")
    with SpanServer() as server:
        make = ExporterMaker(
            lambda: build(f"otlp+http://s3cret-key@{server.address}", settings=Settings()),
            arrived=lambda: server.turn_ids,
            feedback_arrived=lambda: server.feedback_ids,
            secrets=["s3cret-key"],
        )

        rule(make)


@pytest.mark.parametrize("scheme", ["", "otlp+"])
def test_a_silent_server_makes_nobody_late(scheme):
    """Where no answer ever comes, export and close keep their time all the same."""
    pytest.importorskip(f"turnspan.exporters.{'otlp' if scheme else 'http'}")
    with fault_server() as server:
        server.be("silent")

        keeps_its_timeout(lambda: build(f"{scheme}{server.url}", settings=SETTINGS))
