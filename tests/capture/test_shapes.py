"""Everything that can be called can be recorded, and stays what it was."""

from __future__ import annotations

import abc
import asyncio
import copy
import functools
import inspect
import operator
import pickle
import types
from typing import overload

import pytest

import turnspan
from turnspan.errors import CaptureError

KINDS = [turnspan.agent, turnspan.tool, turnspan.model, turnspan.retrieval, turnspan.step]


class Answering:
    """An object that can be called, and more."""

    default = "class"

    def __init__(self, tone="dry"):
        self.tone = tone
        self.asked = []

    def __call__(self, question):
        self.asked.append(question)
        return f"{question}, {self.tone}"

    def __len__(self):
        return len(self.asked)

    def __getitem__(self, place):
        return self.asked[place]

    def __eq__(self, other):
        return isinstance(other, Answering) and self.tone == other.tone

    __hash__ = None

    def bound(self, question):
        return self, question


class Streaming:
    def __call__(self, question):
        yield question


class StreamingLater:
    async def __call__(self, question):
        yield question


class AnsweringLater:
    async def __call__(self, question):
        return question


def add(a, b):
    return a + b


def stream(a, b):
    yield a
    yield b


async def stream_later(a, b):
    yield a
    yield b


async def add_later(a, b):
    return a + b


async def read(made):
    return [item async for item in made]


@pytest.mark.parametrize("decorate", KINDS)
def test_a_property_getter_is_recorded_above_and_below(tape, decorate):
    """A property stays one, with its docs and its setter."""

    class Desk:
        @decorate
        @property
        def above(self):
            """What it is."""
            return 1

        @above.setter
        def above(self, value):
            self.set = value

        @property
        @decorate
        def below(self):
            return 2

        @decorate
        @functools.cached_property
        def once(self):
            return object()

    desk = Desk()
    desk.above = 3
    with turnspan.turn():
        found = (desk.above, desk.below)
        first, second = desk.once, desk.once

    assert found == (1, 2)
    assert first is second
    assert (desk.set, Desk.above.__doc__) == (3, "What it is.")
    assert type(inspect.getattr_static(Desk, "above")) is property
    assert [step.name for step in tape.turn.steps] == ["above", "below", "once"]
    assert all(step.input is None or step.input.content == "{}" for step in tape.turn.steps)


def test_a_callable_object_stays_itself_in_all_but_its_call(tape):
    """Attributes, length, items, equality, class, copies: all of it is the object's."""
    plain = Answering("warm")
    asked = turnspan.agent(plain)
    found = asked("why")
    asked.tone = "cold"
    twin = copy.deepcopy(asked)
    twin("how")

    assert found == "why, warm"
    assert plain.tone == "cold"
    assert isinstance(asked, Answering)
    assert asked.__wrapped__ is plain
    assert (len(asked), asked[0], asked.default) == (1, "why", "class")
    assert asked == Answering("cold")
    assert asked == turnspan.agent(Answering("cold"))
    assert asked != Answering("warm")
    assert asked.__doc__ == Answering.__doc__
    assert asked.bound("x")[0] is plain
    assert inspect.signature(asked) == inspect.signature(plain)
    assert (plain.asked, twin.asked) == (["why"], ["why", "how"])
    assert isinstance(copy.copy(asked), Answering)
    with pytest.raises(TypeError, match="unhashable"):
        hash(asked)
    assert [turn.input.content for turn in tape.turns] == ["why", "how"]
    assert {turn.agent.name for turn in tape.turns} == {"Answering"}


def test_a_callable_object_that_is_pickled_is_recorded_afterwards(tape):
    """With its state, and with what the decorator was told."""
    asked = turnspan.agent(name="clerk", metadata={"tier": {"n": 1}})(Answering("warm"))
    back = pickle.loads(pickle.dumps(asked))

    assert back("why") == "why, warm"
    assert back.tone == "warm"
    assert tape.turn.agent.name == "clerk"
    assert tape.turn.metadata == {"tier": {"n": 1}}


