"""Shapes: whatever can be called can be decorated, and answers as before."""

import asyncio
import functools
import sys
import typing
from collections.abc import AsyncIterator, Iterator
from typing import Any, NoReturn, overload

from turnspan.testing.decorator_rules.rule import rule
from turnspan.testing.decorator_rules.trial import Trial, require, shown

__all__: list[str] = []


class Holder:
    """Has the methods that are decorated; what it is called must not be in any input."""

    def __init__(self, greeting: str = "holder-3fa") -> None:
        self.greeting: str = greeting


@rule()
def a_function(trial: Trial) -> None:
    """A function answers as before, and is recorded with its input and output."""

    def plain(word: str) -> str:
        return f"out-{word}"

    for kind in trial.kinds:
        decorated = trial.decorate(kind, plain)
        _answers(kind, trial.answer(kind, decorated, "in-5b1"), "out-in-5b1")
        trial.keeps("plain", input=["in-5b1"], output=["out-in-5b1"], status="ok")


@rule()
def a_coroutine_function(trial: Trial) -> None:
    """A coroutine function answers as before, and is recorded with its input and output."""

    async def plain(word: str) -> str:
        await asyncio.sleep(0)
        return f"out-{word}"

    for kind in trial.kinds:
        decorated = trial.decorate(kind, plain)
        answer = trial.awaited(kind, decorated, "in-5b1")
        _answers(kind, answer, "out-in-5b1")
        trial.keeps("plain", input=["in-5b1"], output=["out-in-5b1"], status="ok")


@rule()
def a_generator_function(trial: Trial) -> None:
    """A generator function gives its items as before, and is recorded with them."""

    def plain(word: str) -> Iterator[str]:
        yield f"one-{word}"
        yield f"two-{word}"

    for kind in trial.kinds:
        decorated = trial.decorate(kind, plain)
        answer = trial.read(kind, decorated, "in-5b1")
        _answers(kind, answer, ["one-in-5b1", "two-in-5b1"])
        trial.keeps("plain", input=["in-5b1"], output=["one-in-5b1", "two-in-5b1"], status="ok")


@rule()
def an_async_generator_function(trial: Trial) -> None:
    """An async generator function gives its items as before, and is recorded with them."""

    async def plain(word: str) -> AsyncIterator[str]:
        yield f"one-{word}"
        await asyncio.sleep(0)
        yield f"two-{word}"

    for kind in trial.kinds:
        decorated = trial.decorate(kind, plain)

        async def consume(decorated: Any = decorated) -> list[str]:
            return [item async for item in decorated("in-5b1")]

        answer = trial.awaited(kind, consume)
        _answers(kind, answer, ["one-in-5b1", "two-in-5b1"])
        trial.keeps("plain", input=["in-5b1"], output=["one-in-5b1", "two-in-5b1"], status="ok")


@rule()
def a_method(trial: Trial) -> None:
    """A method answers as before, and its input has the arguments without `self`."""

    def plain(self: Holder, word: str) -> str:
        return f"{self.greeting}-{word}"

    for kind in trial.kinds:
        owner = _owner(trial.decorate(kind, plain))
        answer = trial.answer(kind, owner().plain, "in-5b1")
        _answers(kind, answer, "holder-3fa-in-5b1")
        _without_owner(trial, kind)


@rule()
def an_async_method(trial: Trial) -> None:
    """A coroutine method answers as before, and its input has the arguments without `self`."""

    async def plain(self: Holder, word: str) -> str:
        return f"{self.greeting}-{word}"

    for kind in trial.kinds:
        owner = _owner(trial.decorate(kind, plain))
        answer = trial.awaited(kind, owner().plain, "in-5b1")
        _answers(kind, answer, "holder-3fa-in-5b1")
        _without_owner(trial, kind)


@rule()
def a_bound_method(trial: Trial) -> None:
    """A method taken from its object and then decorated answers as before."""
    for kind in trial.kinds:
        decorated = trial.decorate(kind, "a-b".split)
        _answers(kind, trial.answer(kind, decorated, "-"), ["a", "b"])


@rule()
def a_classmethod_above_it(trial: Trial) -> None:
    """With `@classmethod` above the decorator, class and object answer as before."""

    def plain(cls: type[Holder], word: str) -> str:
        return f"{cls.__name__}-{word}"

    for kind in trial.kinds:
        _on_class_and_object(trial, kind, classmethod(trial.decorate(kind, plain)), "Owner-in-5b1")
        _without_owner(trial, kind)


@rule()
def a_classmethod_below_it(trial: Trial) -> None:
    """With `@classmethod` below the decorator, class and object answer as before."""

    def plain(cls: type[Holder], word: str) -> str:
        return f"{cls.__name__}-{word}"

    for kind in trial.kinds:
        _on_class_and_object(trial, kind, trial.decorate(kind, classmethod(plain)), "Owner-in-5b1")
        _without_owner(trial, kind)


