"""Recording into memory for a while, apart from what the application configured."""

from __future__ import annotations

import os
import threading
import time
from threading import Event, Thread

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider

import turnspan
from turnspan.capture.active import active
from turnspan.errors import ExporterError, SettingsError
from turnspan.exporters.memory import MemoryExporter
from turnspan.testing import recording


def until_open(turns) -> None:
    until_s = time.monotonic() + 10
    while not turns.open:
        assert time.monotonic() < until_s
        time.sleep(0.001)


def test_turns_are_captured_and_nothing_else_happens(concierge, tmp_path):
    """No file, no thread, and nothing of it stays in force."""
    threads = threading.enumerate()
    with recording() as turns:
        concierge("Coat", "Oslo")
        meanwhile = threading.enumerate()

    assert [turn.output.content for turn in turns] == ["Coat? Yes."]
    assert turns.only().resource == {"service.name": "tests"}
    assert meanwhile == threads
    assert os.listdir(tmp_path) == []
    assert (active.recorder, turnspan.health().recorded) == (None, 0)


def test_what_was_configured_before_is_in_force_again(concierge):
    """It is not closed, it holds what it held, and it saw nothing of the recording."""
    memory = MemoryExporter()
    before = turnspan.configure(exporters=[memory], directory="journal")
    concierge("One")
    with recording() as turns:
        concierge("Two")
    concierge("Three")

    assert [turn.output.content for turn in turns] == ["Two? Yes."]
    assert [turn.output.content for turn in memory.turns] == ["One? Yes.", "Three? Yes."]
    assert active.recorder is before.recorder
    assert turnspan.health().recorded == 2
    assert before.flush(1.0).unsent == 0


def test_a_failure_inside_leaves_the_runtime_before_in_force(concierge):
    """The way out is the same."""
    before = turnspan.configure(directory=None)
    with pytest.raises(KeyError), recording():
        raise KeyError

    assert active.recorder is before.recorder


def test_first_use_still_configures_after_a_recording(run, tmp_path):
    """A program that had configured nothing has decided nothing."""
    program = """
        import turnspan
        from turnspan.testing import recording

        @turnspan.agent
        def echo(text): return text

        with recording() as turns:
            echo("within")
        echo("after")
        print(len(turns), turnspan.health().journalled)
    """

    assert run(program, TURNSPAN_DIR=str(tmp_path / "by_itself")).stdout == "1 1\n"
    assert (tmp_path / "by_itself").is_dir()


def test_recordings_nest(concierge):
    """Each has its own turns, and the outer one goes on where it was."""
    with recording() as outer:
        concierge("One")
        with recording() as inner:
            concierge("Two")
        concierge("Three")

    assert [turn.output.content for turn in inner] == ["Two? Yes."]
    assert [turn.output.content for turn in outer] == ["One? Yes.", "Three? Yes."]


def test_variables_of_the_shell_change_nothing(concierge, monkeypatch):
    """Neither ours nor OpenTelemetry's, even where they make no sense."""
    monkeypatch.setenv("TURNSPAN_CONTENT", "perhaps")
    monkeypatch.setenv("TURNSPAN_DISABLED", "true")
    monkeypatch.setenv("OTEL_SDK_DISABLED", "true")
    monkeypatch.setenv("OTEL_SERVICE_NAME", "shell")
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "always_off")
    with recording() as turns:
        concierge("Coat")
        turnspan.configure()
        concierge("Hat")

    assert [turn.output.content for turn in turns] == ["Coat? Yes.", "Hat? Yes."]
    assert {turn.resource["service.name"] for turn in turns} == {"tests"}
    assert {(turn.trace.mode, turn.trace.sampled) for turn in turns} == {("own", True)}


def test_options_say_how_it_is_recorded(concierge):
    """Those of `configure`, at the start."""
    with recording(content=("none",), service_name="shop", max_value_bytes=10) as turns:
        concierge("Coat")

    turn = turns.only()
    assert (turn.input, turn.output) == (None, None)
    assert turn.resource == {"service.name": "shop"}


def test_an_unknown_option_is_refused_and_nothing_changes(concierge):
    """As `configure` refuses it."""
    before = turnspan.configure(directory=None)
    with pytest.raises(SettingsError, match="there is no option 'contents'"), recording(contents=1):
        pass

    assert active.recorder is before.recorder


