"""Generators that stand for others: the same to whoever consumes them, and watched.

A relay is a real generator object, so that `inspect`, frameworks and the hooks of an event loop
know it for what it is. Values sent in, errors thrown in, closing and the returned value reach
the generator behind it as they came, by the same objects.
"""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from types import AsyncGeneratorType, FunctionType, GeneratorType
from typing import Any, Final, Protocol

__all__ = [
    "AsyncSource",
    "Source",
    "Watch",
    "alike",
    "called",
    "is_stream",
    "relay",
    "relay_async",
    "relayed",
]

_AWAITABLE: Final = inspect.CO_ITERABLE_COROUTINE
_KINDS: Final = (
    inspect.CO_GENERATOR | inspect.CO_COROUTINE | inspect.CO_ASYNC_GENERATOR | _AWAITABLE
)


class Watch(Protocol):
    """Is told when the code of a generator runs. Raises nothing of its own."""

    def resume(self) -> None:
        """Its code is about to run."""
        ...

    def pause(self, item: object, /) -> None:
        """It has yielded ``item``."""
        ...

    def end(self, value: object, left: bool, /) -> None:  # noqa: FBT001  # it has no other
        """It has returned ``value``; with ``left`` because its consumer closed it."""
        ...

    def fail(self, error: BaseException, /) -> None:
        """``error`` came out of it, or struck in `resume` or `pause`."""
        ...


class Source(Protocol):
    """What a relay needs of the generator behind it."""

    @property
    def send(self) -> Callable[[Any], Any]:
        """As of a generator."""
        ...

    @property
    def throw(self) -> Callable[[BaseException], Any]:
        """As of a generator."""
        ...


class AsyncSource(Protocol):
    """What a relay needs of the async generator behind it."""

    @property
    def asend(self) -> Callable[[Any], Awaitable[Any]]:
        """As of an async generator."""
        ...

    @property
    def athrow(self) -> Callable[[BaseException], Awaitable[Any]]:
        """As of an async generator."""
        ...


def relayed(source: Any, watch: Watch, steps: Any = None) -> Any:
    """What stands for ``source``, a generator of either kind; itself where it is none.

    ``steps`` takes its steps in its stead.
    """
    kind = type(source)
    if kind is GeneratorType:
        made: Any = relay(steps or source, watch)
    elif kind is AsyncGeneratorType:
        made = relay_async(steps or source, watch)
    else:
        return source
    made.__name__, made.__qualname__ = source.__name__, source.__qualname__
    return made


def relay(source: Source, watch: Watch) -> Generator[Any, Any, Any]:
    """Stand for the generator ``source`` and tell ``watch`` when its code runs."""
    value: Any = None
    error: BaseException | None = None
    passing: list[Any] = []  # a variable would keep alive what was yielded
    while True:
        try:
            watch.resume()
            passing.append(source.send(value) if error is None else source.throw(error))
            value = error = None
            watch.pause(passing[0])
        except StopIteration as stop:
            value = stop.value
            break
        except BaseException as exc:
            value = error = None  # its traceback holds this frame
            watch.fail(exc)
            raise
        try:
            value = yield passing.pop()
        except BaseException as exc:  # noqa: BLE001  # passed on, outside of this handler
            error = exc
    left, error = issubclass(type(error), GeneratorExit), None
    watch.end(value, left)
    return value


async def relay_async(source: AsyncSource, watch: Watch) -> AsyncGenerator[Any, Any]:
    """Stand for the async generator ``source`` as `relay` does."""
    value: Any = None
    error: BaseException | None = None
    passing: list[Any] = []
    ask: Callable[[Any], Awaitable[Any]] = functools.partial(_begun, source)
    while True:
        try:
            watch.resume()
            passing.append(await (ask(value) if error is None else source.athrow(error)))
            value = error = None
            watch.pause(passing[0])
        except StopAsyncIteration:
            break
        except BaseException as exc:
            value = error = None
            watch.fail(exc)
            raise
        ask = source.asend
        try:
            value = yield passing.pop()
        except BaseException as exc:  # noqa: BLE001  # the same
            error = exc
    left, error = issubclass(type(error), GeneratorExit), None
    watch.end(None, left)


def _begun(source: AsyncSource, value: None) -> Awaitable[Any]:
    """The first step of ``source``, which its event loop is not to know: it knows the relay.

    A loop that ends closes all generators it knows at once, and would close both.
    """
    first, last = sys.get_asyncgen_hooks()
    sys.set_asyncgen_hooks(None, last)
    try:
        return source.asend(value)  # the hooks are read here, not where it is awaited
    finally:
        sys.set_asyncgen_hooks(first, last)


def is_stream(target: Any) -> bool:
    """Whether calls of ``target`` answer with a generator or async generator to iterate."""
    target = called(target)
    if inspect.isasyncgenfunction(target):
        return True
    return inspect.isgeneratorfunction(target) and not _flags(target) & _AWAITABLE


def called(target: Any) -> Any:
    """The function behind a callable: that of a partial, the `__call__` of an object."""
    while isinstance(target, functools.partial):
        target = target.func
    return target if inspect.isroutine(target) else type(target).__call__


def alike(standing: Callable[..., Any], target: Any) -> Callable[..., Any]:
    """``standing``, a plain function, that `inspect` takes for the same kind as ``target``.

    The interpreter goes by the code, not by its flags: a call of it still runs at once, and
    may look around before it makes the generator.
    """
    assert isinstance(standing, FunctionType)  # noqa: S101  # it is one of ours
    kind = _flags(called(target)) & _KINDS
    code = standing.__code__.replace(co_flags=standing.__code__.co_flags & ~_KINDS | kind)
    return FunctionType(code, standing.__globals__, closure=standing.__closure__)


def _flags(function: Any) -> int:
    code = getattr(function, "__code__", None)
    return code.co_flags if inspect.iscode(code) else 0
