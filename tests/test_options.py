"""Every option changes something that can be seen from outside, or it is not an option.

An option's effect is a function below, marked with the option's name and a value that is not
its default. It is given a `Stage`, records or delivers something there, and returns what it
saw. It runs with the default, with the value as an argument, and with the value as the variable:
the two last must have seen the same, and the first something else.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from opentelemetry import baggage, context

import turnspan
from turnspan.exporters.memory import MemoryExporter
from turnspan.ports import Outcome
from turnspan.runtime import Runtime
from turnspan.settings import options

MISSING = """\
the option {name!r} has no effect in {file}: add a function there,

    @effect({name!r}, <a value that is not its default>)
    def what_it_changes(stage):
        \"\"\"In a sentence.\"\"\"
        stage.configure()
        stage.ask("hello")
        return <what was seen>
"""
ALSO_BY_DEFAULT = """\
with {name}={value!r} the same was seen as without it: {seen!r}
Either the option reaches no code, or its effect in {file} does not look where it does."""

EFFECTS: dict[str, Effect] = {}


@dataclass(frozen=True)
class Effect:
    """How an option shows, and the value it is tried with; ``text`` is that for the variable."""

    observe: Callable[[Stage], object]
    value: Any
    text: str


def effect(name: str, value: Any, *, text: str | None = None) -> Callable[..., None]:
    """Mark what the option ``name`` changes when it is set to ``value``."""

    def mark(observe: Callable[[Stage], object]) -> None:
        assert name not in EFFECTS
        EFFECTS[name] = Effect(observe, value, _as_text(value) if text is None else text)

    return mark


def _as_text(value: Any) -> str:
    if isinstance(value, tuple):
        return ",".join(value)
    return str(value).lower() if isinstance(value, bool) else str(value)


class Batches:
    """An exporter that keeps what each of its calls was given, and may never answer."""

    name = "batches"

    def __init__(self, *, delay_s: float = 0.0) -> None:
        self.sizes: list[int] = []
        self.timeouts_s: list[float] = []
        self.delay_s = delay_s

    def export(self, batch, *, timeout_s):
        self.sizes.append(len(batch))
        self.timeouts_s.append(timeout_s)
        time.sleep(self.delay_s)
        return Outcome()

    def close(self, *, timeout_s):
        return None


@dataclass
class Stage:
    """A folder, a Turns API and a process to configure, with the option under test set or not."""

    path: Path
    api: Any
    given: Mapping[str, Any] = field(default_factory=dict)
    memory: MemoryExporter = field(default_factory=MemoryExporter)

    def configure(self, **others: Any) -> Runtime:
        """Configure with ``others`` and with the option under test, which wins."""
        return turnspan.configure(**{**others, **self.given})

    def record(self, **others: Any) -> Runtime:
        """The same, with turns kept in `memory`."""
        return self.configure(exporters=[self.memory], **others)

    def ask(self, question: Any) -> None:
        """Have one turn."""

        @turnspan.agent(name="echo")
        def echo(question: Any) -> Any:
            return question

        echo(question)

    def turn(self, question: Any = "hello") -> Any:
        """Have one turn; what was recorded of it."""
        self.ask(question)
        return self.memory.turns[-1]


@effect("exporters", ("file:sent.jsonl",))
def where_turns_go(stage):
    """The file that was named is there."""
    stage.configure()
    stage.ask("hello")
    turnspan.flush()
    return (stage.path / "sent.jsonl").exists()


@effect("directory", "elsewhere")
def where_the_journal_is(stage):
    """The folder that was named, instead of the usual."""
    stage.configure()
    stage.ask("hello")
    return os.listdir(stage.path)


@effect("service_name", "shop")
def what_the_process_is_called(stage):
    """In the resource of its turns."""
    stage.record()
    return stage.turn().resource["service.name"]


@effect("disabled", True)
def whether_anything_is_recorded(stage):
    """No turn, no folder."""
    stage.record()
    stage.ask("hello")
    return len(stage.memory.turns), os.listdir(stage.path)


@effect("content", False)
def what_was_said(stage):
    """Input and output are not there."""
    stage.record()
    return stage.turn().input


@effect("spans", "live")
def who_makes_the_spans(stage):
    """As the turn's trace tells."""
    stage.record()
    return stage.turn().trace.mode


@effect("span_content", False)
def what_spans_carry(stage):
    """A word that was said is in the request to an OTLP backend, or is not."""
    stage.configure(exporters=[f"otlp+{stage.api.url}"])
    stage.ask("marzipan")
    turnspan.flush()
    return [b"marzipan" in request.body for request in stage.api.state.requests]


