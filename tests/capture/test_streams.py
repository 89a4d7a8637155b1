"""What is recorded of a stream, and where it is current."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import os
import subprocess
import sys
import textwrap
import threading

import pytest

import turnspan
from turnspan.capture.context import current_draft, current_session

KINDS = [turnspan.agent, turnspan.tool, turnspan.model, turnspan.retrieval, turnspan.step]
own = contextvars.ContextVar("own", default="unset")


@turnspan.agent
def tell(question):
    yield "It "
    yield "rains"
    yield "."


@turnspan.agent
async def tell_later(question):
    for word in ("It ", "rains", "."):
        await asyncio.sleep(0)
        yield word


@turnspan.tool
def look_up(key):
    return key


def read(stream):
    return list(stream)


async def read_later(stream):
    return [item async for item in stream]


def both(consume):
    """Run ``consume`` on the sync stream, and on the async one in an event loop."""
    return [lambda: consume(tell("wet?")), lambda: asyncio.run(consume(tell_later("wet?")))]


@pytest.mark.parametrize(
    "run",
    [lambda: read(tell("wet?")), lambda: asyncio.run(read_later(tell_later("wet?")))],
    ids=["sync", "async"],
)
def test_a_stream_is_one_turn_of_what_all_its_chunks_say(tape, run):
    """It begins with the first item asked for, and ends with the last."""
    assert run() == ["It ", "rains", "."]
    turn = tape.turn
    assert turn.input.content == "wet?"
    assert turn.output.content == "It rains."
    assert (turn.status, turn.chunks) == ("ok", 3)
    assert turn.started_at < turn.first_chunk_at < turn.ended_at
    assert [record["record"] for record in tape.records] == ["open", "turn"]
    assert tape.spans.open == []


@pytest.mark.parametrize("decorate", KINDS[1:])
def test_a_stream_inside_a_turn_is_a_step_of_it(tape, decorate):
    """Of its kind, with its chunks and the time of the first."""

    @decorate
    def words(text):
        yield from text.split()

    with turnspan.turn():
        found = read(words("a b c"))

    assert found == ["a", "b", "c"]
    assert (tape.step.kind, tape.step.name) == (decorate.__name__, "words")
    assert tape.step.output.content == "abc"
    assert tape.step.chunks == 3
    assert tape.step.started_at < tape.step.first_chunk_at < tape.step.ended_at
    assert tape.turn.chunks is None


def test_a_stream_that_nobody_starts_is_not_recorded(tape):
    """Nothing of it ever ran."""
    tell("wet?")
    made = tell("wet?")
    made.close()

    async def main():
        await tell_later("wet?").aclose()

    asyncio.run(main())

    assert tape.records == []


def test_input_is_what_it_was_when_the_stream_began(tape):
    """As its code saw it; what is done to it meanwhile is not."""

    @turnspan.agent
    def eats(bag, label):
        yield len(bag)
        bag.clear()
        yield len(bag)

    bag = ["early"]
    stream = eats(bag, label="x")
    bag.append("before it began")
    next(stream)
    bag.append("after")
    read(stream)

    assert tape.turn.input.content == '{"bag":["early","before it began"],"label":"x"}'


def test_a_chunk_is_kept_as_it_was_yielded(tape):
    """Whatever its consumer does to it."""

    @turnspan.agent
    def events():
        event = {"n": 0}
        for n in range(3):
            event["n"] = n
            yield event

    for event in events():
        event["spoilt"] = True
        event.clear()

    assert tape.turn.output.content == '[{"n":0},{"n":1},{"n":2}]'
    assert tape.turn.output.mime_type == "application/json"


def test_a_stream_left_early_is_abandoned_and_keeps_what_it_said(tape):
    """By `break`, by `close`, by an error in its consumer, or because nobody has it."""
    for _ in tell("1"):
        break
    made = tell("2")
    next(made)
    made.close()
    with pytest.raises(ZeroDivisionError):
        for _ in tell("3"):
            raise ZeroDivisionError
    next(tell("4"))

    assert [(turn.status, turn.output.content, turn.chunks) for turn in tape.turns] == [
        ("abandoned", "It ", 1)
    ] * 4
    assert all(turn.error is None for turn in tape.turns)


@pytest.mark.parametrize("how", ["break", "aclose", "dropped", "error"])
def test_an_async_stream_left_early_is_abandoned_and_keeps_what_it_said(tape, how):
    """Whether its event loop gets to close it or not."""

    async def main():
        made = tell_later("wet?")
        if how == "break":
            async for _ in made:
                break
        elif how == "aclose":
            await anext(made)
            await made.aclose()
        elif how == "dropped":
            await anext(made)
            del made
            await asyncio.sleep(0.01)
        else:
            async for _ in made:
                raise ZeroDivisionError

    with contextlib.suppress(ZeroDivisionError):
        asyncio.run(main())

    assert (tape.turn.status, tape.turn.output.content) == ("abandoned", "It ")
    assert tape.recorder.is_busy is False


def test_a_stream_whose_event_loop_is_gone_is_abandoned_when_it_goes(tape):
    """Nobody closes it, and its own code does not run again, as without us."""
    ran = []

    @turnspan.agent
    async def stream():
        try:
            yield "a"
        finally:
            ran.append(True)

    async def begin(made):
        await anext(made)

    loop = asyncio.new_event_loop()
    made = stream()
    loop.run_until_complete(begin(made))
    loop.close()
    before = len(tape.turns)
    del made

    assert before == 0
    assert tape.turn.status == "abandoned"
    assert ran == []


def test_an_error_ends_a_stream_with_what_it_said_before(tape):
    """The error is its consumer's too."""

    @turnspan.agent
    def breaks():
        yield "so far"
        raise ValueError("no further")

    with pytest.raises(ValueError, match="no further"):
        read(breaks())

    assert (tape.turn.status, tape.turn.output.content) == ("error", "so far")
    assert (tape.turn.error.type, tape.turn.error.message) == ("ValueError", "no further")
    assert "turnspan/capture" not in tape.turn.error.stacktrace


