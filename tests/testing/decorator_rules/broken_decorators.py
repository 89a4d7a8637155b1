"""Decorators with one thing wrong each: what they do, and which rules must say so."""

from __future__ import annotations

import asyncio
import contextlib
import copy
import functools
import inspect
import json
import logging
import os
import threading
from contextvars import copy_context

from honest_tracer import Entry, Tracer, Walk

BROKEN = []


def breaks(*rules):
    """Say which rules the decorator breaks, at least."""

    def listed(tracer):
        BROKEN.extend((tracer, rule) for rule in rules)
        return tracer

    return listed


# --- shapes


@breaks("a_function", "a_coroutine_function", "a_property_getter", "an_answer",
        "a_partial_of_a_coroutine_function")  # fmt: skip
class ForgetsTheOutput(Tracer):
    def leave(self, entry, result):
        super().leave(entry, result)
        entry.output = ""
        return result


@breaks("a_generator_function", "an_async_generator_function", "exhausted", "exhausted_async",
        "time_to_the_first_chunk", "failed", "an_item")  # fmt: skip
class ForgetsTheChunks(Tracer):
    def chunk(self, entry, item):
        return item


@breaks("a_method", "an_async_method", "a_classmethod_above_it", "a_classmethod_below_it")
class TellsOfTheOwner(Tracer):
    def named(self, fn, args, kwargs):
        return {**dict(zip(inspect.signature(fn).parameters, args)), **kwargs}  # noqa: B905


@breaks("a_staticmethod_above_it", "an_argument", "an_argument_of_a_stream")
class TakesTheFirstArgumentForItsOwner(Tracer):
    def named(self, fn, args, kwargs):
        return super().named(fn, args[1:], kwargs)


@breaks("a_bound_method", "an_object_with_call", "an_object_with_async_call", "a_partial",
        "a_partial_of_a_coroutine_function")  # fmt: skip
class TakesFunctionsOnly(Tracer):
    def decorate(self, kind, target):
        if not inspect.isfunction(getattr(target, "__func__", target)) or inspect.ismethod(target):
            raise TypeError("functions only")
        return super().decorate(kind, target)


@breaks("a_classmethod_below_it", "a_staticmethod_below_it")
class WrapsDescriptors(Tracer):
    def decorate(self, kind, target):
        return self.wrapped(self.wrapper_of(target)(target), target)


@breaks("an_overloaded_function", "the_signature", "annotations", "names_and_docs", "attributes",
        "what_is_wrapped", "pickling", "process_pools")  # fmt: skip
class KeepsNothing(Tracer):
    def wrapped(self, wrapper, target):
        return wrapper


@breaks("an_overriding_method", "recursion", "calls", "tasks", "task_groups", "to_thread",
        "concurrently", "a_loop_per_thread", "children", "children_async", "nested",
        "interleaved")  # fmt: skip
class KnowsNoParents(Tracer):
    def parent(self):
        return None


@breaks("decorated_twice")
class RefusesWhatIsDecorated(Tracer):
    def decorate(self, kind, target):
        if hasattr(target, "__wrapped__"):
            raise TypeError("decorated already")
        return super().decorate(kind, target)


@breaks("a_class")
class MakesAFunctionOfAClass(Tracer):
    def decorate(self, kind, target):
        if isinstance(target, type):
            return self.wrapped(self.plain(target), target)
        return super().decorate(kind, target)


@breaks("a_builtin", "a_wrong_call")
class BindsTheSignature(Tracer):
    def plain(self, fn):
        traced = super().plain(fn)

        def bound(*args, **kwargs):
            inspect.signature(fn).bind(*args, **kwargs)
            return traced(*args, **kwargs)

        return bound


@breaks("every_kind_of_parameter")
class PassesByName(Tracer):
    def plain(self, fn):
        traced = super().plain(fn)

        def by_name(*args, **kwargs):
            return traced(**self.named(fn, args, kwargs))

        return by_name


@breaks("parameters_of_any_name")
class HasAParameterOfItsOwn(Tracer):
    def plain(self, fn):
        traced = super().plain(fn)

        def with_name(*args, name=None, **kwargs):
            return traced(*args, **kwargs)

        return with_name


