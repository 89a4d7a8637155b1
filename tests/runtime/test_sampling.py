"""Sampling as a program meets it: settings, health, traces, and frameworks' runs."""

from __future__ import annotations

import pytest
from opentelemetry import propagate, trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

import turnspan
from turnspan.errors import SettingsError
from turnspan.exporters.memory import MemoryExporter
from turnspan.integrations import Opening, Runs
from turnspan.journal import Directory, History
from turnspan.telemetry.span_content import VARIABLE

IN, OUT = "session-6", "session-1"  # among the first half of all ids, and not


@turnspan.tool
def header(word):
    """The traceparent that a call to elsewhere would carry here."""
    carrier = {}
    propagate.inject(carrier)
    return carrier["traceparent"]


@turnspan.agent(name="echo")
def ask(question):
    """Answers with the traceparent; fails where it is told to."""
    carried = header(question)
    if question == "fail":
        raise ValueError(carried)
    return carried


def asked(session, question="q"):
    with turnspan.session(session):
        return ask(question)


def test_the_variables_are_read(monkeypatch, tmp_path):
    """`TURNSPAN_SAMPLE` and `TURNSPAN_KEEP_ERRORS`; health counts what they leave out."""
    monkeypatch.setenv("TURNSPAN_SAMPLE", "0.5")
    monkeypatch.setenv("TURNSPAN_KEEP_ERRORS", "true")
    turnspan.configure()
    asked(IN)
    asked(OUT)
    with pytest.raises(ValueError):
        asked(OUT, "fail")
    turns = [each.turn for each in History(Directory(tmp_path / ".turnspan")).turns()]
    health = turnspan.health()

    assert [(turn.session_id, turn.number, turn.status) for turn in turns] == [
        (IN, 1, "ok"),
        (OUT, 2, "error"),
    ]
    assert (health.recorded, health.sampled_out, health.dropped) == (2, 1, {})


@pytest.mark.parametrize("given", ["often", "1.5", "-0.1", "nan", "inf", "50%"])
def test_a_share_that_is_none_is_refused(given, monkeypatch):
    """In the variable with its name, in the argument with its own."""
    monkeypatch.setenv("TURNSPAN_SAMPLE", given)
    with pytest.raises(SettingsError) as by_variable:
        turnspan.configure()
    with pytest.raises(SettingsError) as by_argument:
        turnspan.configure(sample=given)

    wanted = "a number from 0 to 1"
    assert by_variable.value.what == f"TURNSPAN_SAMPLE={given!r} cannot be read as {wanted}"
    assert by_argument.value.what == f"sample={given!r} is not {wanted}"


@pytest.mark.parametrize("keep_errors", [False, True])
def test_below_a_left_out_turn_a_trace_is_not_sampled(keep_errors):
    """What others make there, here and elsewhere, follows; in a recorded turn it is sampled."""
    memory = MemoryExporter()
    turnspan.configure(exporters=[memory], sample=0.5, spans="own", keep_errors=keep_errors)
    inside, outside = asked(IN), asked(OUT)

    assert (inside[-2:], outside[-2:]) == ("01", "00")
    assert [turn.session_id for turn in memory.turns] == [IN]
    assert trace.get_current_span() is trace.INVALID_SPAN


def test_an_error_that_is_kept_has_spans_to_export():
    """It is sampled, though nothing below it was: its own spans are built from the turn."""
    memory = MemoryExporter()
    turnspan.configure(exporters=[memory], sample=0.0, spans="own", keep_errors=True)
    with pytest.raises(ValueError) as caught:
        asked(OUT, "fail")
    (turn,) = memory.turns

    assert str(caught.value) == f"00-{turn.trace.trace_id}-{turn.steps[0].id}-00"
    assert (turn.trace.sampled, turn.trace.flags) == (True, 0)


def test_the_applications_spans_go_out_though_turns_are_left_out(monkeypatch):
    """Its sampler decides about spans: whole traces, nested steps included; ours about turns."""
    provider, spans, memory = TracerProvider(), InMemorySpanExporter(), MemoryExporter()
    provider.add_span_processor(SimpleSpanProcessor(spans))
    monkeypatch.delenv(VARIABLE, raising=False)
    monkeypatch.setattr(trace, "_TRACER_PROVIDER", provider)
    turnspan.configure(exporters=[memory], sample=0.5)
    carried = [asked(IN), asked(OUT), ask("without a session")]
    turnspan.close()
    provider.shutdown()
    ended = spans.get_finished_spans()
    seen = [(span.name, dict(span.attributes).get("gen_ai.conversation.id")) for span in ended]

    assert [int(each[-2:], 16) & 1 for each in carried] == [1] * 3
    assert [name for name, _ in seen] == ["execute_tool header", "invoke_agent echo"] * 3
    assert [session for name, session in seen if name.startswith("invoke")] == [IN, OUT, None]
    assert OUT not in {turn.session_id for turn in memory.turns}


def test_a_framework_that_calls_back_is_left_out_too():
    """With all its runs, by whatever thread they come, inside a decorated agent as well."""
    memory = MemoryExporter()
    runtime = turnspan.configure(exporters=[memory], sample=0.5, spans="own", orphans="turn")
    runs = Runs()
    for session in (OUT, IN):
        runs.start_agent("root", Opening("desk", "hi", session_id=session))
        runs.start_agent("inner", Opening("helper", "hi"), parent="root")
        runs.start_step("model", "model", "gpt", parent="inner")
        runs.set_input("model", "hi")
        runs.set_output("model", "yo")
        runs.end("model")
        runs.end("inner", error=ValueError("handled"))
        runs.end("root")
        with turnspan.session(session):
            runs.start_step("alone", "tool", "add")
            runs.end("alone", error={"type": "x"})
            with turnspan.turn(agent="around"):
                runs.start_agent("below", Opening("desk"))
                runs.start_step("left", "tool", "add", parent="below")
                runs.end("below")

    assert len(runs) == 0
    assert [(turn.session_id, turn.agent.name) for turn in memory.turns] == [
        (IN, "desk"),
        (IN, "add"),
        (IN, "around"),
    ]
    assert runtime.health().sampled_out == 3
    assert not runtime.recorder.is_busy
    assert runtime.health().dropped == {}


def test_a_runs_error_is_kept_where_errors_are_asked_for():
    """A framework's turn ends in `error` as a function's does."""
    memory = MemoryExporter()
    turnspan.configure(exporters=[memory], sample=0.0, keep_errors=True)
    runs = Runs()
    for run_id, error in (("a", None), ("b", ValueError("no"))):
        runs.start_agent(run_id, Opening("desk", "hi", session_id=OUT))
        runs.end(run_id, error=error)
    (turn,) = memory.turns

    assert (turn.number, turn.status, turn.error.message) == (2, "error", "no")
    assert turn.input.content == "hi"
