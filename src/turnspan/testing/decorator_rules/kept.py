"""Kept: what a program can see of a function and of what it answers."""

import asyncio
import copy
import inspect
import multiprocessing
import pickle
import sys
import typing
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Generator, Iterator
from contextvars import ContextVar
from types import ModuleType, TracebackType
from typing import Any

from turnspan.testing.decorator_rules.fork import forking_allowed
from turnspan.testing.decorator_rules.rule import rule
from turnspan.testing.decorator_rules.trial import Trial, require

__all__: list[str] = []

POOL_TIMEOUT_S = 10.0
MODULE = "turnspan_decorator_rules_subject"


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
    """Say what it does."""
    return {b: a}


plain.marked = True  # type: ignore[attr-defined]  # a function may carry attributes

SUBJECTS: tuple[Callable[..., Any], ...] = (plain, coroutine, generator, async_generator)


@rule()
def the_signature(trial: Trial) -> None:
    """`inspect.signature` answers as before."""
    _same(trial, inspect.signature)


@rule()
def annotations(trial: Trial) -> None:
    """`typing.get_type_hints` answers as before."""
    _same(trial, typing.get_type_hints)


@rule()
def names_and_docs(trial: Trial) -> None:
    """Name, qualified name, module and docstring are as before."""
    for name in ("__name__", "__qualname__", "__module__", "__doc__"):
        _same(trial, lambda fn, name=name: getattr(fn, name, None))  # type: ignore[misc]  # mypy has no name for it


@rule()
def attributes(trial: Trial) -> None:
    """Attributes set on the function are found on the decorated one."""
    _same(trial, lambda fn: getattr(fn, "marked", None))


@rule()
def what_is_wrapped(trial: Trial) -> None:
    """`inspect.unwrap` finds the function itself."""
    for kind, fn, decorated in _subjects(trial):
        found: object = inspect.unwrap(decorated)
        require(found is fn, f"{kind} {fn.__name__}: unwrapping it ends at {found!r:.80}")


@rule()
def iscoroutinefunction(trial: Trial) -> None:
    """`inspect.iscoroutinefunction` answers as before."""
    _same(trial, inspect.iscoroutinefunction)


@rule()
def isgeneratorfunction(trial: Trial) -> None:
    """`inspect.isgeneratorfunction` answers as before."""
    _same(trial, inspect.isgeneratorfunction)


@rule()
def isasyncgenfunction(trial: Trial) -> None:
    """`inspect.isasyncgenfunction` answers as before."""
    _same(trial, inspect.isasyncgenfunction)


@rule()
def pickling(trial: Trial) -> None:
    """A decorated function of a module is pickled by reference, as before."""
    for kind, fn, decorated in _in_module(trial):
        found: object = pickle.loads(pickle.dumps(decorated))  # noqa: S301  # it was ours a moment ago
        require(found is decorated, f"{kind} {fn.__name__}: what comes back is not it")


@rule(modules=("cloudpickle",))
def cloudpickling(trial: Trial) -> None:
    """A decorated local function is cloudpickled by value, and still answers."""
    import cloudpickle

    def local(word: str) -> str:
        return f"out-{word}"

    for kind in trial.kinds:
        data = cloudpickle.dumps(trial.decorate(kind, local))
        restored: Any = pickle.loads(data)  # noqa: S301  # it was ours a moment ago
        answer = trial.answer(kind, restored, "in-5b1")
        require(answer == "out-in-5b1", f"{kind}: what comes back answers {answer!r}")


@rule()
def process_pools(trial: Trial) -> None:
    """A decorated function can be sent to a process pool, and answers there."""
    for kind, fn, decorated in _in_module(trial):
        if fn is not plain:
            continue
        with forking_allowed(), multiprocessing.get_context("fork").Pool(1) as pool:
            answer = pool.apply_async(decorated, (1,)).get(POOL_TIMEOUT_S)
        require(answer == {"two": 1}, f"{kind}: in the pool it answered {answer!r}")


@rule()
def deep_copies(trial: Trial) -> None:
    """A decorated function survives `copy.deepcopy`, and the copy answers as it does."""
    for kind, fn, decorated in _subjects(trial):
        if fn is plain:
            copied = copy.deepcopy({"callback": decorated})["callback"]
            answer = trial.answer(kind, copied, 1)
            require(answer == {"two": 1}, f"{kind}: the copy answers {answer!r}")


@rule()
def the_answer_itself(trial: Trial) -> None:
    """What a function returns is the very object, of the very type."""
    for given in (Answer(), Word("word"), [1], 1.5, True, None):

        def giving(given: Any = given) -> Any:
            return given

        for kind in trial.kinds:
            answer = trial.answer(kind, trial.decorate(kind, giving))
            require(answer is given, f"{kind}: a {type(given).__name__} came back as {_kind(answer)}")