# --- kept


@breaks("iscoroutinefunction", "isgeneratorfunction", "isasyncgenfunction", "generators_left")
class WrapsAllAlike(Tracer):
    def wrapper_of(self, target):
        return self.plain

    def plain(self, fn):
        traced = super().plain(fn)
        if not inspect.isgeneratorfunction(fn):
            return traced

        def spoken(*args, **kwargs):
            logging.getLogger("broken").warning("a generator was not recorded")
            return traced(*args, **kwargs)

        return spoken


class Proxy:
    """As wrapt's: it is called as the function is, and refuses to be copied or pickled."""

    def __init__(self, call, target):
        functools.update_wrapper(self, target)
        self.call = call

    def __call__(self, *args, **kwargs):
        return self.call(*args, **kwargs)

    def __deepcopy__(self, memo):
        raise NotImplementedError("no copies")

    def __reduce_ex__(self, protocol):
        raise NotImplementedError("no pickles")


@breaks("pickling", "cloudpickling", "process_pools", "deep_copies")
class GivesAProxy(Tracer):
    def wrapped(self, wrapper, target):
        return Proxy(wrapper, target)


@breaks("the_answer_itself", "the_awaited_answer_itself")
class BoxesWhatIsReturned(Tracer):
    def leave(self, entry, result):
        super().leave(entry, result)
        return type("Boxed", (), {"value": result})()


@breaks("the_items_themselves")
class BoxesItems(Tracer):
    def chunk(self, entry, item):
        super().chunk(entry, item)
        return copy.copy(item) if item else "nothing"


class Awaitable:
    def __init__(self, coroutine):
        self.coroutine = coroutine

    def __await__(self):
        return self.coroutine.__await__()


@breaks("coroutines")
class GivesSomethingToAwait(Tracer):
    def coroutine(self, fn):
        traced = super().coroutine(fn)
        return lambda *args, **kwargs: Awaitable(traced(*args, **kwargs))


@breaks("generators", "laziness", "closing")
class ReadsStreamsAhead(Tracer):
    def generator(self, fn):
        traced = super().generator(fn)
        return lambda *args, **kwargs: iter(list(traced(*args, **kwargs)))


@breaks("sent_values", "thrown_errors", "the_value_a_generator_returns")
class LoopsOverGenerators(Tracer):
    def generator(self, fn):
        traced = super().generator(fn)

        def looped(*args, **kwargs):
            for item in traced(*args, **kwargs):  # noqa: UP028  # `yield from` would do more
                yield item

        return looped


@breaks("sent_values", "thrown_errors")
class LoopsOverAsyncGenerators(Tracer):
    def async_generator(self, fn):
        traced = super().async_generator(fn)

        async def looped(*args, **kwargs):
            async for item in traced(*args, **kwargs):
                yield item

        return looped


@breaks("closing")
class LeavesAsyncGeneratorsOpen(LoopsOverAsyncGenerators):
    """`async for` doesn't close what it leaves."""


@breaks("errors_themselves", "an_error", "an_error_of_a_stream")
class RaisesItsOwnError(Tracer):
    def fail(self, entry, error):
        super().fail(entry, error)
        if isinstance(error, Exception) and not isinstance(error, StopIteration):
            raise RuntimeError("traced") from error


@breaks("errors_themselves")
class AddsNotes(Tracer):
    def fail(self, entry, error):
        super().fail(entry, error)
        error.add_note(f"in call {entry.id}")


@breaks("tracebacks")
class CutsTracebacks(Tracer):
    def plain(self, fn):
        traced = super().plain(fn)

        def cut(*args, **kwargs):
            try:
                return traced(*args, **kwargs)
            except Exception as exc:
                raise exc.with_traceback(None) from exc.__cause__

        return cut


@breaks("stop_iteration")
class SwallowsStopIteration(Tracer):
    def plain(self, fn):
        traced = super().plain(fn)

        def swallowing(*args, **kwargs):
            with contextlib.suppress(StopIteration):
                return traced(*args, **kwargs)

        return swallowing