@effect("profiles", ("langsmith", "laminar"))
def which_vendors_keys_spans_carry(stage):
    """Those of the vendors that are named."""
    stage.configure(exporters=[f"otlp+{stage.api.url}"])
    stage.ask("hello")
    turnspan.flush()
    names = (b"langsmith.span.kind", b"lmnr.span.input", b"langfuse.trace.name")
    return [name in request.body for request in stage.api.state.requests for name in names]


@effect("orphans", "turn")
def what_becomes_of_a_tool_outside_a_turn(stage):
    """It is a turn of its own."""
    stage.record()
    turnspan.tool(str.upper)("hello")
    return len(stage.memory.turns)


@effect("hide", ("input",))
def what_is_hidden_by_its_path(stage):
    """An input, for one."""
    stage.record()
    return stage.turn().input


@effect("redact", ("email",))
def what_is_hidden_by_a_pattern(stage):
    """An address, for one."""
    stage.record()
    return stage.turn("write to ada@example.com").input


@effect("sample", 0.0)
def whether_a_turn_is_recorded_at_all(stage):
    """None is, where no session is to be."""
    stage.record()
    stage.ask("hello")
    return len(stage.memory.turns)


@effect("keep_errors", True)
def whether_a_failing_turn_outside_the_sample_is_kept(stage):
    """It is, and a turn that went well is not."""
    stage.record(sample=0.0)

    @turnspan.agent
    def failing():
        raise ValueError("no")

    stage.ask("hello")
    with pytest.raises(ValueError):
        failing()
    return [turn.status for turn in stage.memory.turns]


@effect("baggage_keys", ("tenant",))
def what_baggage_is_kept(stage):
    """In the metadata of turns."""
    stage.record()
    token = context.attach(baggage.set_baggage("tenant", "acme"))
    try:
        return stage.turn().metadata
    finally:
        context.detach(token)


@effect("api_key", "hush")
def how_requests_are_authorized(stage):
    """By their header."""
    stage.configure(exporters=[stage.api.url])
    stage.ask("hello")
    turnspan.flush()
    return stage.api.state.requests[-1].headers.get("authorization")


@effect("max_value_bytes", 100)
def how_much_of_a_value_is_kept(stage):
    """The rest is cut."""
    stage.record()
    return len(stage.turn("word " * 100).input.content)


@effect("max_turn_bytes", 1000)
def how_much_of_a_turn_is_kept(stage):
    """Steps beyond it have no content."""
    stage.record()
    echo = turnspan.tool(lambda text: text)
    with turnspan.turn(agent="busy"):
        for _ in range(5):
            echo("word " * 100)
    (turn,) = stage.memory.turns
    return [step.output is not None for step in turn.steps]


@effect("media", True)
def whether_media_is_kept(stage):
    """Whole, or as its hash, type and size."""
    stage.record()
    image = "data:image/png;base64," + "QUJD" * 20_000
    message = {"role": "user", "content": [{"type": "image_url", "image_url": {"url": image}}]}
    turnspan.agent(lambda messages: None)([message])
    return len(stage.memory.raw[0]) > len(image)


@effect("durability", "disk")
def whether_the_disk_is_waited_for(stage):
    """`flush` has asked for it."""
    stage.configure(exporters=[])
    with pytest.MonkeyPatch.context() as patch:
        synced: list[int] = []
        fsync = os.fsync
        patch.setattr(os, "fsync", lambda fd: (synced.append(fd), fsync(fd)))
        stage.ask("hello")
        turnspan.flush()
    return bool(synced)


def _fill(stage: Stage) -> None:
    for _ in range(100):
        stage.ask("word " * 200)


def _has_deleted(runtime: Runtime) -> bool:
    for _ in range(5):  # a segment must be seen twice before it goes, by a thread, too
        runtime.journal.maintain()
    return runtime.journal.counts().segments_deleted > 0


def _segments(runtime: Runtime) -> int:
    return sum(map(len, runtime.journal.directory.owners().values()))


@effect("segment_bytes", 10_000, text="10000")
def how_long_a_segment_is(stage):
    """Several are begun."""
    runtime = stage.configure(exporters=[])
    _fill(stage)
    return _segments(runtime) > 1


@effect("directory_bytes", 40_000, text="40000")
def how_large_the_directory_may_be(stage):
    """The oldest segments go."""
    runtime = stage.configure(exporters=[], segment_bytes=10_000)
    _fill(stage)
    return _has_deleted(runtime)


