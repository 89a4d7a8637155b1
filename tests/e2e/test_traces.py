"""A decorated agent's turn is a trace of three spans, whoever makes them."""

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

import turnspan
from turnspan.exporters.memory import MemoryExporter

KINDS = {"INTERNAL": 1, "CLIENT": 3}


@pytest.fixture
def provider(monkeypatch):
    """An SDK provider, global as an application makes it; answers its exporter."""
    exporter = InMemorySpanExporter()
    made = TracerProvider(shutdown_on_exit=False)
    made.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(trace, "_TRACER_PROVIDER", made)
    return exporter


def value_of(value):
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [value_of(item) for item in value.array_value.values]
    return getattr(value, kind)


def from_wire(span):
    """A span of OTLP as a dictionary."""
    return {
        "name": span.name,
        "kind": span.kind,
        "trace_id": span.trace_id.hex(),
        "id": span.span_id.hex(),
        "parent_id": span.parent_span_id.hex() or None,
        "times": (span.start_time_unix_nano, span.end_time_unix_nano),
        "status": span.status.code,
        "attributes": {each.key: value_of(each.value) for each in span.attributes},
    }


def from_sdk(span):
    """A span of the SDK as the same dictionary."""
    return {
        "name": span.name,
        "kind": KINDS[span.kind.name],
        "trace_id": f"{span.context.trace_id:032x}",
        "id": f"{span.context.span_id:016x}",
        "parent_id": f"{span.parent.span_id:016x}" if span.parent else None,
        "times": (span.start_time, span.end_time),
        "status": span.status.status_code.value,
        "attributes": {
            key: list(item) if isinstance(item, tuple) else item
            for key, item in span.attributes.items()
        },
    }


def what_it_says(spans):
    """Spans by name, without what differs from run to run and what own spans alone carry."""
    left_out = {"turnspan.turn.id", "turnspan.turn.steps", "turnspan.rest"}
    said = {}
    for span in spans:
        attributes = {k: v for k, v in span["attributes"].items() if k not in left_out}
        said[span["name"]] = (span["kind"], span["status"], attributes)
    return said


def check(turn, spans, conforms):
    """The three spans are those of ``turn``: ids, parentage, times, valid content."""
    tool, model = turn.steps
    placed = {span["name"]: {k: span[k] for k in ("trace_id", "id", "parent_id", "times")}
              for span in spans}  # fmt: skip
    same = {"trace_id": turn.trace.trace_id}
    under = {**same, "parent_id": turn.trace.span_id}
    root = {**same, "id": turn.trace.span_id, "parent_id": None}
    content = {span["name"]: conforms(span["attributes"]) for span in spans}

    assert len(spans) == 3
    assert placed == {
        "invoke_agent concierge": {**root, "times": (turn.started_at, turn.ended_at)},
        "execute_tool forecast": {
            **under,
            "id": tool.id,
            "times": (tool.started_at, tool.ended_at),
        },
        "chat gpt-5": {**under, "id": model.id, "times": (model.started_at, model.ended_at)},
    }
    assert turn.started_at <= tool.started_at <= tool.ended_at <= model.started_at
    assert model.started_at <= model.ended_at <= turn.ended_at
    assert content == {
        "invoke_agent concierge": ["gen_ai.input.messages", "gen_ai.output.messages"],
        "execute_tool forecast": ["gen_ai.tool.call.arguments", "gen_ai.tool.call.result"],
        "chat gpt-5": ["gen_ai.input.messages", "gen_ai.output.messages"],
    }


def test_own_spans_reach_an_otlp_backend(concierge, otlp, conforms):
    """Three spans with the turn's ids, right parents and times, and valid content."""
    memory = MemoryExporter()
    turnspan.configure(exporters=[memory, otlp.url], directory="journal")
    with turnspan.session("trip-7", user_id="ada"):
        concierge("What should I wear in Oslo?")
    report = turnspan.flush(60.0)
    [turn] = memory.turns
    spans = [from_wire(span) for span in otlp.spans]

    assert report.delivered == 1
    assert turn.trace.mode == "own"
    check(turn, spans, conforms)
    assert {span["attributes"]["gen_ai.conversation.id"] for span in spans} == {"trip-7"}
    assert {span["attributes"]["gen_ai.agent.name"] for span in spans} == {"concierge"}


def test_live_spans_go_through_the_applications_provider(concierge, provider, conforms, caplog):
    """The same three spans, ended through the public interface of OpenTelemetry."""
    memory = MemoryExporter()
    turnspan.configure(exporters=[memory], directory="journal", span_content=True)
    with turnspan.session("trip-7", user_id="ada"):
        concierge("What should I wear in Oslo?")
    [turn] = memory.turns
    spans = [from_sdk(span) for span in provider.get_finished_spans()]

    assert turn.trace.mode == "live"
    check(turn, spans, conforms)
    assert caplog.messages == []


def test_own_and_live_spans_say_the_same(concierge, otlp, provider):
    """Names, kinds, status and attributes are equal, span by span."""
    with turnspan.session("trip-7", user_id="ada", metadata={"tier": "gold"}, tags=["travel"]):
        turnspan.configure(exporters=[otlp.url], directory="own")
        concierge("What should I wear in Oslo?")
        turnspan.close()
        turnspan.configure(directory="live", spans="live", span_content=True)
        concierge("What should I wear in Oslo?")
    own = what_it_says(map(from_wire, otlp.spans))
    live = what_it_says(map(from_sdk, provider.get_finished_spans()))

    assert len(own) == 3
    assert live == own


def test_live_spans_carry_no_content_unless_asked(concierge, provider, conforms):
    """We don't know who reads the application's spans."""
    memory = MemoryExporter()
    turnspan.configure(exporters=[memory], directory="journal")
    concierge("What should I wear in Oslo?")
    attributes = [dict(span.attributes) for span in provider.get_finished_spans()]

    assert memory.turns[0].input.content == "What should I wear in Oslo?"
    assert [conforms(each) for each in attributes] == [[], [], []]
    assert "Oslo" not in str(attributes)


def test_an_error_is_the_tools_where_the_agent_handled_it(otlp):
    """The tool's span and step failed; the turn and its span did not."""

    @turnspan.tool
    def flaky():
        raise TimeoutError("no answer")

    @turnspan.agent
    def patient(question):
        try:
            flaky()
        except TimeoutError:
            return "never mind"

    memory = MemoryExporter()
    turnspan.configure(exporters=[memory, otlp.url], directory="journal")
    answer = patient("well?")
    turnspan.flush(60.0)
    [turn] = memory.turns
    spans = {span["name"]: span for span in map(from_wire, otlp.spans)}
    tool = spans["execute_tool flaky"]

    assert answer == "never mind"
    assert (turn.status, turn.steps[0].status, turn.steps[0].error.type) == (
        "ok", "error", "TimeoutError",
    )  # fmt: skip
    assert (tool["status"], tool["attributes"]["error.type"]) == (2, "TimeoutError")
    assert spans["invoke_agent patient"]["status"] != 2


def test_what_others_put_on_our_span_comes_out_of_the_backend(otlp):
    """Attributes and children of another instrumentation belong to the trace."""

    @turnspan.agent
    def annotated(question):
        span = trace.get_current_span()
        span.set_attribute("app.tier", "gold")
        return f"{span.get_span_context().trace_id:032x}"

    turnspan.configure(exporters=[otlp.url], directory="journal")
    trace_id = annotated("well?")
    turnspan.flush(60.0)
    [span] = map(from_wire, otlp.spans)

    assert span["trace_id"] == trace_id
    assert span["attributes"]["app.tier"] == "gold"
