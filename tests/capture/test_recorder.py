"""Calls become turns: whole ones, in the order things happened, whatever goes wrong."""

from __future__ import annotations

import contextlib
import threading

import pytest
from capture_tape import START_NS, TICK_NS, CountedIds, Log, Span, Spans

import turnspan
from turnspan.capture.context import current_draft
from turnspan.capture.lines import MAX_OPEN_INPUT_BYTES
from turnspan.capture.values import Limits
from turnspan.schema import Agent, Content, Step, Tool, Trace, Turn


def at(tick: int) -> int:
    return START_NS + tick * TICK_NS


@turnspan.tool
def look_up(key):
    return {"found": key}


@turnspan.agent
def helper(task):
    return look_up(task)["found"]


@turnspan.agent(version="2")
def answer(question):
    look_up("first")
    return helper("second").upper()


def test_a_turn_is_recorded_whole(tape):
    """Nested agents are steps, tools stand under whoever called them, times are in order."""
    assert answer("why") == "SECOND"

    json = "application/json"
    assert tape.turn == Turn(
        id="turn_000000000001",
        agent=Agent(name="answer", version="2"),
        started_at=at(0),
        ended_at=at(7),
        input=Content(content="why"),
        output=Content(content="SECOND"),
        steps=(
            Step(
                id=f"{2:016x}",
                kind="tool",
                name="look_up",
                started_at=at(1),
                ended_at=at(2),
                input=Content(type="tool_call", content='{"key":"first"}', mime_type=json),
                output=Content(type="tool_result", content='{"found":"first"}', mime_type=json),
                tool=Tool(type="function"),
            ),
            Step(
                id=f"{4:016x}",
                parent_id=f"{3:016x}",
                kind="tool",
                name="look_up",
                started_at=at(4),
                ended_at=at(5),
                input=Content(type="tool_call", content='{"key":"second"}', mime_type=json),
                output=Content(type="tool_result", content='{"found":"second"}', mime_type=json),
                tool=Tool(type="function"),
            ),
            Step(
                id=f"{3:016x}",
                kind="agent",
                name="helper",
                started_at=at(3),
                ended_at=at(6),
                input=Content(content="second"),
                output=Content(content="second"),
                agent=Agent(name="helper"),
            ),
        ),
        trace=Trace(trace_id=f"{1:032x}", span_id=f"{1:016x}"),
        resource={"service.name": "tests"},
    )
    assert tape.spans.open == []


def test_the_journal_knows_of_a_turn_before_it_ends(tape):
    """The first record has the input; the second is the whole turn."""
    opened = []

    @turnspan.agent
    def peek(question):
        opened.extend(tape.records)

    with turnspan.session("s1", user_id="ada", tags=["a"]):
        peek("why")

    assert opened == [
        {
            "record": "open",
            "id": "turn_000000000001",
            "session_id": "s1",
            "number": 1,
            "user_id": "ada",
            "tags": ["a"],
            "agent": {"name": "peek"},
            "started_at": at(0),
            "input": {"type": "text", "content": "why"},
            "trace": {
                "trace_id": f"{1:032x}", "span_id": f"{1:016x}", "flags": 1, "sampled": True,
                "mode": "own",
            },
        }
    ]  # fmt: skip
    assert [line[:40] for line in tape.log.lines] == [
        b'{"record":"open","id":"turn_000000000001',
        b'{"record":"turn","id":"turn_000000000001',
    ]
    assert tape.log.lines[1].startswith(
        b'{"record":"turn","id":"turn_000000000001","session_id":"s1","number":1,'
    )


@pytest.mark.parametrize("character", ["x", "é"])
def test_the_open_record_holds_at_most_64_kib_of_input(tape, character):
    """A large input is in the turn; the first record has its beginning."""
    answer(character * 100_000)
    opened, ended = tape.records

    kept = MAX_OPEN_INPUT_BYTES // len(character.encode())
    assert opened["input"]["content"] == character * kept
    assert ended["input"]["content"] == character * 100_000