@pytest.mark.parametrize(
    "error, status",
    [
        (KeyboardInterrupt(), "cancelled"),
        (SystemExit(1), "cancelled"),
        (MemoryError(), "error"),
        (RecursionError(), "error"),
        (GeneratorExit(), "abandoned"),
    ],
    ids=lambda value: str(value) or type(value).__name__,
)
def test_whatever_ends_a_stream_passes_and_leaves_nothing_current(tape, error, status):
    """The same object, with its status in the turn."""

    @turnspan.agent
    def ends():
        yield 1
        raise error

    stream = ends()
    next(stream)
    with pytest.raises(type(error)) as caught:
        next(stream)

    assert caught.value is error
    assert tape.turn.status == status
    assert current_draft.get() is None


def test_a_cancelled_stream_is_cancelled(tape):
    """Where its own code was cut off, by its task's cancellation or by a timeout."""

    @turnspan.agent
    async def sleeps(how):
        yield how
        await asyncio.sleep(60)

    async def main():
        task = asyncio.create_task(read_later(sleeps("cancel")))
        await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await read_later(sleeps("timeout"))
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(read_later(sleeps("wait_for")), 0.01)
        return current_draft.get()

    assert asyncio.run(main()) is None
    assert [(turn.status, turn.output.content) for turn in tape.turns] == [
        ("cancelled", "cancel"), ("cancelled", "timeout"), ("cancelled", "wait_for"),
    ]  # fmt: skip


def test_a_stream_that_handles_its_cancellation_goes_on(tape):
    """Cancelling is its own business until it gives up."""

    @turnspan.agent
    async def stubborn():
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            yield "no"

    async def main():
        task = asyncio.create_task(read_later(stubborn()))
        await asyncio.sleep(0.01)
        task.cancel()
        return await task

    assert asyncio.run(main()) == ["no"]
    assert (tape.turn.status, tape.turn.output.content) == ("ok", "no")


