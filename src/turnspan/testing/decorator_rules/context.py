"""Context: who called whom is known across tasks, threads and processes, and ends there."""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from turnspan.testing.decorator_rules.fork import Ended, in_fork
from turnspan.testing.decorator_rules.rule import rule
from turnspan.testing.decorator_rules.trial import Trial, require

__all__: list[str] = []

FORK_TIMEOUT_S = 10.0
OVERLAP_S = 0.02
PAUSE_S = 0.05


def inner(word: str = "") -> str:
    """Is called by another one."""
    return f"inner-{word}"


async def inner_async(word: str = "") -> str:
    """Is awaited by another one."""
    await asyncio.sleep(0.001)
    return f"inner-{word}"


@rule("records", "parent")
def calls(trial: Trial) -> None:
    """A call inside a call is its child, and the next call is not."""
    for kind in trial.kinds:
        call = trial.decorate(kind, inner)

        def outer(call: Any = call) -> None:
            call()
            call()

        trial.mark()
        trial.outermost(outer)()
        _require_children(trial, kind, "inner", 2)
        trial.is_clean(f"{kind}: after a call that had ended")


@rule("records", "parent")
def tasks(trial: Trial) -> None:
    """A call in an asyncio task is a child of the call that started the task."""

    async def spread(call: Any) -> None:
        await asyncio.gather(*(asyncio.create_task(call()) for _ in range(3)))

    _from_async(trial, inner_async, spread, 3)


@rule("records", "parent")
def task_groups(trial: Trial) -> None:
    """A call in a task of a `TaskGroup` is a child of the call that opened the group."""

    async def spread(call: Any) -> None:
        async with asyncio.TaskGroup() as group:
            for _ in range(3):
                group.create_task(call())

    _from_async(trial, inner_async, spread, 3)


@rule("records", "parent")
def to_thread(trial: Trial) -> None:
    """A call through `asyncio.to_thread` is a child of the call that awaits it."""

    async def spread(call: Any) -> None:
        await asyncio.to_thread(call)

    _from_async(trial, inner, spread, 1)


@rule("records", "parent", "carry")
def threads(trial: Trial) -> None:
    """With the library's own means a call in a `Thread` is a child of whoever started it."""

    def spread(call: Any) -> None:
        thread = threading.Thread(target=trial.carry(call))
        thread.start()
        thread.join()

    _from_sync(trial, spread, 1)


@rule("records", "parent", "carry")
def executors(trial: Trial) -> None:
    """With the library's own means a call in an executor is a child of whoever submitted it."""

    def spread(call: Any) -> None:
        with ThreadPoolExecutor(2) as pool:
            carried = trial.carry(call)
            for done in [pool.submit(carried) for _ in range(3)]:
                done.result()

    _from_sync(trial, spread, 3)


@rule("records", "parent", "carry")
def run_in_executor(trial: Trial) -> None:
    """With the library's own means a call in `run_in_executor` is a child of who awaits it."""

    async def spread(call: Any) -> None:
        carried = trial.carry(call)
        await asyncio.get_running_loop().run_in_executor(None, carried)

    _from_async(trial, inner, spread, 1)


@rule("records", "parent")
def a_pool_used_again(trial: Trial) -> None:
    """A thread of a pool keeps nothing of the call that used it before."""

    def outer(pool: ThreadPoolExecutor, call: Any) -> None:
        pool.submit(call).result()

    call = trial.outermost(inner)
    with ThreadPoolExecutor(1) as pool:
        trial.outermost(lambda: outer(pool, trial.carry(call)))()
        trial.mark()
        pool.submit(call).result()
    parent = trial.record("inner").parent_id
    require(parent is None, "a later call in the same thread is a child of the call before")


@rule("records", "parent")
def concurrently(trial: Trial) -> None:
    """Two calls that run at the same time in one loop have each their own children."""
    for kind in trial.kinds:
        call = trial.decorate(kind, inner_async)

        async def both(sides: Any) -> None:
            await asyncio.gather(*(side() for side in sides))

        trial.mark()
        asyncio.run(both(_sides(trial, call)))
        _require_own(trial, kind)


