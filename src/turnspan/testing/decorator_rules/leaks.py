"""Leaks: a stream is the context of what it does, and of nothing its consumer does."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

from turnspan.testing.decorator_rules.rule import rule
from turnspan.testing.decorator_rules.subjects import stream, stream_async
from turnspan.testing.decorator_rules.trial import Trial, require

__all__: list[str] = []


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


def in_turns(left: Any, right: Any) -> Iterator[Any]:
    """An item of either stream, and the next."""
    return zip(left(), right(), strict=True)


def probe() -> None:
    """Is called to see whose child it becomes."""


def _require_outside(trial: Trial, kind: str, when: str) -> None:
    parents = {record.parent_id for record in trial.records("probe")}
    require(bool(parents), f"{kind}: what was called {when} is not recorded")
    holds = parents == {trial.outside_id(kind)}
    require(holds, f"{kind}: what was called {when} is recorded as a child of the stream")


def _require_children(trial: Trial, name: str, count: int) -> None:
    parents = [record.parent_id for record in trial.records("probe")]
    own = parents.count(trial.record(name).id)
    require(own == len(parents) == count, f"{own} of {count} calls inside are children of it")