def test_a_stream_is_current_while_its_own_code_runs_and_no_longer(tape):
    """What its consumer calls between two items is no part of it."""
    seen = []

    @turnspan.agent
    def stream():
        look_up("inside")
        seen.append(bool(turnspan.current_turn()))
        yield 1
        look_up("inside, later")
        yield 2

    for _ in stream():
        seen.append(bool(turnspan.current_turn()))
        look_up("between")
        list(tell("another"))

    inner = [turn for turn in tape.turns if turn.agent.name == "stream"]
    assert seen == [True, False, False]
    assert [step.input.content for step in inner[0].steps] == [
        '{"key":"inside"}', '{"key":"inside, later"}',
    ]  # fmt: skip
    assert [turn.agent.name for turn in tape.turns] == ["tell", "tell", "stream"]


def test_interleaved_streams_keep_their_own(tape):
    """Two that are read in turns, the sync and the async kind."""

    @turnspan.agent
    def stream(name):
        for n in range(3):
            look_up(f"{name}{n}")
            yield n

    @turnspan.agent
    async def stream_later(name):
        for n in range(3):
            look_up(f"{name}{n}")
            await asyncio.sleep(0)
            yield n

    async def main():
        async for one in stream_later("c"):
            async for two in stream_later("d"):
                if two == one:
                    break

    for _ in zip(stream("a"), stream("b"), strict=True):
        assert not turnspan.current_turn()
    asyncio.run(main())

    found = [[step.input.content[8] for step in turn.steps] for turn in tape.turns]
    assert sorted("".join(keys) for keys in found) == ["aaa", "bbb", "ccc", "d", "dd", "ddd"]


def test_a_stream_in_a_stream_is_a_step_of_it(tape):
    """And so is what the inner one calls, one level deeper."""

    @turnspan.model
    def words():
        look_up("deep")
        yield "a"
        yield "b"

    @turnspan.agent
    def outer():
        for word in words():
            look_up(word)
            yield word
        yield from words()

    assert "".join(outer()) == "abab"
    steps = {step.id: step for step in tape.turn.steps}
    found = [
        (step.name, steps[step.parent_id].name if step.parent_id else None)
        for step in tape.turn.steps
    ]
    assert found == [
        ("look_up", "words"), ("look_up", None), ("look_up", None), ("words", None),
        ("look_up", "words"), ("words", None),
    ]  # fmt: skip


def test_what_a_stream_does_to_other_context_variables_is_as_without_us(tape):
    """Its code runs in its consumer's context, not in a copy of it."""

    def sets():
        own.set("by the stream")
        yield own.get()
        yield own.get()

    async def sets_later():
        own.set("by the stream")
        yield own.get()
        yield own.get()

    def consume(make):
        stream = make()
        found = [next(stream), own.get()]
        own.set("by the consumer")
        return [*found, next(stream), own.get()]

    async def consume_later(make):
        stream = make()
        found = [await anext(stream), own.get()]
        own.set("by the consumer")
        found += [await anext(stream), own.get()]
        await stream.aclose()
        return found

    context = contextvars.copy_context
    plain = context().run(consume, sets), asyncio.run(consume_later(sets_later))
    decorated = (
        context().run(consume, turnspan.agent(sets)),
        asyncio.run(consume_later(turnspan.agent(sets_later))),
    )

    assert decorated == plain


def test_a_turn_opened_inside_a_stream_stays_inside(tape):
    """`with turnspan.turn()` and a session around a `yield` are the stream's own."""
    between = []

    @turnspan.agent
    def stream():
        with turnspan.session("inner"), turnspan.turn(agent="block"):
            look_up("a")
            yield 1
            look_up("b")
            yield 2
        look_up("c")
        yield 3

    for _ in stream():
        between.append((bool(turnspan.current_turn()), current_session.get()))

    names = {step.id: step.name for step in tape.turn.steps}
    assert between == [(False, None)] * 3
    assert [(step.name, names.get(step.parent_id)) for step in tape.turn.steps] == [
        ("look_up", "block"), ("look_up", "block"), ("block", None), ("look_up", None),
    ]  # fmt: skip