def test_configure_is_obeyed_in_what_it_says_of_recording(concierge, turns_api, tmp_path):
    """Its exporters are sent nothing, its directory is not made, and turns go on being captured."""
    memory = MemoryExporter()
    with recording() as turns:
        concierge("Before")
        turnspan.configure(
            exporters=[turns_api.url, memory],
            directory=tmp_path / "journal",
            policy=turnspan.Policy(content="none"),
            service_name="shop",
        )
        concierge("After")
        report = turnspan.flush()

    assert [turn.output and turn.output.content for turn in turns] == ["Before? Yes.", None]
    assert [turn.resource["service.name"] for turn in turns] == ["tests", "shop"]
    assert (turns_api.ids, memory.turns, os.listdir(tmp_path)) == ([], [], [])
    assert (report.delivered, report.unsent) == (0, 0)


@pytest.mark.parametrize(
    "given, error",
    [
        ({"exporters": ["nowhere:"]}, ExporterError),
        ({"exporters": ["otlp+http://localhost"], "spans": "live"}, SettingsError),
        ({"spans": "perhaps"}, SettingsError),
    ],
)
def test_a_mistake_in_configure_is_raised_as_ever(concierge, given, error):
    """And what was in force goes on."""
    with recording() as turns:
        with pytest.raises(error):
            turnspan.configure(**given)
        concierge("Coat")

    assert len(turns) == 1


def test_close_stops_recording_until_configured_again(concierge):
    """As it does outside; the application's own runtime is not meant."""
    before = turnspan.configure(directory=None)
    with recording() as turns:
        turnspan.close()
        concierge("Lost")
        turnspan.configure()
        concierge("Kept")
    concierge("After")

    assert [turn.output.content for turn in turns] == ["Kept? Yes."]
    assert (active.recorder, before.health().recorded) == (before.recorder, 1)


def test_a_session_is_counted_on_across_configure(concierge):
    """All runtimes of one recording are one process."""
    with recording() as turns, turnspan.session("trip"):
        concierge("One")
        turnspan.configure()
        concierge("Two")

    assert [turn.number for turn in turns] == [1, 2]


def test_what_is_open_around_a_recording_is_no_part_of_it(concierge):
    """Turn, session and span of whoever records; afterwards they are there again."""
    tracer = TracerProvider().get_tracer("around")
    with (
        recording() as outer,
        turnspan.session("around"),
        tracer.start_as_current_span("around") as span,
        turnspan.turn(agent="around"),
    ):
        mine = turnspan.current_turn().id
        with recording() as turns:
            concierge("Coat")
        assert turnspan.current_turn().id == mine
        assert trace.get_current_span().get_span_context().trace_id == span.context.trace_id

    inner = turns.only()
    assert (inner.session_id, inner.trace.parent_span_id, inner.agent.name) == (
        None,
        None,
        "concierge",
    )
    assert outer.only().session_id == "around"


def test_deterministic_recordings_are_the_same_every_time(concierge):
    """Ids, times and traces too: two runs compare whole."""
    runs = []
    for _ in range(2):
        with recording(deterministic=True) as turns, turnspan.session("trip"):
            concierge("Coat", "Oslo", "Bergen")
            turns.advance(2.0)
            concierge("Hat")
        runs.append(turns.all)
    first, second = runs[0]

    assert runs[0] == runs[1]
    assert (first.id, second.id) == ("turn_000000000001", "turn_000000000002")
    assert (first.trace.trace_id, second.trace.trace_id) == (f"{1:032x}", f"{2:032x}")
    assert second.started_at - first.ended_at == 2_001_000_000


def test_deterministic_may_be_asked_for_first_thing(concierge):
    """With the options there were."""
    with recording(deterministic=True, content=("none",)) as marked:
        concierge("Coat")
    with recording(content=("none",)) as asked:
        asked.deterministic()
        concierge("Coat")

    assert asked.all == marked.all
    assert asked.only().output is None


def test_determinism_that_comes_too_late_is_refused(concierge):
    """Two turns of one id would be one."""
    with recording() as turns:
        concierge("Coat")
        with pytest.raises(turnspan.TurnspanError, match="a turn began before"):
            turns.deterministic()
        with pytest.raises(turnspan.TurnspanError, match="only a deterministic clock"):
            turns.advance(1.0)

    assert len(turns) == 1


def test_a_turn_that_ends_after_its_recording_is_nobody_elses(concierge):
    """A thread that a test left behind does not spoil the next one."""
    left = Event()

    @turnspan.agent
    def slow():
        left.wait(10)

    with recording() as turns:
        thread = Thread(target=slow)
        thread.start()
        until_open(turns)
    with recording() as after:
        left.set()
        thread.join()
        concierge("Coat")

    assert [turn.agent.name for turn in turns] == ["slow"]
    assert [turn.agent.name for turn in after] == ["concierge"]
