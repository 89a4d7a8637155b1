"""Feedback as an OpenTelemetry event: on the application's logger, and on the wire."""

from __future__ import annotations

import inspect
from typing import Any

import pytest
from opentelemetry import _logs
from opentelemetry._logs import _internal as logs_internal
from opentelemetry.exporter.otlp.proto.common._log_encoder import encode_logs
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.sdk._logs import LoggerProvider, LogRecordProcessor
from opentelemetry.sdk.resources import Resource

import turnspan
from turnspan.exporters.memory import MemoryExporter
from turnspan.settings import Settings
from turnspan.telemetry import LiveSpans, OffSpans, OwnSpans, span_source
from turnspan.telemetry.evaluation import JudgedTurn, RecentTurns, evaluation_attributes
from turnspan.telemetry.otlp_logs import feedback_request
from turnspan.telemetry.resource import with_sdk
from turnspan.testing import make_turn

knows_events = pytest.mark.skipif(
    "event_name" not in inspect.signature(_logs.NoOpLogger.emit).parameters,
    reason="this OpenTelemetry has no events that are log records",
)
AT = 1_800_000_000_000_000_000
RESOURCE = {"service.name": "tests", "worker": 3}
FEEDBACK = {
    "record": "feedback",
    "id": "feedback_1",
    "turn_id": "turn_1",
    "at": AT,
    "session_id": "other",
    "user_id": "ada",
    "rating": "good",
    "score": 0.5,
    "comment": "Ünïcödé.",
    "resource": RESOURCE,
}
TURN = JudgedTurn("turn_1", f"{0xABC:032x}", f"{0xDEF:016x}", 1, "session-1", "resp_9")
TOLD = {
    "gen_ai.evaluation.name": "feedback",
    "gen_ai.evaluation.score.value": 0.5,
    "gen_ai.evaluation.score.label": "good",
    "gen_ai.evaluation.explanation": "Ünïcödé.",
    "gen_ai.response.id": "resp_9",
    "gen_ai.conversation.id": "session-1",
    "user.id": "ada",
    "turnspan.turn.id": "turn_1",
    "turnspan.feedback.id": "feedback_1",
}


class Kept(LogRecordProcessor):
    """Keeps what is emitted."""

    def __init__(self) -> None:
        self.emitted: list[Any] = []

    def on_emit(self, log_record: Any) -> None:
        self.emitted.append(log_record)

    def shutdown(self) -> None:
        """Nothing to end."""

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        return True


@pytest.fixture
def logger(monkeypatch):
    """The application has a logger provider; what reaches it."""
    kept = Kept()
    provider = LoggerProvider(Resource(with_sdk(RESOURCE)), shutdown_on_exit=False)
    provider.add_log_record_processor(kept)
    monkeypatch.setattr(logs_internal, "_LOGGER_PROVIDER", provider)
    return kept


def told(emitted):
    """Name, attributes, trace and span of an event."""
    record = emitted.log_record
    return record.event_name, dict(record.attributes), record.trace_id, record.span_id


def test_an_event_has_the_attributes_of_the_conventions():
    """The turn's own session and answer; the comment only where content is told."""
    bare = {"id": "f", "turn_id": "t", "score": 1}

    assert evaluation_attributes(FEEDBACK, TURN, content=True) == TOLD
    silent = evaluation_attributes(FEEDBACK, TURN, content=False)
    assert TOLD.keys() - silent.keys() == {"gen_ai.evaluation.explanation"}
    assert evaluation_attributes(FEEDBACK, None, content=True)["gen_ai.conversation.id"] == "other"
    assert evaluation_attributes(bare, None, content=True) == {
        "gen_ai.evaluation.name": "feedback",
        "gen_ai.evaluation.score.value": 1.0,
        "turnspan.turn.id": "t",
        "turnspan.feedback.id": "f",
    }


@knows_events
@pytest.mark.parametrize("turn", [TURN, None])
def test_what_is_written_is_what_the_official_encoder_makes_of_the_live_event(turn, logger, ids):
    """Field by field, but for when it was observed, and an empty body that we leave out."""
    live = LiveSpans(ids, content=True)
    if turn is not None:
        live._recent.add(turn)
    mode = live.note_feedback(FEEDBACK)
    official = encode_logs(logger.emitted)
    record = official.resource_logs[0].scope_logs[0].log_records[0]
    record.observed_time_unix_nano = AT
    if record.body.WhichOneof("value") is None:
        record.ClearField("body")
    ours = ExportLogsServiceRequest.FromString(feedback_request(FEEDBACK, turn, content=True))
    for request in (official, ours):
        attributes = request.resource_logs[0].resource.attributes
        ordered = sorted(attributes, key=lambda pair: pair.key)
        del attributes[:]
        attributes.extend(ordered)

    assert mode == "live"
    assert ours == official