@breaks("the_task", "a_handled_cancellation")
class ShieldsTasks(Tracer):
    def coroutine(self, fn):
        traced = super().coroutine(fn)

        async def shielded(*args, **kwargs):
            return await asyncio.shield(asyncio.create_task(traced(*args, **kwargs)))

        return shielded


@breaks("the_thread")
class RunsInAThread(Tracer):
    def plain(self, fn):
        traced = super().plain(fn)

        def threaded(*args, **kwargs):
            answers = []
            thread = threading.Thread(target=lambda: answers.append(traced(*args, **kwargs)))
            thread.start()
            thread.join()
            return answers[0]

        return threaded


@breaks("context_variables_set_inside")
class RunsInACopiedContext(Tracer):
    def plain(self, fn):
        traced = super().plain(fn)
        return lambda *args, **kwargs: copy_context().run(traced, *args, **kwargs)


@breaks("context_variables_of_streams")
class StepsInACopiedContext(Tracer):
    def generator(self, fn):
        traced = super().generator(fn)

        def stepped(*args, **kwargs):
            stream, context = traced(*args, **kwargs), copy_context()
            while True:
                try:
                    item = context.run(next, stream)
                except StopIteration as stop:
                    return stop.value
                yield item

        return stepped


# --- streams


@breaks("broken_off", "broken_off_async", "left_by_break", "collected", "closed_from_another_task")
class ForgetsWhoIsLeft(Tracer):
    def fail(self, entry, error):
        if not isinstance(error, GeneratorExit):
            super().fail(entry, error)


@breaks("broken_off", "collected")
class ReadsOneItemAhead(Tracer):
    def generator(self, fn):
        traced = super().generator(fn)

        def ahead(*args, **kwargs):
            stream = traced(*args, **kwargs)
            items = [*filter(None, (next(stream, None), next(stream, None)))]
            yield from items
            yield from stream

        return ahead


@breaks("failed", "an_error", "an_error_of_a_stream", "keyboard_interrupt", "system_exit",
        "generator_exit", "cancellation", "a_timeout", "a_cancelled_stream")  # fmt: skip
class CallsEveryEndingFine(Tracer):
    def status(self, error):
        return "ok"


@breaks("read_by_many_tasks", "closed_from_another_task", "nothing_leaks_async",
        "nothing_leaks_after_break")  # fmt: skip
class HoldsAsyncStreamsActive(Tracer):
    def async_generator(self, fn):
        async def traced(*args, **kwargs):
            entry = self.enter(fn, args, kwargs)
            token = self.current.set(entry)
            try:
                async for item in fn(*args, **kwargs):
                    self.chunk(entry, item)
                    yield item
            except BaseException as exc:
                self.fail(entry, exc)
                raise
            else:
                self.leave(entry, None)
            finally:
                self.current.reset(token)

        return traced


@breaks("nothing_leaks", "interleaved")
class HoldsStreamsActive(Tracer):
    def generator(self, fn):
        def traced(*args, **kwargs):
            entry = self.enter(fn, args, kwargs)
            token = self.current.set(entry)
            try:
                for item in fn(*args, **kwargs):
                    self.chunk(entry, item)
                    yield item
                self.leave(entry, None)
            finally:
                self.reset(token)

        return traced


@breaks("children", "children_async", "nested", "interleaved")
class NeverActivatesStreams(Tracer):
    def generator(self, fn):
        return self.inactive(super().generator(fn))

    def async_generator(self, fn):
        return self.inactive(super().async_generator(fn))

    def inactive(self, traced):
        def called(*args, **kwargs):
            self.set = lambda entry: self.current.set(self.current.get())
            return traced(*args, **kwargs)

        return called


@breaks("open_at_exit")
class ForgetsTheExit(Tracer):
    def at_exit(self):
        pass


@breaks("never_started")
class OpensBeforeTheFirstItem(Tracer):
    def generator(self, fn):
        traced = super().generator(fn)

        def opened(*args, **kwargs):
            entry = self.enter(fn, args, kwargs)
            inner = traced(*args, **kwargs)

            def run():
                entry.status = "ok"
                return (yield from inner)

            return run()

        return opened


