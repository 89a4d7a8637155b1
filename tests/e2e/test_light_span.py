"""In own mode other code meets a light span; what it does to it is seen in the backend."""

from __future__ import annotations

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider, sampling
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import (
    NonRecordingSpan,
    SpanContext,
    Status,
    StatusCode,
    TraceFlags,
    set_span_in_context,
    use_span,
)

import turnspan
from turnspan.exporters.memory import MemoryExporter

OTHER = SpanContext(7, 8, is_remote=True, trace_flags=TraceFlags(1))


def touch(span: trace.Span) -> None:
    """What other code may do to the current span by OpenTelemetry's interface."""
    span.set_attribute("app.tier", "gold")
    span.set_attributes({"app.flags": ["a", "b"], "app.score": 0.5, "app.n": 3, "app.ok": True})
    span.add_event("cache.miss", {"key": "k", "tries": 2}, timestamp=5)
    span.add_link(OTHER, {"why": "retry"})
    span.update_name("renamed by the application")
    try:
        raise KeyError("k")
    except KeyError as error:
        span.record_exception(error, {"handled": True}, timestamp=6)
    span.set_status(Status(StatusCode.ERROR, "as the application says"))


def told(span):
    """What `touch` did, of a span of OTLP; our own attributes are left out."""
    return {
        "name": span.name,
        "attributes": pairs(a for a in span.attributes if a.key.startswith("app.")),
        "events": [(e.name, e.time_unix_nano, pairs(e.attributes)) for e in span.events],
        "links": [(e.trace_id.hex(), e.span_id.hex(), pairs(e.attributes)) for e in span.links],
        "status": (span.status.code, span.status.message),
    }


def pairs(attributes):
    return {pair.key: str(pair.value) for pair in attributes}


def sdk_span():
    """A span of the SDK to which the same was done, as its own encoder writes it."""
    from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans

    exporter = InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    span = provider.get_tracer("app").start_span("x")
    touch(span)
    span.end()
    encoded = encode_spans(exporter.get_finished_spans())
    return encoded.resource_spans[0].scope_spans[0].spans[0]


def without_traces(said):
    """Stack traces name the lines they pass through, which differ."""
    for _, _, attributes in said["events"]:
        attributes.pop("exception.stacktrace", None)
    return said


@pytest.mark.parametrize("where", ["turn", "tool"])
def test_what_other_code_puts_on_the_span_is_exported_as_the_sdk_would(where, otlp):
    """Attributes, events, links, status, exceptions and a new name, on turns and on steps."""

    @turnspan.tool
    def look_up():
        if where == "tool":
            touch(trace.get_current_span())
        return "x"

    @turnspan.agent
    def ask():
        if where == "turn":
            touch(trace.get_current_span())
        return look_up()

    turnspan.configure(exporters=[otlp.url], directory="journal")
    ask()
    turnspan.flush()
    root, tool = otlp.spans
    touched, other = (root, tool) if where == "turn" else (tool, root)

    assert without_traces(told(touched)) == without_traces(told(sdk_span()))
    assert (other.name.split()[0], len(other.events), len(other.links)) == (
        "execute_tool" if where == "turn" else "invoke_agent", 0, 0
    )  # fmt: skip


def test_a_status_of_the_application_gives_way_to_a_failure_but_ok_is_final(otlp):
    """As in the SDK: OK stays, whatever comes after it."""

    @turnspan.agent
    def failing(status):
        trace.get_current_span().set_status(status)
        raise ValueError("no")

    turnspan.configure(exporters=[otlp.url], directory="journal")
    for status in (StatusCode.OK, StatusCode.UNSET):
        with pytest.raises(ValueError):
            failing(status)
    turnspan.flush()

    assert [span.status.code for span in otlp.spans] == [1, 2]


@turnspan.agent
def answer(question):
    return "42"


SAMPLERS = {
    "always_off": sampling.ALWAYS_OFF,
    "always_on": sampling.ALWAYS_ON,
    "traceidratio": sampling.TraceIdRatioBased(0.3),
    "parentbased_always_on": sampling.DEFAULT_ON,
    "parentbased_always_off": sampling.DEFAULT_OFF,
    "parentbased_traceidratio": sampling.ParentBasedTraceIdRatio(0.3),
}


