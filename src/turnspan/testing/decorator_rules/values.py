"""Values: whatever a call is given and answers, it is not touched, and the call goes on."""

import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from turnspan.testing.decorator_rules import nasties
from turnspan.testing.decorator_rules.nasties import READABLE, Trap
from turnspan.testing.decorator_rules.rule import rule
from turnspan.testing.decorator_rules.trial import Trial, require, shown

__all__: list[str] = []

PROMPTLY_S = 0.9
PATIENTLY_S = 5.0
TEXT_CHARS = 50_000_000
BOUND_CHARS = 25_000_000


@rule()
def values_that_contain_themselves(trial: Trial) -> None:
    """A dictionary or list that contains itself harms no call."""
    _each(trial, nasties.circular())


@rule()
def keys_that_are_no_strings(trial: Trial) -> None:
    """Dictionaries with keys of any hashable kind harm no call."""
    _each(trial, [nasties.odd_keys(), *({key: 1} for key in nasties.odd_keys())])


@rule()
def numbers_that_json_has_not(trial: Trial) -> None:
    """NaN, infinities and huge integers harm no call."""
    _each(trial, [*nasties.odd_numbers(), nasties.odd_numbers()])


@rule()
def texts_that_utf8_has_not(trial: Trial) -> None:
    """Lone surrogates and control characters harm no call."""
    _each(trial, [*nasties.odd_texts(), nasties.odd_texts()])


@rule()
def deep_nesting(trial: Trial) -> None:
    """A value nested 10,000 levels deep harms no call."""
    _each(trial, nasties.deep())


@rule()
def handles_of_the_system(trial: Trial) -> None:
    """Locks, sockets, files, modules, classes, threads and frames harm no call."""
    with nasties.handles() as handles:
        _each(trial, handles)


@rule()
def generators_passed_on(trial: Trial) -> None:
    """A generator or iterator that is passed on is not consumed."""

    def items() -> Iterator[int]:
        yield from (1, 2, 3)

    for kind in trial.kinds:
        for given in (items(), iter([1, 2, 3]), map(int, "123")):
            _goes_through(trial, kind, given)
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
        _goes_through(trial, kind, given)

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
    """An object whose every special method raises harms no call."""

    def fail() -> Any:
        raise RuntimeError("not to be called")

    _each(trial, [nasties.special(Trap(fail)), nasties.lazy_record(Trap(fail))])
    _each(trial, nasties.subclassed(Trap(fail)))


@rule()
def methods_that_hang(trial: Trial) -> None:
    """An object whose special methods take a second each delays no call."""
    for make in (nasties.special, nasties.lazy_record):
        started_s = time.monotonic()
        _goes_through(trial, trial.kinds[0], make(Trap(nasties.sleeping)))
        took_s = time.monotonic() - started_s
        require(took_s < PROMPTLY_S, f"two calls with it took {took_s:.1f} s")


@rule()
def arrays(trial: Trial) -> None:
    """Arrays and data frames, which have no truth and compare item by item, harm no call."""
    _each(trial, [nasties.Matrix(), nasties.Columns(), {"deep": [nasties.Matrix()]}])


@rule("records", "input")
def standard_types(trial: Trial) -> None:
    """UUIDs, decimals, dates, times and enumerations are recorded readably."""
    for kind in trial.kinds:
        _goes_through(trial, kind, {"values": list(READABLE.values())})
        said = trial.record("taking").input or ""
        missing = [text for text in READABLE if text not in said]
        require(not missing, f"{kind}: the input lacks {missing}: {said[:160]}")


@rule()
def bytes_of_any_kind(trial: Trial) -> None:
    """Bytes that are no text harm no call."""
    _each(
        trial, [b"\xff\xfe\x00", bytearray(b"\x80" * 100_000), memoryview(b"\xff"), [b"\xc3\x28"]]
    )


@rule()
def dataclasses(trial: Trial) -> None:
    """A dataclass is recorded by its stored fields, and none of its code runs for it."""
    trap = Trap()

    @dataclass
    class Order:
        number: str = "order-8d3"
        lines: list[str] = field(default_factory=lambda: ["line-1c4"])

        @property
        def total(self) -> Any:
            return trap.method("total")()

    for kind in trial.kinds:
        _goes_through(trial, kind, Order())
        _require_untouched(kind, trap)
        _says(trial, "order-8d3", "line-1c4")


@rule(modules=("pydantic",))
def pydantic_models(trial: Trial) -> None:
    """A pydantic model is recorded by its fields, and no computed field runs for it."""
    import pydantic

    trap = Trap()

    class Order(pydantic.BaseModel):
        number: str = "order-8d3"

        @pydantic.computed_field  # type: ignore[prop-decorator]  # pydantic's documented order
        @property
        def total(self) -> str:
            return str(trap.method("total")())

    for kind in trial.kinds:
        _goes_through(trial, kind, Order())
        _require_untouched(kind, trap)
        _says(trial, "order-8d3")