@breaks("many_left_behind")
class HoldsEveryItem(Tracer):
    def chunk(self, entry, item):
        entry.held = [*getattr(entry, "held", []), item]
        return super().chunk(entry, item)


# --- endings


@breaks("keyboard_interrupt", "system_exit", "cancellation", "a_timeout", "a_cancelled_stream",
        "generator_exit")  # fmt: skip
class KnowsExceptionsOnly(Tracer):
    def fail(self, entry, error):
        if isinstance(error, Exception):
            super().fail(entry, error)


@breaks("what_comes_after")
class StaysActiveAfterAFailure(Tracer):
    def fail(self, entry, error):
        super().fail(entry, error)
        self.current.set(entry)


@breaks("cancellation", "a_timeout", "a_cancelled_stream")
class SwallowsCancellation(Tracer):
    def coroutine(self, fn):
        traced = super().coroutine(fn)

        async def swallowing(*args, **kwargs):
            with contextlib.suppress(asyncio.CancelledError):
                return await traced(*args, **kwargs)

        return swallowing

    def async_generator(self, fn):
        traced = super().async_generator(fn)

        async def swallowing(*args, **kwargs):
            with contextlib.suppress(asyncio.CancelledError):
                async for item in traced(*args, **kwargs):
                    yield item

        return swallowing


# --- context


class Everybodys:
    """Stands where a context variable should."""

    def __init__(self):
        self.value = None

    def get(self):
        return self.value

    def set(self, value):
        before, self.value = self.value, value
        return before

    reset = set


@breaks("tasks", "task_groups", "concurrently", "a_loop_per_thread")
class HasOneContextForAll(Tracer):
    def __init__(self):
        super().__init__()
        self.current = Everybodys()


@breaks("threads", "executors", "run_in_executor")
class CarriesNothing(Tracer):
    def carry(self, fn):
        return fn


@breaks("a_pool_used_again")
class CarriesForGood(Tracer):
    def carry(self, fn):
        entry = self.current.get()

        def carried():
            self.current.set(entry)
            return fn()

        return carried


@breaks("a_task_that_outlives_its_call")
class RefusesLateChildren(Tracer):
    def opened(self, fn, args, kwargs):
        parent = self.current.get()
        if parent is not None and parent.status is not None:
            raise RuntimeError("its parent has ended")
        return super().opened(fn, args, kwargs)

    def coroutine(self, fn):
        traced = super().coroutine(fn)

        async def late(*args, **kwargs):
            await asyncio.sleep(0.005)
            return await traced(*args, **kwargs)

        return traced if fn.__name__ != "late" else late


@breaks("a_forked_child", "process_pools")
class BelongsToOneProcess(Tracer):
    def __init__(self):
        super().__init__()
        self.pid = os.getpid()

    def opened(self, fn, args, kwargs):
        if os.getpid() != self.pid:
            raise RuntimeError("made in another process")
        return super().opened(fn, args, kwargs)


# --- values


class Dumped(Walk):
    def text(self, value):
        return json.dumps(value)


@breaks("values_that_contain_themselves", "keys_that_are_no_strings", "numbers_that_json_has_not",
        "deep_nesting", "handles_of_the_system", "arrays")  # fmt: skip
class DumpsJson(Tracer):
    walk = Dumped


class Encoded(Walk):
    def inside(self, value, kind):
        if kind is str:
            value.encode()
        if kind is bytes or kind is bytearray or kind is memoryview:
            return bytes(value).decode()
        return super().inside(value, kind)


@breaks("texts_that_utf8_has_not", "bytes_of_any_kind")
class EncodesStrictly(Tracer):
    walk = Encoded


class Consumed(Walk):
    def inside(self, value, kind):
        if inspect.isasyncgen(value):
            with contextlib.suppress(StopIteration):
                anext(value).send(None)
        if hasattr(kind, "__next__"):
            return [self.show(item) for item in value]
        return super().inside(value, kind)


@breaks("generators_passed_on", "async_generators_passed_on")
class ConsumesWhatItIsGiven(Tracer):
    walk = Consumed


