"""A decorated callable is the same callable to whoever uses it."""

from __future__ import annotations

import asyncio
import contextvars
import copy
import functools
import inspect
import pickle
import traceback
import types

import pytest

import turnspan
from turnspan.capture.context import current_draft
from turnspan.errors import CaptureError

KINDS = [turnspan.agent, turnspan.tool, turnspan.model, turnspan.retrieval, turnspan.step]


@turnspan.agent
def at_module_level(question: str, /, *parts: int, tone: str = "dry", **more: object) -> str:
    """Answer."""
    return question


@turnspan.agent
async def waits(question: str) -> str:
    await asyncio.sleep(0)
    return question


class Desk:
    """Every kind of method, decorated above and below its descriptor."""

    @turnspan.agent
    def method(self, question):
        return self, question

    @turnspan.agent
    async def coroutine(self, question):
        return self, question

    @turnspan.agent
    @classmethod
    def class_above(cls, question):
        return cls, question

    @classmethod
    @turnspan.agent
    def class_below(cls, question):
        return cls, question

    @turnspan.agent
    @staticmethod
    def static_above(question):
        return question

    @staticmethod
    @turnspan.agent
    def static_below(question):
        return question


class Answering:
    def __call__(self, question):
        return [question]


class AnsweringLater:
    async def __call__(self, question):
        return [question]


@pytest.mark.parametrize("decorate", KINDS)
@pytest.mark.parametrize("bare", [True, False])
def test_every_decorator_works_bare_and_with_arguments(tape, decorate, bare):
    """`@tool` and `@tool(name=…)` are both decorators."""

    def work(question):
        return question

    work = decorate(work) if bare else decorate(name="labour")(work)
    answer = object()
    with turnspan.turn():
        found = work(answer)

    assert found is answer
    assert tape.step.name == ("work" if bare else "labour")
    assert tape.step.kind == decorate.__name__


def test_the_signature_and_the_names_are_kept():
    """Whoever inspects the function sees the one that was written."""

    def plain(question: str, /, *parts: int, tone: str = "dry", **more: object) -> str:
        """Answer."""
        return question

    assert inspect.signature(at_module_level) == inspect.signature(plain)
    assert at_module_level.__name__ == "at_module_level"
    assert at_module_level.__doc__ == "Answer."
    assert at_module_level.__annotations__ == plain.__annotations__
    assert inspect.isfunction(at_module_level)
    assert not inspect.iscoroutinefunction(at_module_level)
    assert inspect.iscoroutinefunction(waits)
    assert inspect.iscoroutinefunction(Desk().coroutine)


def test_a_callable_that_refuses_to_tell_its_signature_is_recorded(tape):
    """Whatever it raises; a module that decorates it can be imported as before."""

    class Vain:
        __name__ = "vain"

        @property
        def __signature__(self):
            raise RuntimeError

        def __call__(self, question):
            return question

    turnspan.agent(Vain())("q")

    assert tape.turn.input.content == "q"


def test_a_decorated_function_can_be_pickled_and_copied():
    """A process pool gets it by its name, as any function."""
    assert pickle.loads(pickle.dumps(at_module_level)) is at_module_level
    assert copy.copy(at_module_level) is at_module_level
    assert copy.deepcopy(at_module_level) is at_module_level


def test_methods_keep_their_descriptors(tape):
    """Bound, class and static methods get what they got before, above or below."""
    desk = Desk()
    found = [
        desk.method("a"),
        asyncio.run(desk.coroutine("b")),
        desk.class_above("c"),
        Desk.class_below("d"),
        desk.static_above("e"),
        Desk.static_below("f"),
    ]

    assert found == [(desk, "a"), (desk, "b"), (Desk, "c"), (Desk, "d"), "e", "f"]
    assert [turn.input.content for turn in tape.turns] == list("abcdef")
    assert [turn.agent.name for turn in tape.turns] == [
        "method", "coroutine", "class_above", "class_below", "static_above", "static_below",
    ]  # fmt: skip
    assert isinstance(inspect.getattr_static(Desk, "class_above"), classmethod)
    assert isinstance(inspect.getattr_static(Desk, "static_above"), staticmethod)


