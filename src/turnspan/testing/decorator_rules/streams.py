"""Streams: a generator is recorded however it ends, and is nobody's context between items."""

import asyncio
import atexit
import contextlib
import gc
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

from turnspan.testing.decorator_rules.fork import apart
from turnspan.testing.decorator_rules.rule import rule
from turnspan.testing.decorator_rules.trial import Trial, require

__all__: list[str] = []

EXIT_TIMEOUT_S = 10.0


def stream() -> Iterator[str]:
    """Gives three items."""
    yield "alpha-1"
    yield "beta-2"
    yield "gamma-3"


async def stream_async() -> AsyncIterator[str]:
    """Gives three items."""
    for item in ("alpha-1", "beta-2", "gamma-3"):
        yield item
        await asyncio.sleep(0)


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
        await asyncio.sleep(0.01)  # the loop closes it in a task of its own

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


@rule("records", "parent")
def nothing_leaks(trial: Trial) -> None:
    """What the consumer of a stream calls between its items is no child of the stream."""

    def read(made: Callable[[], Any], between: Callable[[], None]) -> None:
        for _ in made():
            between()

    for kind in trial.kinds:
        trial.answer(kind, read, trial.decorate(kind, stream), trial.outermost(probe))
        _require_outside(trial, kind, "between the items")


@rule("records", "parent")
def nothing_leaks_async(trial: Trial) -> None:
    """What the consumer of an async stream calls between its items is no child of it."""

    async def read(made: Callable[[], Any], between: Callable[[], None]) -> None:
        async for _ in made():
            between()

    for kind in trial.kinds:
        trial.awaited(kind, read, trial.decorate(kind, stream_async), trial.outermost(probe))
        _require_outside(trial, kind, "between the items")


@rule("records", "parent")
def nothing_leaks_after_break(trial: Trial) -> None:
    """What is called after an async stream was left by `break` is no child of it."""

    async def read(made: Callable[[], Any], after: Callable[[], None]) -> None:
        async for _ in made():
            break
        after()

    for kind in trial.kinds:
        trial.awaited(kind, read, trial.decorate(kind, stream_async), trial.outermost(probe))
        _require_outside(trial, kind, "after the break")


@rule("records", "parent")
def children(trial: Trial) -> None:
    """What a stream calls while it makes an item, first or later, is its child."""
    inner = trial.outermost(probe)

    def outer() -> Iterator[str]:
        inner()
        yield "alpha-1"
        inner()
        yield "beta-2"

    for kind in trial.kinds:
        made = trial.decorate(kind, outer)
        trial.read(kind, made)
        _require_children(trial, "outer", 2)


@rule("records", "parent")
def children_async(trial: Trial) -> None:
    """What an async stream calls while it makes an item, first or later, is its child."""
    inner = trial.outermost(probe)

    async def outer() -> AsyncIterator[str]:
        inner()
        yield "alpha-1"
        await asyncio.sleep(0)
        inner()
        yield "beta-2"

    for kind in trial.kinds:
        made = trial.decorate(kind, outer)

        async def read(made: Any = made) -> None:
            async for _ in made():
                pass

        trial.awaited(kind, read)
        _require_children(trial, "outer", 2)


@rule("records", "parent")
def nested(trial: Trial) -> None:
    """A stream that reads another one is its parent, and either keeps its own output."""
    for kind in trial.kinds:
        inner = trial.decorate(kind, stream)

        def outer(inner: Any = inner) -> Iterator[str]:
            for item in inner():
                yield f"outer-{item}"

        made = trial.decorate(kind, outer)
        trial.read(kind, made)
        child, parent = trial.record("stream"), trial.record("outer")
        require(child.parent_id == parent.id, f"{kind}: the inner stream is not the outer's child")
        trial.keeps("outer", output=["outer-alpha-1", "outer-gamma-3"], status="ok")


@rule("records", "parent")
def interleaved(trial: Trial) -> None:
    """Two streams read in turns are siblings, and each has the children it called."""
    inner = trial.outermost(probe)

    def left() -> Iterator[str]:
        for word in ("left-1", "left-2"):
            inner()
            yield word

    def right() -> Iterator[str]:
        for word in ("right-1", "right-2"):
            inner()
            yield word

    for kind in trial.kinds:
        pair = [trial.decorate(kind, each) for each in (left, right)]
        trial.read(kind, in_turns, *pair)
        outside = trial.outside_id(kind)
        found = [trial.record("left"), trial.record("right")]
        parents = [record.parent_id for record in found]
        require(parents == [outside, outside], f"{kind}: one of the streams is the other's child")
        calls = [probed.parent_id for probed in trial.records("probe")]
        counted = [calls.count(record.id) for record in found]
        require(counted == [2, 2], f"{kind}: of 4 calls left and right have {counted}")
        trial.keeps("left", output=["left-1", "left-2"], status="ok")
        trial.keeps("right", output=["right-1", "right-2"], status="ok")


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
    import weakref

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


def in_turns(left: Any, right: Any) -> Iterator[Any]:
    """An item of either stream, and the next."""
    return zip(left(), right(), strict=True)


def probe() -> None:
    """Is called to see whose child it becomes."""


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


def _require_outside(trial: Trial, kind: str, when: str) -> None:
    parents = {record.parent_id for record in trial.records("probe")}
    require(bool(parents), f"{kind}: what was called {when} is not recorded")
    holds = parents == {trial.outside_id(kind)}
    require(holds, f"{kind}: what was called {when} is recorded as a child of the stream")


def _require_children(trial: Trial, name: str, count: int) -> None:
    parents = [record.parent_id for record in trial.records("probe")]
    own = parents.count(trial.record(name).id)
    require(own == len(parents) == count, f"{own} of {count} calls inside are children of it")