class Read(Walk):
    def fields(self, value, kind):
        if kind.__module__ in ("builtins", "typing"):
            return super().fields(value, kind)
        names = [name for name in dir(kind) if not name.startswith("__")]
        return {name: self.show(getattr(value, name, None)) for name in names}


@breaks("attributes_that_ask_a_database", "dataclasses", "pydantic_models")
class ReadsAttributes(Tracer):
    walk = Read


class Represented(Walk):
    def fields(self, value, kind):
        return repr(value)


@breaks("special_methods", "subclasses_of_builtins", "methods_that_raise", "methods_that_hang")
class CallsRepr(Tracer):
    walk = Represented


class Compared(Walk):
    def show(self, value):
        return "" if value == "" else super().show(value)


@breaks("arrays", "special_methods")
class ComparesValues(Tracer):
    walk = Compared


class Named(Walk):
    def inside(self, value, kind):
        if kind in (str, int, float, dict, list, tuple, bool, type(None)):
            return super().inside(value, kind)
        return f"<{kind.__name__}>"


@breaks("standard_types", "dataclasses", "pydantic_models", "attrs_objects", "msgspec_structs")
class NamesTypesOnly(Tracer):
    walk = Named


@breaks("errors_that_cannot_be_shown")
class ShowsErrors(Tracer):
    def fail(self, entry, error):
        super().fail(entry, error)
        entry.output = str(error)


class Endless(Walk):
    def __init__(self):
        super().__init__()
        self.left = self.chars = 10**9


@breaks("a_long_text", "a_large_graph", "a_long_stream", "what_is_cut")
class HasNoBudget(Tracer):
    walk = Endless

    def chunk(self, entry, item):
        entry.chunks.append(item)
        return item


@breaks("what_is_cut")
class SaysNothingOfCuts(Tracer):
    def leave(self, entry, result):
        super().leave(entry, result)
        entry.cut = False
        return result


# --- mutation


class Late(Entry):
    """Keeps the values themselves, and writes them down when asked."""

    def told(self):
        walk = Walk()
        self.input = walk.text(self.given)
        self.output = walk.text(self.result or self.items)
        return super().told()


@breaks("an_argument", "an_argument_deep_inside", "an_argument_while_waiting",
        "an_argument_of_a_stream", "an_answer", "an_item")  # fmt: skip
class WritesDownLate(Tracer):
    def opened(self, fn, args, kwargs):
        entry = super().opened(fn, args, kwargs)
        entry.__class__ = Late
        entry.given, entry.result, entry.items = self.named(fn, args, kwargs), None, []
        return entry

    def leave(self, entry, result):
        entry.result = result
        return super().leave(entry, result)

    def chunk(self, entry, item):
        entry.items.append(item)
        return super().chunk(entry, item)


# --- quiet


@breaks("standard_output")
class Prints(Tracer):
    def opened(self, fn, args, kwargs):
        print("a call of", fn)
        return super().opened(fn, args, kwargs)


@breaks("standard_output")
class WritesPastPython(Tracer):
    def opened(self, fn, args, kwargs):
        os.write(1, b"a call\n")
        return super().opened(fn, args, kwargs)


@breaks("calls_that_went_well")
class LogsCalls(Tracer):
    def leave(self, entry, result):
        logging.getLogger("broken").warning("call %s ended", entry.id)
        return super().leave(entry, result)


@breaks("errors_of_the_caller", "streams_left", "generators_left")
class LogsErrors(Tracer):
    def fail(self, entry, error):
        super().fail(entry, error)
        logging.getLogger("broken").error("call %s failed", entry.id, exc_info=error)


class Complaining(Walk):
    def show(self, value):
        shown = super().show(value)
        if self.cut:
            logging.getLogger("broken").warning("a value was cut")
        return shown


@breaks("values_that_cannot_be_shown")
class LogsWhatItCannotShow(Tracer):
    walk = Complaining


@breaks("failures_of_its_own")
class FailsTheCall(Tracer):
    def enter(self, fn, args, kwargs):
        return self.opened(fn, args, kwargs)


@breaks("failures_of_its_own")
class LogsEachFailure(Tracer):
    def enter(self, fn, args, kwargs):
        self.said = False
        return super().enter(fn, args, kwargs)
