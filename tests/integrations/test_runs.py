"""What a framework tells by run id becomes turns and steps, whatever it forgets to tell."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading

import pytest

import turnspan
from turnspan.exporters.memory import MemoryExporter
from turnspan.integrations import Opening, Runs, contained
from turnspan.schema import Content, Error, Model, Tool, Usage


def read(message):
    """A message of the framework of these tests: role and text."""
    return {"role": message[0], "content": message[1]}


def steps(turn):
    """Kind, name, status and the name of the parent of each step, in the order they ended."""
    names = {step.id: step.name for step in turn.steps}
    return [(s.kind, s.name, s.status, names.get(s.parent_id)) for s in turn.steps]


def test_a_root_is_a_turn_and_runs_below_it_are_steps(runs, memory):
    """Parents are known by run id; a run that is passed through leaves no trace."""
    runs.start_agent("root", Opening("desk", "hi", session_id="s", metadata={"k": 1}, tags=["t"]))
    runs.start_passage("node", parent="root")
    runs.start_step("m", "model", "gpt", parent="node")
    runs.set_messages("m", [("system", "be"), ("user", "hi")], read)
    runs.set_model("m", provider="openai", request_model="gpt", parameters={"temperature": 1})
    runs.mark_first_chunk("m")
    runs.set_reply("m", {"role": "assistant", "content": "yo"}, finish_reason="stop")
    runs.set_usage("m", input_tokens=3, output_tokens=1, cache_read_tokens=None)
    runs.end("m")
    runs.start_step("t", "tool", "add", parent="node")
    runs.set_tool("t", call_id="c1", type="function", description=None)
    runs.set_input("t", {"a": 1})
    runs.set_output("t", 2)
    runs.set_metadata("t", region="eu")
    runs.end("t")
    runs.end("node")
    runs.set_output("root", "yo")
    runs.end("root")
    (turn,) = memory.turns
    model, tool = turn.steps

    assert (turn.agent.name, turn.session_id, turn.number) == ("desk", "s", 1)
    assert (turn.metadata, turn.tags, turn.status) == ({"k": 1}, ("t",), "ok")
    assert (turn.input, turn.output) == (Content(content="hi"), Content(content="yo"))
    assert [(m.role, m.text, m.finish_reason) for m in turn.messages] == [
        ("system", "be", None),
        ("user", "hi", None),
        ("assistant", "yo", "stop"),
    ]
    assert steps(turn) == [("model", "gpt", "ok", None), ("tool", "add", "ok", None)]
    assert model.model == Model(
        provider="openai", request_model="gpt", parameters={"temperature": 1}
    )
    assert (model.input_messages, model.output_messages) == (((0, 2),), ((2, 3),))
    assert model.usage == turn.usage == Usage(input_tokens=3, output_tokens=1)
    assert model.started_at < model.first_chunk_at < model.ended_at
    assert tool.tool == Tool(call_id="c1", type="function")
    assert (tool.input.content, tool.output.content) == ('{"a":1}', "2")
    assert tool.metadata == {"region": "eu"}
    assert len(runs) == 0


def test_steps_stand_under_the_step_they_were_started_in(runs, memory):
    """A nested agent and what it calls keep their places."""
    runs.start_agent("root", Opening("outer"))
    runs.start_agent("inner", Opening("inner", "q"), parent="root")
    runs.start_step("t", "tool", "add", parent="inner")
    for run_id in ("t", "inner", "root"):
        runs.end(run_id)
    (turn,) = memory.turns

    assert steps(turn) == [("tool", "add", "ok", "inner"), ("agent", "inner", "ok", None)]
    assert (turn.steps[1].agent.name, turn.steps[1].input.content) == ("inner", "q")


def test_a_step_outside_any_turn_opens_one_where_told(runs, memory):
    """A bare model call is a turn with one step, and answers what the step answered."""
    runs.start_step("m", "model", "gpt", opening=Opening("gpt", "hi"))
    runs.set_reply("m", {"role": "assistant", "content": "yo"})
    runs.end("m")
    (turn,) = memory.turns

    assert (turn.agent.name, turn.input.content, turn.output.content) == ("gpt", "hi", "yo")
    assert steps(turn) == [("model", "gpt", "ok", None)]


@pytest.mark.parametrize("orphans,turns", [("skip", 0), ("turn", 1)])
def test_a_step_outside_any_turn_is_what_the_setting_says(make_runtime, memory, orphans, turns):
    """Without an opening it is treated as a decorated function is."""
    runs = Runs(recorder=make_runtime(orphans=orphans).recorder)
    runs.start_step("t", "tool", "add")
    runs.set_output("t", "3")
    runs.end("t")

    assert [(t.agent.name, t.output) for t in memory.turns] == [
        ("add", Content(content="3"))
    ] * turns
    assert len(runs) == 0


def test_a_run_that_is_told_of_twice_is_recorded_once(runs, memory):
    """The second start and the second end say nothing new."""
    for _ in range(2):
        runs.start_agent("root", Opening("desk"))
    for _ in range(2):
        runs.start_step("t", "tool", "add", parent="root")
    for run_id in ("t", "t", "root", "root"):
        runs.end(run_id)

    assert [steps(turn) for turn in memory.turns] == [[("tool", "add", "ok", None)]]


def test_an_id_may_be_used_again_after_its_end(runs, memory):
    """Whoever names the ids may name two runs alike, one after the other."""
    for _ in range(2):
        runs.start_agent("same", Opening("desk"))
        runs.end("same")

    assert [turn.status for turn in memory.turns] == ["ok", "ok"]


def test_what_is_said_of_an_unknown_run_is_passed_over(runs, memory):
    """It never began, has ended, or is not recorded."""
    runs.set_input("nobody", "x")
    runs.set_messages("nobody", [("user", "x")], read)
    runs.set_reply("nobody", {"role": "assistant", "content": "x"})
    runs.set_usage("nobody", input_tokens=1)
    runs.mark_first_chunk("nobody")
    runs.pause("nobody")
    runs.start_passage("node", parent="nobody")
    runs.end("nobody")

    assert memory.turns == []
    assert len(runs) == 0
    assert "node" not in runs


@pytest.mark.parametrize(
    "ended,status,left",
    [
        ({}, "ok", "open"),
        ({"error": ValueError("no")}, "error", "cancelled"),
        ({"error": asyncio.CancelledError()}, "cancelled", "cancelled"),
        ({"error": GeneratorExit()}, "abandoned", "abandoned"),
        ({"status": "paused"}, "paused", "paused"),
    ],
)
def test_what_is_open_below_a_root_ends_with_it(runs, memory, ended, status, left):
    """Frameworks forget to end the runs of a cancelled call."""
    runs.start_agent("root", Opening("desk"))
    runs.start_passage("node", parent="root")
    runs.start_step("t", "tool", "add", parent="node")
    runs.start_step("m", "model", "gpt", parent="t")
    runs.end("root", **ended)
    (turn,) = memory.turns

    assert turn.status == status
    assert steps(turn) == [("model", "gpt", left, "add"), ("tool", "add", left, None)]
    assert len(runs) == 0


def test_an_error_is_kept_whether_it_was_raised_or_told(runs, memory):
    """An exception has a type and a message; a framework may give just these."""
    runs.start_agent("root", Opening("desk"))
    runs.start_step("t", "tool", "add", parent="root")
    runs.end("t", error={"type": "tool_error", "message": "no"})
    runs.end("root", error=ValueError("worse"))
    (turn,) = memory.turns

    assert turn.steps[0].error == Error(type="tool_error", message="no")
    assert (turn.error.type, turn.error.message) == ("ValueError", "worse")


def test_without_content_nothing_that_was_said_is_kept(make_runtime, memory):
    """What the policy hides is hidden here too."""
    runs = Runs(recorder=make_runtime(content=False).recorder)
    runs.start_agent("root", Opening("desk", "secret"))
    runs.start_step("m", "model", "gpt", parent="root")
    runs.set_messages("m", [("user", "secret")], read)
    runs.set_reply("m", {"role": "assistant", "content": "secret"})
    runs.set_usage("m", input_tokens=3)
    runs.end("m", error={"type": "tool_error", "message": "secret"})
    runs.set_output("root", "secret")
    runs.end("root", error=ValueError("secret"))
    (turn,) = memory.turns

    assert b"secret" not in memory.raw[0]
    assert turn.usage == Usage(input_tokens=3)
    assert turn.error.type == "ValueError"


def test_a_paused_run_is_paused_only_if_it_ends_well(runs, memory):
    """An error after the interrupt is an error."""
    for run_id, error in (("a", None), ("b", ValueError("no"))):
        runs.start_agent(run_id, Opening("desk"))
        runs.pause(run_id)
        runs.end(run_id, error=error)

    assert [turn.status for turn in memory.turns] == ["paused", "error"]


def test_fields_of_the_wrong_type_are_left_out(runs, memory):
    """One of them would make the whole turn unreadable."""
    runs.start_agent("root", Opening("desk"))
    runs.start_step("m", "model", "gpt", parent="root")
    runs.set_model("m", provider=7, request_model=None, parameters=[], response_model="gpt")
    runs.set_usage("m", input_tokens="3", output_tokens=True, cost_usd=0.5)
    runs.set_tool("m", call_id=9)
    runs.end("m")
    runs.end("root")
    (step,) = memory.turns[0].steps

    assert (step.model, step.usage, step.tool) == (
        Model(response_model="gpt"),
        Usage(cost_usd=0.5),
        None,
    )


def test_a_text_of_a_frameworks_own_class_is_a_text(runs, memory):
    """And none of the class's own code is run."""

    class Text(str):
        __slots__ = ()

        def __str__(self):
            raise RuntimeError("never called")

    runs.start_agent("root", Opening("desk", Text("in")))
    runs.set_output("root", Text("out"))
    runs.end("root")
    (turn,) = memory.turns

    assert (turn.input, turn.output) == (Content(content="in"), Content(content="out"))