def test_objects_that_stream_or_wait_are_recorded_as_they_run(tape):
    """What their `__call__` is decides."""

    async def main():
        later = turnspan.agent(StreamingLater())
        return await read(later("b")) + [await turnspan.agent(AnsweringLater())("c")]

    sync = turnspan.agent(Streaming())
    assert list(sync("a")) + asyncio.run(main()) == ["a", "b", "c"]
    assert [turn.output.content for turn in tape.turns] == ["a", "b", "c"]
    assert inspect.isgeneratorfunction(type(sync).__call__)
    assert not inspect.isgeneratorfunction(sync)


@pytest.mark.parametrize("decorate", KINDS)
def test_partials_of_every_kind_are_recorded(tape, decorate):
    """They stay partials, and a partial of a partial is one, too."""
    part = functools.partial
    decorated = [
        decorate(part(add, "a")),
        decorate(part(part(add), b="b")),
        part(decorate(add), "a"),
    ]

    async def main():
        awaited = await decorate(part(add_later, "a"))("b")
        return [awaited, *await read(decorate(part(stream_later, "a"))("b"))]

    with turnspan.turn():
        found = [decorated[0]("b"), decorated[1]("a"), decorated[2]("b")]
        found += [*decorate(part(stream, "a"))("b"), *asyncio.run(main())]

    assert found == ["ab", "ab", "ab", "a", "b", "ab", "a", "b"]
    assert [step.name for step in tape.turn.steps] == [
        "add", "add", "add", "stream", "add_later", "stream_later",
    ]  # fmt: skip
    assert isinstance(decorated[0], functools.partial)
    assert (decorated[0].func, decorated[0].args) == (add, ("a",))
    assert inspect.iscoroutinefunction(decorate(part(add_later)))
    assert inspect.isgeneratorfunction(decorate(part(stream)))
    assert inspect.isasyncgenfunction(decorate(part(stream_later)))


def test_a_partial_method_is_recorded_above_and_below(tape):
    """Its object is not part of the input."""

    class Desk:
        def base(self, tone, question):
            return self, tone, question

        above = turnspan.agent(functools.partialmethod(base, "dry"))
        below = functools.partialmethod(turnspan.agent(base), "dry")

    desk = Desk()

    assert desk.above("why") == desk.below("why") == (desk, "dry", "why")
    assert [turn.input.content for turn in tape.turns] == ['{"tone":"dry","question":"why"}'] * 2


def test_a_cached_function_keeps_its_cache(tape):
    """Above the cache every call is recorded, below it those that miss."""

    @turnspan.agent
    @functools.lru_cache
    def above(question):
        return object()

    class Desk:
        @turnspan.tool
        @functools.cache  # noqa: B019  # they go with the test
        def method(self, key):
            return self, key

        @functools.cache  # noqa: B019  # the same
        @turnspan.tool
        def below(self, key):
            return self, key

    desk = Desk()
    assert above("a") is above("a")
    with turnspan.turn():
        found = [desk.method("b"), desk.method("b"), desk.below("c"), desk.below("c")]

    assert found == [(desk, "b")] * 2 + [(desk, "c")] * 2
    assert above.cache_info().hits == 1
    above.cache_clear()
    assert above.cache_info().currsize == 0
    assert Desk.method.cache_parameters() == {"maxsize": None, "typed": False}
    assert [step.name for step in tape.turns[-1].steps] == ["method", "method", "below"]
    assert {step.input.content for step in tape.turns[-1].steps} == {'{"key":"b"}', '{"key":"c"}'}


def test_a_function_of_single_dispatch_still_dispatches(tape):
    """Its registry is its own."""

    @turnspan.agent
    @functools.singledispatch
    def tell(value):
        return "something"

    @tell.register
    def _(value: int):
        return "a number"

    assert (tell("x"), tell(1)) == ("something", "a number")
    assert len(tape.turns) == 2


def test_overloads_are_one_function(tape):
    """The last of them is the one that runs."""

    @overload
    def twice(value: int) -> int: ...
    @overload
    def twice(value: str) -> str: ...
    @turnspan.agent
    def twice(value):
        return value * 2

    assert (twice(1), twice("a")) == (2, "aa")