def test_a_block_inside_a_stream_that_moves_between_contexts_ends_well(tape, caplog):
    """Each step may be taken in another context, as frameworks do that use threads for it."""

    @turnspan.agent
    def stream():
        with turnspan.session("s"), turnspan.turn(agent="block"):
            yield 1
            look_up("in the block")
            yield 2
        look_up("after it")
        yield 3

    made = stream()
    for _ in range(3):
        contextvars.copy_context().run(next, made)
    made.close()

    assert caplog.text == ""
    names = {step.id: step.name for step in tape.turn.steps}
    assert [(step.name, names.get(step.parent_id)) for step in tape.turn.steps] == [
        ("look_up", "block"), ("block", None), ("look_up", None),
    ]  # fmt: skip
    assert current_draft.get() is None


def test_a_stream_belongs_to_where_it_was_called(tape):
    """Its turn, its session and its trace, whoever reads it, and where."""

    @turnspan.agent
    def outer():
        return words("handed on")

    @turnspan.tool
    def words(text):
        yield text

    with turnspan.session("called here"):
        made = tell("wet?")
        handed = outer()
    with turnspan.session("read there"):
        read(made)
        late = read(handed)
    with turnspan.turn(agent="reader"):
        other = tell("in a turn")
    read(other)

    told = {turn.input.content: turn for turn in tape.turns if turn.agent.name == "tell"}
    assert told["wet?"].session_id == "called here"
    assert late == ["handed on"]
    assert told["in a turn"].steps == ()
    assert [turn.agent.name for turn in tape.turns] == ["outer", "tell", "reader", "tell"]


def test_a_stream_called_outside_and_read_inside_belongs_to_its_reader(tape):
    """Where there was no turn, nor a session, where it was called."""

    @turnspan.tool
    def words(text):
        yield text

    made, asked = words("a"), tell("wet?")
    with turnspan.turn(agent="reader"):
        read(made)
    with turnspan.session("s"):
        read(asked)

    assert [(turn.agent.name, turn.session_id) for turn in tape.turns] == [
        ("reader", None), ("tell", "s"),
    ]  # fmt: skip
    assert [step.name for step in tape.turns[0].steps] == ["words"]


def test_a_stream_read_in_other_threads_is_one_turn(tape):
    """Each item in a thread of its own, closed in yet another."""
    made, found = tell("wet?"), []

    def in_thread(do):
        thread = threading.Thread(target=do)
        thread.start()
        thread.join()

    in_thread(lambda: found.append(next(made)))
    in_thread(lambda: found.append(next(made)))
    in_thread(made.close)

    assert found == ["It ", "rains"]
    assert (tape.turn.status, tape.turn.output.content) == ("abandoned", "It rains")


def test_a_stream_closed_by_another_task_is_abandoned(tape):
    """Its context and that of the task are clean afterwards."""

    async def main():
        made = tell_later("wet?")
        await anext(made)

        async def close():
            await made.aclose()
            return current_draft.get()

        return await asyncio.create_task(close()), current_draft.get()

    assert asyncio.run(main()) == (None, None)
    assert tape.turn.status == "abandoned"


def test_a_step_stream_that_outlives_its_turn_is_told_in_it(tape):
    """As open with what it said where somebody reads on, as abandoned where nobody does."""
    kept = []

    @turnspan.model
    async def words():
        yield "a"
        yield "b"

    @turnspan.agent
    async def keeps():
        kept.append(words())
        await anext(kept[0])

    @turnspan.agent
    async def leaves():
        async for _ in words():
            return

    async def main():
        await keeps()
        await leaves()
        return [item async for item in kept[0]]

    assert asyncio.run(main()) == ["b"]
    steps = [turn.steps[0] for turn in tape.turns]
    assert [(step.status, step.output.content) for step in steps] == [
        ("open", "a"), ("abandoned", "a"),
    ]  # fmt: skip
    assert tape.recorder.late_steps == 1


