"""Wrappers: a callable that records each call of another one and is otherwise the same."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

from turnspan.capture.active import active
from turnspan.capture.calls import Call
from turnspan.errors import CaptureError

__all__ = ["wrap"]

AnyCallable = Callable[..., Any]


def wrap(target: Any, describe: Callable[[AnyCallable], Call]) -> Any:
    """``target``, recorded. ``describe`` tells what is recorded of the function inside.

    Raises:
        CaptureError: ``target`` cannot be recorded.
    """
    if isinstance(target, staticmethod | classmethod):
        return type(target)(wrap(target.__func__, describe))
    if isinstance(target, type):
        raise CaptureError(
            f"{target.__qualname__!r} is a class, and a class is no call to record",
            fix="decorate the method that does the work",
        )
    if not callable(target):
        raise CaptureError(
            f"{target!r} is not callable", fix="decorate a function, method or callable object"
        )
    _refuse_generators(target)
    call = describe(target)
    return _async(target, call) if _is_coroutine_function(target) else _sync(target, call)


def _sync(fn: AnyCallable, call: Call) -> AnyCallable:
    def recorded(*args: Any, **kwargs: Any) -> Any:
        recorder = active.recorder or active.awaken()
        if recorder is None or (draft := recorder.enter(call, args, kwargs)) is None:
            return fn(*args, **kwargs)
        try:
            result = fn(*args, **kwargs)
        except BaseException as exc:
            recorder.fail(draft, exc)
            raise
        recorder.leave(draft, call, result)
        return result

    return functools.update_wrapper(recorded, fn)


def _async(fn: AnyCallable, call: Call) -> AnyCallable:
    async def recorded(*args: Any, **kwargs: Any) -> Any:
        recorder = active.recorder or active.awaken()
        if recorder is None or (draft := recorder.enter(call, args, kwargs)) is None:
            return await fn(*args, **kwargs)
        try:
            result = await fn(*args, **kwargs)
        except BaseException as exc:
            recorder.fail(draft, exc)
            raise
        recorder.leave(draft, call, result)
        return result

    return functools.update_wrapper(recorded, fn)


def _is_coroutine_function(target: Any) -> bool:
    inner = target.func if isinstance(target, functools.partial) else target
    if inspect.iscoroutinefunction(inner):
        return True
    return not inspect.isroutine(inner) and inspect.iscoroutinefunction(type(inner).__call__)


def _refuse_generators(target: Any) -> None:
    inner = target.func if isinstance(target, functools.partial) else target
    inner = inner if inspect.isroutine(inner) else type(inner).__call__
    if inspect.isgeneratorfunction(inner) or inspect.isasyncgenfunction(inner):
        name = getattr(inner, "__qualname__", repr(inner))
        raise CaptureError(
            f"{name!r} is a generator, and its turn would end before its first item",
            fix="use `with turnspan.turn(...)` around the loop that consumes it",
        )