@rule()
def a_staticmethod_above_it(trial: Trial) -> None:
    """With `@staticmethod` above the decorator, class and object answer as before."""

    def plain(word: str) -> str:
        return f"out-{word}"

    for kind in trial.kinds:
        _on_class_and_object(trial, kind, staticmethod(trial.decorate(kind, plain)), "out-in-5b1")


@rule()
def a_staticmethod_below_it(trial: Trial) -> None:
    """With `@staticmethod` below the decorator, class and object answer as before."""

    def plain(word: str) -> str:
        return f"out-{word}"

    for kind in trial.kinds:
        _on_class_and_object(trial, kind, trial.decorate(kind, staticmethod(plain)), "out-in-5b1")


@rule()
def a_property_getter(trial: Trial) -> None:
    """A decorated getter of a property is read as before, and recorded."""

    def plain(self: Holder) -> str:
        return f"out-{self.greeting}"

    for kind in trial.kinds:
        owner = _owner(property(trial.decorate(kind, plain)))
        _answers(kind, trial.answer(kind, getattr, owner(), "plain"), "out-holder-3fa")
        trial.keeps("plain", output=["out-holder-3fa"])


@rule()
def an_object_with_call(trial: Trial) -> None:
    """An object with `__call__` can be decorated, and answers as before."""

    class Caller:
        def __call__(self, word: str) -> str:
            return f"out-{word}"

    for kind in trial.kinds:
        decorated = trial.decorate(kind, Caller())
        _answers(kind, trial.answer(kind, decorated, "in-5b1"), "out-in-5b1")


@rule()
def an_object_with_async_call(trial: Trial) -> None:
    """An object with an async `__call__` can be decorated, and answers as before."""

    class Caller:
        async def __call__(self, word: str) -> str:
            return f"out-{word}"

    for kind in trial.kinds:
        decorated = trial.decorate(kind, Caller())
        answer = trial.awaited(kind, decorated, "in-5b1")
        _answers(kind, answer, "out-in-5b1")


@rule()
def a_partial(trial: Trial) -> None:
    """A `functools.partial` can be decorated, and answers as before."""

    def plain(first: str, second: str) -> str:
        return f"{first}-{second}"

    for kind in trial.kinds:
        decorated = trial.decorate(kind, functools.partial(plain, "a"))
        _answers(kind, trial.answer(kind, decorated, "in-5b1"), "a-in-5b1")


@rule()
def a_partial_of_a_coroutine_function(trial: Trial) -> None:
    """A `functools.partial` of a coroutine function is awaited as before, and recorded."""

    async def plain(first: str, second: str) -> str:
        await asyncio.sleep(0)
        return f"out-{first}-{second}"

    for kind in trial.kinds:
        decorated = trial.decorate(kind, functools.partial(plain, "a"))
        answer = trial.awaited(kind, decorated, "in-5b1")
        _answers(kind, answer, "out-a-in-5b1")
        told = [record.output or "" for record in trial.recorded()] if trial.can("output") else []
        found = not told or any("out-a-in-5b1" in said for said in told)
        require(found, f"{kind}: what it answered is in no output: {told}")


@rule()
def an_overloaded_function(trial: Trial) -> None:
    """A function with overloads keeps them, as `typing.get_overloads` tells."""

    @overload
    def plain(word: str) -> str: ...
    @overload
    def plain(word: int) -> int: ...
    def plain(word: Any) -> Any:
        return word

    for kind in trial.kinds:
        decorated = trial.decorate(kind, plain)
        _answers(kind, trial.answer(kind, decorated, 7), 7)
        kept = len(typing.get_overloads(decorated))
        require(kept == 2, f"{kind}: {kept} of 2 overloads are found on what was decorated")


@rule()
def an_overriding_method(trial: Trial) -> None:
    """A decorated method that overrides a decorated one reaches it through `super()`."""
    for kind in trial.kinds:

        class Parent:
            def inherited(self, word: str) -> str:
                return f"parent-{word}"

        class Child(Parent):
            def inherited(self, word: str) -> str:
                return f"child-{super().inherited(word)}"

        for each in (Parent, Child):
            each.inherited = trial.decorate(kind, vars(each)["inherited"])  # type: ignore[method-assign]  # as `@` would
        answer = trial.answer(kind, Child().inherited, "in-5b1")
        _answers(kind, answer, "child-parent-in-5b1")
        if trial.can("parent"):
            _require_nested(trial, "inherited", 2)


@rule()
def decorated_twice(trial: Trial) -> None:
    """A decorated function can be decorated again, and answers as before."""
    runs: list[str] = []

    def plain(word: str) -> str:
        runs.append(word)
        return f"out-{word}"

    for kind in trial.kinds:
        runs.clear()
        decorated = trial.decorate(kind, trial.decorate(kind, plain))
        _answers(kind, trial.answer(kind, decorated, "in-5b1"), "out-in-5b1")
        require(len(runs) == 1, f"{kind}: one call ran the function {len(runs)} times")