def test_callables_partials_and_bound_methods_are_recorded(tape):
    """What can be called can be recorded."""

    def answer(tone, question):
        return question

    class Bound:
        def method(self, question):
            return question

    assert turnspan.agent(Answering())("a") == ["a"]
    assert asyncio.run(turnspan.agent(AnsweringLater())("b")) == ["b"]
    assert turnspan.agent(functools.partial(answer, "dry"))("c") == "c"
    assert turnspan.agent(Bound().method)("d") == "d"
    assert turnspan.agent(len)("e") == 1
    assert [turn.input.content for turn in tape.turns] == list("abcde")
    assert [turn.agent.name for turn in tape.turns] == [
        "Answering", "AnsweringLater", "answer", "method", "len",
    ]  # fmt: skip


def test_the_returned_object_is_the_same_object(tape):
    """Nothing is copied, wrapped or consumed on its way out."""
    numbers = (n for n in range(3))

    @turnspan.agent
    def stream():
        return numbers

    assert stream() is numbers
    assert list(numbers) == [0, 1, 2]
    assert tape.turn.output.content == '"<generator>"'


def test_arguments_arrive_as_they_were_given(tape):
    """Defaults, keywords and rests are the function's own business."""
    seen = []

    @turnspan.agent
    def collect(first, /, second=2, *rest, third=3, **more):
        seen.append((first, second, rest, third, more))

    collect(1)
    collect(1, 2, 3, third=4, fourth=5)
    with pytest.raises(TypeError, match="missing 1 required positional argument"):
        collect()

    assert seen == [(1, 2, (), 3, {}), (1, 2, (3,), 4, {"fourth": 5})]
    assert [turn.status for turn in tape.turns] == ["ok", "ok", "error"]
    assert tape.turns[1].input.content == ('{"first":1,"second":2,"rest":[3],"third":4,"fourth":5}')


@pytest.mark.parametrize("asynchronous", [False, True])
def test_an_exception_comes_out_as_it_was_raised(tape, asynchronous):
    """The same object, with its cause, context, notes and the frames below our own."""
    cause = KeyError("cause")
    error = ValueError("told")
    error.add_note("a note")

    def fail():
        try:
            raise OSError("context")
        except OSError:
            raise error from cause

    async def fail_later():
        await asyncio.sleep(0)
        fail()

    with pytest.raises(ValueError) as caught:
        if asynchronous:
            asyncio.run(turnspan.agent(fail_later)())
        else:
            turnspan.agent(fail)()

    assert caught.value is error
    assert error.args == ("told",)
    assert error.__notes__ == ["a note"]
    assert error.__cause__ is cause
    assert type(error.__context__) is OSError
    assert error.__suppress_context__ is True
    assert traceback.extract_tb(error.__traceback__)[-1].name == "fail"
    assert tape.turn.status == "error"


@pytest.mark.parametrize(
    "error, status",
    [
        (ValueError("x"), "error"),
        (TimeoutError(), "error"),
        (KeyboardInterrupt(), "cancelled"),
        (SystemExit(3), "cancelled"),
        (asyncio.CancelledError(), "cancelled"),
        (GeneratorExit(), "abandoned"),
        (BaseException("bare"), "error"),
        (StopIteration(1), "error"),
    ],
)
def test_every_exception_passes_and_gives_its_status(tape, error, status):
    """`BaseException` and its family are recorded, never kept."""

    @turnspan.tool
    def inner():
        raise error

    @turnspan.agent
    def outer():
        inner()

    with pytest.raises(type(error)) as caught:
        outer()

    assert caught.value is error
    assert current_draft.get() is None
    assert (tape.turn.status, tape.step.status) == (status, status)
    assert tape.spans.open == []


def test_a_cancelled_task_is_cancelled(tape):
    """Cancelling goes through, and the context of the task is clean after it."""

    @turnspan.agent
    async def sleeps():
        await asyncio.sleep(60)

    async def main():
        task = asyncio.create_task(sleeps())
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())

    assert tape.turn.status == "cancelled"


def test_a_recursion_that_never_ends_is_still_a_recursion_error(tape):
    """Where there is no stack left for us there is still the caller's own error."""

    @turnspan.step
    def deeper(n):
        return deeper(n + 1)

    @turnspan.agent
    def start():
        return deeper(0)

    with pytest.raises(RecursionError):
        start()

    assert current_draft.get() is None
    assert tape.turn.status == "error"