@rule(modules=("attr",))
def attrs_objects(trial: Trial) -> None:
    """An object of an attrs class, with slots, is recorded by its fields."""
    import attr

    made: Any = attr.make_class("Order", ["number"], slots=True)
    for kind in trial.kinds:
        _goes_through(trial, kind, made("order-8d3"))
        _says(trial, "order-8d3")


@rule(modules=("msgspec",))
def msgspec_structs(trial: Trial) -> None:
    """A msgspec struct is recorded by its fields."""
    import msgspec

    made: Any = msgspec.defstruct("Order", [("number", str)])
    for kind in trial.kinds:
        _goes_through(trial, kind, made("order-8d3"))
        _says(trial, "order-8d3")


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

        caught = _raised(trial, kind, trial.decorate(kind, raising))
        require(caught is error, f"{kind}: instead of it came a {type(caught).__name__}")
        if trial.can("records"):
            trial.record("raising")


@rule()
def a_long_text(trial: Trial) -> None:
    """A text of 50 MB, given and answered, is kept in bounds and delays no call for long."""
    _bounded(trial, "x" * TEXT_CHARS)


@rule()
def a_large_graph(trial: Trial) -> None:
    """A graph of a million nodes is kept in bounds and delays no call for long."""
    _bounded(trial, nasties.million_nodes())


@rule()
def a_long_stream(trial: Trial) -> None:
    """A stream of 50 MB is kept in bounds and delays nobody for long."""
    chunk = "x" * (TEXT_CHARS // 50)

    def giving() -> Iterator[str]:
        for _ in range(50):
            yield chunk

    stream = trial.outermost(giving)
    trial.mark()
    started_s = time.monotonic()
    count = sum(1 for _ in stream())
    took_s = time.monotonic() - started_s
    require(count == 50, f"of 50 chunks {count} came out")
    _require_bounds(trial, "giving", took_s)


@rule("records", "cut")
def what_is_cut(trial: Trial) -> None:
    """Where something is not kept whole, the record says so."""
    given = nasties.million_nodes()
    for kind in trial.kinds:
        _goes_through(trial, kind, given)
        require(trial.record("taking").is_cut, f"{kind}: nothing says that the input was cut")


def _each(trial: Trial, given: list[Any]) -> None:
    for kind in trial.kinds:
        for value in given:
            _goes_through(trial, kind, value)


def _goes_through(trial: Trial, kind: str, value: Any) -> None:
    """Require that ``value`` comes through a call as argument and as answer."""
    came: list[Any] = []

    def giving() -> Any:
        return value

    def taking(value: Any) -> None:
        came.append(value)

    def give(decorated: Any) -> None:
        came.append(decorated())

    def take(decorated: Any) -> None:
        decorated(value)

    for fn, call in ((giving, give), (taking, take)):
        caught = _raised(trial, kind, call, trial.decorate(kind, fn))
        if caught is not None:
            said = f"{kind}: {fn.__name__} {_what(value)} raised {shown(caught)}"
            raise AssertionError(said) from caught
        where = "came back" if fn is giving else "arrived"
        holds = all(one is value for one in came)
        require(holds, f"{kind}: {_what(value)} {where} as another object")
        if trial.can("records"):
            trial.record(fn.__name__)


def _untouched(trial: Trial, make: Callable[[Trap], list[Any]]) -> None:
    for kind in trial.kinds:
        trap = Trap()
        for value in make(trap):
            with suppress(AssertionError):  # whether the call goes on is for other rules
                _goes_through(trial, kind, value)
            trial.recorded()  # what is represented only as it is sent is represented now
        _require_untouched(kind, trap)


def _require_untouched(kind: str, trap: Trap) -> None:
    called = ", ".join(sorted(set(trap.touched)))
    require(not called, f"{kind}: to represent it, these ran: {called}")


def _says(trial: Trial, *words: str) -> None:
    if trial.can("input"):
        trial.keeps("taking", input=words)


def _bounded(trial: Trial, value: Any) -> None:
    for kind in trial.kinds:
        started_s = time.monotonic()
        _goes_through(trial, kind, value)
        took_s = time.monotonic() - started_s
        _require_bounds(trial, "taking", took_s)


def _require_bounds(trial: Trial, name: str, took_s: float) -> None:
    require(took_s < PATIENTLY_S, f"the calls took {took_s:.1f} s")
    if not trial.can("records"):
        return
    record = trial.record(name)
    for what, said in (("input", record.input), ("output", record.output)):
        size = len(said or "")
        require(size < BOUND_CHARS, f"the {what} is recorded whole: {size / 1e6:.0f} MB")


def _raised(trial: Trial, kind: str, call: Callable[..., Any], *args: Any) -> Exception | None:
    try:
        trial.answer(kind, call, *args)
    except Exception as exc:  # noqa: BLE001  # what it is, is the question
        return exc
    return None


def _what(value: object) -> str:
    return f"a {type(value).__name__}"