def test_a_failed_tool_that_the_agent_handled_is_the_tools_failure(tape):
    """The turn's status comes from the outcome of its root."""

    @turnspan.tool
    def broken():
        raise ValueError("no such thing")

    @turnspan.agent
    def copes():
        try:
            broken()
        except ValueError:
            return "sorry"

    assert copes() == "sorry"
    assert (tape.turn.status, tape.turn.error) == ("ok", None)
    assert tape.step.status == "error"
    assert (tape.step.error.type, tape.step.error.message) == ("ValueError", "no such thing")


@pytest.mark.parametrize("kind", ["tool", "model", "retrieval", "step"])
def test_outside_a_turn_a_step_runs_and_records_nothing(tape, kind):
    """What belongs to no turn is no business of ours."""

    @getattr(turnspan, kind)
    def work(value):
        return [value]

    assert work(1) == [1]
    assert tape.log.lines == []


@pytest.mark.parametrize("kind", ["tool", "model", "retrieval", "step"])
def test_outside_a_turn_a_step_can_be_a_turn_of_its_own(record, kind):
    """With `orphans="turn"` nothing goes unrecorded."""
    tape = record(orphans=True)

    @getattr(turnspan, kind)(name="labour")
    def work(value):
        return "done"

    work("it")

    assert (tape.turn.agent, tape.turn.status) == (Agent(name="labour"), "ok")
    assert tape.turn.output.content == "done"
    assert tape.turn.steps == ()


def test_steps_of_a_long_turn_are_journalled_as_they_end(tape):
    """After a second what it has done is known, should the process die: earlier steps, too."""

    @turnspan.agent
    def slow():
        look_up("early")
        tape.clock.advance(2.0)
        look_up("late")

    slow()
    opened, *steps, turn = tape.records

    assert (opened["record"], turn["record"]) == ("open", "turn")
    assert steps == [
        {"record": "step", "turn_id": turn["id"], "step": step} for step in turn["steps"]
    ]
    assert len(steps) == 2


def test_steps_of_a_short_turn_are_in_the_turn_alone(tape):
    """Two records a turn."""
    answer("why")

    assert [record["record"] for record in tape.records] == ["open", "turn"]


def test_steps_that_outlive_their_turn_are_recorded_as_open(tape):
    """The turn doesn't wait for them, and says that they went on."""
    begun, ended = threading.Event(), threading.Event()

    @turnspan.tool
    def lingers():
        begun.set()
        ended.wait(10)

    @turnspan.agent
    def leaves():
        thread = threading.Thread(target=turnspan.carry(lingers))
        thread.start()
        begun.wait(10)
        return thread

    thread = leaves()
    ended.set()
    thread.join(10)

    assert (tape.turn.status, tape.step.status) == ("ok", "open")
    assert tape.step.ended_at == tape.turn.ended_at
    assert tape.recorder.late_steps == 1
    assert tape.spans.open == []


def test_a_turn_over_its_budget_loses_contents_of_steps_and_says_so(record):
    """What was cut is named with its size; the turn itself stays whole."""
    tape = record(max_turn_bytes=1000)

    @turnspan.tool
    def fetch(n):
        return "x" * 400

    @turnspan.agent
    def gather(question):
        return [fetch(n) for n in range(4)] and "done"

    gather("go")
    kept = [step for step in tape.turn.steps if step.output]
    cut = [step for step in tape.turn.steps if not step.output]

    assert len(kept) == 2
    assert len(cut) == 2
    assert [note.where for note in tape.turn.truncated] == [
        f"steps/{step.id}/{key}" for step in cut for key in ("input", "output")
    ]
    assert {note.why for note in tape.turn.truncated} == {"the turn is over 1000 bytes"}
    assert [note.size_bytes for note in tape.turn.truncated] == [7, 400, 7, 400]
    assert tape.turn.output.content == "done"


class FailingLog(Log):
    """Takes the first ``good`` lines."""

    def __init__(self, good: int = 0) -> None:
        super().__init__()
        self.good = good

    def append(self, line, /):
        if len(self.lines) >= self.good:
            raise OSError("disk on fire")
        super().append(line)


