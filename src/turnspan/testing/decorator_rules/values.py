"""Values: whatever a call is given and answers, it is not touched, and the call goes on."""

import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import suppress
from typing import Any

from turnspan.testing.decorator_rules import nasties
from turnspan.testing.decorator_rules.nasties import Trap
from turnspan.testing.decorator_rules.passage import goes_through, raised, require_untouched
from turnspan.testing.decorator_rules.rule import rule
from turnspan.testing.decorator_rules.trial import Trial, require

__all__: list[str] = []

PROMPTLY_S = 0.9


@rule()
def values_that_contain_themselves(trial: Trial) -> None:
    """A dictionary or list that contains itself harms neither call nor record."""
    _each(trial, nasties.circular())


@rule()
def keys_that_are_no_strings(trial: Trial) -> None:
    """Dictionaries with keys of any hashable kind harm neither call nor record."""
    _each(trial, [nasties.odd_keys(), *({key: 1} for key in nasties.odd_keys())])


@rule()
def numbers_that_json_has_not(trial: Trial) -> None:
    """NaN, infinities and huge integers harm neither call nor record."""
    _each(trial, [*nasties.odd_numbers(), nasties.odd_numbers()])


@rule()
def texts_that_utf8_has_not(trial: Trial) -> None:
    """Lone surrogates and control characters harm neither call nor record."""
    _each(trial, [*nasties.odd_texts(), nasties.odd_texts()])


@rule()
def deep_nesting(trial: Trial) -> None:
    """A value nested 10,000 levels deep harms neither call nor record."""
    _each(trial, nasties.deep())


@rule()
def handles_of_the_system(trial: Trial) -> None:
    """Locks, sockets, files, modules, classes, threads and frames harm neither call nor record."""
    with nasties.handles() as handles:
        _each(trial, handles)


@rule()
def generators_passed_on(trial: Trial) -> None:
    """A generator or iterator that is passed on is not consumed."""

    def items() -> Iterator[int]:
        yield from (1, 2, 3)

    for kind in trial.kinds:
        for given in (items(), iter([1, 2, 3]), map(int, "123")):
            goes_through(trial, kind, given)
            left = list(given)
            require(left == [1, 2, 3], f"{kind}: of [1, 2, 3] its reader has {left} left")


@rule()
def async_generators_passed_on(trial: Trial) -> None:
    """An async generator that is passed on is not consumed."""

    async def items() -> AsyncIterator[int]:
        for item in (1, 2, 3):
            yield item

    for kind in trial.kinds:
        given = items()
        goes_through(trial, kind, given)

        async def read(given: Any = given) -> list[int]:
            return [item async for item in given]

        left = trial.awaited(kind, read)
        require(left == [1, 2, 3], f"{kind}: of [1, 2, 3] its reader has {left} left")


@rule()
def attributes_that_ask_a_database(trial: Trial) -> None:
    """No property and no missing attribute of an object is read to represent it."""
    _untouched(trial, lambda trap: [nasties.lazy_record(trap)])


@rule()
def special_methods(trial: Trial) -> None:
    """No special method of an object is called to represent it."""
    _untouched(trial, lambda trap: [nasties.special(trap)])


@rule()
def subclasses_of_builtins(trial: Trial) -> None:
    """No overridden method of a subclass of a builtin is called to represent it."""
    _untouched(trial, nasties.subclassed)


@rule()
def methods_that_raise(trial: Trial) -> None:
    """An object whose every special method raises harms neither call nor record."""

    def fail() -> Any:
        raise RuntimeError("not to be called")

    _each(trial, [nasties.special(Trap(fail)), nasties.lazy_record(Trap(fail))])
    _each(trial, nasties.subclassed(Trap(fail)))


@rule()
def methods_that_hang(trial: Trial) -> None:
    """An object whose special methods take a second each delays no call."""
    for make in (nasties.special, nasties.lazy_record):
        started_s = time.monotonic()
        goes_through(trial, trial.kinds[0], make(Trap(nasties.sleeping)))
        took_s = time.monotonic() - started_s
        require(took_s < PROMPTLY_S, f"two calls with it took {took_s:.1f} s")


@rule()
def arrays(trial: Trial) -> None:
    """Arrays and data frames, which have no truth, harm neither call nor record."""
    _each(trial, [nasties.Matrix(), nasties.Columns(), {"deep": [nasties.Matrix()]}])


@rule()
def bytes_of_any_kind(trial: Trial) -> None:
    """Bytes that are no text harm neither call nor record."""
    _each(
        trial, [b"\xff\xfe\x00", bytearray(b"\x80" * 100_000), memoryview(b"\xff"), [b"\xc3\x28"]]
    )


@rule()
def errors_that_cannot_be_shown(trial: Trial) -> None:
    """An exception whose own methods raise reaches the caller as it is."""

    class Unshown(Exception):  # noqa: N818  # it is what it says
        def __str__(self) -> str:
            raise RuntimeError("not to be shown")

        __repr__ = __str__

    for kind in trial.kinds:
        error = Unshown(nasties.special(Trap()))

        def raising(error: Any = error) -> None:
            raise error

        caught = raised(trial, kind, trial.decorate(kind, raising))
        require(caught is error, f"{kind}: instead of it came a {type(caught).__name__}")
        if trial.can("records"):
            trial.record("raising")


def _each(trial: Trial, given: list[Any]) -> None:
    for kind in trial.kinds:
        for value in given:
            goes_through(trial, kind, value)


def _untouched(trial: Trial, make: Callable[[Trap], list[Any]]) -> None:
    for kind in trial.kinds:
        trap = Trap()
        for value in make(trap):
            with suppress(AssertionError):  # whether the call goes on is for other rules
                goes_through(trial, kind, value)
            trial.recorded()  # what is represented only as it is sent is represented now
        require_untouched(kind, trap)
