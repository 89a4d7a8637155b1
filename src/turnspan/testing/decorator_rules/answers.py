"""Answers: what a call returns or raises is the thing itself, made where it would be."""

import asyncio
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from threading import get_ident
from types import TracebackType
from typing import Any

from turnspan.testing.decorator_rules.rule import rule
from turnspan.testing.decorator_rules.subjects import Answer, Word, coroutine, kind_of
from turnspan.testing.decorator_rules.trial import Trial, require

__all__: list[str] = []


@rule()
def the_answer_itself(trial: Trial) -> None:
    """What a function returns is the very object, of the very type."""
    for given in (Answer(), Word("word"), [1], 1.5, True, None):

        def giving(given: Any = given) -> Any:
            return given

        for kind in trial.kinds:
            answer = trial.answer(kind, trial.decorate(kind, giving))
            require(
                answer is given, f"{kind}: a {type(given).__name__} came back as {kind_of(answer)}"
            )


@rule()
def the_awaited_answer_itself(trial: Trial) -> None:
    """What a coroutine function returns is the very object, of the very type."""
    for given in (Answer(), Word("word"), [1], 1.5, True, None):

        async def giving(given: Any = given) -> Any:
            return given

        for kind in trial.kinds:
            answer = trial.awaited(kind, trial.decorate(kind, giving))
            require(
                answer is given, f"{kind}: a {type(given).__name__} came back as {kind_of(answer)}"
            )


@rule()
def coroutines(trial: Trial) -> None:
    """Calling a coroutine function gives a coroutine, which `asyncio.create_task` takes."""
    for kind in trial.kinds:
        decorated = trial.decorate(kind, coroutine)

        async def tasked(decorated: Any = decorated) -> Any:
            return await asyncio.create_task(decorated("in-5b1"))

        answer = trial.awaited(kind, tasked)
        require(answer == "in-5b1", f"{kind}: the task answered {answer!r}")


@rule()
def errors_themselves(trial: Trial) -> None:
    """An exception is the very object, with its cause, context and notes as they were."""
    for shape in ("sync", "async", "generator"):
        for kind in trial.kinds:
            error = _troubled()
            before = _facts(error)
            caught = _caught(trial, kind, shape, error)
            require(caught is error, f"{kind} {shape}: it raised {kind_of(caught)}")
            require(_facts(error) == before, f"{kind} {shape}: cause, context or notes changed")


@rule()
def tracebacks(trial: Trial) -> None:
    """The traceback of an exception still leads to the line that raised it."""
    for shape in ("sync", "async", "generator"):
        for kind in trial.kinds:
            caught = _caught(trial, kind, shape, ValueError("odd"))
            names = [] if caught is None else _frames(caught.__traceback__)
            found = names[-1:] == ["raising"]
            require(found, f"{kind} {shape}: the last frame is {names[-1:]}")


@rule()
def stop_iteration(trial: Trial) -> None:
    """A `StopIteration` that a plain function raises reaches its caller."""

    def exhausted() -> Any:
        return next(iter(()))

    for kind in trial.kinds:
        decorated = trial.decorate(kind, exhausted)

        def ask(decorated: Any = decorated) -> str:
            try:
                decorated()
            except BaseException as exc:  # noqa: BLE001  # what it is, is the question
                return type(exc).__name__
            return "nothing"

        seen = trial.answer(kind, ask)
        require(seen == "StopIteration", f"{kind}: it raised {seen}")


@rule()
def the_task(trial: Trial) -> None:
    """A coroutine function runs in the task that awaits it."""

    async def where() -> Any:
        await asyncio.sleep(0)
        return asyncio.current_task()

    for kind in trial.kinds:
        decorated = trial.decorate(kind, where)

        async def compare(decorated: Any = decorated) -> bool:
            found: object = await decorated()
            return found is asyncio.current_task()

        require(trial.awaited(kind, compare), f"{kind}: it ran in a task of its own")


@rule()
def the_thread(trial: Trial) -> None:
    """A function runs in the thread that calls it, and a coroutine in its loop's."""

    async def where() -> int:
        return get_ident()

    for kind in trial.kinds:
        seen = {
            trial.answer(kind, trial.decorate(kind, get_ident_of)),
            trial.awaited(kind, trial.decorate(kind, where)),
        }
        require(seen == {get_ident()}, f"{kind}: it ran in another thread")


def get_ident_of() -> int:
    """The thread that runs it."""
    return get_ident()


@rule()
def context_variables_set_inside(trial: Trial) -> None:
    """A context variable set in a function, awaited or not, is set for its caller."""
    own: ContextVar[str] = ContextVar("own", default="unset")

    def setting() -> None:
        own.set("sync")

    async def setting_async() -> None:
        own.set("async")

    for kind in trial.kinds:
        decorated, decorated_async = (trial.decorate(kind, f) for f in (setting, setting_async))

        def see(decorated: Any = decorated) -> str:
            decorated()
            return own.get()

        async def see_async(decorated: Any = decorated_async) -> str:
            await decorated()
            return own.get()

        seen = [trial.answer(kind, see), trial.awaited(kind, see_async)]
        require(seen == ["sync", "async"], f"{kind}: afterwards the caller reads {seen}")


def _troubled() -> ValueError:
    error = ValueError("odd")
    error.__cause__ = KeyError("cause")
    error.add_note("a note")
    return error


def _facts(error: BaseException) -> tuple[Any, ...]:
    notes = list(getattr(error, "__notes__", ()))
    return (error.__cause__, error.__suppress_context__, notes, error.args, vars(error).keys())


def _caught(trial: Trial, kind: str, shape: str, error: BaseException) -> BaseException | None:
    """What comes out of a call that raises ``error``."""

    def raising() -> None:
        raise error

    async def raising_async() -> None:
        raising()

    def raising_generator() -> Iterator[int]:
        yield 1
        raising()

    caught: list[BaseException] = []

    def run(call: Callable[[], Any]) -> None:
        try:
            call()
        except BaseException as exc:  # noqa: BLE001  # what it is, is the question
            caught.append(exc)

    if shape == "sync":
        trial.answer(kind, run, trial.decorate(kind, raising))
    elif shape == "async":
        decorated = trial.decorate(kind, raising_async)
        run(lambda: trial.awaited(kind, decorated))
    else:
        stream = trial.decorate(kind, raising_generator)
        trial.answer(kind, run, lambda: list(stream()))
    return caught[0] if caught else None


def _frames(traceback: TracebackType | None) -> list[str]:
    names: list[str] = []
    while traceback is not None:
        names.append(traceback.tb_frame.f_code.co_name)
        traceback = traceback.tb_next
    return names