class FailingSpans:
    """Fails where it is told to."""

    def __init__(self, *, at_start: bool) -> None:
        self.at_start = at_start

    def start(self, *_):
        if self.at_start:
            raise RuntimeError("no span for you")
        return Span(1, 2, None)

    def activation(self):
        raise RuntimeError("nor one for a stream")

    def end(self, *_):
        raise RuntimeError("it never ends")


@pytest.mark.parametrize(
    "broken",
    [
        {"log": FailingLog()},
        {"log": FailingLog(good=1)},
        {"spans": FailingSpans(at_start=True)},
        {"spans": FailingSpans(at_start=False)},
    ],
    ids=["log", "log at the end", "spans", "spans at the end"],
)
@pytest.mark.parametrize("fails", [False, True])
def test_whatever_breaks_in_us_the_call_goes_on(record, caplog, broken, fails):
    """The result and the exception are the function's own; the failure is counted and said."""
    tape = record(**broken)
    error = ValueError("mine")

    @turnspan.tool
    def inner(value):
        return value

    @turnspan.agent
    def outer(value):
        if fails:
            raise error
        return inner(value)

    given = object()
    if fails:
        with pytest.raises(ValueError) as caught:
            outer(given)
        assert caught.value is error
    else:
        assert outer(given) is given
        with turnspan.turn() as block:
            block.set_output("x")

    assert current_draft.get() is None
    assert tape.recorder.failures > 0
    assert "your program is not affected" in caplog.text


class MoodySpans(Spans):
    """Starts a span while it is in the mood to."""

    willing = True

    def start(self, *given):
        if not self.willing:
            raise RuntimeError("not now")
        return super().start(*given)


def test_a_step_that_could_not_be_recorded_leaves_its_turn_alone(record, caplog):
    """The turn goes on, and what comes after the step is still in it."""
    tape = record(spans=MoodySpans(CountedIds()))

    @turnspan.agent
    def outer():
        tape.spans.willing = False
        look_up("lost")
        tape.spans.willing = True
        return look_up("kept")["found"]

    assert outer() == "kept"
    assert tape.step.input.content == '{"key":"kept"}'
    assert (tape.turn.status, tape.recorder.failures) == ("ok", 1)
    assert "could not be recorded" in caplog.text


def test_a_step_whose_input_cannot_be_read_leaves_its_turn_current(tape):
    """What comes after it still belongs to the turn."""

    @turnspan.tool
    def inner(value):
        return value

    @turnspan.agent
    def outer():
        tape.recorder.max_bytes = "none"  # breaks whatever compares with it
        inner("lost")
        tape.recorder.max_bytes = tape.recorder.limits.max_bytes
        return current_draft.get() is not None

    assert outer() is True
    assert tape.recorder.failures > 0


def test_a_detached_recorder_writes_nothing_more(tape):
    """After `close()` what is still open ends without a record."""

    @turnspan.agent
    def outlives():
        tape.recorder.detach()
        return look_up("x")

    outlives()

    assert [record["record"] for record in tape.records] == ["open"]


def test_state_is_stored_before_and_after(tape):
    """With the difference on demand."""
    state = {"count": 0, "items": ["a"]}

    @turnspan.agent(state=lambda: state)
    def work():
        state["count"] = 1
        state["items"].append("b")

    work()

    assert tape.turn.state_before == {"count": 0, "items": ["a"]}
    assert tape.turn.state_after == {"count": 1, "items": ["a", "b"]}
    assert tape.turn.state_diff() == [
        {"op": "replace", "path": "/count", "value": 1},
        {"op": "add", "path": "/items/-", "value": "b"},
    ]


def test_a_callable_that_fails_is_said_and_named(tape, caplog):
    """`state=` and `reasoning=` are the caller's, and still can't break the call."""

    @turnspan.agent(state=lambda: 1 / 0, reasoning=lambda _: 1 / 0)
    def work():
        return "done"

    assert work() == "done"
    assert [note.where for note in tape.turn.truncated] == [
        "state_before", "reasoning", "state_after",
    ]  # fmt: skip
    assert "state=" in caplog.text


def test_state_over_the_budget_says_so(record):
    """As every value does that is not whole."""
    tape = record(limits=Limits(max_bytes=1000))

    @turnspan.agent(state=lambda: {"text": "x" * 5000})
    def work():
        return None

    work()

    assert len(tape.turn.state_before["text"]) <= 1000
    assert [note.where for note in tape.turn.truncated] == ["state_before", "state_after"]