def test_more_roots_than_allowed_end_the_one_that_was_silent_longest(runs, memory):
    """Roots whose end is never told do not pile up; three are allowed here."""
    for name in ("a", "b", "c"):
        runs.start_agent(name, Opening(name))
    runs.start_step("t", "tool", "add", parent="a")  # a is heard of again
    runs.start_agent("d", Opening("d"))

    assert [(t.agent.name, t.status) for t in memory.turns] == [("b", "cancelled")]
    assert "a" in runs
    assert "b" not in runs


def test_a_root_that_was_silent_too_long_is_ended(runs, memory, idle):
    """With everything below it; a minute is allowed here."""
    runs.start_agent("old", Opening("old"))
    runs.start_step("t", "tool", "add", parent="old")
    idle.now_s += 59
    runs.start_agent("young", Opening("young"))
    idle.now_s += 2
    runs.start_agent("new", Opening("new"))
    (turn,) = memory.turns

    assert (turn.agent.name, turn.status) == ("old", "cancelled")
    assert steps(turn) == [("tool", "add", "cancelled", None)]
    assert len(runs) == 2


def test_a_forked_child_knows_no_run_of_its_parent(runs):
    """What was open at the fork is the parent's to end."""
    runs.start_agent("root", Opening("desk"))
    pid = os.fork()
    if pid == 0:
        os._exit(0 if "root" not in runs and len(runs) == 0 else 1)
    _, status = os.waitpid(pid, 0)

    assert os.waitstatus_to_exitcode(status) == 0
    assert "root" in runs


