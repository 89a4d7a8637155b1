"""What strikes while our own code runs belongs to the caller, and leaves nothing dirty."""

from __future__ import annotations

import signal
import sys
import threading

import pytest

import turnspan
from turnspan.capture.context import current_draft


@turnspan.agent
def answer(question):
    """An agent as any other."""
    return question


def test_an_interrupt_while_a_turn_is_opened_leaves_no_turn_current(tape):
    """What comes after it is recorded as if nothing had been."""
    strikes = [KeyboardInterrupt()]

    def read_state():
        if strikes:
            raise strikes.pop()
        return {"n": 1}

    counting = turnspan.agent(state=read_state)(lambda question: question)
    with pytest.raises(KeyboardInterrupt):
        counting("struck")
    after = current_draft.get()
    counting("spared")
    answer("spared, too")

    assert after is None
    assert [turn.input.content for turn in tape.turns] == ["spared", "spared, too"]


def test_an_interrupt_inside_a_step_leaves_its_turn_current(tape):
    """The turn it belongs to goes on."""

    @turnspan.tool
    def struck():
        raise KeyboardInterrupt

    @turnspan.agent
    def outer():
        with pytest.raises(KeyboardInterrupt):
            struck()
        answer("inner")
        return "done"

    outer()

    assert [(step.name, step.status) for step in tape.turn.steps] == [
        ("struck", "cancelled"),
        ("answer", "ok"),
    ]


@pytest.mark.parametrize("place", ["start", "result", "end"])
def test_what_a_signal_handler_raises_in_our_code_reaches_the_caller(tape, monkeypatch, place):
    """A time limit set by a signal holds, wherever the program stands when it is over."""

    class TimeIsUp(Exception):
        pass

    def handle(number, frame):
        raise TimeIsUp

    before = signal.signal(signal.SIGUSR1, handle)
    name = {"start": "open_turn", "result": "leave", "end": "close"}[place]
    real = getattr(tape.recorder, name)

    def struck(*args, **kwargs):
        signal.raise_signal(signal.SIGUSR1)
        return real(*args, **kwargs)

    try:
        with monkeypatch.context() as patched:
            patched.setattr(tape.recorder, name, struck)
            with pytest.raises(TimeIsUp):
                answer("late")
    finally:
        signal.signal(signal.SIGUSR1, before)
    answer("in time")

    assert current_draft.get() is None
    assert tape.turns[-1].input.content == "in time"


class StruckOnce:
    """The current draft, whose first change is followed at once by an interrupt."""

    def __init__(self):
        self.get, self.reset = current_draft.get, current_draft.reset
        self.strikes = [KeyboardInterrupt()]

    def set(self, draft):
        token = current_draft.set(draft)
        if self.strikes:
            raise self.strikes.pop()
        return token


def in_a_block(question):
    with turnspan.turn(input=question):
        pass


@pytest.mark.parametrize("begin", [answer, in_a_block])
def test_an_interrupt_right_after_a_turn_became_current_leaves_none_current(
    tape, monkeypatch, begin
):
    """Else whatever comes later would be a step of a turn that never ends."""
    with monkeypatch.context() as patched:
        patched.setattr("turnspan.capture.recorder.current_draft", StruckOnce())
        with pytest.raises(KeyboardInterrupt):
            begin("struck")
    after = current_draft.get()
    begin("spared")

    assert after is None
    assert tape.turn.input.content == "spared"


@pytest.mark.parametrize("place", ["stored._by_class", "guarded.redacted", "state", "reasoning"])
def test_a_time_limit_holds_while_something_is_read_or_asked(record, monkeypatch, place):
    """None of the borders at which a failure becomes a placeholder keeps it."""

    class TimeIsUp(Exception):
        pass

    def handle(number, frame):
        raise TimeIsUp

    def strike(*_):
        signal.raise_signal(signal.SIGUSR1)

    tape = record(policy=turnspan.Policy(hide=["password"]))
    options = {} if "." in place else {place: strike}
    late = turnspan.agent(**options)(lambda question: question)
    before = signal.signal(signal.SIGUSR1, handle)
    try:
        with monkeypatch.context() as patched:
            if not options:
                patched.setattr(f"turnspan.capture.{place}", strike)
            with pytest.raises(TimeIsUp):
                late(threading.Event())
    finally:
        signal.signal(signal.SIGUSR1, before)
    answer("in time")

    assert current_draft.get() is None
    assert tape.turns[-1].input.content == "in time"


