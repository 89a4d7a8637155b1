"""Mutation: what is recorded is what was there then, whatever becomes of it later."""

import asyncio
from collections.abc import Iterator
from typing import Any

from turnspan.testing.decorator_rules.rule import rule
from turnspan.testing.decorator_rules.trial import Trial, require

__all__: list[str] = []


@rule("records", "input")
def an_argument(trial: Trial) -> None:
    """An argument that the function changes is recorded as it was when it came."""

    def changing(words: list[str]) -> None:
        words[0] = "after-9c1"

    for kind in trial.kinds:
        trial.answer(kind, trial.decorate(kind, changing), ["before-7f3"])
        _require_then(kind, trial.record("changing").input, "input")


@rule("records", "input")
def an_argument_deep_inside(trial: Trial) -> None:
    """A change deep within an argument is not recorded either."""

    def changing(words: dict[str, Any]) -> None:
        words["deep"][0]["er"].append("after-9c1")

    for kind in trial.kinds:
        given = {"deep": [{"er": ["before-7f3"]}]}
        trial.answer(kind, trial.decorate(kind, changing), given)
        _require_then(kind, trial.record("changing").input, "input")


@rule("records", "input")
def an_argument_while_waiting(trial: Trial) -> None:
    """An argument that changes while a coroutine waits is recorded as it was when it came."""

    async def waiting(words: list[str]) -> list[str]:
        await asyncio.sleep(0)
        return words

    for kind in trial.kinds:
        decorated = trial.decorate(kind, waiting)

        async def change(decorated: Any = decorated) -> None:
            words = ["before-7f3"]
            running = asyncio.create_task(decorated(words))
            await asyncio.sleep(0)
            words[0] = "after-9c1"
            await running

        trial.awaited(kind, change)
        _require_then(kind, trial.record("waiting").input, "input")


@rule("records", "input")
def an_argument_of_a_stream(trial: Trial) -> None:
    """An argument that changes between the items of a stream is recorded as it came."""

    def giving(words: list[str]) -> Iterator[int]:
        yield 1
        words[0] = "after-9c1"
        yield 2

    for kind in trial.kinds:
        stream = trial.decorate(kind, giving)
        trial.read(kind, stream, ["before-7f3"])
        _require_then(kind, trial.record("giving").input, "input")


@rule("records", "output")
def an_answer(trial: Trial) -> None:
    """What a function returned and its caller changed is recorded as it was returned."""

    def giving() -> dict[str, list[str]]:
        return {"words": ["before-7f3"]}

    for kind in trial.kinds:
        decorated = trial.decorate(kind, giving)

        def change(decorated: Any = decorated) -> None:
            decorated()["words"][0] = "after-9c1"

        trial.answer(kind, change)
        _require_then(kind, trial.record("giving").output, "output")


@rule("records", "output")
def an_item(trial: Trial) -> None:
    """An item that the consumer of a stream changes is recorded as it was given."""

    def giving() -> Iterator[list[str]]:
        yield ["before-7f3"]
        yield ["another"]

    for kind in trial.kinds:
        stream = trial.decorate(kind, giving)

        def change(stream: Any = stream) -> None:
            for item in stream():
                item[0] = "after-9c1"

        trial.answer(kind, change)
        _require_then(kind, trial.record("giving").output, "output")


def _require_then(kind: str, said: str | None, what: str) -> None:
    told = said or ""
    require("after-9c1" not in told, f"{kind}: the {what} is what it became later: {told!r:.100}")
    require("before-7f3" in told, f"{kind}: the {what} lacks what it was: {told!r:.100}")