def test_threads_may_work_on_one_turn(runs, memory):
    """Eight threads, fifty model calls each: no message, token or step is lost."""
    runs.start_agent("root", Opening("desk"))
    shared = [("user", f"message {n}") for n in range(50)]

    def work(thread):
        for n in range(50):
            run_id = (thread, n)
            runs.start_step(run_id, "model", "gpt", parent="root")
            runs.set_messages(run_id, shared[: n + 1], read)
            runs.set_reply(run_id, {"role": "assistant", "content": f"{thread} {n}"})
            runs.set_usage(run_id, input_tokens=1)
            runs.end(run_id)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    runs.end("root")
    (turn,) = memory.turns

    assert len(turn.steps) == turn.usage.input_tokens == 400
    assert len(turn.messages) == 450
    assert all(len(turn.messages_at(step.input_messages)) in range(1, 51) for step in turn.steps)
    assert {turn.messages_at(s.output_messages)[0].text for s in turn.steps} == {
        f"{thread} {n}" for thread in range(8) for n in range(50)
    }


@pytest.mark.parametrize("method", ["open_turn", "open_step", "announce", "conversation", "close"])
def test_nothing_of_ours_is_raised_into_the_framework(runtime, method, monkeypatch):
    """Whichever part of the recorder breaks, every call returns and nothing stays open."""

    def broken(*args, **kwargs):
        raise RuntimeError("our own bug")

    monkeypatch.setattr(runtime.recorder, method, broken)
    runs = Runs(recorder=runtime.recorder)
    runs.start_agent("root", Opening("desk", "hi"))
    runs.start_step("m", "model", "gpt", parent="root", opening=Opening("gpt"))
    runs.set_messages("m", [("user", "hi")], read)
    runs.set_reply("m", {"role": "assistant", "content": "yo"})
    runs.end("m")
    runs.end("root")

    assert len(runs) == 0


