"""Spans of other GenAI instrumentations become steps of the turn they were made in."""

import json

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

import turnspan
from turnspan.errors import SettingsError
from turnspan.exporters.memory import MemoryExporter
from turnspan.integrations.adoption import AdoptingProcessor

MESSAGE = [{"role": "assistant", "parts": [{"type": "text", "content": "It rains."}]}]
CHAT = {
    "gen_ai.operation.name": "chat",
    "gen_ai.provider.name": "openai",
    "gen_ai.request.model": "gpt-5",
    "gen_ai.response.model": "gpt-5-2026",
    "gen_ai.usage.input_tokens": 12,
    "gen_ai.usage.output_tokens": 5,
    "gen_ai.output.messages": json.dumps(MESSAGE),
}
TOOL = {
    "gen_ai.operation.name": "execute_tool",
    "gen_ai.tool.name": "weather",
    "gen_ai.tool.call.id": "call_1",
    "gen_ai.tool.call.arguments": '{"city":"Oslo"}',
}


class App:
    """An application with a provider of its own, instrumented by hand."""

    def __init__(self):
        self.exporter = InMemorySpanExporter()
        self.provider = TracerProvider(shutdown_on_exit=False)
        self.provider.add_span_processor(SimpleSpanProcessor(self.exporter))
        self.provider.add_span_processor(AdoptingProcessor())
        self.tracer = self.provider.get_tracer("instrumentation")
        self.memory = MemoryExporter()

    @property
    def spans(self):
        return {span.name: span for span in self.exporter.get_finished_spans()}

    @property
    def turn(self):
        [turn] = self.memory.turns
        return turn

    def span(self, name, attributes=None):
        return self.tracer.start_as_current_span(name, attributes=attributes or {})

    def chat(self):
        with self.span("chat gpt-5", CHAT), self.span("POST"):
            return "It rains."

    def weather(self):
        with self.span("execute_tool weather", TOOL):
            return "rain"


@pytest.fixture
def app(unconfigured, monkeypatch):
    app = App()
    monkeypatch.setattr(trace, "_TRACER_PROVIDER", app.provider)
    turnspan.configure(exporters=[app.memory], directory=None, spans="adopt")
    return app


def ids(span):
    return f"{span.context.trace_id:032x}", f"{span.context.span_id:016x}"


def shown(turn):
    return [(step.kind, step.name, step.id, step.parent_id) for step in turn.steps]


def test_an_instrumented_agents_spans_are_the_turn_and_its_steps(app):
    """The turn is found under the agent's span; nothing is there twice, and no span is ours."""

    @turnspan.agent
    def ask(question):
        with app.span("invoke_agent helper", {"gen_ai.operation.name": "invoke_agent"}):
            app.weather()
            return app.chat()

    ask("Weather?")
    turn, spans = app.turn, app.spans
    model = turn.steps[1]

    assert (turn.trace.trace_id, turn.trace.span_id) == ids(spans["invoke_agent helper"])
    assert (turn.trace.mode, turn.trace.sampled) == ("adopted", True)
    assert shown(turn) == [
        ("tool", "weather", ids(spans["execute_tool weather"])[1], None),
        ("model", model.name, ids(spans["chat gpt-5"])[1], None),
    ]
    assert spans.keys() == {"invoke_agent helper", "execute_tool weather", "chat gpt-5", "POST"}
    assert (model.started_at, model.ended_at) == (
        spans["chat gpt-5"].start_time,
        spans["chat gpt-5"].end_time,
    )
    assert (model.model.request_model, turn.usage.input_tokens) == ("gpt-5", 12)
    [said] = turn.messages_at(model.output_messages)
    assert said.parts[0].content == "It rains."
    assert turn.steps[0].tool.call_id == "call_1"


