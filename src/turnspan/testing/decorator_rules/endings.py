"""Endings: however a call ends, it is recorded, and what ended it goes on untouched."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from typing import Any

from turnspan.testing.decorator_rules.rule import rule
from turnspan.testing.decorator_rules.trial import Trial, require

__all__: list[str] = []

PAUSE_S = 0.05  # long enough for a call to begin


@rule()
def an_error(trial: Trial) -> None:
    """An exception of a function, awaited or not, goes on untouched and is recorded as one."""
    _each(trial, (_plain, _coroutine), lambda: ValueError("odd"), "error")


@rule()
def an_error_of_a_stream(trial: Trial) -> None:
    """An exception of a generator, async or not, goes on untouched and is recorded as one."""
    _each(trial, (_generator, _async_generator), lambda: ValueError("odd"), "error")


@rule()
def keyboard_interrupt(trial: Trial) -> None:
    """A `KeyboardInterrupt` in any shape of function goes on untouched and is recorded."""
    _each(trial, SHAPES, KeyboardInterrupt, "cancelled")


@rule()
def system_exit(trial: Trial) -> None:
    """A `SystemExit` in any shape of function goes on untouched and is recorded."""
    _each(trial, SHAPES, lambda: SystemExit(3), "cancelled")


@rule()
def generator_exit(trial: Trial) -> None:
    """A `GeneratorExit` that a plain function raises goes on untouched and is recorded."""
    _each(trial, (_plain,), lambda: GeneratorExit("left"), "abandoned")


@rule("records", "parent")
def what_comes_after(trial: Trial) -> None:
    """However a call of any shape ends, the next call is not its child."""
    for kind in trial.kinds:
        for shape in SHAPES:
            for error in (ValueError("odd"), KeyboardInterrupt(), SystemExit(3)):
                shape(trial, kind, error)
                trial.is_clean(f"{kind}{_said(shape)}: after a {type(error).__name__}")


@rule()
def cancellation(trial: Trial) -> None:
    """A cancelled task stays cancelled, with its message, and its call is recorded so."""

    async def ended() -> None:
        await asyncio.sleep(60)

    for kind in trial.kinds:
        decorated = trial.decorate(kind, ended)

        async def cancel(decorated: Any = decorated) -> list[Any]:
            task = asyncio.create_task(decorated())
            await asyncio.sleep(PAUSE_S)
            task.cancel("enough")
            try:
                await task
            except asyncio.CancelledError as exc:
                return [task.cancelled(), *exc.args]
            return [task.cancelled()]

        seen = trial.awaited(kind, cancel)
        require(seen == [True, "enough"], f"{kind}: cancelled and why: {seen}")
        trial.keeps("ended", status="cancelled")


@rule()
def a_handled_cancellation(trial: Trial) -> None:
    """A coroutine that handles its cancellation and answers, answers."""

    async def stubborn() -> str:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            return "stayed"
        return "slept"

    for kind in trial.kinds:
        decorated = trial.decorate(kind, stubborn)

        async def cancel(decorated: Any = decorated) -> Any:
            task = asyncio.create_task(decorated())
            await asyncio.sleep(PAUSE_S)
            task.cancel()
            return await task

        answer = trial.awaited(kind, cancel)
        require(answer == "stayed", f"{kind}: it answered {answer!r}")
        trial.keeps("stubborn", status="ok")


@rule()
def a_timeout(trial: Trial) -> None:
    """`asyncio.timeout` ends a call with its `TimeoutError`, and the call is recorded so."""

    async def ended() -> None:
        await asyncio.sleep(60)

    for kind in trial.kinds:
        decorated = trial.decorate(kind, ended)

        async def hurry(decorated: Any = decorated) -> str:
            try:
                async with asyncio.timeout(PAUSE_S):
                    await decorated()
            except TimeoutError:
                await asyncio.sleep(0)
                return "timed out"
            return "ended"

        seen = trial.awaited(kind, hurry)
        require(seen == "timed out", f"{kind}: the caller saw that it {seen}")
        trial.keeps("ended", status="cancelled")


@rule()
def a_cancelled_stream(trial: Trial) -> None:
    """A task that is cancelled within a stream stays so, and the stream is recorded so."""

    async def ended() -> AsyncIterator[str]:
        yield "alpha-1"
        await asyncio.sleep(60)

    for kind in trial.kinds:
        decorated = trial.decorate(kind, ended)

        async def consume(decorated: Any = decorated) -> None:
            async for _ in decorated():
                pass

        async def cancel(consume: Any = consume) -> bool:
            task = asyncio.create_task(consume())
            await asyncio.sleep(PAUSE_S)
            task.cancel()
            await asyncio.wait([task])
            return task.cancelled()

        require(trial.awaited(kind, cancel), f"{kind}: the task is not cancelled")
        trial.keeps("ended", output=["alpha-1"], status="cancelled")
        trial.is_clean(f"{kind}: after a cancelled stream")


def _plain(trial: Trial, kind: str, error: BaseException) -> BaseException | None:
    def ended() -> None:
        raise error

    return _within(trial, kind, trial.decorate(kind, ended))


def _generator(trial: Trial, kind: str, error: BaseException) -> BaseException | None:
    def ended() -> Iterator[int]:
        yield 1
        raise error

    decorated = trial.decorate(kind, ended)
    return _within(trial, kind, lambda: list(decorated()))


def _coroutine(trial: Trial, kind: str, error: BaseException) -> BaseException | None:
    async def ended() -> None:
        await asyncio.sleep(0)
        raise error

    decorated = trial.decorate(kind, ended)
    return _caught(lambda: trial.awaited(kind, decorated))


def _async_generator(trial: Trial, kind: str, error: BaseException) -> BaseException | None:
    async def ended() -> AsyncIterator[int]:
        yield 1
        await asyncio.sleep(0)
        raise error

    decorated = trial.decorate(kind, ended)

    async def consume() -> None:
        async for _ in decorated():
            pass

    return _caught(lambda: trial.awaited(kind, consume))


SHAPES = (_plain, _coroutine, _generator, _async_generator)


def _each(
    trial: Trial, shapes: Sequence[Any], make: Callable[[], BaseException], status: str
) -> None:
    for kind in trial.kinds:
        for shape in shapes:
            error = make()
            caught = shape(trial, kind, error)
            said = f"{kind}{_said(shape)}"
            require(caught is error, f"{said}: what came out of it is {caught!r:.80}")
            try:
                trial.keeps("ended", status=status)
            except AssertionError as exc:
                raise AssertionError(f"{said}: {exc}") from None


def _said(shape: Callable[..., Any]) -> str:
    return shape.__name__.replace("_", " ")


def _within(trial: Trial, kind: str, call: Callable[[], Any]) -> BaseException | None:
    return _caught(lambda: trial.answer(kind, call))


def _caught(call: Callable[[], Any]) -> BaseException | None:
    try:
        call()
    except BaseException as exc:  # noqa: BLE001  # what it is, is the question
        return exc
    return None