@rule()
def the_awaited_answer_itself(trial: Trial) -> None:
    """What a coroutine function returns is the very object, of the very type."""
    for given in (Answer(), Word("word"), [1], 1.5, True, None):

        async def giving(given: Any = given) -> Any:
            return given

        for kind in trial.kinds:
            answer = trial.awaited(kind, trial.decorate(kind, giving))
            require(answer is given, f"{kind}: a {type(given).__name__} came back as {_kind(answer)}")


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
        found = trial.answer(kind, lambda stream=stream: list(stream()))  # type: ignore[misc]  # mypy has no name for it
        require(_all_are(found, items), f"{kind}: it yielded {[*map(_kind, found)]}")
        stream_async = trial.decorate(kind, giving_async)
        found = trial.awaited(kind, _gathered, stream_async)
        require(_all_are(found, items), f"{kind}: async, it yielded {[*map(_kind, found)]}")


@rule()
def coroutines(trial: Trial) -> None:
    """Calling a coroutine function gives a coroutine, which `asyncio.create_task` takes."""
    for kind in trial.kinds:
        decorated = trial.decorate(kind, coroutine)

        async def tasked(decorated: Any = decorated) -> Any:
            return await asyncio.create_task(decorated("in-5b1"))

        answer = trial.awaited(kind, tasked)
        require(answer == "in-5b1", f"{kind}: the task answered {answer!r}")


@rule()
def generators(trial: Trial) -> None:
    """Calling a generator function gives a `Generator`, or an `AsyncGenerator`."""
    for kind in trial.kinds:
        for fn, wanted in ((generator, Generator), (async_generator, AsyncGenerator)):
            stream = trial.decorate(kind, fn)()
            require(isinstance(stream, wanted), f"{kind} {fn.__name__}: it gives {_kind(stream)}")


@rule()
def laziness(trial: Trial) -> None:
    """A generator runs when an item is asked for, and no further than that item."""
    ran: list[int] = []

    def endless() -> Iterator[int]:
        while True:
            ran.append(len(ran))
            yield ran[-1]

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
        said = trial.answer(kind, lambda stream=stream: [next(stream), stream.send("a")])  # type: ignore[misc]  # mypy has no name for it
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
        said = trial.answer(kind, lambda stream=stream: [next(stream), stream.throw(KeyError("k"))])  # type: ignore[misc]  # mypy has no name for it
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
        trial.answer(kind, lambda stream=stream: (next(stream), stream.close()))  # type: ignore[misc]  # mypy has no name for it
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

        def delegating(decorated: Any = decorated) -> Generator[int, None, str]:
            return (yield from decorated())

        def run(delegate: Any = delegating) -> Any:
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
def errors_themselves(trial: Trial) -> None:
    """An exception is the very object, with its cause, context and notes as they were."""
    for shape in ("sync", "async", "generator"):
        for kind in trial.kinds:
            error = _troubled()
            before = _facts(error)
            caught = _caught(trial, kind, shape, error)
            require(caught is error, f"{kind} {shape}: it raised {_kind(caught)}")
            require(_facts(error) == before, f"{kind} {shape}: cause, context or notes changed")


@rule()
def tracebacks(trial: Trial) -> None:
    """The traceback of an exception still leads to the line that raised it."""
    for shape in ("sync", "async", "generator"):
        for kind in trial.kinds:
            caught = _caught(trial, kind, shape, ValueError("odd"))
            names = [] if caught is None else _frames(caught.__traceback__)
            found = names[-1:] == ["raising"]
            require(found, f"{kind} {shape}: the last frame is {names[-1:]}")


@rule()
def stop_iteration(trial: Trial) -> None:
    """A `StopIteration` that a plain function raises reaches its caller."""

    def exhausted() -> Any:
        return next(iter(()))

    for kind in trial.kinds:
        decorated = trial.decorate(kind, exhausted)

        def ask(decorated: Any = decorated) -> str:
            try:
                decorated()
            except BaseException as exc:  # noqa: BLE001  # what it is, is the question
                return type(exc).__name__
            return "nothing"

        seen = trial.answer(kind, ask)
        require(seen == "StopIteration", f"{kind}: it raised {seen}")


@rule()
def the_task(trial: Trial) -> None:
    """A coroutine function runs in the task that awaits it."""

    async def where() -> Any:
        await asyncio.sleep(0)
        return asyncio.current_task()

    for kind in trial.kinds:
        decorated = trial.decorate(kind, where)

        async def compare(decorated: Any = decorated) -> bool:
            return bool(await decorated() is asyncio.current_task())

        require(trial.awaited(kind, compare), f"{kind}: it ran in a task of its own")


