"""Quiet: nobody's output is written into, and trouble is said once, not a thousand times."""

import asyncio
import collections
import contextlib
import gc
import io
import logging
import os
import re
import sys
import tempfile
import warnings
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

from turnspan.testing.decorator_rules import nasties
from turnspan.testing.decorator_rules.nasties import Trap
from turnspan.testing.decorator_rules.rule import rule
from turnspan.testing.decorator_rules.trial import Trial, require

__all__: list[str] = []

TIMES = 1000
A_REPORT_REPEATS = 5  # a traceback has the same line more than once
_VARIES = re.compile(r"0x[0-9a-f]+|[0-9a-f]{8,}|\d+")
_MARKS = re.compile(r"[\s^~|+-]*")


@rule()
def standard_output(trial: Trial) -> None:
    """Nothing is written to standard output, whatever happens."""
    with _written(1) as said:
        for happens in (_calls, _errors, _unshown, _streams_left):
            happens(trial, 3)
        trial.recorded()
    require(not said, f"there is written: {''.join(said).strip()[:200]!r}")


@rule()
def calls_that_went_well(trial: Trial) -> None:
    """A thousand calls that went well are not spoken of."""
    _spoken(trial, _calls, at_most=0)


@rule()
def errors_of_the_caller(trial: Trial) -> None:
    """A thousand exceptions of the caller's are at most one report."""
    _spoken(trial, _errors)


@rule()
def values_that_cannot_be_shown(trial: Trial) -> None:
    """A thousand values that cannot be shown are at most one report a cause."""
    _spoken(trial, _unshown)


@rule()
def streams_left(trial: Trial) -> None:
    """A thousand async streams left by `break` are at most one report."""
    _spoken(trial, _streams_left)


@rule()
def generators_left(trial: Trial) -> None:
    """A thousand generators that are dropped are at most one report."""
    _spoken(trial, _generators_left)


@rule("trouble")
def failures_of_its_own(trial: Trial) -> None:
    """A thousand failures of the library's own harm no call, and are at most one report."""
    with trial.trouble():
        _spoken(trial, _calls)


def _calls(trial: Trial, times: int) -> None:
    def plain(word: str) -> str:
        return word

    decorated = trial.outermost(plain)
    for _ in range(times):
        require(decorated("word") == "word", "a call answered something else")


def _errors(trial: Trial, times: int) -> None:
    def failing() -> None:
        raise ValueError("odd")

    decorated = trial.outermost(failing)
    for _ in range(times):
        with contextlib.suppress(ValueError):
            decorated()


def _unshown(trial: Trial, times: int) -> None:
    def fail() -> Any:
        raise RuntimeError("not to be called")

    def plain(value: Any) -> Any:
        return value

    decorated = trial.outermost(plain)
    given = [
        *nasties.circular(),
        nasties.odd_keys(),
        nasties.special(Trap(fail)),
        *nasties.deep(500),
    ]
    for _ in range(times // len(given) + 1):
        for value in given:
            with contextlib.suppress(Exception):  # that it raises is for other rules
                decorated(value)


def _streams_left(trial: Trial, times: int) -> None:
    async def giving() -> AsyncIterator[int]:
        yield 1
        yield 2

    decorated = trial.outermost(giving)

    async def leave() -> None:
        for _ in range(times):
            async for _item in decorated():
                break
            await asyncio.sleep(0)

    asyncio.run(leave())


def _generators_left(trial: Trial, times: int) -> None:
    def giving() -> Iterator[int]:
        yield 1
        yield 2

    decorated = trial.outermost(giving)
    for _ in range(times):
        next(decorated())


def _spoken(trial: Trial, happens: Callable[[Trial, int], None], *, at_most: int = 1) -> None:
    """Require that what happens a thousand times is said at most once."""
    gc.collect()  # what others left to be finalised has nothing to say here
    with _written(2) as said, _logged(said):
        happens(trial, TIMES)
        trial.recorded()
    lines = [line for text in said for line in text.splitlines() if not _MARKS.fullmatch(line)]
    most = collections.Counter(_VARIES.sub("#", line) for line in lines).most_common(1)
    for line, count in most:
        require(count <= at_most * A_REPORT_REPEATS, f"{count} times there is: {line.strip():.160}")


@contextlib.contextmanager
def _written(descriptor: int) -> Iterator[list[str]]:
    """What is written to standard output or error, through Python or past it."""
    said: list[str] = []
    name = {1: "stdout", 2: "stderr"}[descriptor]
    through, kept = io.StringIO(), os.dup(descriptor)
    ours = getattr(sys, name)
    with tempfile.TemporaryFile() as past:
        ours.flush()
        os.dup2(past.fileno(), descriptor)
        setattr(sys, name, through)
        try:
            yield said
        finally:
            setattr(sys, name, ours)
            ours.flush()
            os.dup2(kept, descriptor)
            os.close(kept)
            past.seek(0)
            said += filter(None, (through.getvalue(), past.read().decode(errors="replace")))


@contextlib.contextmanager
def _logged(said: list[str]) -> Iterator[None]:
    """What is logged from WARNING on, and what is warned of, as it would be seen."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setLevel(logging.WARNING)
    root = logging.getLogger()
    root.addHandler(handler)
    with warnings.catch_warnings():
        warnings.simplefilter("default")
        try:
            yield
        finally:
            root.removeHandler(handler)
            said.append(stream.getvalue())