@types.coroutine
def for_ever():
    yield


@pytest.mark.parametrize("elsewhere", [False, True])
def test_a_coroutine_that_is_never_finished_ends_as_abandoned(tape, elsewhere):
    """Closed by its owner or, as by a collector, in another context."""

    @turnspan.agent
    async def waits_for_ever():
        await for_ever()

    running = waits_for_ever()
    before = contextvars.copy_context()
    before.run(running.send, None)
    (contextvars.copy_context() if elsewhere else before).run(running.close)

    assert tape.turn.status == "abandoned"
    assert elsewhere or before.get(current_draft) is None


@pytest.mark.parametrize("decorate", KINDS)
@pytest.mark.parametrize(
    "target",
    [Desk, 42, "text", property(), functools.singledispatchmethod(len), (n for n in ())],
    ids=lambda target: type(target).__name__,
)
def test_what_cannot_be_recorded_is_refused_at_the_door(decorate, target):
    """One error, where it is decorated, that says what to do instead."""
    with pytest.raises(CaptureError) as caught:
        decorate(target)

    assert caught.value.fix
    assert caught.value.what


def test_a_name_that_is_given_for_a_function_is_told_how_to_be_one():
    """Other libraries take it so."""
    with pytest.raises(CaptureError) as caught:
        turnspan.agent("concierge")

    assert caught.value.fix.endswith("object; a name is given as name='concierge'")


@pytest.mark.parametrize(
    "decorate, options",
    [
        (turnspan.agent, {"name": 3}),
        (turnspan.agent, {"version": 1.0}),
        (turnspan.agent, {"state": {"a": 1}}),
        (turnspan.agent, {"state": waits}),
        (turnspan.agent, {"reasoning": "because"}),
        (turnspan.agent, {"metadata": ["tier"]}),
        (turnspan.tool, {"description": b"bytes"}),
        (turnspan.tool, {"type": None, "name": 1}),
        (turnspan.model, {"provider": 1}),
        (turnspan.model, {"reasoning": 1}),
        (turnspan.model, {"operation": "embedding"}),
        (turnspan.retrieval, {"name": 1}),
        (turnspan.step, {"reasoning": waits}),
    ],
)
def test_an_option_of_the_wrong_type_is_refused_at_the_door(decorate, options):
    """What every call would fail over is one error at decoration."""
    with pytest.raises(CaptureError) as caught:
        decorate(**options)

    assert caught.value.fix


def test_an_unknown_option_is_a_type_error():
    """As for any function."""
    with pytest.raises(TypeError, match="nmae"):
        turnspan.agent(nmae="x")  # type: ignore[call-overload]


def test_options_stand_in_the_turn(record):
    """Identity, metadata and descriptions are recorded with each call."""
    tape = record()

    @turnspan.tool(name="look_up", description="Finds things.", metadata={"cost": 2})
    def find(key):
        return {"found": key}

    @turnspan.retrieval(metadata={"index": "main"})
    def fetch(query):
        return [query]

    @turnspan.agent(
        name="helper", id="a1", version="2", description="Helps.", metadata={"tier": {"n": 1}}
    )
    def answer(question):
        find(question)
        return fetch(question)[0]

    answer("why")
    turn = tape.turn

    assert turn.agent.model_dump() == {
        "name": "helper", "id": "a1", "version": "2", "description": "Helps.",
    }  # fmt: skip
    assert turn.metadata == {"tier": {"n": 1}}
    found, fetched = turn.steps
    assert found.name == "look_up"
    assert found.tool.model_dump() == {
        "call_id": None, "type": "function", "description": "Finds things.",
    }  # fmt: skip
    assert found.metadata == {"cost": 2}
    assert (fetched.kind, fetched.metadata) == ("retrieval", {"index": "main"})


def test_metadata_of_a_decorator_keeps_the_form_it_had_there(tape):
    """It was written once, at decoration."""
    given = {"object": object(), "list": [1], 3: "not a name"}

    @turnspan.agent(metadata=given)
    def answer():
        given["list"].append(2)

    answer()

    assert tape.turn.metadata == {"object": "<object>", "list": [1]}
