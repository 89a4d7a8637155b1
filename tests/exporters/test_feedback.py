"""What each exporter of the house makes of feedback."""

from __future__ import annotations

import gzip
import importlib.util
import io
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import (
    ExportLogsPartialSuccess,
    ExportLogsServiceRequest,
    ExportLogsServiceResponse,
)

from turnspan import notices
from turnspan.exporters.console import ConsoleExporter
from turnspan.exporters.file import FileExporter
from turnspan.exporters.http import HttpExporter
from turnspan.exporters.identity import record_id, turn_id
from turnspan.exporters.memory import MemoryExporter
from turnspan.exporters.otlp import OtlpExporter, from_url
from turnspan.ports import JournalledFeedback, JournalledTurn, Outcome, journalled
from turnspan.settings import Settings
from turnspan.telemetry.span_content import VARIABLE
from turnspan.testing import make_feedback, make_step, make_turn, raw_feedback, raw_turn

TIMEOUT_S = 5.0
EVENT_NAME = b"\x62\x18gen_ai.evaluation.result"  # field 12, which older classes do not name


def send(exporter, *batch, timeout_s=TIMEOUT_S):
    return exporter.export(list(batch), timeout_s=timeout_s)


@dataclass
class Backend:
    """An OTLP receiver that answers each signal in its own way."""

    url: str = ""
    traces: tuple[int, bytes] = (200, b"")
    logs: tuple[int, bytes] = (200, b"")
    logs_by_count: dict[int, int] = field(default_factory=dict)
    """How many records a request holds → the status it is answered with."""
    requests: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    records: list = field(default_factory=list)

    def answer(self, path: str, body: bytes) -> tuple[int, bytes]:
        if not path.endswith("/v1/logs"):
            return self.traces
        request = ExportLogsServiceRequest.FromString(body)
        found = [r for each in request.resource_logs for r in each.scope_logs[0].log_records]
        status, told = self.logs
        status = self.logs_by_count.get(len(found), status)
        if status == 200:
            self.records += found
        return status, told

    @property
    def ids(self) -> list[str]:
        """Ids of the feedback that arrived."""
        return [attributes(record)["turnspan.feedback.id"] for record in self.records]

    @property
    def paths(self) -> list[str]:
        return [path for path, _ in self.requests]


def attributes(record):
    found = {}
    for pair in record.attributes:
        kind = pair.value.WhichOneof("value")
        found[pair.key] = getattr(pair.value, kind)
    return found