def test_reasoning_comes_from_the_result(tape):
    """A callable given to the decorator says why."""

    @turnspan.step(reasoning=lambda result: f"because {result}")
    def think():
        return 42

    @turnspan.agent(reasoning=lambda _: None)
    def work():
        turnspan.current_turn().add_reasoning("at first")
        return think()

    work()

    assert tape.step.reasoning == "because 42"
    assert tape.turn.reasoning == "at first"


def test_no_argument_named_self_or_cls_is_recorded(tape):
    """An object is not what was said to it."""

    class Desk:
        @turnspan.tool
        def look(self, key):
            return key

        @turnspan.tool
        @classmethod
        def look_all(cls, key):
            return key

    with turnspan.turn():
        Desk().look(1)
        Desk.look_all(2)

    assert [step.input.content for step in tape.turn.steps] == ['{"key":1}', '{"key":2}']


def test_baggage_stands_in_the_metadata(record):
    """Beside what the session says, which it doesn't replace."""
    tape = record(baggage=lambda: {"tenant": "t1"})

    with turnspan.session("s", metadata={"tier": "gold"}):
        answer("why")

    assert tape.turn.metadata == {"tier": "gold", "tenant": "t1"}


def test_a_lone_surrogate_in_a_name_costs_no_turn(tape):
    """What no encoder takes is replaced, and the rest of the turn is there."""

    @turnspan.agent(name="na\ud800me")
    def odd(question):
        return "x"

    with turnspan.session("s\udfff", user_id="u\ud800", metadata={"k\ud800": "v\ud800"}):
        odd("why")

    assert tape.turn.session_id == "s?"
    assert tape.turn.agent.name == "na?me"
    assert tape.turn.trace.trace_id == f"{1:032x}"
    assert tape.turn.metadata == {"k?": "v?"}


def test_errors_count_towards_the_turns_budget(record):
    """A tool that fails time and again leaves no more than that; the turn's own error is told."""
    tape = record(max_turn_bytes=10_000)

    @turnspan.tool
    def fetch():
        raise ValueError("no " * 300)

    @turnspan.agent
    def gather(question):
        for _ in range(15):
            with contextlib.suppress(ValueError):
                fetch()
        fetch()

    with pytest.raises(ValueError, match="no no"):
        gather("go")
    told = [bool(step.error.message) for step in tape.turn.steps]

    assert len(tape.log.lines[-1]) < 25_000
    assert told == sorted(told, reverse=True)
    assert set(told) == {True, False}
    assert {step.error.type for step in tape.turn.steps} == {"ValueError"}
    assert tape.turn.error.message == "no " * 300
    assert tape.turn.truncated[-1].where == f"steps/{tape.turn.steps[-1].id}/error/stacktrace"


@pytest.mark.parametrize("each_s", [0.0, 0.3])
def test_a_turn_of_very_many_steps_keeps_the_first_and_counts_the_others(record, each_s):
    """Its line has a bound, short or long as it may have been; tokens of all are summed."""
    tape = record(max_turn_bytes=10_240)

    @turnspan.model
    def use(n):
        tape.clock.advance(each_s)
        turnspan.current_step().set_usage(input_tokens=1)

    @turnspan.agent
    def gather(question):
        for n in range(100):
            use(n)

    gather("go")
    turn = tape.turn
    journalled = [record for record in tape.records if record["record"] == "step"]

    assert [step.model.parameters for step in turn.steps] == [{"n": n} for n in range(20)]
    assert [(cut.where, cut.why) for cut in turn.truncated] == [
        ("steps", "the turn has more than 20 steps: 80 left out")
    ]
    assert turn.usage.input_tokens == 100
    assert [record["step"]["model"]["parameters"] for record in journalled] == [
        {"n": n} for n in range(100 if each_s else 0)
    ]


