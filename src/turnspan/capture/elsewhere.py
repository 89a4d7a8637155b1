"""Generators and coroutines whose code runs in another context than their consumer's."""

from __future__ import annotations

import types
from collections.abc import Awaitable, Generator
from contextvars import Context
from typing import Any, Final

from turnspan.capture.relay import Watch, relay, relayed

__all__ = ["awaited_in", "consumed_in"]


class _Unwatched:
    def resume(self) -> None:
        pass

    def pause(self, item: object, /) -> None:
        pass

    def end(self, value: object, left: bool, /) -> None:  # noqa: FBT001  # as the port has it
        pass

    def fail(self, error: BaseException, /) -> None:
        pass


_UNWATCHED: Final[Watch] = _Unwatched()


class _Elsewhere:
    """A generator, each step of it taken in ``context``."""

    __slots__ = ("_context", "_source")

    def __init__(self, context: Context, source: Any) -> None:
        self._context = context
        self._source = source

    def send(self, value: Any) -> Any:
        return self._context.run(self._source.send, value)

    def throw(self, error: BaseException) -> Any:
        return self._context.run(self._source.throw, error)

    def asend(self, value: Any) -> Awaitable[Any]:
        return awaited_in(self._context, self._source.asend(value))

    def athrow(self, error: BaseException) -> Awaitable[Any]:
        return awaited_in(self._context, self._source.athrow(error))


@types.coroutine
def awaited_in(context: Context, awaitable: Awaitable[Any]) -> Generator[Any, Any, Any]:
    """Await ``awaitable`` in the task of whoever awaits this, its code running in ``context``."""
    return (yield from relay(_Elsewhere(context, awaitable.__await__()), _UNWATCHED))


def consumed_in(context: Context, source: Any) -> Any:
    """A generator for ``source``, of either kind, whose code runs in ``context``."""
    return relayed(source, _UNWATCHED, _Elsewhere(context, source))
