"""Turns reach an OTLP backend as spans."""

import gzip
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import orjson
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTracePartialSuccess,
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

from turnspan import notices
from turnspan.errors import ExporterError
from turnspan.exporters.otlp import OtlpExporter, from_url
from turnspan.exporters.registry import build
from turnspan.ports import Exporter, JournalledTurn, Outcome
from turnspan.settings import Settings
from turnspan.telemetry.span_content import VARIABLE

TIMEOUT_S = 5.0


@dataclass
class Backend:
    """An OTLP receiver: what came in, and how it answers."""

    url: str
    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    delay_s: float = 0.0
    over: threading.Event = field(default_factory=threading.Event)
    requests: list[tuple[str, dict[str, str], ExportTraceServiceRequest]] = field(
        default_factory=list
    )

    @property
    def spans(self) -> list[tuple[str, str]]:
        """Name and trace id of each span that arrived."""
        return [
            (span.name, span.trace_id.hex())
            for _, _, request in self.requests
            for group in request.resource_spans
            for scope in group.scope_spans
            for span in scope.spans
        ]


@pytest.fixture
def backend() -> Iterator[Backend]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            request = ExportTraceServiceRequest.FromString(gzip.decompress(body))
            headers = {key.lower(): value for key, value in self.headers.items()}
            found.requests.append((self.path, headers, request))
            found.over.wait(found.delay_s)
            self.send_response(found.status)
            for name, value in found.headers.items():
                self.send_header(name, value)
            self.send_header("content-length", str(len(found.body)))
            self.end_headers()
            self.wfile.write(found.body)

        def log_message(self, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.handle_error = lambda *_: None  # a client hung up
    found = Backend(f"http://127.0.0.1:{server.server_address[1]}")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield found
    found.over.set()
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def exporter(backend: Backend) -> Iterator[OtlpExporter]:
    made = OtlpExporter(f"otlp+{backend.url}")
    yield made
    made.close(timeout_s=1.0)


@pytest.fixture(autouse=True)
def unheard(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notices, "_said", {})
    for name in ("ENDPOINT", "HEADERS", "TRACES_ENDPOINT", "TRACES_HEADERS"):
        monkeypatch.delenv(f"OTEL_EXPORTER_OTLP_{name}", raising=False)


def journalled(index: int = 1, **trace: object) -> JournalledTurn:
    turn = {
        "record": "turn",
        "id": f"turn_{index:012d}",
        "agent": {"name": f"agent-{index}"},
        "status": "ok",
        "started_at": 1,
        "ended_at": 2,
        "input": {"content": "hello"},
        "trace": {"trace_id": f"{index:032x}", "span_id": f"{index:016x}", **trace},
    }
    return JournalledTurn(orjson.dumps(turn) + b"\n")


def test_a_batch_is_one_gzipped_request_of_spans(backend: Backend, exporter: OtlpExporter) -> None:
    """Turns arrive in order as protobuf at /v1/traces."""
    outcome = exporter.export([journalled(1), journalled(2)], timeout_s=TIMEOUT_S)

    [(path, headers, _)] = backend.requests
    assert outcome == Outcome()
    assert backend.spans == [
        ("invoke_agent agent-1", f"{1:032x}"),
        ("invoke_agent agent-2", f"{2:032x}"),
    ]
    assert (path, headers["content-type"]) == ("/v1/traces", "application/x-protobuf")
    assert headers["content-encoding"] == "gzip"


def test_spans_that_are_not_ours_to_send_count_as_delivered(
    backend: Backend, exporter: OtlpExporter
) -> None:
    """What a sampler left out, or went another way, is not sent; alone it makes no request."""
    others = [journalled(1, sampled=False), journalled(2, mode="live"), journalled(3, mode="off")]
    alone = exporter.export(others, timeout_s=TIMEOUT_S)
    silent = not backend.requests
    mixed = exporter.export([*others, journalled(4)], timeout_s=TIMEOUT_S)

    assert (alone, silent, mixed) == (Outcome(), True, Outcome())
    assert backend.spans == [("invoke_agent agent-4", f"{4:032x}")]


@pytest.mark.parametrize(
    "line", [b"not json\n", b"7\n", b"[]\n", b'{"record":"turn"}\n', b'{"trace":{},"steps":3}\n']
)
def test_a_line_that_is_no_turn_is_refused_alone(
    line: bytes, backend: Backend, exporter: OtlpExporter
) -> None:
    """The reason stands at its index, and the turns beside it are sent."""
    batch = [journalled(1), JournalledTurn(line), journalled(3)]
    outcome = exporter.export(batch, timeout_s=TIMEOUT_S)

    assert list(outcome.refused) == [1]
    assert outcome.refused[1].startswith("the line is no turn: ")
    assert len(backend.spans) == 2


def test_a_batch_is_iterated_once(backend: Backend, exporter: OtlpExporter) -> None:
    """Delivery makes its pauses for the caller while a batch is iterated."""

    class Counting(list[JournalledTurn]):
        rounds = 0

        def __iter__(self) -> Iterator[JournalledTurn]:
            self.rounds += 1
            return super().__iter__()

    batch = Counting([journalled(1), journalled(2)])
    exporter.export(batch, timeout_s=TIMEOUT_S)

    assert batch.rounds == 1


def test_a_fault_of_the_destination_leaves_only_what_was_sent_unsent(
    backend: Backend, exporter: OtlpExporter
) -> None:
    """Turns that were not to be sent are done, the unreadable refused, the others come again."""
    backend.status, backend.headers = 503, {"Retry-After": "7"}
    batch = [journalled(1, sampled=False), journalled(2), JournalledTurn(b"{\n"), journalled(4)]
    outcome = exporter.export(batch, timeout_s=TIMEOUT_S)

    assert (outcome.unsent, list(outcome.refused)) == (frozenset({1, 3}), [2])
    assert (outcome.status, outcome.retry_after_s) == (503, 7.0)
    assert "503" in outcome.cause


def test_a_fault_of_turns_refuses_the_batch_or_the_one_in_it(
    backend: Backend, exporter: OtlpExporter
) -> None:
    """More than one sent turn is refused whole, to be halved; a single one by its own index."""
    backend.status, backend.body = 400, b"bad span"
    whole = exporter.export([journalled(1), journalled(2)], timeout_s=TIMEOUT_S)
    single = exporter.export([journalled(1, sampled=False), journalled(2)], timeout_s=TIMEOUT_S)

    assert whole == Outcome(refused_whole="400 Bad Request: bad span")
    assert single == Outcome(refused={1: "400 Bad Request: bad span"})


def test_a_partial_success_is_said_and_not_sent_again(
    backend: Backend, exporter: OtlpExporter, caplog: pytest.LogCaptureFixture
) -> None:
    """OTLP forbids to repeat what was rejected: it counts as delivered, with one log line."""
    partial = ExportTracePartialSuccess(rejected_spans=2, error_message="too old")
    backend.body = ExportTraceServiceResponse(partial_success=partial).SerializeToString()
    outcome = exporter.export([journalled()], timeout_s=TIMEOUT_S)

    assert outcome == Outcome()
    assert [r.message for r in caplog.records] == [f"{exporter.name} rejected 2 spans: too old"]


def test_a_slow_backend_is_left_in_time(backend: Backend, exporter: OtlpExporter) -> None:
    """The timeout holds, and the turns are unsent."""
    backend.delay_s = 60.0
    began = time.monotonic()
    outcome = exporter.export([journalled()], timeout_s=0.2)
    took_s = time.monotonic() - began

    assert (outcome.unsent, took_s < 10.0) == (frozenset({0}), True)


def test_after_close_everything_is_unsent(backend: Backend, exporter: OtlpExporter) -> None:
    """Closing twice is harmless; also turns that would not be sent stay."""
    exporter.close(timeout_s=1.0)
    exporter.close(timeout_s=1.0)
    outcome = exporter.export([journalled(1, sampled=False), journalled(2)], timeout_s=TIMEOUT_S)

    assert outcome == Outcome.all_unsent(2, "the exporter is closed")
    assert not backend.requests


def test_the_key_of_the_url_is_sent_and_never_shown(backend: Backend) -> None:
    """User info becomes a Bearer token; name and repr are without it."""
    exporter = OtlpExporter(
        f"otlp+{backend.url.replace('://', '://s3cret@')}/", headers={"authorization": "Basic x"}
    )
    exporter.export([journalled()], timeout_s=TIMEOUT_S)
    exporter.close(timeout_s=1.0)

    assert backend.requests[0][1]["authorization"] == "Bearer s3cret"
    assert exporter.name == f"otlp+{backend.url}"
    assert "s3cret" not in repr(exporter)


@pytest.mark.parametrize("path", ["/otlp", "/otlp/", "/otlp/v1/traces", "/otlp/v1/traces/"])
def test_a_path_that_ends_as_it_must_is_used_as_it_is(path: str, backend: Backend) -> None:
    """`/v1/traces` is added to a base, and not added twice."""
    exporter = OtlpExporter(f"otlp+{backend.url}{path}")
    exporter.export([journalled()], timeout_s=TIMEOUT_S)
    exporter.close(timeout_s=1.0)

    assert backend.requests[0][0] == "/otlp/v1/traces"


def test_the_registry_builds_it_with_the_headers_of_opentelemetry(
    backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`OTEL_EXPORTER_OTLP_TRACES_HEADERS` goes before the general variable; values are decoded."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "x-general=1")
    monkeypatch.setenv(
        "OTEL_EXPORTER_OTLP_TRACES_HEADERS", "X-Key=a%3Db, authorization=Basic Zm9v=,"
    )
    exporter = build(f"otlp+{backend.url}", settings=Settings())
    exporter.export([journalled()], timeout_s=TIMEOUT_S)
    exporter.close(timeout_s=1.0)

    headers = backend.requests[0][1]
    assert isinstance(exporter, Exporter)
    assert (headers["x-key"], headers["authorization"]) == ("a=b", "Basic Zm9v=")
    assert "x-general" not in headers


@pytest.mark.parametrize(
    "environ, expected",
    [
        ({}, "otlp+http://localhost:4318"),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "https://o.example/base"}, "otlp+https://o.example/base"),
        (
            {
                "OTEL_EXPORTER_OTLP_ENDPOINT": "https://o.example",
                "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "https://t.example/v1/traces",
            },
            "otlp+https://t.example",
        ),
    ],
)
def test_a_bare_scheme_goes_where_opentelemetry_says(
    environ: dict[str, str], expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`otlp:` alone takes its endpoint from the environment."""
    for name, value in environ.items():
        monkeypatch.setenv(name, value)

    assert build("otlp:", settings=Settings()).name == expected


@pytest.mark.parametrize("word, seen", [("SPAN_ONLY", True), ("NO_CONTENT", False)])
def test_content_is_on_spans_as_the_variable_says(
    word: str, seen: bool, backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    """OpenTelemetry's variable reaches what is exported."""
    monkeypatch.setenv(VARIABLE, word)
    exporter = from_url(f"otlp+{backend.url}", settings=Settings())
    exporter.export([journalled()], timeout_s=TIMEOUT_S)
    exporter.close(timeout_s=1.0)

    [span] = backend.requests[0][2].resource_spans[0].scope_spans[0].spans
    assert ("input.value" in {a.key for a in span.attributes}) is seen


@pytest.mark.parametrize(
    "url", ["otlp+http://", "otlp+ftp://host", "otlp+http://host:99999", "otlp+http://k@host?x=1"]
)
def test_a_malformed_url_is_an_error_with_a_fix(url: str) -> None:
    """The message shows no credentials."""
    with pytest.raises(ExporterError) as raised:
        from_url(url, settings=Settings())

    assert raised.value.fix
    assert "k@" not in str(raised.value)


@pytest.mark.parametrize("headers", ["no-separator", "a b=1", "=1", "key=a\x00b", "key=a%0d%0ab"])
def test_malformed_headers_are_an_error_that_does_not_show_them(
    headers: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Headers are secrets: the message names the variable only."""
    monkeypatch.setattr("os.environ", {"OTEL_EXPORTER_OTLP_HEADERS": headers})
    with pytest.raises(ExporterError, match="OTEL_EXPORTER_OTLP_HEADERS") as raised:
        from_url("otlp+http://host", settings=Settings())

    assert headers not in str(raised.value)


def test_an_unreadable_limit_is_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    """A span limit that is no count is said as the exporter is built, which goes on."""
    monkeypatch.setenv("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", "few")

    assert from_url("otlp+http://host", settings=Settings()).name == "otlp+http://host"