def test_a_stream_can_say_itself_what_came_out(tape):
    """What is set inside wins over the chunks."""

    @turnspan.agent
    def stream():
        yield "noise"
        turnspan.current_turn().set_output("signal")
        turnspan.current_turn().set_metadata(n=1)

    read(stream())

    assert (tape.turn.output.content, tape.turn.chunks) == ("signal", 1)
    assert tape.turn.metadata == {"n": 1}


def test_what_a_generator_returns_is_its_output_where_it_yields_nothing(tape):
    """Otherwise it is its consumer's alone."""

    @turnspan.agent
    def silent():
        return "at last"
        yield

    @turnspan.agent
    def talks():
        yield "first"
        return "unheard"

    read(silent())
    read(talks())

    assert [turn.output.content for turn in tape.turns] == ["at last", "first"]
    assert [turn.chunks for turn in tape.turns] == [None, 1]


def test_state_and_reasoning_of_a_stream(tape):
    """Before its first item and after its last; reasoning is asked for what all of it says."""
    state = {"n": 0}

    @turnspan.agent(
        state=lambda: state, reasoning=lambda said: f"because of {said}", metadata={"k": "v"}
    )
    def stream():
        state["n"] = 1
        yield "a"
        yield "b"

    read(stream())
    turn = tape.turn

    assert (turn.state_before, turn.state_after) == ({"n": 0}, {"n": 1})
    assert turn.reasoning == "because of ab"
    assert turn.metadata == {"k": "v"}


def test_a_stream_decorated_again_is_a_step_of_itself(tape):
    """As a function that is decorated twice."""

    @turnspan.agent
    @turnspan.tool
    @turnspan.tool
    def twice():
        yield "a"

    read(twice())
    outer, inner = sorted(tape.turn.steps, key=lambda step: step.started_at)

    assert (outer.parent_id, inner.parent_id) == (None, outer.id)
    assert {step.output.content for step in (outer, inner)} == {"a"}
    assert tape.turn.output.content == "a"


@pytest.mark.parametrize("carrier", [contextlib.contextmanager, contextlib.asynccontextmanager])
def test_a_context_manager_made_of_a_stream_works(tape, carrier):
    """An error inside the block is thrown into it and comes out the same."""
    error = ValueError("inside the block")

    if carrier is contextlib.contextmanager:

        @contextlib.contextmanager
        @turnspan.agent
        def lends():
            own.set("lent")
            yield "thing"

        with pytest.raises(ValueError) as caught, lends() as thing:
            assert (thing, own.get()) == ("thing", "lent")
            raise error
    else:

        @contextlib.asynccontextmanager
        @turnspan.agent
        async def lends_later():
            yield "thing"

        async def main():
            async with lends_later():
                raise error

        with pytest.raises(ValueError) as caught:
            asyncio.run(main())

    assert caught.value is error
    assert tape.turn.status == "error"


def test_where_recording_is_off_the_generator_itself_comes_back(record):
    """Nothing stands between it and its consumer."""
    record()
    turnspan.capture.active.active.use(None)
    made = tell("wet?")

    assert made.gi_code is tell.__wrapped__.__code__
    assert read(made) == ["It ", "rains", "."]


def test_a_recursion_of_streams_that_never_ends_is_a_recursion_error(tape):
    """And the context is clean after it."""

    @turnspan.step
    def deeper(n):
        yield from deeper(n + 1)

    @turnspan.agent
    def start():
        yield from deeper(0)

    with pytest.raises(RecursionError):
        read(start())

    assert current_draft.get() is None
    assert current_session.get() is None
    assert tape.turns[-1].status == "error"


def test_a_session_is_in_force_while_the_code_of_its_generator_runs(tape):
    """And not between two items, in its consumer."""
    between = []

    @turnspan.session("s")
    def stream():
        list(tell("sync"))
        yield 1
        yield current_session.get().id

    @turnspan.session("t")
    async def stream_later():
        await read_later(tell_later("async"))
        yield 1
        yield current_session.get().id

    async def main():
        found = []
        async for item in stream_later():
            between.append(current_session.get())
            found.append(item)
        return found

    with turnspan.session("outer"):
        found = []
        for item in stream():
            between.append(current_session.get().id)
            found.append(item)

    assert (found, asyncio.run(main())) == ([1, "s"], [1, "t"])
    assert between == ["outer", "outer", None, None]
    assert [turn.session_id for turn in tape.turns] == ["s", "t"]
    assert stream.__wrapped__ is not None