def test_our_own_failures_near_the_end_of_the_stack_stay_ours(tape):
    """Saying that something failed takes room, which there may not be."""

    @turnspan.agent
    def deep(n):
        return deep_down(n)

    def deep_down(n):
        return n if n == 0 else deep_down(n - 1)

    failed = []
    for limit in range(40, 140):
        try:
            at_depth(sys.getrecursionlimit() - limit, lambda: answer("x"))
        except RecursionError:
            failed.append(limit)
    deep(3)

    assert tape.turns[-1].status == "ok"
    assert current_draft.get() is None


def test_a_stream_that_is_called_near_the_end_of_the_stack_is_whole(tape):
    """Recorded or not, whoever reads it gets all of it."""

    @turnspan.agent
    def tell(question):
        yield "a"
        yield "b"

    found = []
    for limit in range(90):
        try:
            found.append(at_depth(sys.getrecursionlimit() - limit, lambda: tell("x")))
        except RecursionError:
            continue

    assert [list(stream) for stream in found] == [["a", "b"]] * len(found)
    assert 0 < tape.recorder.failures < len(found)
    assert len(tape.turns) == len(found) - tape.recorder.failures
    assert current_draft.get() is None


def at_depth(depth, do):
    """Call ``do`` with ``depth`` frames on the stack, as far as they fit."""

    def down(left):
        return do() if left <= 0 else down(left - 1)

    frame, used = sys._getframe(), 0
    while frame is not None:
        used, frame = used + 1, frame.f_back
    return down(depth - used)


def test_the_object_a_method_is_called_on_is_never_captured(tape):
    """Whatever the method calls it, and by keyword as well."""

    class Vault:
        secret = "hush"

        @turnspan.agent
        def ask(this, question, depth):
            return question

        @turnspan.agent
        def tell(self, question, depth):
            return question

    vault = Vault()
    vault.ask("a", 1)
    Vault.tell(self=vault, question="b", depth=2)

    assert [turn.input.content for turn in tape.turns] == [
        '{"question":"a","depth":1}',
        '{"question":"b","depth":2}',
    ]


def test_a_carried_coroutine_records_into_the_turn_it_was_carried_from(tape):
    """In another thread with an event loop of its own."""
    import asyncio

    @turnspan.tool
    async def look(n):
        return n

    async def work(n):
        return await look(n)

    @turnspan.agent
    def outer():
        carried = turnspan.carry(work)
        thread = threading.Thread(target=lambda: asyncio.run(carried(1)))
        thread.start()
        thread.join()
        return "done"

    outer()

    assert [step.name for step in tape.turn.steps] == ["look"]


def test_a_turn_keeps_its_budget_whatever_fills_it(record):
    """Messages, metadata and reasoning count like the contents of steps."""
    tape = record(max_turn_bytes=10_000)

    @turnspan.agent
    def work(messages):
        turn = turnspan.current_turn()
        for number in range(20):
            turn.set_metadata(**{f"m{number}": "x" * 1000})
            turn.add_reasoning("y" * 1000)
        return "done"

    work([{"role": "user", "content": "z" * 1000} for _ in range(20)])
    line = tape.log.lines[-1]

    assert len(line) < 20_000
    assert {note.where.split("/")[0] for note in tape.turn.truncated} == {
        "messages",
        "metadata",
        "reasoning",
    }


def test_a_long_turn_journals_its_messages_with_its_steps(tape):
    """Each message once, where the steps that point at it are."""

    @turnspan.model
    def ask(messages):
        tape.clock.advance(2.0)
        return {"role": "assistant", "content": f"answer {len(messages)}"}

    @turnspan.agent
    def work(question):
        history = [{"role": "user", "content": question}]
        for _ in range(2):
            history.append(ask(history))
        return "done"

    work("go")
    steps = [record for record in tape.records if record["record"] == "step"]

    assert [(step["messages_from"], len(step["messages"])) for step in steps] == [(0, 2), (2, 1)]
