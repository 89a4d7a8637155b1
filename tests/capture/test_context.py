"""Sessions, and how what is open travels through tasks and threads."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

import turnspan
from turnspan.capture.context import current_session
from turnspan.errors import CaptureError


@turnspan.agent
def ask(question="?"):
    return question


@turnspan.tool
def look_up(key):
    return key


def test_a_session_numbers_its_turns(tape):
    """Each session counts for itself; without one there is no number."""
    ask()
    with turnspan.session("a"):
        ask()
        ask()
    with turnspan.session("b"):
        ask()

    assert [(turn.session_id, turn.number) for turn in tape.turns] == [
        (None, None), ("a", 1), ("a", 2), ("b", 1),
    ]  # fmt: skip


def test_what_a_session_says_stands_in_each_of_its_turns(tape):
    """User, metadata as they were at the start of the turn, and tags."""
    plan = {"name": "gold"}
    with turnspan.session("a", user_id="ada", metadata={"plan": plan, "n": 1}, tags=("x", "y")):
        ask()
        plan["name"] = "none"
    turn = tape.turn

    assert turn.user_id == "ada"
    assert turn.metadata == {"plan": {"name": "gold"}, "n": 1}
    assert turn.tags == ("x", "y")


def test_the_inner_session_is_in_force(tape):
    """And the outer one again after it, whatever ended the inner one."""
    with turnspan.session("outer", user_id="ada"):
        with pytest.raises(ValueError), turnspan.session("inner"):
            ask()
            raise ValueError
        ask()

    assert [(turn.session_id, turn.user_id) for turn in tape.turns] == [
        ("inner", None), ("outer", "ada"),
    ]  # fmt: skip


def test_a_session_decorates_functions_coroutines_methods_and_callables(tape):
    """Their turns belong to it; afterwards no session is in force."""

    @turnspan.session("a")
    def plain(question):
        return ask(question)

    @turnspan.session("b")
    async def later(question):
        await asyncio.sleep(0)
        return ask(question)

    class Desk:
        @turnspan.session("c")
        def method(self, question):
            return ask(question)

        @turnspan.session("d")
        @staticmethod
        def static(question):
            return ask(question)

        @turnspan.session("e")
        @classmethod
        def on_class(cls, question):
            return ask(question)

        async def __call__(self, question):
            await asyncio.sleep(0)
            return ask(question)

    found = [
        plain("1"),
        asyncio.run(later("2")),
        Desk().method("3"),
        Desk.static("4"),
        Desk.on_class("5"),
        asyncio.run(turnspan.session("f")(Desk())("6")),
    ]

    assert found == list("123456")
    assert [turn.session_id for turn in tape.turns] == list("abcdef")
    assert current_session.get() is None


def test_a_session_of_a_coroutine_that_is_closed_elsewhere_raises_nothing(tape):
    """As a collector does it."""

    class Never:
        def __await__(self):
            yield

    @turnspan.session("a")
    async def waits():
        await Never()

    running = waits()
    contextvars.copy_context().run(running.send, None)
    running.close()

    assert current_session.get() is None


@pytest.mark.parametrize("target", [42, "text", (n for n in ())], ids=["int", "str", "generator"])
def test_a_session_decorates_nothing_that_is_not_called(target):
    """One error where it is decorated."""
    with pytest.raises(CaptureError) as caught:
        turnspan.session("a")(target)

    assert caught.value.fix


@pytest.mark.parametrize("wrong", [1, b"a", ["a"], object()])
def test_a_session_id_that_is_no_string_is_a_type_error(wrong):
    """So is a user id."""
    with pytest.raises(TypeError, match="session id"):
        turnspan.session(wrong)
    with pytest.raises(TypeError, match="user id"):
        turnspan.session("a", user_id=wrong)


@pytest.mark.parametrize("empty", ["", None])
def test_an_empty_id_means_no_session(tape, empty):
    """Its user and tags are kept."""
    with turnspan.session(empty, user_id="ada"):
        ask()

    assert (tape.turn.session_id, tape.turn.number, tape.turn.user_id) == (None, None, "ada")


def test_a_long_session_id_is_kept_as_its_beginning_and_a_hash(tape, caplog):
    """Two that begin alike stay two; exactly 200 characters are kept whole."""
    for name in ("x" * 200, "x" * 300, "x" * 301):
        with turnspan.session(name):
            ask()
    whole, first, second = [turn.session_id for turn in tape.turns]

    assert whole == "x" * 200
    assert first.startswith("x" * 160 + "-")
    assert len(first) == len(second) == 193
    assert first != second
    assert "300 characters" in caplog.text


def test_tags_and_metadata_that_cannot_be_kept_are_left_out(tape, caplog):
    """The turn stays readable; a single string is one tag."""
    with turnspan.session("a", tags=["x", 1, None], metadata={1: 2, "n": 3}):
        ask()
    with turnspan.session("a", tags="beta"):
        ask()

    assert [turn.tags for turn in tape.turns] == [("x",), ("beta",)]
    assert tape.turns[0].metadata == {"n": 3}
    assert "a tag is a string" in caplog.text
    assert "names of metadata" in caplog.text


@pytest.mark.parametrize(
    "odd, said",
    [
        ({"tags": 3}, "tags are a list of strings, not int"),
        ({"tags": None}, ""),
        ({"metadata": ["shop"]}, "metadata is a mapping, not list"),
        ({"metadata": "shop"}, "metadata is a mapping, not str"),
    ],
)
def test_what_is_no_list_and_no_mapping_is_left_out(tape, caplog, odd, said):
    """A request that says it so is answered all the same."""
    with turnspan.session("a", **odd):
        ask()

    assert (tape.turn.tags, tape.turn.metadata) == ((), {})
    assert said in caplog.text
    assert bool(caplog.text) is bool(said)


def test_one_session_object_serves_several_tasks_at_once(tape):
    """Each task leaves the one it entered, in whatever order they end."""
    shared = turnspan.session("shared")
    after = []

    async def visit(name, turns):
        with turnspan.session(name):
            with shared:
                for _ in range(turns):
                    await asyncio.sleep(0)
                ask(name)
            after.append((name, current_session.get().id))

    async def main():
        await asyncio.gather(visit("a", 5), visit("b", 1), visit("c", 3))

    asyncio.run(main())

    assert {turn.session_id for turn in tape.turns} == {"shared"}
    assert sorted(after) == [("a", "a"), ("b", "b"), ("c", "c")]


def test_two_agents_at_once_are_two_turns(tape):
    """Each task has its own turn, and its tools are in it."""

    @turnspan.agent
    async def work(name):
        for n in range(3):
            await asyncio.sleep(0)
            look_up(f"{name}{n}")
        return name

    async def main():
        return await asyncio.gather(work("a"), work("b"))

    assert asyncio.run(main()) == ["a", "b"]
    found = {turn.output.content: [s.input.content for s in turn.steps] for turn in tape.turns}
    assert found == {
        name: [f'{{"key":"{name}{n}"}}' for n in range(3)] for name in ("a", "b")
    }  # fmt: skip


def test_tasks_of_one_turn_are_its_steps(tape):
    """What an agent gathers is under the agent, each step under its caller."""

    @turnspan.step
    async def part(name):
        await asyncio.sleep(0)
        return await asyncio.to_thread(look_up, name)

    @turnspan.agent
    async def work():
        return await asyncio.gather(part("a"), part("b"))

    assert asyncio.run(work()) == ["a", "b"]
    parts = {step.id: step for step in tape.turn.steps if step.kind == "step"}
    tools = [step for step in tape.turn.steps if step.kind == "tool"]
    assert [part.parent_id for part in parts.values()] == [None, None]
    assert [parts[tool.parent_id].input.content for tool in tools] == [
        tool.output.content for tool in tools
    ]
    assert len(tools) == 2


def test_a_thread_knows_nothing_without_carry(tape):
    """A plain thread starts with an empty context."""

    @turnspan.agent
    def work():
        thread = threading.Thread(target=look_up, args=("x",))
        thread.start()
        thread.join()

    work()

    assert tape.turn.steps == ()


def test_carry_takes_turn_and_session_into_threads_and_executors(tape):
    """Several threads may call what was carried at once."""

    @turnspan.agent
    def work(names):
        with ThreadPoolExecutor(4) as pool:
            return list(pool.map(turnspan.carry(look_up), names))

    names = [f"n{n}" for n in range(20)]
    with turnspan.session("a"):
        found = work(names)
        thread = threading.Thread(target=turnspan.carry(ask))
        thread.start()
        thread.join()
    turn, other = tape.turns

    assert found == names
    assert sorted(step.output.content for step in turn.steps) == sorted(names)
    assert all(step.parent_id is None for step in turn.steps)
    assert (other.session_id, other.number) == ("a", 2)


def test_what_is_carried_keeps_name_result_and_exception(tape):
    """It is the same function, elsewhere."""

    def fail():
        raise KeyError("x")

    carried = turnspan.carry(fail)
    with pytest.raises(KeyError):
        carried()

    assert carried.__name__ == "fail"
    assert turnspan.carry(lambda *args, **more: (args, more))(1, a=2) == ((1,), {"a": 2})


def test_what_is_carried_past_the_end_of_its_turn_begins_its_own(tape):
    """An agent called then is a turn, a tool is nothing."""
    kept = []

    @turnspan.agent
    def leaves():
        kept.extend([turnspan.carry(ask), turnspan.carry(look_up)])

    leaves()
    for carried in kept:
        carried("later")

    assert [turn.agent.name for turn in tape.turns] == ["leaves", "ask"]
    assert all(turn.steps == () for turn in tape.turns)