@rule()
def the_thread(trial: Trial) -> None:
    """A function runs in the thread that calls it, and a coroutine in its loop's."""
    from threading import get_ident

    async def where() -> int:
        return get_ident()

    for kind in trial.kinds:
        seen = {
            trial.answer(kind, trial.decorate(kind, get_ident_of)),
            trial.awaited(kind, trial.decorate(kind, where)),
        }
        require(seen == {get_ident()}, f"{kind}: it ran in another thread")


def get_ident_of() -> int:
    """The thread that runs it."""
    from threading import get_ident

    return get_ident()


@rule()
def context_variables_set_inside(trial: Trial) -> None:
    """A context variable set in a function, awaited or not, is set for its caller."""
    own: ContextVar[str] = ContextVar("own", default="unset")

    def setting() -> None:
        own.set("sync")

    async def setting_async() -> None:
        own.set("async")

    for kind in trial.kinds:
        decorated, decorated_async = (trial.decorate(kind, f) for f in (setting, setting_async))

        def see(decorated: Any = decorated) -> str:
            decorated()
            return own.get()

        async def see_async(decorated: Any = decorated_async) -> str:
            await decorated()
            return own.get()

        seen = [trial.answer(kind, see), trial.awaited(kind, see_async)]
        require(seen == ["sync", "async"], f"{kind}: afterwards the caller reads {seen}")


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


def _subjects(trial: Trial) -> Iterator[tuple[str, Callable[..., Any], Any]]:
    for kind in trial.kinds:
        for fn in SUBJECTS:
            yield kind, fn, trial.decorate(kind, fn)


def _same(trial: Trial, ask: Callable[[Any], Any]) -> None:
    for kind, fn, decorated in _subjects(trial):
        wanted, seen = ask(fn), ask(decorated)
        require(seen == wanted, f"{kind} {fn.__name__}: {seen!r:.120}, not {wanted!r:.120}")


def _in_module(trial: Trial) -> Iterator[tuple[str, Callable[..., Any], Any]]:
    """Each decorated subject while it stands in a module under its own name."""
    module = ModuleType(MODULE)
    sys.modules[MODULE] = module
    try:
        for kind in trial.kinds:
            for original in SUBJECTS:
                fn = _moved(original)
                decorated = trial.decorate(kind, fn)
                setattr(module, fn.__name__, decorated)
                yield kind, original, decorated
    finally:
        del sys.modules[MODULE]


def _moved(original: Callable[..., Any]) -> Any:
    fn: Any = type(plain)(
        original.__code__, globals(), original.__name__, original.__defaults__  # type: ignore[attr-defined]  # they are functions
    )
    fn.__kwdefaults__ = original.__kwdefaults__  # type: ignore[attr-defined]  # they are functions
    fn.__module__, fn.__qualname__ = MODULE, original.__name__
    return fn


async def _gathered(stream: Any) -> list[Any]:
    return [item async for item in stream()]


def _all_are(found: list[Any], items: list[Any]) -> bool:
    return len(found) == len(items) and all(a is b for a, b in zip(found, items, strict=True))


def _kind(value: object) -> str:
    return f"a {type(value).__name__}" if value is not None else "None"


def _troubled() -> ValueError:
    error = ValueError("odd")
    error.__cause__ = KeyError("cause")
    error.add_note("a note")
    return error


def _facts(error: BaseException) -> tuple[Any, ...]:
    notes = list(getattr(error, "__notes__", ()))
    return (error.__cause__, error.__suppress_context__, notes, error.args, vars(error).keys())


def _caught(trial: Trial, kind: str, shape: str, error: BaseException) -> BaseException | None:
    """What comes out of a call that raises ``error``."""

    def raising() -> None:
        raise error

    async def raising_async() -> None:
        raising()

    def raising_generator() -> Iterator[int]:
        yield 1
        raising()

    caught: list[BaseException] = []

    def run(call: Callable[[], Any]) -> None:
        try:
            call()
        except BaseException as exc:  # noqa: BLE001  # what it is, is the question
            caught.append(exc)

    if shape == "sync":
        trial.answer(kind, run, trial.decorate(kind, raising))
    elif shape == "async":
        decorated = trial.decorate(kind, raising_async)
        run(lambda: trial.awaited(kind, decorated))
    else:
        stream = trial.decorate(kind, raising_generator)
        trial.answer(kind, run, lambda: list(stream()))
    return caught[0] if caught else None


def _frames(traceback: TracebackType | None) -> list[str]:
    names: list[str] = []
    while traceback is not None:
        names.append(traceback.tb_frame.f_code.co_name)
        traceback = traceback.tb_next
    return names