def test_carry_takes_generators_along(tape):
    """Each step of theirs runs in the context they were carried from, whoever reads them."""

    def words():
        own.set("carried")
        look_up("sync")
        yield own.get()
        yield own.get()

    async def words_later():
        own.set("carried")
        look_up("async")
        await asyncio.sleep(0)
        yield own.get()
        yield own.get()

    found = []

    @turnspan.agent
    def outer():
        carried, carried_later = turnspan.carry(words), turnspan.carry(words_later)
        thread = threading.Thread(
            target=lambda: found.extend(
                [*carried(), *asyncio.run(read_later(carried_later())), own.get()]
            )
        )
        thread.start()
        thread.join()

    outer()

    assert found == ["carried"] * 4 + ["unset"]
    assert [step.input.content for step in tape.turn.steps] == [
        '{"key":"sync"}', '{"key":"async"}',
    ]  # fmt: skip


def test_a_carried_coroutine_runs_in_the_task_that_awaits_it(tape):
    """So that cancelling it, and timeouts inside it, work as ever."""
    ends = []

    async def work():
        ends.append(asyncio.current_task())
        try:
            async with asyncio.timeout(0.01):
                await asyncio.sleep(60)
        except TimeoutError:
            ends.append("in time")
        await asyncio.sleep(60)

    async def main():
        task = asyncio.create_task(turnspan.carry(work)())
        await asyncio.sleep(0.05)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return task

    assert asyncio.run(main()) is ends[0]
    assert ends[1:] == ["in time"]


def test_a_stream_of_trio_is_recorded_as_one_of_asyncio(tape):
    """Read to its end, left, and cancelled."""
    trio = pytest.importorskip("trio")
    closed = []

    @turnspan.agent
    async def stream(name):
        try:
            for n in range(3):
                look_up(name)
                await trio.sleep(0.001)
                yield n
        finally:
            closed.append(name)

    async def main():
        found = [item async for item in stream("whole")]
        async with contextlib.aclosing(stream("left")) as left:
            await anext(left)
        with trio.move_on_after(0.0005):
            async with contextlib.aclosing(stream("cancelled")) as cut:
                await anext(cut)
        carried = turnspan.carry(stream)
        return found, [item async for item in carried("carried")], current_draft.get()

    assert trio.run(main) == ([0, 1, 2], [0, 1, 2], None)
    assert closed == ["whole", "left", "cancelled", "carried"]
    assert [(turn.input.content, turn.status, turn.chunks) for turn in tape.turns] == [
        ("whole", "ok", 3), ("left", "abandoned", 1), ("cancelled", "cancelled", None),
        ("carried", "ok", 3),
    ]  # fmt: skip


def test_a_fixture_of_pytest_may_be_a_stream(pytester_run):
    """It is set up by its first item and torn down after it."""
    pytester_run(
        """
        import pytest, turnspan

        torn = []

        @pytest.fixture
        @turnspan.step
        def thing():
            yield "thing"
            torn.append(True)

        def test_has_it(thing):
            assert thing == "thing"

        def test_after_it():
            assert torn == [True]
        """
    )


@pytest.fixture
def pytester_run(tmp_path):
    """Runs tests in a process of its own, which must pass."""

    def run(program):
        (tmp_path / "test_it.py").write_text(textwrap.dedent(program), encoding="utf-8")
        command = [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-p",
            "no:randomly",
            "-p",
            "no:asyncio",
            "-W",
            "error",
            ".",
        ]
        done = subprocess.run(
            command,
            cwd=tmp_path,
            env={k: v for k, v in os.environ.items() if not k.startswith("PYTEST_")},
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )
        assert done.returncode == 0, done.stdout

    return run
