"""A call is not told twice: OpenTelemetry's suppression is honoured, and said."""

import pytest
from opentelemetry import context as otel
from opentelemetry.instrumentation.utils import (
    is_instrumentation_enabled,
    suppress_instrumentation,
)

import turnspan
from turnspan.exporters.memory import MemoryExporter
from turnspan.ports import Outcome


class Asked:
    """An exporter that notes whether what it does may be instrumented."""

    name = "asked"

    def __init__(self):
        self.enabled = []

    def export(self, batch, *, timeout_s):
        self.enabled.append(is_instrumentation_enabled())
        return Outcome()

    def close(self, *, timeout_s):
        pass


@turnspan.tool
def look_up(word):
    return word


@turnspan.agent
def ask(word):
    return look_up(word)


@pytest.fixture
def memory(unconfigured):
    return MemoryExporter()


def test_a_turn_in_a_suppressed_context_has_no_span_of_our_own(memory, otlp):
    """It is recorded all the same: suppression is of spans, and nothing is lost."""
    turnspan.configure(exporters=[memory, otlp.url], directory=None)
    with suppress_instrumentation():
        ask("quiet")
    ask("loud")
    turnspan.flush()
    quiet, loud = memory.turns

    assert [turn.trace.sampled for turn in memory.turns] == [False, True]
    assert {span.trace_id.hex() for span in otlp.spans} == {loud.trace.trace_id}
    assert len(quiet.steps) == 1


@pytest.mark.parametrize("key", ["the key of the API", "suppress_instrumentation"])
def test_a_live_span_is_not_started_where_that_is_suppressed(memory, make_global, key):
    """Turn by turn and step by step; under either key."""
    key = key if key.startswith("suppress") else otel._SUPPRESS_INSTRUMENTATION_KEY
    finished = make_global()
    turnspan.configure(exporters=[memory], directory=None, spans="live")

    @turnspan.agent
    def careful(word):
        token = otel.attach(otel.set_value(key, True))
        try:
            return look_up(word)
        finally:
            otel.detach(token)

    careful("quiet")
    [turn] = memory.turns

    assert [span.name for span in finished.get_finished_spans()] == ["invoke_agent careful"]
    assert [step.name for step in turn.steps] == ["look_up"]


def test_what_an_exporter_does_is_not_instrumented(unconfigured):
    """Its requests are telemetry, not the application's."""
    asked = Asked()
    turnspan.configure(exporters=[asked], directory=None)
    ask("word")
    turnspan.flush()

    assert asked.enabled == [False]
    assert is_instrumentation_enabled()


@pytest.fixture
def handler(make_global):
    """What the GenAI instrumentations of OpenTelemetry stand on, and the spans that are made."""
    finished = make_global()
    genai = pytest.importorskip("opentelemetry.util.genai.handler")
    return genai.TelemetryHandler(), finished


@pytest.mark.parametrize("spans", ["live", "own"])
def test_a_call_that_has_our_span_gets_none_of_another_instrumentation(handler, memory, spans):
    """Inside `turnspan.model` an instrumented client keeps quiet; outside it does not."""
    handler, finished = handler
    turnspan.configure(exporters=[memory], directory=None, spans=spans)

    def instrumented():
        with handler.inference("openai", request_model="theirs"):
            return "done"

    @turnspan.agent
    def talk():
        turnspan.model(name="ours")(instrumented)()
        instrumented()

    talk()
    names = [span.name for span in finished.get_finished_spans()]

    assert [name for name in names if name == "chat theirs"] == ["chat theirs"]
    assert [step.kind for step in memory.turns[0].steps] == ["model"]
