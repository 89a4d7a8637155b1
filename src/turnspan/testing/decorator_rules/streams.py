"""Streams: a generator is recorded however it ends, with what it had given."""

import asyncio
import atexit
import contextlib
import gc
import weakref
from collections.abc import Callable, Iterator
from typing import Any

from turnspan.testing.decorator_rules.fork import apart
from turnspan.testing.decorator_rules.rule import rule
from turnspan.testing.decorator_rules.subjects import stream, stream_async
from turnspan.testing.decorator_rules.trial import Trial, require

__all__: list[str] = []

EXIT_TIMEOUT_S = 10.0
PAUSE_S = 0.05


def failing() -> Iterator[str]:
    """Gives an item, and fails."""
    yield "alpha-1"
    raise ValueError("odd")


@rule("records")
def exhausted(trial: Trial) -> None:
    """A stream that is read to its end is one record with all of its output."""
    _sync(trial, stream, lambda made: list(made()), "alpha-1 beta-2 gamma-3", "ok")


@rule("records")
def exhausted_async(trial: Trial) -> None:
    """An async stream that is read to its end is one record with all of its output."""

    async def read(made: Any) -> None:
        async for _ in made():
            pass

    _async(trial, stream_async, read, "alpha-1 beta-2 gamma-3", "ok")


@rule("records")
def broken_off(trial: Trial) -> None:
    """A stream that is closed early is recorded with what it had given, and no more."""

    def read(made: Any) -> None:
        running = made()
        next(running)
        running.close()

    _sync(trial, stream, read, "alpha-1", "abandoned")


@rule("records")
def broken_off_async(trial: Trial) -> None:
    """An async stream that is closed early is recorded with what it had given, and no more."""

    async def read(made: Any) -> None:
        async with contextlib.aclosing(made()) as running:
            async for _ in running:
                break

    _async(trial, stream_async, read, "alpha-1", "abandoned")


@rule("records")
def left_by_break(trial: Trial) -> None:
    """An async stream left by `break` is recorded when its loop has ended, not never."""

    async def read(made: Any) -> None:
        async for _ in made():
            break
        await asyncio.sleep(PAUSE_S)  # the loop closes it in a task of its own

    _async(trial, stream_async, read, "alpha-1", "abandoned")


@rule("records")
def failed(trial: Trial) -> None:
    """A stream that fails is recorded as an error, with what it had given."""

    def read(made: Any) -> None:
        with contextlib.suppress(ValueError):
            list(made())

    _sync(trial, failing, read, "alpha-1", "error")


@rule("records")
def collected(trial: Trial) -> None:
    """A stream that is dropped and garbage-collected is recorded."""

    def read(made: Any) -> None:
        running = made()
        next(running)
        del running
        gc.collect()

    _sync(trial, stream, read, "alpha-1", "abandoned")


@rule("records")
def closed_from_another_task(trial: Trial) -> None:
    """An async stream that another task closes is recorded, and leaves no context."""

    async def read(made: Any) -> None:
        running = made()
        await asyncio.create_task(anext(running))
        await asyncio.create_task(running.aclose())

    _async(trial, stream_async, read, "alpha-1", "abandoned")
    trial.is_clean("after a stream that another task closed")


@rule("records")
def read_by_many_tasks(trial: Trial) -> None:
    """An async stream whose items are taken by different tasks is one whole record."""

    async def read(made: Any) -> None:
        running = made()
        for _ in range(3):
            await asyncio.create_task(anext(running))
        with contextlib.suppress(StopAsyncIteration):
            await anext(running)

    _async(trial, stream_async, read, "alpha-1 beta-2 gamma-3", "ok")


@rule("records")
def open_at_exit(trial: Trial) -> None:
    """A stream that is still open when the program exits is recorded, with what it gave."""

    def leave() -> list[tuple[bool, str | None]]:
        running = trial.outermost(stream)()
        next(running)
        atexit._run_exitfuncs()  # noqa: SLF001  # as the interpreter does, before it lets go of objects
        told = [(record.ended, record.output) for record in trial.records("stream")]
        running.close()
        return told

    trial.mark()
    child = apart(leave, EXIT_TIMEOUT_S)
    require(child.failure is None, f"at exit {child.failure}: {child.printed[-200:]}")
    require([ended for ended, _ in child.answer] == [True], f"at exit there is {child.answer}")
    if trial.can("output"):
        said = child.answer[0][1] or ""
        require("alpha-1" in said, f"what it had given is not in its output: {said!r:.100}")


@rule("records", "first_chunk")
def time_to_the_first_chunk(trial: Trial) -> None:
    """A stream is recorded with the time of its first chunk."""
    for kind in trial.kinds:
        made = trial.decorate(kind, stream)
        trial.read(kind, made)
        require(trial.record("stream").has_first_chunk, f"{kind}: no time of a first chunk")


@rule("records")
def never_started(trial: Trial) -> None:
    """A stream from which no item is taken can be dropped or closed, and leaves no context."""
    for kind in trial.kinds:
        made = trial.decorate(kind, stream)

        def drop(made: Any = made) -> None:
            made().close()
            made()
            gc.collect()

        trial.answer(kind, drop)
        going_on = [record for record in trial.records("stream") if not record.ended]
        require(not going_on, f"{kind}: {len(going_on)} are recorded as still going on")
        trial.is_clean(f"{kind}: after a stream that never started")


@rule()
def many_left_behind(trial: Trial) -> None:
    """Streams that are left, one after the other, don't pile up in memory."""

    class Item:
        pass

    alive: weakref.WeakSet[Item] = weakref.WeakSet()

    def giving() -> Iterator[Any]:
        for _ in range(10):
            item = Item()
            alive.add(item)
            yield item

    made = trial.outermost(giving)
    for _ in range(20):
        next(made())
    gc.collect()
    require(len(alive) <= 2, f"of 20 items of streams that were left, {len(alive)} are still held")


def _sync(trial: Trial, fn: Any, read: Callable[[Any], Any], said: str, status: str) -> None:
    for kind in trial.kinds:
        trial.answer(kind, read, trial.decorate(kind, fn))
        _require_said(trial, fn.__name__, said, status)


def _async(trial: Trial, fn: Any, read: Callable[[Any], Any], said: str, status: str) -> None:
    for kind in trial.kinds:
        trial.awaited(kind, read, trial.decorate(kind, fn))
        gc.collect()
        _require_said(trial, fn.__name__, said, status)


def _require_said(trial: Trial, name: str, said: str, status: str) -> None:
    words = said.split()
    trial.keeps(name, output=words, status=status)
    told = trial.record(name).output or ""
    more = [w for w in ("alpha-1", "beta-2", "gamma-3") if w in told and w not in words]
    require(not more, f"the output of {name!r} has {more}, which nobody was given")