@effect("ring_bytes", 10_000, text="10000")
def how_much_memory_turns_take(stage):
    """The oldest are dropped, and counted."""
    stage.api.be("down")
    stage.configure(exporters=[stage.api.url], directory=None)
    _fill(stage)
    return "ring_full" in turnspan.health().dropped


@effect("retain_s", 1e-6)
def how_long_turns_stay(stage):
    """Segments that are delivered go."""
    runtime = stage.configure(exporters=[], segment_bytes=10_000)
    _fill(stage)
    return _has_deleted(runtime)


def _put_to_rest(stage: Stage) -> None:
    """Have the worker wait: one that is looking for turns just now takes one as it comes."""
    stage.ask("hello")
    turnspan.flush()
    time.sleep(0.2)


def _batches_of_many(stage: Stage) -> list[int]:
    stage.configure(exporters=[batches := Batches()], batch_delay_s=60.0)
    _put_to_rest(stage)
    _fill(stage)
    turnspan.flush(30.0)
    assert sum(batches.sizes) == 101
    return batches.sizes


@effect("batch_turns", 2)
def how_many_turns_go_together(stage):
    """In one call of an exporter."""
    return max(_batches_of_many(stage)) > 2


@effect("batch_bytes", 1)
def how_many_bytes_go_together(stage):
    """At least one turn."""
    return max(_batches_of_many(stage)) > 1


@effect("batch_delay_s", 0.01)
def how_long_a_turn_waits_for_company(stage):
    """Alone, without a flush."""
    stage.configure(exporters=[batches := Batches()])
    _put_to_rest(stage)
    started_s = time.monotonic()
    stage.ask("hello")
    while len(batches.sizes) < 2:
        assert time.monotonic() < started_s + 30
        time.sleep(0.005)
    return time.monotonic() - started_s > 0.9


@effect("timeout_s", 3.5)
def how_long_a_request_may_take(stage):
    """As the exporter is told."""
    stage.configure(exporters=[batches := Batches()], batch_delay_s=0.01)
    stage.ask("hello")
    turnspan.flush()
    return batches.timeouts_s


@effect("exit_s", 0.05)
def how_long_the_exit_waits(stage):
    """For an exporter that does not answer."""
    runtime = stage.configure(exporters=[Batches(delay_s=2.5)])
    stage.ask("hello")
    started_s = time.monotonic()
    runtime.leave()
    return time.monotonic() - started_s > 1.0


@effect("on_sigterm", True)
def who_answers_the_signal(stage):
    """A handler of ours, while a runtime is there that was asked for it."""
    stage.configure()
    handler = signal.getsignal(signal.SIGTERM)
    return handler is not signal.SIG_DFL


@pytest.fixture
def stage(unconfigured, tmp_path, monkeypatch, turns_api):
    """Makes stages, one after another, each with a folder of its own."""
    made: list[Path] = []

    def stage(**given: Any) -> Stage:
        turnspan.close(0.1)
        made.append(tmp_path / f"stage{len(made)}")
        made[-1].mkdir()
        monkeypatch.chdir(made[-1])
        turns_api.be("ok")
        turns_api.reset()
        return Stage(made[-1], turns_api, given)

    return stage


@pytest.mark.parametrize("option", options(), ids=lambda option: option.name)
def test_every_option_changes_something(option, stage, monkeypatch):
    """What is seen with it is not what is seen without; argument and variable do the same."""
    if option.name not in EFFECTS:
        pytest.fail(MISSING.format(name=option.name, file=os.path.basename(__file__)))
    tried = EFFECTS[option.name]
    assert tried.value != option.default
    by_default = tried.observe(stage())
    by_argument = tried.observe(stage(**{option.name: tried.value}))
    monkeypatch.setenv(option.env, tried.text)
    by_variable = tried.observe(stage())

    assert by_argument != by_default, ALSO_BY_DEFAULT.format(
        name=option.name, value=tried.value, seen=by_default, file=os.path.basename(__file__)
    )
    assert by_variable == by_argument


def test_no_effect_is_left_of_an_option_that_is_gone():
    """The table names options only."""
    assert sorted(EFFECTS.keys() - {option.name for option in options()}) == []


@pytest.mark.parametrize("name", ["content", "batch_turns", "directory"])
def test_an_effect_is_seen_again_where_nothing_changed(name, stage):
    """Else any two looks would differ, and the test above would prove nothing."""
    observe = EFFECTS[name].observe

    assert observe(stage()) == observe(stage())
