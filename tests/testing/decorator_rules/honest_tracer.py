"""A tracer written by hand that keeps every rule: small, and of no use for anything else.

What the broken ones of `broken_decorators.py` differ in is a method each.
"""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import dataclasses
import datetime as dt
import decimal
import enum
import functools
import inspect
import itertools
import json
import logging
import sys
import uuid
from contextvars import ContextVar, copy_context

from turnspan.testing.decorator_rules import Adapter, Record

MAX_NODES = 1000
MAX_CHARS = 1_000_000
STANDARD = (uuid.UUID, decimal.Decimal, dt.datetime, dt.date)
TELLS = frozenset({"parent", "input", "output", "status", "first_chunk", "cut"})
STATUSES = frozenset({"ok", "error", "cancelled", "abandoned"})


class Entry:
    """What is known of a call so far."""

    def __init__(self, id, name, parent, input, cut):
        self.id, self.name, self.parent, self.input, self.cut = id, name, parent, input, cut
        self.chunks, self.output, self.status = [], None, None

    def told(self):
        return Record(
            id=self.id,
            name=self.name,
            parent_id=self.parent and self.parent.id,
            status=self.status,
            input=self.input,
            output=" ".join(self.chunks) if self.output is None else self.output,
            ended=self.status is not None,
            has_first_chunk=bool(self.chunks),
            is_cut=self.cut,
        )


class Walk:
    """A value as JSON text, by its exact type and its stored fields, within a budget."""

    def __init__(self):
        self.left, self.chars, self.cut, self.path = MAX_NODES, MAX_CHARS, False, set()

    def text(self, value):
        return json.dumps(self.show(value))

    def show(self, value):
        self.left -= 1
        if self.left <= 0 or len(self.path) > 50 or id(value) in self.path:
            self.cut = True
            return "…"
        self.path.add(id(value))
        try:
            return self.inside(value, type(value))
        finally:
            self.path.discard(id(value))

    def inside(self, value, kind):
        if kind is str:
            self.cut = self.cut or len(value) > self.chars
            kept = value[: max(self.chars, 0)]
            self.chars -= len(kept)
            return kept
        if kind is float or kind is bool or value is None:
            return value
        if kind is int:
            return value if value.bit_length() < 100 else "<int>"
        if kind is dict:
            return {str(self.show(key)): self.show(item) for key, item in self.some(value.items())}
        if kind is list or kind is tuple:
            return [self.show(item) for item in self.some(value)]
        if any(kind is known for known in STANDARD):
            return kind.__str__(value)
        if type(kind) is enum.EnumType:
            return object.__getattribute__(value, "_value_")
        return self.fields(value, kind)

    def some(self, items):
        return itertools.islice(items, max(self.left, 0))

    def fields(self, value, kind):
        slots = [
            (name, member)
            for name, member in type.__getattribute__(kind, "__dict__").items()
            if inspect.ismemberdescriptor(member) and not name.startswith("__")
        ]
        stored = type.__getattribute__(kind, "__dict__").get("__dict__")
        mro = type.__dict__["__mro__"].__get__(kind)
        if stored is None and any(each.__name__ == "BaseModel" for each in mro):
            stored = mro[-2].__dict__["__dict__"]
        if kind.__module__ in sys.stdlib_module_names:
            return f"<{kind.__name__}>"
        shown = {}
        with contextlib.suppress(Exception):
            shown = {name: self.show(member.__get__(value)) for name, member in slots}
            if inspect.isgetsetdescriptor(stored):
                shown |= {
                    name: self.show(item) for name, item in self.some(stored.__get__(value).items())
                }
        return shown or f"<{kind.__name__}>"


class Active:
    """A call is the current one while it runs, and fails with what comes out of it."""

    def __init__(self, tracer, entry):
        self.tracer, self.entry = tracer, entry

    def __enter__(self):
        self.token = self.tracer.set(self.entry)

    def __exit__(self, kind, error, traceback):
        self.tracer.reset(self.token)
        if error is not None:
            self.tracer.fail(self.entry, error)