def test_what_a_step_loses_is_named_where_it_stands(record):
    """Metadata and reasoning that don't fit any more are those of a step, not of the turn."""
    tape = record(max_turn_bytes=100)

    @turnspan.tool
    def note():
        turnspan.current_step().set_metadata(big="x" * 200)
        turnspan.current_step().add_reasoning("y" * 200)

    with turnspan.turn():
        note()
    at = f"steps/{tape.turn.steps[0].id}"

    assert [cut.where for cut in tape.turn.truncated] == [f"{at}/metadata/big", f"{at}/reasoning"]


def reasoned(thought):
    return {"role": "assistant", "content": "y", "reasoning_content": thought}


def told(thought):
    turnspan.current_step().add_reasoning(thought)
    return thought


@pytest.mark.parametrize(
    "think",
    [
        turnspan.model(reasoned),
        turnspan.step(name="think")(told),
        turnspan.step(name="think", reasoning=str)(lambda thought: thought),
    ],
    ids=["reply", "handle", "callable"],
)
def test_why_steps_were_done_counts_towards_the_turns_budget(record, think):
    """However often a model says what it thought, and whoever tells it."""
    tape = record(max_turn_bytes=20_000, limits=Limits(max_bytes=3000))

    with turnspan.turn():
        think("r" * 5000)
        for _ in range(30):
            think("s" * 2000)
    first, *_, last = tape.turn.steps

    assert len(tape.log.lines[-1]) < 40_000
    assert first.reasoning == "r" * 3000
    assert last.reasoning is None
    assert f"steps/{last.id}/reasoning" in {cut.where for cut in tape.turn.truncated}


def asked(number):
    ask_for(messages=[], stop=["s" * 400] * 5)


def answered(number):
    ask_for(messages=[], finish_reason="f" * 2000)


def labelled(number):
    turnspan.current_turn().set_metadata(**{f"{number}{'n' * 2000}": 1})


def tagged(number):
    turnspan.current_turn().add_tags(f"{number}{'t' * 2000}")


@turnspan.model
def ask_for(messages, stop=None, finish_reason="stop"):
    message = {"role": "assistant", "content": ""}
    return {
        "object": "chat.completion",
        "choices": [{"finish_reason": finish_reason, "message": message}],
    }


@pytest.mark.parametrize("tell", [asked, answered, labelled, tagged])
def test_what_models_and_labels_say_counts_towards_the_turns_budget(record, tell):
    """A parameter, a reason to stop, a name in the metadata, a tag: of many, the last are cut."""
    tape = record(max_turn_bytes=20_000)

    with turnspan.turn():
        for number in range(30):
            tell(number)

    assert len(tape.log.lines[-1]) < 100_000
    assert {cut.why for cut in tape.turn.truncated} == {"the turn is over 20000 bytes"}


def test_what_a_session_says_counts_towards_the_budget_of_each_turn(record):
    """Values that are not whole are named, as everywhere."""
    tape = record(max_turn_bytes=20_000, limits=Limits(max_bytes=3000))
    entries = {str(number): "x" * 2000 for number in range(30)}

    said = {"long": "y" * 5000, **entries}
    with turnspan.session("s", metadata=said, tags=["a", "b"]), turnspan.turn():
        pass
    long, *others = tape.turn.truncated

    assert len(tape.log.lines[-1]) < 40_000
    assert (long.where, long.why) == ("metadata/long", "over 3000 bytes")
    assert {cut.why for cut in others} == {"the turn is over 20000 bytes"}
    assert tape.turn.tags == ("a", "b")
    assert tape.turn.metadata["0"] == "x" * 2000


def test_steps_that_outlive_their_turn_are_held_to_its_budget(record):
    """Streams that nobody has read to their end, each with what it was given and said."""
    tape = record(max_turn_bytes=10_240)

    @turnspan.tool
    def stream(text):
        yield "y" * 500
        yield "z"

    with turnspan.turn():
        left = [stream("x" * 500) for _ in range(100)]
        for each in left:
            next(each)
    for each in left:
        each.close()
    steps = tape.turn.steps

    assert len(tape.log.lines[-1]) < 25_000
    assert {step.status for step in steps} == {"open"}
    assert [bool(step.input) for step in steps] == [True] * 10 + [False] * 10
    assert tape.turn.truncated[-1].why == "the turn has more than 20 steps: 80 left out"