@rule("records", "parent")
def a_loop_per_thread(trial: Trial) -> None:
    """Two threads with an event loop each have each their own calls and children."""
    for kind in trial.kinds:
        call = trial.decorate(kind, inner_async)

        def run(side: Any) -> None:
            asyncio.run(side())

        trial.mark()
        sides = _sides(trial, call)
        started = [threading.Thread(target=run, args=(side,)) for side in sides]
        for thread in started:
            thread.start()
        for thread in started:
            thread.join()
        _require_own(trial, kind)


@rule("records", "parent")
def a_task_that_outlives_its_call(trial: Trial) -> None:
    """A task that goes on after its call has ended does no harm, and leaves no context."""

    async def late() -> str:
        await asyncio.sleep(PAUSE_S)
        return "late"

    for kind in trial.kinds:
        call = trial.decorate(kind, late)

        async def outer(started: list[Any], call: Any = call) -> None:
            started.append(asyncio.create_task(call()))
            await asyncio.sleep(0)

        async def outlive(started_by: Any) -> Any:
            started: list[Any] = []
            await started_by(started)
            return await started[0]

        answer = asyncio.run(outlive(trial.outermost(outer)))
        require(answer == "late", f"{kind}: the task answered {answer!r}")
        trial.is_clean(f"{kind}: after a task that outlived its call")


@rule()
def a_forked_child(trial: Trial) -> None:
    """A forked child can call what is decorated, at once and inside a call of the parent's."""
    for kind in trial.kinds:
        call = trial.decorate(kind, inner)
        ended: list[Ended] = []

        def outer(ended: Any = ended, call: Any = call) -> None:
            ended.append(in_fork(lambda: call("in-5b1"), FORK_TIMEOUT_S))

        trial.outermost(outer)()
        outer()
        for where, child in zip(("inside a call", "at once"), ended, strict=True):
            seen = child.failure or child.answer
            require(seen == "inner-in-5b1", f"{kind}: {where}, in the child: {seen!r}")
        seen = trial.answer(kind, call, "in-5b1")
        require(seen == "inner-in-5b1", f"{kind}: and then in the parent: {seen!r}")


def _from_sync(trial: Trial, spread: Callable[[Any], None], count: int) -> None:
    for kind in trial.kinds:
        call = trial.decorate(kind, inner)

        def outer(call: Any = call) -> None:
            spread(call)

        trial.mark()
        trial.outermost(outer)()
        _require_children(trial, kind, "inner", count)


def _from_async(trial: Trial, fn: Any, spread: Callable[[Any], Any], count: int) -> None:
    for kind in trial.kinds:
        call = trial.decorate(kind, fn)

        async def outer(call: Any = call) -> None:
            await spread(call)

        trial.mark()
        asyncio.run(trial.outermost(outer)())
        _require_children(trial, kind, fn.__name__, count)


def _require_children(trial: Trial, kind: str, name: str, count: int) -> None:
    wanted = trial.record("outer").id
    parents = [record.parent_id for record in trial.records(name)]
    own = parents.count(wanted)
    require(own == len(parents) == count, f"{kind}: {own} of {count} calls are children of it")


def _sides(trial: Trial, call: Any) -> list[Any]:
    """Two that are open at the same time and call three and two times."""

    async def left() -> None:
        await asyncio.sleep(OVERLAP_S)
        for _ in range(3):
            await call("left")

    async def right() -> None:
        await asyncio.sleep(OVERLAP_S)
        for _ in range(2):
            await call("right")

    return [trial.outermost(left), trial.outermost(right)]


def _require_own(trial: Trial, kind: str) -> None:
    sides = [trial.record("left"), trial.record("right")]
    strangers = [side.name for side in sides if side.parent_id is not None]
    require(not strangers, f"{kind}: {strangers[:1]} is recorded as the other's child")
    parents = [record.parent_id for record in trial.records("inner_async")]
    counted = [parents.count(side.id) for side in sides]
    require(counted == [3, 2], f"{kind}: of 3 and 2 calls, left and right have {counted}")