def test_builtins_and_functions_in_c_are_recorded(tape):
    """With a signature or without one."""
    decorated = [turnspan.agent(fn) for fn in (len, max, operator.itemgetter(0), "".join)]

    assert [fn(["b", "a"]) for fn in decorated] == [2, "b", "b", "ba"]
    assert inspect.isbuiltin(decorated[0])
    assert decorated[0].__name__ == "len"
    assert pickle.loads(pickle.dumps(decorated[0]))("abc") == 3
    assert len(tape.turns) == 5


def test_a_bound_method_stays_bound(tape):
    """To the object it was taken from."""
    plain = Answering()
    asked = turnspan.agent(plain.bound)

    assert asked("why") == (plain, "why")
    assert asked.__self__ is plain
    assert inspect.ismethod(asked)
    assert inspect.signature(asked) == inspect.signature(plain.bound)
    assert tape.turn.input.content == "why"


def test_a_method_that_overrides_a_decorated_one_calls_it_as_ever(tape):
    """The call of the overridden one is a step of the call that made it."""

    class Desk:
        @turnspan.agent
        def answer(self, question):
            return [type(self).__name__, question]

        @turnspan.step
        def words(self, text):
            yield text

    class Branch(Desk):
        @turnspan.agent
        def answer(self, question):
            return ["branch", *super().answer(question), *self.words("w")]

        @turnspan.step
        def words(self, text):
            yield from super().words(text)
            yield "more"

    assert Branch().answer("why") == ["branch", "Branch", "why", "w", "more"]
    assert [(step.name, step.kind) for step in tape.turn.steps] == [
        ("answer", "agent"), ("words", "step"), ("words", "step"),
    ]  # fmt: skip


def test_an_abstract_method_stays_abstract():
    """A class that does not override it cannot be made."""

    class Desk(abc.ABC):
        @turnspan.agent
        @abc.abstractmethod
        def answer(self):
            yield

    with pytest.raises(TypeError, match="abstract"):
        Desk()


def test_a_function_that_makes_something_to_wait_for_gives_just_that(tape):
    """Coroutines, generators, tasks: the same object, not started, consumed or awaited."""
    made = {}

    @turnspan.agent
    def makes(kind):
        made[kind] = {
            "coroutine": add_later, "generator": stream, "async generator": stream_later,
        }[kind]("a", "b")  # fmt: skip
        return made[kind]

    @turnspan.agent
    def starts():
        made["task"] = asyncio.get_running_loop().create_task(add_later("a", "b"))
        return made["task"]

    async def main():
        task = starts()
        return (
            task is made["task"],
            await task,
            await makes("coroutine"),
            await read(makes("async generator")),
        )

    assert asyncio.run(main()) == (True, "ab", "ab", ["a", "b"])
    assert makes("generator") is made["generator"]
    assert list(made["generator"]) == ["a", "b"]
    assert [turn.status for turn in tape.turns] == ["ok"] * 4
    assert tape.turns[1].output.content == '"<coroutine>"'
    assert not inspect.iscoroutinefunction(makes)


@pytest.mark.parametrize("decorate", KINDS)
def test_a_class_is_refused_with_what_to_do_instead(decorate):
    """It would be a call to make an object, and what does the work is a method of it."""
    with pytest.raises(CaptureError, match="is a class") as caught:
        decorate(Answering)

    assert "method" in caught.value.fix


def test_flags_of_a_decorated_function_tell_what_it_is():
    """`inspect` and asyncio say what they said before."""

    def plain():
        pass

    for fn in (plain, stream, stream_later, add_later):
        decorated = turnspan.agent(turnspan.step(fn))
        assert [ask(decorated) for ask in ASKED] == [ask(fn) for ask in ASKED]
        assert type(decorated) is types.FunctionType
        assert decorated.__wrapped__.__wrapped__ is fn


ASKED = [
    inspect.iscoroutinefunction,
    inspect.isgeneratorfunction,
    inspect.isasyncgenfunction,
    inspect.isfunction,
    inspect.signature,
]