@pytest.fixture
def backend() -> Iterator[Backend]:
    found = Backend()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = gzip.decompress(self.rfile.read(int(self.headers["content-length"])))
            headers = {key.lower(): value for key, value in self.headers.items()}
            found.requests.append((self.path, headers))
            status, told = found.answer(self.path, body)
            self.send_response(status)
            self.send_header("content-length", str(len(told)))
            self.end_headers()
            self.wfile.write(told)

        def log_message(self, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    server.handle_error = lambda *_: None  # a client hung up
    found.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield found
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def otlp(backend) -> Iterator[OtlpExporter]:
    made = OtlpExporter(f"otlp+{backend.url}")
    yield made
    made.close(timeout_s=1.0)


@pytest.fixture(autouse=True)
def alone(monkeypatch) -> None:
    """No variable of the machine's, and every log line is heard anew."""
    monkeypatch.setattr(notices, "_said", {})
    for signal in ("", "TRACES_", "LOGS_"):
        for what in ("ENDPOINT", "HEADERS"):
            monkeypatch.delenv(f"OTEL_EXPORTER_OTLP_{signal}{what}", raising=False)


def test_an_event_stands_on_the_span_of_its_turn(backend, otlp):
    """Which this exporter sent, in the same batch or before; other feedback has no span."""
    step = make_step(1, kind="model", model={"response_id": "resp_1"})
    turn = make_turn(1, steps=(step,))
    known, unknown = make_feedback(1, user_id="ada"), make_feedback(2)
    first = send(otlp, journalled(raw_turn(1, steps=(step,)).raw), raw_feedback(1, user_id="ada"))
    second = send(otlp, raw_feedback(2), raw_feedback(3, turn_id=turn.id))
    of_first, of_second, of_third = backend.records

    assert (first, second) == (Outcome(), Outcome())
    assert backend.paths == ["/v1/traces", "/v1/logs", "/v1/logs"]
    assert EVENT_NAME in of_first.SerializeToString()
    assert (of_first.time_unix_nano, of_first.flags) == (known.at, 1)
    assert (of_first.trace_id.hex(), of_first.span_id.hex()) == (
        turn.trace.trace_id,
        turn.trace.span_id,
    )
    assert attributes(of_first) == {
        "gen_ai.evaluation.name": "feedback",
        "gen_ai.evaluation.score.value": 0.5,
        "gen_ai.evaluation.score.label": "good",
        "gen_ai.evaluation.explanation": "comment 1",
        "gen_ai.response.id": "resp_1",
        "gen_ai.conversation.id": "session-1",
        "user.id": "ada",
        "turnspan.turn.id": turn.id,
        "turnspan.feedback.id": known.id,
    }
    assert (of_second.trace_id, attributes(of_second)["turnspan.turn.id"]) == (b"", unknown.turn_id)
    assert of_third.span_id == of_first.span_id


def test_a_turn_that_is_not_exported_lends_its_ids_all_the_same(backend, otlp):
    """Its trace is known elsewhere, or was left out by a sampler: so its flags say."""
    trace = {"trace_id": "a" * 32, "span_id": "b" * 16, "flags": 0, "sampled": False}
    send(otlp, raw_turn(1, trace=trace), raw_feedback(1))
    [record] = backend.records

    assert backend.paths == ["/v1/logs"]
    assert (record.trace_id.hex(), record.span_id.hex(), record.flags) == ("a" * 32, "b" * 16, 0)


@pytest.mark.parametrize("mode", ["live", "off"])
def test_feedback_that_is_not_ours_to_tell_counts_as_delivered(mode, backend, otlp):
    """The application's own logger has told of it, or nobody is to."""
    outcome = send(otlp, raw_feedback(1, mode=mode))

    assert (outcome, backend.requests) == (Outcome(), [])


def test_what_holds_up_the_turns_holds_up_the_feedback_behind_them(backend, otlp):
    """It is not sent before its turn."""
    backend.traces = (503, b"later")
    outcome = send(otlp, raw_turn(1), raw_feedback(1), JournalledFeedback(b"{\n"), raw_turn(2))

    assert (outcome.unsent, list(outcome.refused)) == (frozenset({0, 1, 3}), [2])
    assert outcome.refused[2].startswith("the line is no feedback: ")
    assert backend.paths == ["/v1/traces"]


def test_a_turn_that_is_refused_does_not_take_feedback_with_it(backend, otlp):
    """Alone in its batch, it is named; the feedback goes on."""
    backend.traces = (400, b"bad span")
    outcome = send(otlp, raw_turn(1), raw_feedback(1))

    assert outcome == Outcome(refused={0: "400 Bad Request: bad span"})
    assert backend.ids == ["feedback_000000000001"]


@pytest.mark.parametrize("status", [408, 429, 500, 503])
def test_a_fault_that_passes_leaves_feedback_alone_unsent(status, backend, otlp):
    """The turns of the batch have arrived."""
    backend.logs = (status, b"")
    outcome = send(otlp, raw_turn(1), raw_feedback(1), raw_turn(2), raw_feedback(2))

    assert (outcome.unsent, outcome.refused) == (frozenset({1, 3}), {})
    assert outcome.status == status


@pytest.mark.parametrize("status", [401, 403, 404, 405, 501])
def test_a_backend_that_takes_spans_and_no_logs_holds_nothing_up(status, backend, otlp):
    """Feedback is refused, with the reason, once it is known that spans are taken."""
    backend.logs = (status, b"no logs")
    unknown = send(otlp, raw_feedback(1))
    known = send(otlp, raw_turn(1), raw_feedback(1), raw_feedback(2))
    backend.traces = (status, b"")
    send(otlp, raw_turn(2))
    unknown_again = send(otlp, raw_feedback(1))

    assert (unknown.unsent, unknown.refused) == (frozenset({0}), {})
    assert (known.unsent, list(known.refused)) == (frozenset(), [1, 2])
    assert known.refused[1].startswith(f"it takes spans, but no feedback: {status} ")
    assert unknown_again.unsent == frozenset({0})


def test_feedback_at_fault_is_found_one_by_one(backend, otlp):
    """The spans before it are not sent again, and its neighbours arrive."""
    backend.logs_by_count = {3: 400}
    outcome = send(otlp, raw_turn(1), *map(raw_feedback, (1, 2, 3)))

    assert outcome == Outcome()
    assert backend.ids == [f"feedback_{n:012d}" for n in (1, 2, 3)]

    backend.logs_by_count = {2: 400, 1: 400}
    outcome = send(otlp, raw_turn(2), *map(raw_feedback, (4, 5)))

    assert (list(outcome.refused), outcome.unsent) == ([1, 2], frozenset())
    assert backend.paths.count("/v1/traces") == 2

    backend.logs_by_count = {2: 400, 1: 503}
    outcome = send(otlp, raw_turn(3), *map(raw_feedback, (6, 7)))

    assert (outcome.refused, outcome.unsent) == ({}, frozenset({1, 2}))


def test_rejected_events_are_said_and_not_sent_again(backend, otlp, caplog):
    """OTLP forbids to repeat them."""
    partial = ExportLogsPartialSuccess(rejected_log_records=1, error_message="too old")
    response = ExportLogsServiceResponse(partial_success=partial)
    backend.logs = (200, response.SerializeToString())
    outcome = send(otlp, raw_feedback(1))

    assert outcome == Outcome()
    assert [r.message for r in caplog.records] == [f"{otlp.name} rejected 1 events: too old"]


@pytest.mark.parametrize("word, seen", [("SPAN_ONLY", True), ("NO_CONTENT", False)])
def test_a_comment_is_told_as_content_is(word, seen, backend, monkeypatch):
    """OpenTelemetry's variable decides for events as it does for spans."""
    monkeypatch.setenv(VARIABLE, word)
    exporter = from_url(f"otlp+{backend.url}", settings=Settings())
    send(exporter, raw_feedback(1))
    exporter.close(timeout_s=1.0)

    assert ("gen_ai.evaluation.explanation" in attributes(backend.records[0])) is seen


def test_logs_have_variables_of_their_own(backend, monkeypatch):
    """Endpoint and headers, where `otlp:` leaves it to the environment."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"{backend.url}/general")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", f"{backend.url}/apart/v1/logs")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TRACES_HEADERS", "x-key=traces")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_LOGS_HEADERS", "x-key=logs")
    exporter = from_url("otlp:", settings=Settings())
    send(exporter, raw_turn(1), raw_feedback(1))
    exporter.close(timeout_s=1.0)

    assert [(path, headers["x-key"]) for path, headers in backend.requests] == [
        ("/general/v1/traces", "traces"),
        ("/apart/v1/logs", "logs"),
    ]


def test_a_key_and_a_base_path_serve_both_signals(backend):
    """As they stand in the URL."""
    url = backend.url.replace("://", "://s3cret@")
    exporter = OtlpExporter(f"otlp+{url}/base/v1/traces")
    send(exporter, raw_turn(1), raw_feedback(1))
    exporter.close(timeout_s=1.0)

    assert [(path, headers["authorization"]) for path, headers in backend.requests] == [
        ("/base/v1/traces", "Bearer s3cret"),
        ("/base/v1/logs", "Bearer s3cret"),
    ]


def test_a_turns_api_is_sent_the_journalled_line_and_may_refuse_it():
    """In the same body as the turns, and refused by its own id."""
    path = Path(__file__).parents[1] / "faults" / "server.py"
    spec = importlib.util.spec_from_file_location("turnspan_feedback_server", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    with module.FaultServer() as server:
        exporter = HttpExporter(server.url)
        turn, said, unwanted = raw_turn(1), raw_feedback(1), raw_feedback(2)
        server.be("refuse", ids=("feedback_000000000002",))
        outcome = send(exporter, turn, said, unwanted)
        exporter.close(timeout_s=1.0)

        assert list(outcome.refused) == [2]
        assert list(server.state.stored.values()) == [turn.raw.rstrip(), said.raw.rstrip()]
        assert len(server.state.requests) == 1


def test_a_file_gets_the_journalled_line_once(tmp_path):
    """Sent again, after a restart too, it is known by its id."""
    path = tmp_path / "turns.jsonl"
    turn, said, other = raw_turn(1), raw_feedback(1), raw_feedback(2)
    for batch in ((turn, said), (said, other), (turn, said)):
        send(FileExporter(path), *batch)
    torn = send(FileExporter(path), JournalledFeedback(said.raw[:-3] + b"\n"))

    assert path.read_bytes() == turn.raw + said.raw + other.raw
    assert list(torn.refused) == [0]


def test_the_console_shows_a_line(monkeypatch):
    """Nothing in it is obeyed by a terminal, and it stays one line."""
    out = io.StringIO()
    comment = "two\nlines \x1b[31m" + "x" * 700
    said = raw_feedback(1, user_id="ada", score=1.0, comment=comment)
    bad = JournalledFeedback(b'{"record":"feedback","id":7}\n')
    outcome = send(ConsoleExporter(out), said, raw_feedback(2, score=None, comment=None), bad)
    first, second = out.getvalue().splitlines()

    assert first.startswith(
        "feedback on turn_000000000001 by ada: good · 1 · two lines \\x1b[31mxxx"
    )
    assert first.endswith("x…")
    assert second == "feedback on turn_000000000002: good"
    assert list(outcome.refused) == [2]


def test_memory_keeps_feedback_once_and_beside_the_turns():
    """Observed or exported, until it is cleared."""
    memory = MemoryExporter()
    for _ in range(2):
        memory.observe(raw_feedback(1))
        send(memory, raw_turn(1), raw_feedback(2))
    kept, turns = memory.feedback, memory.turns
    bad = send(memory, JournalledFeedback(b'{"record":"feedback"}\n'))
    memory.clear()

    assert kept == [make_feedback(1), make_feedback(2)]
    assert turns == [make_turn(1)]
    assert list(bad.refused) == [0]
    assert (memory.feedback, memory.turns) == ([], [])


def test_a_line_is_known_by_how_it_begins():
    """What holds feedback is no turn, whatever wrote it."""
    said, turn = raw_feedback(1).raw, raw_turn(1).raw
    spaced = b'{"id": "f", "record": "feedback"}\n'

    assert (type(journalled(said)), type(journalled(turn))) == (JournalledFeedback, JournalledTurn)
    assert (record_id(said), record_id(turn)) == ("feedback_000000000001", "turn_000000000001")
    assert (turn_id(said), turn_id(spaced), record_id(spaced)) == (None, None, "f")
    assert (record_id(b'{"record":"open","id":"o"}\n'), record_id(b"torn")) == (None, None)
