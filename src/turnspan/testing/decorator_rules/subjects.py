"""Functions of every shape, and answers that tell whether they came through untouched."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Final

__all__ = [
    "SUBJECTS",
    "Answer",
    "Word",
    "async_generator",
    "coroutine",
    "generator",
    "kind_of",
    "plain",
]


class Answer:
    """Something to be handed through untouched."""


class Word(str):
    """A string of a class of its own."""

    __slots__ = ()


async def coroutine(word: str = "") -> str:
    """Awaits once."""
    await asyncio.sleep(0)
    return word


def generator(word: str = "") -> Iterator[str]:
    """Gives one item."""
    yield word


async def async_generator(word: str = "") -> AsyncIterator[str]:
    """Gives one item."""
    yield word


def plain(a: int, *, b: str = "two") -> "dict[str, int]":
    """Answers with what it is given."""
    return {b: a}


vars(plain)["marked"] = True

SUBJECTS: Final[tuple[Callable[..., object], ...]] = (plain, coroutine, generator, async_generator)


def kind_of(value: object) -> str:
    """What a value is, in a word, without asking the value."""
    return f"a {type(value).__name__}" if value is not None else "None"


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