def test_requests_set_one_behind_the_other_parse_as_one():
    """So a batch is a matter of joining."""
    body = b"".join(feedback_request({**FEEDBACK, "id": each}, TURN, content=True) for each in "ab")
    request = ExportLogsServiceRequest.FromString(body)

    assert [len(each.scope_logs[0].log_records) for each in request.resource_logs] == [1, 1]


@pytest.mark.parametrize(
    "bad", [{}, {"at": "now"}, {"at": -1}, {**FEEDBACK, "score": "high"}, {**FEEDBACK, "at": 2**64}]
)
def test_what_is_no_feedback_is_an_error(bad):
    """Of the kinds that an exporter refuses a line for."""
    with pytest.raises((KeyError, TypeError, ValueError, AttributeError, OverflowError)):
        feedback_request(bad, None, content=True)


def test_recent_turns_are_bounded_and_the_last_one_wins():
    """A turn that comes again is the same turn; the oldest are forgotten."""
    recent = RecentTurns(most=2)
    for each in (TURN, TURN._replace(id="turn_2"), TURN._replace(id="turn_3", flags=0)):
        recent.add(each)

    assert recent.find("turn_1") is None
    assert recent.find("turn_3") == TURN._replace(id="turn_3", flags=0)


def test_a_turn_is_known_by_its_line():
    """With the id of the last answer of a model in it."""
    trace = {"trace_id": "1" * 32, "span_id": "2" * 16, "flags": 0x103}
    steps = [
        {"kind": "model", "model": {"response_id": "first"}},
        {"kind": "model", "model": {"response_id": "last"}},
        {"kind": "model"},
        {"kind": "tool"},
    ]
    turn = {"id": "t", "session_id": "s", "trace": trace, "steps": steps}

    assert JudgedTurn.of(turn) == ("t", "1" * 32, "2" * 16, 3, "s", "last")
    assert JudgedTurn.of(make_turn(1).model_dump()).response_id is None


def test_without_the_applications_logger_nobody_is_told(ids, monkeypatch):
    """An exporter may still do it; switched off, none does."""
    monkeypatch.setattr(logs_internal, "_LOGGER_PROVIDER", None)
    automatic = span_source(Settings(), {}, ids=ids, otlp=False)

    assert OwnSpans(ids).note_feedback(FEEDBACK) == "own"
    assert OffSpans(ids).note_feedback(FEEDBACK) == "off"
    assert LiveSpans(ids).note_feedback(FEEDBACK) == "own"
    assert automatic.note_feedback(FEEDBACK) == "own"


@knows_events
def test_a_processor_that_raises_harms_nobody(ids, monkeypatch, logger):
    """It is said, and an exporter may still tell of it."""

    def broken(log_record):
        raise RuntimeError("processor")

    monkeypatch.setattr(logger, "on_emit", broken)

    assert LiveSpans(ids).note_feedback(FEEDBACK) == "own"


def test_an_older_opentelemetry_without_events_is_told_nothing(ids, monkeypatch):
    """Its logger takes a whole record only, and that has no name."""

    class OldLogger:
        def emit(self, record):
            raise AssertionError(record)

    class OldProvider:
        def get_logger(self, *_):
            return OldLogger()

    monkeypatch.setattr(logs_internal, "_LOGGER_PROVIDER", OldProvider())

    assert LiveSpans(ids).note_feedback(FEEDBACK) == "own"


@knows_events
@pytest.mark.usefixtures("unconfigured")
def test_in_live_mode_an_event_stands_on_the_span_of_its_turn(logger, make_global):
    """Told once and at once, from whatever thread; the record says so."""
    spans, memory = make_global(), MemoryExporter()

    @turnspan.agent
    def ask(question):
        return question

    turnspan.configure(exporters=[memory], span_content=True)
    with turnspan.session("s"):
        ask("q")
    [turn], [span] = memory.turns, spans.get_finished_spans()
    with turnspan.turn(agent="other"):
        turnspan.feedback(turn.id, rating="good", comment="so")
    turnspan.feedback("turn_of_yore", score=0.5)
    first, second = map(told, logger.emitted)

    assert first == (
        "gen_ai.evaluation.result",
        {
            "gen_ai.evaluation.name": "feedback",
            "gen_ai.evaluation.score.label": "good",
            "gen_ai.evaluation.explanation": "so",
            "gen_ai.conversation.id": "s",
            "turnspan.turn.id": turn.id,
            "turnspan.feedback.id": memory.feedback[0].id,
        },
        span.context.trace_id,
        span.context.span_id,
    )
    assert second[2:] == (0, 0)
    assert [each.mode for each in memory.feedback] == ["live", "live"]


@knows_events
@pytest.mark.usefixtures("unconfigured")
def test_own_spans_mean_that_the_applications_logger_is_left_alone(logger):
    """The `otlp+…` exporter tells of it, and it would be told twice."""
    memory = MemoryExporter()
    turnspan.configure(exporters=[memory], spans="own")
    turnspan.feedback("turn_1", rating="good")

    assert (logger.emitted, memory.feedback[0].mode) == ([], "own")