def test_a_reader_that_fails_costs_only_its_messages(runs, memory):
    """The rest of the turn is there."""
    runs.start_agent("root", Opening("desk", "hi"))
    runs.start_step("m", "model", "gpt", parent="root")
    runs.set_messages("m", ["not a pair"], lambda message: message["role"])
    runs.end("m")
    runs.end("root")
    (turn,) = memory.turns

    assert (turn.input.content, turn.messages) == ("hi", ())
    assert steps(turn) == [("model", "gpt", "ok", None)]


@pytest.fixture
def configured():
    memory = MemoryExporter()
    turnspan.configure(exporters=[memory], directory=None, spans="own")
    yield memory
    turnspan.close(timeout_s=1.0)


def test_a_root_inside_an_agent_is_a_step_of_its_turn(configured):
    """And it knows the session of that turn, not its own."""
    runs = Runs()

    @turnspan.agent(name="outer")
    def outer():
        runs.start_agent("root", Opening("inner", session_id="other"))
        runs.start_step("t", "tool", "add", parent="root")
        runs.end("t")
        runs.end("root")
        return "done"

    outer()
    (turn,) = configured.turns

    assert (turn.agent.name, turn.session_id) == ("outer", None)
    assert steps(turn) == [("tool", "add", "ok", "inner"), ("agent", "inner", "ok", None)]


def test_a_failure_of_a_plugin_is_counted_and_stays_there(configured):
    """`health()` shows that something was not recorded; the framework sees nothing."""

    @contained
    def callback(event):
        raise ValueError(event)

    callback("odd")

    assert turnspan.health().dropped == {"capture": 1}


def test_with_recording_off_nothing_is_held():
    """Where turnspan is closed or disabled, runs come and go."""
    turnspan.configure(directory=None, disabled=True)
    runs = Runs()
    runs.start_agent("root", Opening("desk"))
    runs.start_step("t", "tool", "add", parent="root")
    turnspan.close()

    assert len(runs) == 0


def test_the_first_run_configures_from_the_environment(tmp_path):
    """A program that names turnspan nowhere but in its environment is recorded."""
    program = (
        "from turnspan.integrations import Opening, Runs\n"
        "runs = Runs()\n"
        "runs.start_agent(1, Opening('desk'))\n"
        "runs.end(1)\n"
    )
    environ = {**os.environ, "TURNSPAN_DIR": "none", "TURNSPAN_EXPORTERS": f"file:{tmp_path}/t"}
    subprocess.run([sys.executable, "-c", program], check=True, env=environ, cwd=tmp_path)

    assert b'"agent":{"name":"desk"}' in (tmp_path / "t").read_bytes()


def test_importing_it_brings_nothing_heavy():
    """A plugin's import costs what the framework costs."""
    program = (
        "import sys, turnspan.integrations.runs\n"
        "heavy = {'pydantic', 'httpcore', 'rich', 'opentelemetry', 'asyncio'}\n"
        "heavy.add('importlib.metadata')\n"
        "print(sorted(heavy & set(sys.modules)))\n"
    )
    found = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True
    )

    assert found.stdout == "[]\n"
