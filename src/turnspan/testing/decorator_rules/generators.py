"""Generators: decorated, they take, give and return what they did."""

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Generator, Iterator
from contextvars import ContextVar
from typing import Any

from turnspan.testing.decorator_rules.rule import rule
from turnspan.testing.decorator_rules.subjects import (
    Answer,
    Word,
    async_generator,
    generator,
    kind_of,
)
from turnspan.testing.decorator_rules.trial import Trial, require

__all__: list[str] = []


@rule()
def the_items_themselves(trial: Trial) -> None:
    """What a generator yields, async or not, are the very objects."""
    items = [Answer(), Word("word"), None]

    def giving() -> Iterator[Any]:
        yield from items

    async def giving_async() -> AsyncIterator[Any]:
        for item in items:
            yield item

    for kind in trial.kinds:
        stream = trial.decorate(kind, giving)
        found = trial.read(kind, stream)
        require(_all_are(found, items), f"{kind}: it yielded {[*map(kind_of, found)]}")
        stream_async = trial.decorate(kind, giving_async)
        found = trial.awaited(kind, _gathered, stream_async)
        require(_all_are(found, items), f"{kind}: async, it yielded {[*map(kind_of, found)]}")


@rule()
def generators(trial: Trial) -> None:
    """Calling a generator function gives a `Generator`, or an `AsyncGenerator`."""
    for kind in trial.kinds:
        for fn, wanted in ((generator, Generator), (async_generator, AsyncGenerator)):
            stream = trial.decorate(kind, fn)()
            require(isinstance(stream, wanted), f"{kind} {fn.__name__}: it gives {kind_of(stream)}")


@rule()
def laziness(trial: Trial) -> None:
    """A generator runs when an item is asked for, and no further than that item."""
    ran: list[int] = []

    def endless() -> Iterator[int]:
        for place in range(1000):
            ran.append(place)
            yield place

    for kind in trial.kinds:
        ran.clear()
        stream = trial.decorate(kind, endless)()
        require(not ran, f"{kind}: it ran before an item was asked for")
        trial.answer(kind, next, stream)
        require(len(ran) == 1, f"{kind}: for one item it made {len(ran)}")
        stream.close()


@rule()
def sent_values(trial: Trial) -> None:
    """What is sent into a generator, async or not, arrives inside."""

    def echo() -> Generator[Any, Any, None]:
        heard = None
        while True:
            heard = yield f"heard {heard}"

    async def echo_async() -> AsyncGenerator[Any, Any]:
        heard = None
        while True:
            heard = yield f"heard {heard}"

    for kind in trial.kinds:
        stream = trial.decorate(kind, echo)()
        said = trial.answer(kind, _first_and, stream, stream.send, "a")
        stream.close()
        require(said == ["heard None", "heard a"], f"{kind}: after sending 'a' it said {said}")

        async def talk(kind: str = kind) -> list[Any]:
            stream = trial.decorate(kind, echo_async)()
            said = [await anext(stream), await stream.asend("a")]
            await stream.aclose()
            return said

        said = trial.awaited(kind, talk)
        require(said == ["heard None", "heard a"], f"{kind}: async, after 'a' it said {said}")


@rule()
def thrown_errors(trial: Trial) -> None:
    """What is thrown into a generator, async or not, is raised inside, and may be handled."""

    def handling() -> Iterator[str]:
        try:
            yield "first"
        except KeyError as exc:
            yield f"handled {exc}"

    async def handling_async() -> AsyncIterator[str]:
        try:
            yield "first"
        except KeyError as exc:
            yield f"handled {exc}"

    for kind in trial.kinds:
        stream = trial.decorate(kind, handling)()
        said = trial.answer(kind, _first_and, stream, stream.throw, KeyError("k"))
        stream.close()
        require(said[1] == "handled 'k'", f"{kind}: thrown into, it said {said}")

        async def talk(kind: str = kind) -> list[Any]:
            stream = trial.decorate(kind, handling_async)()
            said = [await anext(stream), await stream.athrow(KeyError("k"))]
            await stream.aclose()
            return said

        said = trial.awaited(kind, talk)
        require(said[1] == "handled 'k'", f"{kind}: async, thrown into, it said {said}")


@rule()
def closing(trial: Trial) -> None:
    """Closing a generator, async or not, runs what it has in `finally`, then and once."""
    left: list[str] = []

    def tidy() -> Iterator[int]:
        try:
            yield 1
        finally:
            left.append("sync")

    async def tidy_async() -> AsyncIterator[int]:
        try:
            yield 1
        finally:
            left.append("async")

    for kind in trial.kinds:
        left.clear()
        stream = trial.decorate(kind, tidy)()
        trial.answer(kind, _first_and, stream, stream.close)
        seen = list(left)

        async def leave(kind: str = kind) -> list[str]:
            stream = trial.decorate(kind, tidy_async)()
            await anext(stream)
            await stream.aclose()
            return list(left)

        seen_async = trial.awaited(kind, leave)
        holds = seen == ["sync"] and seen_async == ["sync", "async"]
        require(holds, f"{kind}: after close {seen}, after aclose {seen_async} had run")


@rule()
def the_value_a_generator_returns(trial: Trial) -> None:
    """`yield from` a decorated generator has the value that the generator returns."""

    def returning() -> Generator[int, None, str]:
        yield 1
        return "returned"

    for kind in trial.kinds:
        decorated = trial.decorate(kind, returning)

        def delegating(decorated: Any = decorated) -> Generator[int, None, Any]:
            return (yield from decorated())

        def run(delegate: Any = delegating) -> object:
            outer = delegate()
            next(outer)
            try:
                next(outer)
            except StopIteration as stop:
                return stop.value
            return "no end"

        value = trial.answer(kind, run)
        require(value == "returned", f"{kind}: `yield from` answered {value!r}")


@rule()
def context_variables_of_streams(trial: Trial) -> None:
    """Generator and consumer see what either sets in a context variable between items."""
    own: ContextVar[str] = ContextVar("own", default="unset")

    def setting() -> Iterator[str]:
        own.set("by the generator")
        yield "first"
        yield own.get()

    for kind in trial.kinds:
        decorated = trial.decorate(kind, setting)

        def consume(decorated: Any = decorated) -> list[str]:
            stream = decorated()
            next(stream)
            heard = own.get()
            own.set("by the consumer")
            return [heard, next(stream)]

        seen = trial.answer(kind, consume)
        wanted = ["by the generator", "by the consumer"]
        require(seen == wanted, f"{kind}: consumer and generator read {seen}")


async def _gathered(stream: Any) -> list[Any]:
    return [item async for item in stream()]


def _all_are(found: list[Any], items: list[Any]) -> bool:
    return len(found) == len(items) and all(a is b for a, b in zip(found, items, strict=True))


def _first_and(stream: Any, then: Callable[..., Any], *args: Any) -> list[Any]:
    """The first item of a stream, and what comes of what is done to it then."""
    return [next(stream), then(*args)]