@rule()
def recursion(trial: Trial) -> None:
    """A function that calls itself is recorded call by call, each in the one before it."""
    for kind in trial.kinds:

        def down(left: int) -> int:
            return left and decorated(left - 1) + 1  # noqa: B023  # of this round

        decorated: Any = trial.decorate(kind, down)
        _answers(kind, trial.answer(kind, decorated, 3), 3)
        if trial.can("parent"):
            _require_nested(trial, "down", 4)


@rule()
def a_class(trial: Trial) -> None:
    """A class is refused at decoration, or still is a class whose objects work."""
    for kind in trial.kinds:

        class Thing:
            def __init__(self, word: str) -> None:
                self.word = word

        try:
            decorated = trial.adapter.decorate(kind, Thing)
        except Exception:  # noqa: BLE001, S112  # refused is fine, whatever the error is called
            continue
        require(isinstance(decorated, type), f"{kind}: the class is a {type(decorated).__name__}")
        made: Any = trial.answer(kind, decorated, "in-5b1")
        require(isinstance(made, decorated), f"{kind}: what it makes is none of its objects")
        _answers(kind, made.word, "in-5b1")


@rule()
def a_builtin(trial: Trial) -> None:
    """A function written in C is refused at decoration, or answers as before."""
    for kind in trial.kinds:
        for target, given, wanted in ((len, "four", 4), (max, [1, 3, 2], 3)):
            try:
                decorated = trial.adapter.decorate(kind, target)
            except Exception:  # noqa: BLE001, S112  # refused is fine, whatever the error is called
                continue
            answer = trial.answer(kind, decorated, given)
            _answers(kind, answer, wanted)


@rule()
def every_kind_of_parameter(trial: Trial) -> None:
    """Positional-only, variadic, keyword-only and default parameters arrive as given."""

    def plain(a: int, /, b: int = 2, *rest: int, c: int = 3, **more: int) -> tuple[Any, ...]:
        return a, b, rest, c, more

    for kind in trial.kinds:
        decorated = trial.decorate(kind, plain)
        calls: list[tuple[tuple[int, ...], dict[str, int]]] = [
            ((1,), {}),
            ((1, 5, 6, 7), {"c": 8, "d": 9}),
            ((1,), {"b": 4, "a": 9}),
        ]
        for args, kwargs in calls:
            answer = trial.answer(kind, decorated, *args, **kwargs)
            _answers(kind, answer, plain(*args, **kwargs))


@rule()
def parameters_of_any_name(trial: Trial) -> None:
    """Parameters may be called what a wrapper would call its own."""

    def plain(**named: int) -> dict[str, int]:
        return named

    names = ("self", "cls", "fn", "func", "args", "kwargs", "name", "wrapped", "instance",
             "config", "call", "span", "context", "input", "output", "metadata")  # fmt: skip
    given = {name: place for place, name in enumerate(names)}
    for kind in trial.kinds:
        decorated = trial.decorate(kind, plain)
        _answers(kind, trial.answer(kind, decorated, **given), given)


@rule()
def a_wrong_call(trial: Trial) -> None:
    """A call with wrong arguments raises the `TypeError` that it would have raised."""

    def plain(word: str) -> NoReturn:
        sys.exit(word)

    wanted = _mistake(plain)
    for kind in trial.kinds:
        decorated = trial.decorate(kind, plain)
        seen = trial.answer(kind, _mistake, decorated)
        require(seen == wanted, f"{kind}: it raised {seen}, without the decorator {wanted}")


def _mistake(call: Any) -> str:
    try:
        call(1, 2, 3)
    except BaseException as exc:  # noqa: BLE001  # what it is, is the question
        return shown(exc)
    return "nothing"


def _owner(attribute: Any) -> type[Any]:
    return type("Owner", (Holder,), {"plain": attribute})


def _on_class_and_object(trial: Trial, kind: str, attribute: Any, wanted: str) -> None:
    owner = _owner(attribute)
    for of in (owner, owner()):
        answer = trial.answer(kind, of.plain, "in-5b1")
        _answers(kind, answer, wanted)
        trial.keeps("plain", input=["in-5b1"], output=[wanted])


def _without_owner(trial: Trial, kind: str) -> None:
    trial.keeps("plain", input=["in-5b1"], output=["-in-5b1"])
    if not trial.can("input"):
        return
    said = trial.record("plain").input or ""
    told = [word for word in ("Owner", "holder-3fa", '"self"', '"cls"') if word in said]
    require(not told, f"{kind}: the input tells of the owner: {told} in {said[:120]}")


def _answers(kind: str, answer: Any, wanted: Any) -> None:
    require(type(answer) is type(wanted), f"{kind}: it answered a {type(answer).__name__}")
    require(answer == wanted, f"{kind}: it answered {answer!r}, not {wanted!r}")


def _require_nested(trial: Trial, name: str, depth: int) -> None:
    found = {record.id: record for record in trial.records(name)}
    inner = [record for record in found.values() if record.parent_id in found]
    parents = {record.parent_id for record in inner}
    holds = len(found) == depth and len(inner) == len(parents) == depth - 1
    require(holds, f"{len(found)} records of {name!r}, {len(inner)} of them in another one")
