"""Wrappers: a callable that records each call of another one and is otherwise the same."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from types import FunctionType
from typing import Any

from turnspan.capture.active import active
from turnspan.capture.calls import Call
from turnspan.capture.objects import stand_in
from turnspan.capture.relay import alike, called, is_stream
from turnspan.capture.streams import Stream
from turnspan.errors import CaptureError

__all__ = ["recorded", "wrap"]

AnyCallable = Callable[..., Any]


def wrap(target: Any, describe: Callable[[AnyCallable], Call]) -> Any:
    """``target``, recorded. ``describe`` tells what is recorded of the function inside.

    A function becomes a function, a descriptor one of its kind, and any other callable an
    object that answers as it does.

    Raises:
        CaptureError: ``target`` cannot be recorded.
    """
    if (inside := _inside(target)) is not None:
        return inside(functools.partial(wrap, describe=describe))
    if isinstance(target, type):
        raise CaptureError(
            f"{target.__qualname__!r} is a class, and a class is no call to record",
            fix="decorate the method that does the work",
        )
    if not callable(target):
        named = f"; a name is given as name={target!r}" if isinstance(target, str) else ""
        fix = f"decorate a function, method or callable object{named}"
        raise CaptureError(f"{target!r} is not callable", fix=fix)
    return recorded(target, describe(target))


def recorded(target: AnyCallable, call: Call) -> Any:
    """``target``, each call of it recorded as ``call``."""
    if is_stream(target):
        function = _stream(target, call)
    elif inspect.iscoroutinefunction(called(target)):
        function = _async(target, call)
    else:
        function = _sync(target, call)
    if type(target) is FunctionType:
        return functools.update_wrapper(function, target)
    return stand_in(target, function, functools.partial(recorded, call=call))


def _inside(target: Any) -> Callable[[Callable[[Any], Any]], Any] | None:
    """Of a descriptor: what makes one of its kind with another function inside."""
    if isinstance(target, staticmethod | classmethod):
        return lambda wrapped: type(target)(wrapped(target.__func__))
    if isinstance(target, property) and target.fget is not None:
        return lambda wrapped: target.getter(wrapped(target.fget))
    if isinstance(target, functools.cached_property):
        return lambda wrapped: type(target)(wrapped(target.func))
    if isinstance(target, functools.partialmethod):
        return lambda wrapped: type(target)(wrapped(target.func), *target.args, **target.keywords)
    return None


def _sync(fn: AnyCallable, call: Call) -> AnyCallable:
    def recorded(*args: Any, **kwargs: Any) -> Any:
        recorder = active.recorder or active.awaken()
        if recorder is None or (draft := recorder.enter(call, args, kwargs)) is None:
            return fn(*args, **kwargs)
        try:
            result = fn(*args, **kwargs) if kwargs else fn(*args)  # none cost a mapping, too
            recorder.leave(draft, call, result)  # here: a signal may strike before it begins
        except BaseException as exc:
            recorder.fail(draft, exc)
            raise
        return result

    # A generator that is awaited, by `types.coroutine`, is no stream, and stays a generator.
    return alike(recorded, fn) if inspect.isgeneratorfunction(called(fn)) else recorded


def _async(fn: AnyCallable, call: Call) -> AnyCallable:
    async def recorded(*args: Any, **kwargs: Any) -> Any:
        recorder = active.recorder or active.awaken()
        if recorder is None or (draft := recorder.enter(call, args, kwargs)) is None:
            return await fn(*args, **kwargs)
        try:
            result = await (fn(*args, **kwargs) if kwargs else fn(*args))
            recorder.leave(draft, call, result)  # here: a signal may strike before it begins
        except BaseException as exc:
            recorder.fail(draft, exc)
            raise
        return result

    return recorded


def _stream(fn: AnyCallable, call: Call) -> AnyCallable:
    def recorded(*args: Any, **kwargs: Any) -> Any:
        source = fn(*args, **kwargs)  # at once, so that wrong arguments are told here as ever
        recorder = active.recorder or active.awaken()
        if recorder is None:
            return source
        try:
            return Stream(call, args, kwargs).relayed(source)
        except RecursionError:  # there is no room on the stack, nor for saying so
            recorder.failures += 1
            return source

    return alike(recorded, fn)