@pytest.mark.parametrize("name", SAMPLERS)
def test_the_turns_that_are_exported_are_those_the_sdk_would_sample(name, otlp, monkeypatch):
    """Roots, and children of sampled and of unsampled parents; every turn is recorded."""
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", name)
    monkeypatch.setenv("OTEL_TRACES_SAMPLER_ARG", "0.3")
    memory = MemoryExporter()
    turnspan.configure(exporters=[memory, otlp.url], directory="journal")
    parents = {}
    for number in range(300):
        flags = (None, 0, 1)[number % 3]
        above = SpanContext(number + (number << 62), 8, True, TraceFlags(flags or 0))
        parent = trace.INVALID_SPAN if flags is None else NonRecordingSpan(above)
        with use_span(parent):
            answer(str(number))
        parents[memory.turns[-1].trace.trace_id] = set_span_in_context(parent)
    turnspan.flush(20)
    sampler = SAMPLERS[name]
    expected = [
        trace_id
        for trace_id, parent in parents.items()
        if sampler.should_sample(parent, int(trace_id, 16), "x").decision.is_sampled()
    ]

    assert len(parents) == len(memory.turns) == 300
    assert [span.trace_id.hex() for span in otlp.spans] == expected


def test_the_limits_of_opentelemetry_hold(otlp, monkeypatch):
    """Counts and lengths of a span's attributes, and what is beyond is counted."""
    for key, limit in {
        "SPAN_ATTRIBUTE_COUNT": "9",
        "SPAN_ATTRIBUTE_VALUE_LENGTH": "12",
        "SPAN_EVENT_COUNT": "2",
        "SPAN_LINK_COUNT": "1",
        "EVENT_ATTRIBUTE_COUNT": "1",
        "LINK_ATTRIBUTE_COUNT": "0",
    }.items():
        monkeypatch.setenv(f"OTEL_{key}_LIMIT", limit)

    @turnspan.agent
    def ask(question):
        span = trace.get_current_span()
        for _ in range(3):
            span.add_event("e", {"a": 1, "b": 2})
            span.add_link(OTHER, {"a": 1})
        span.set_attributes({f"app.{n}": "x" for n in range(20)})
        return "y" * 100

    turnspan.configure(exporters=[otlp.url], directory="journal")
    ask("z" * 100)
    turnspan.flush()
    [span] = otlp.spans
    texts = [pair.value.string_value for pair in span.attributes]

    assert (len(span.attributes), max(map(len, texts))) == (9, 12)
    assert span.dropped_attributes_count > 20
    assert (len(span.events), span.dropped_events_count) == (2, 1)
    assert [(len(e.attributes), e.dropped_attributes_count) for e in span.events] == [(1, 1)] * 2
    assert (len(span.links), span.dropped_links_count) == (1, 2)
    assert [(len(e.attributes), e.dropped_attributes_count) for e in span.links] == [(0, 1)]


HANDLER = "opentelemetry.instrumentation.logging.handler"
LOGS = """
import logging, sys

from opentelemetry import trace
from opentelemetry._logs import set_logger_provider
from opentelemetry.instrumentation.logging import LoggingInstrumentor
from opentelemetry.instrumentation.logging.handler import LoggingHandler
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, SimpleLogRecordProcessor

import turnspan
from turnspan.exporters.memory import MemoryExporter

if sys.argv[1] == "live":
    from opentelemetry.sdk.trace import TracerProvider
    trace.set_tracer_provider(TracerProvider())
exported = InMemoryLogRecordExporter()
provider = LoggerProvider()
provider.add_log_record_processor(SimpleLogRecordProcessor(exported))
set_logger_provider(provider)
plain = []


class Plain(logging.Handler):
    def emit(self, record):
        plain.append((record.otelTraceID, record.otelSpanID))


LoggingInstrumentor().instrument(set_logging_format=True)
logger = logging.getLogger("app")
logger.handlers = [LoggingHandler(logger_provider=provider), Plain()]
logger.propagate = False


@turnspan.tool
def look_up():
    logger.warning("in the tool")


@turnspan.agent
def ask():
    logger.warning("in the turn")
    look_up()
    logger.warning("in the turn again")


memory = MemoryExporter()
turnspan.configure(exporters=[memory], directory=None, spans=sys.argv[1])
ask()
logger.warning("outside")
[turn] = memory.turns
trace_id, root, tool = turn.trace.trace_id, turn.trace.span_id, turn.steps[0].id
expected = [(trace_id, root), (trace_id, tool), (trace_id, root), ("0", "0")]
assert plain == expected, (plain, expected)
records = [record.log_record for record in exported.get_finished_logs()]
sent = [(f"{r.trace_id or 0:032x}", f"{r.span_id or 0:016x}") for r in records]
assert sent == [*expected[:3], ("0" * 32, "0" * 16)], (sent, expected)
print("joined", len(sent))
"""


@pytest.mark.parametrize("spans", ["own", "live"])
def test_a_log_record_emitted_inside_a_turn_carries_its_ids(spans, run):
    """By OpenTelemetry's logging handler and by its correlation of plain records alike."""
    pytest.importorskip(HANDLER, reason="this instrumentation has no handler of its own")
    assert run(LOGS, spans).stdout == "joined 4\n"