def test_a_call_that_we_record_too_is_one_step(app):
    """Ours, with what the span knows beside; what is inside stands under it."""

    @turnspan.model
    def ask_model(question):
        app.weather()
        return app.chat()

    @turnspan.tool
    def weather(city):
        return app.weather()

    @turnspan.agent
    def ask(question):
        weather("Oslo")
        return ask_model(question)

    ask("Weather?")
    turn = app.turn
    outer, inner, model = turn.steps

    assert [(step.kind, step.name) for step in turn.steps] == [
        ("tool", "weather"),
        ("tool", "weather"),
        ("model", "ask_model"),
    ]
    assert (outer.parent_id, inner.parent_id, model.parent_id) == (None, model.id, None)
    assert (outer.tool.call_id, outer.input.content) == ("call_1", '{"city":"Oslo"}')
    assert (model.model.response_model, model.usage.output_tokens) == ("gpt-5-2026", 5)
    assert turn.usage.input_tokens == 12


def test_a_turn_inside_a_span_has_that_spans_identity(app):
    """Where several calls stand in it, and no agent's."""
    with app.span("GET /ask") as server:

        @turnspan.agent
        def ask(question):
            app.weather()
            return app.chat()

        ask("Weather?")
    turn = app.turn

    assert (turn.trace.trace_id, turn.trace.span_id) == ids(server)
    assert [step.kind for step in turn.steps] == ["tool", "model"]


def test_without_one_it_has_that_of_the_first_call(app):
    """So that it can be found at all; without any, ids of its own."""
    ask = turnspan.agent(name="ask")(app.chat)
    quiet = turnspan.agent(name="quiet")(lambda: None)
    ask()
    quiet()
    asked, kept_quiet = app.memory.turns

    assert (asked.trace.trace_id, asked.trace.span_id) == ids(app.spans["chat gpt-5"])
    assert (kept_quiet.trace.sampled, kept_quiet.trace.mode) == (False, "adopted")


def test_what_was_made_outside_of_turns_is_nobodys(app):
    """Before, after, and in a context without a turn."""
    app.chat()
    turnspan.agent(name="ask")(lambda: None)()
    app.chat()

    assert app.turn.steps == ()


def test_a_failed_call_is_a_failed_step(app):
    """With its type; the turn that handled it is well."""

    @turnspan.agent
    def ask():
        with app.span("execute_tool weather", TOOL) as span:
            span.set_attribute("error.type", "TimeoutError")
            span.set_status(trace.StatusCode.ERROR, "too slow")

    ask()
    [step] = app.turn.steps

    assert (app.turn.status, step.status) == ("ok", "error")
    assert (step.error.type, step.error.message) == ("TimeoutError", "too slow")


def test_the_policy_hides_in_adopted_steps_too(app):
    """What is hidden is written nowhere, whoever recorded it."""
    turnspan.configure(exporters=[app.memory], directory=None, spans="adopt", content=False)
    turnspan.agent(name="ask")(app.chat)()

    assert "It rains." not in app.turn.model_dump_json()


def test_what_is_beyond_the_turns_budget_is_left_out_and_said(app):
    """The steps stay, what they say goes."""
    turnspan.configure(exporters=[app.memory], directory=None, spans="adopt", max_turn_bytes=100)
    turnspan.agent(name="ask")(app.chat)()

    assert [step.kind for step in app.turn.steps] == ["model"]
    assert app.turn.messages == ()
    assert [cut.where for cut in app.turn.truncated] == ["steps"]


def test_spans_in_other_modes_are_left_alone(app):
    """Live turns have spans of their own: the instrumentation's are its own matter."""
    turnspan.configure(exporters=[app.memory], directory=None, spans="live")
    turnspan.agent(name="ask")(app.chat)()

    assert app.turn.steps == ()
    assert app.turn.trace.mode == "live"


def test_with_an_otlp_exporter_there_would_be_nothing_to_send(unconfigured):
    """It is a mistake, said at the door."""
    with pytest.raises(SettingsError, match="makes no spans"):
        turnspan.configure(exporters=["otlp+http://127.0.0.1:1"], directory=None, spans="adopt")