class Tracer:
    """Records calls in a list. Each method is one thing that can be done wrong."""

    live = None  # by way of the class, so that what was pickled by value finds it, too
    walk = Walk
    broken = said = False

    def __init__(self):
        self.entries = []
        self.ids = itertools.count(1)
        self.current = ContextVar("current", default=None)
        Tracer.live = self
        atexit.register(self.at_exit)

    # --- how a target is taken apart

    def decorate(self, kind, target):
        if isinstance(target, staticmethod | classmethod):
            return type(target)(self.decorate(kind, target.__func__))
        if isinstance(target, type):
            raise TypeError("a class is no call")
        return self.wrapped(self.wrapper_of(target)(target), target)

    def wrapped(self, wrapper, target):
        return functools.update_wrapper(wrapper, target)

    def wrapper_of(self, target):
        inner = target.func if isinstance(target, functools.partial) else target
        inner = inner if inspect.isroutine(inner) else type(inner).__call__
        if inspect.isasyncgenfunction(inner):
            return self.async_generator
        if inspect.isgeneratorfunction(inner):
            return self.generator
        return self.coroutine if inspect.iscoroutinefunction(inner) else self.plain

    # --- one wrapper a shape; what they close over can be pickled by value

    def plain(self, fn):
        def traced(*args, **kwargs):
            tracer = Tracer.live
            entry = tracer.enter(fn, args, kwargs)
            with tracer.active(entry):
                result = fn(*args, **kwargs)
            return tracer.leave(entry, result)

        return traced

    def coroutine(self, fn):
        async def traced(*args, **kwargs):
            tracer = Tracer.live
            entry = tracer.enter(fn, args, kwargs)
            with tracer.active(entry):
                result = await fn(*args, **kwargs)
            return tracer.leave(entry, result)

        return traced

    def generator(self, fn):
        def traced(*args, **kwargs):
            tracer = Tracer.live
            entry = tracer.enter(fn, args, kwargs)
            stream = fn(*args, **kwargs)
            step = functools.partial(next, stream)
            while True:
                try:
                    with tracer.active(entry):
                        item = step()
                except StopIteration as stop:
                    return tracer.leave(entry, stop.value)
                item = tracer.chunk(entry, item)
                try:
                    sent = yield item
                except GeneratorExit as exc:
                    tracer.fail(entry, exc)
                    with tracer.active(entry):
                        stream.close()
                    raise
                except BaseException as exc:
                    step = functools.partial(stream.throw, exc)
                else:
                    step = functools.partial(stream.send, sent)

        return traced

    def async_generator(self, fn):
        async def traced(*args, **kwargs):
            tracer = Tracer.live
            entry = tracer.enter(fn, args, kwargs)
            stream = fn(*args, **kwargs)
            step = functools.partial(anext, stream)
            while True:
                try:
                    with tracer.active(entry):
                        item = await step()
                except StopAsyncIteration:
                    tracer.leave(entry, None)
                    return
                item = tracer.chunk(entry, item)
                try:
                    sent = yield item
                except GeneratorExit as exc:
                    tracer.fail(entry, exc)
                    with tracer.active(entry):
                        await stream.aclose()
                    raise
                except BaseException as exc:
                    step = functools.partial(stream.athrow, exc)
                else:
                    step = functools.partial(stream.asend, sent)

        return traced

    # --- what is recorded

    def enter(self, fn, args, kwargs):
        try:
            return self.opened(fn, args, kwargs)
        except OSError:  # the one failure it knows of its own
            if not self.said:
                logging.getLogger("honest").warning("cannot record")
            self.said = True
            return Entry("none", "none", None, "", cut=False)

    def opened(self, fn, args, kwargs):
        if self.broken:
            raise OSError("no space left")
        walk = self.walk()
        given = walk.text(self.named(fn, args, kwargs))
        entry = Entry(str(next(self.ids)), self.name(fn), self.parent(), given, walk.cut)
        self.entries.append(entry)
        return entry

    def parent(self):
        return self.current.get()

    def name(self, fn):
        return getattr(fn, "__name__", type(fn).__name__)

    def named(self, fn, args, kwargs):
        try:
            names = list(inspect.signature(fn).parameters)
        except ValueError:
            names = []
        if names[:1] in (["self"], ["cls"]):
            names, args = names[1:], args[1:]
        return {**dict(zip(names, args)), **kwargs}  # noqa: B905  # a call may be wrong

    def active(self, entry):
        return Active(self, entry)

    def set(self, entry):
        return self.current.set(entry)

    def reset(self, token):
        with contextlib.suppress(ValueError):  # ended in another context
            self.current.reset(token)

    def leave(self, entry, result):
        if not entry.chunks:
            walk = self.walk()
            entry.output = walk.text(result)
            entry.cut = entry.cut or walk.cut
        entry.status = "ok"
        return result

    def chunk(self, entry, item):
        if sum(map(len, entry.chunks)) < MAX_CHARS:
            entry.chunks.append(self.walk().text(item))
        return item

    def fail(self, entry, error):
        entry.status = self.status(error)

    def status(self, error):
        if isinstance(error, GeneratorExit):
            return "abandoned"
        gone = (asyncio.CancelledError, KeyboardInterrupt, SystemExit)
        return "cancelled" if isinstance(error, gone) else "error"

    def at_exit(self):
        for entry in self.entries:
            entry.status = entry.status or "abandoned"

    # --- what the rules ask for

    def collect(self):
        return [entry.told() for entry in self.entries]

    def carry(self, fn):
        return functools.partial(copy_context().run, fn)

    @contextlib.contextmanager
    def trouble(self):
        self.broken = True
        try:
            yield
        finally:
            self.broken = False

    def adapter(self, **changes):
        made = Adapter(
            decorate=self.decorate,
            collect=self.collect,
            carry=self.carry,
            trouble=self.trouble,
            tells=TELLS,
            statuses=STATUSES,
        )
        return dataclasses.replace(made, **changes)
