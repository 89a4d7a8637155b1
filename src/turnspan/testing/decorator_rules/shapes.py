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


@rule()
def a_function(trial: Trial) -> None:
    """A function answers as before, and is recorded with its input and output."""

    def plain(word: str) -> str:
        return f"out-{word}"

    for kind in trial.kinds:
        decorated = trial.decorate(kind, plain)
        trial.answered(kind, trial.answer(kind, decorated, "in-5b1"), "out-in-5b1")
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
        trial.answered(kind, answer, "out-in-5b1")
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
        trial.answered(kind, answer, ["one-in-5b1", "two-in-5b1"])
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
        trial.answered(kind, answer, ["one-in-5b1", "two-in-5b1"])
        trial.keeps("plain", input=["in-5b1"], output=["one-in-5b1", "two-in-5b1"], status="ok")


@rule()
def an_object_with_call(trial: Trial) -> None:
    """An object with `__call__` can be decorated, and answers as before."""

    class Caller:
        def __call__(self, word: str) -> str:
            return f"out-{word}"

    for kind in trial.kinds:
        decorated = trial.decorate(kind, Caller())
        trial.answered(kind, trial.answer(kind, decorated, "in-5b1"), "out-in-5b1")


@rule()
def an_object_with_async_call(trial: Trial) -> None:
    """An object with an async `__call__` can be decorated, and answers as before."""

    class Caller:
        async def __call__(self, word: str) -> str:
            return f"out-{word}"

    for kind in trial.kinds:
        decorated = trial.decorate(kind, Caller())
        answer = trial.awaited(kind, decorated, "in-5b1")
        trial.answered(kind, answer, "out-in-5b1")


@rule()
def a_partial(trial: Trial) -> None:
    """A `functools.partial` can be decorated, and answers as before."""

    def plain(first: str, second: str) -> str:
        return f"{first}-{second}"

    for kind in trial.kinds:
        decorated = trial.decorate(kind, functools.partial(plain, "a"))
        trial.answered(kind, trial.answer(kind, decorated, "in-5b1"), "a-in-5b1")


@rule()
def a_partial_of_a_coroutine_function(trial: Trial) -> None:
    """A `functools.partial` of a coroutine function is awaited as before, and recorded."""

    async def plain(first: str, second: str) -> str:
        await asyncio.sleep(0)
        return f"out-{first}-{second}"

    for kind in trial.kinds:
        decorated = trial.decorate(kind, functools.partial(plain, "a"))
        answer = trial.awaited(kind, decorated, "in-5b1")
        trial.answered(kind, answer, "out-a-in-5b1")
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
        trial.answered(kind, trial.answer(kind, decorated, 7), 7)
        kept = len(typing.get_overloads(decorated))
        require(kept == 2, f"{kind}: {kept} of 2 overloads are found on what was decorated")


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
        trial.answered(kind, trial.answer(kind, decorated, "in-5b1"), "out-in-5b1")
        require(len(runs) == 1, f"{kind}: one call ran the function {len(runs)} times")


@rule()
def recursion(trial: Trial) -> None:
    """A function that calls itself is recorded call by call, each in the one before it."""
    for kind in trial.kinds:

        def down(left: int) -> int:
            return left and decorated(left - 1) + 1  # noqa: B023  # of this round

        decorated: Any = trial.decorate(kind, down)
        trial.answered(kind, trial.answer(kind, decorated, 3), 3)
        if trial.can("parent"):
            trial.is_nested("down", 4)


@rule()
def a_class(trial: Trial) -> None:
    """A class is refused at decoration, or still is a class whose objects work."""
    for kind in trial.kinds:

        class Thing:
            def __init__(self, word: str) -> None:
                self.word = word

        decorated: Any = _unless_refused(trial, kind, Thing)
        if decorated is None:
            continue
        require(isinstance(decorated, type), f"{kind}: the class is a {type(decorated).__name__}")
        made: Any = trial.answer(kind, decorated, "in-5b1")
        require(isinstance(made, decorated), f"{kind}: what it makes is none of its objects")
        trial.answered(kind, made.word, "in-5b1")


@rule()
def a_builtin(trial: Trial) -> None:
    """A function written in C is refused at decoration, or answers as before."""
    for kind in trial.kinds:
        for target, given, wanted in ((len, "four", 4), (max, [1, 3, 2], 3)):
            decorated = _unless_refused(trial, kind, target)
            if decorated is not None:
                trial.answered(kind, trial.answer(kind, decorated, given), wanted)


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
            trial.answered(kind, answer, plain(*args, **kwargs))


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
        trial.answered(kind, trial.answer(kind, decorated, **given), given)


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


def _unless_refused(trial: Trial, kind: str, target: Any) -> Any:
    """``target``, decorated; None where it is refused, whatever the error is called."""
    try:
        return trial.decorate(kind, target)
    except AssertionError:
        return None
