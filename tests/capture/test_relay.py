"""A decorated generator is the same generator to whoever consumes it."""

from __future__ import annotations

import asyncio
import gc
import inspect
import sys
import types
import weakref

import pytest

import turnspan
from turnspan.capture.context import current_draft

KINDS = [turnspan.agent, turnspan.tool, turnspan.model, turnspan.retrieval, turnspan.step]


def counts(log):
    got = yield 1
    log.append(got)
    got = yield 2
    log.append(got)
    return "done"


def handles(log):
    for n in range(5):
        try:
            log.append((yield n))
        except ValueError as exc:
            log.append(("handled", str(exc), type(exc.__context__), sys.exc_info()[1] is exc))
        log.append(repr(sys.exc_info()[1]))


def tidies(log):
    try:
        yield 1
        yield 2
    finally:
        log.append("tidied")


def clings(log):
    for _ in range(3):
        try:
            yield "still here"
        except GeneratorExit:
            log.append("asked to go")


def goes_quietly(log):
    try:
        yield 1
    except GeneratorExit:
        return "gone"


def fails(log):
    yield 1
    try:
        raise KeyError("cause")
    except KeyError as exc:
        error = ValueError("mine")
        error.add_note("a note")
        raise error from exc


def stops(log):
    yield 1
    raise StopIteration("by hand")  # noqa: PLR1708  # what comes of it is the question


def stops_later(log):
    yield 1
    raise StopAsyncIteration("by hand")


def returns_an_error(log):
    yield 1
    return ValueError("as a value")


def returns_a_tuple(log):
    yield 1
    return ()


def fails_at_once(log):
    raise LookupError("at once")
    yield


def yields_nothing(log):
    return
    yield


def delegates(log):
    log.append((yield from counts(log)))
    return "delegated"


def asks_twice(log):
    try:
        yield 1
    except ValueError:
        raise RuntimeError("instead") from None


BODIES = [
    counts, handles, tidies, clings, goes_quietly, fails, stops, stops_later, returns_an_error,
    returns_a_tuple, fails_at_once, yields_nothing, delegates, asks_twice,
]  # fmt: skip

NEXT, CLOSE = ("send", None), ("close",)
SCRIPTS = [
    [NEXT] * 7,
    [NEXT, ("send", "a"), ("send", "b"), NEXT],
    [("send", "too early"), NEXT],
    [NEXT, ("throw", ValueError), NEXT, NEXT],
    [NEXT, ("throw", ValueError), ("throw", ValueError), CLOSE],
    [("throw", ValueError), NEXT],
    [NEXT, ("throw", GeneratorExit), NEXT],
    [NEXT, ("throw", StopIteration), NEXT],
    [NEXT, ("throw", StopAsyncIteration), NEXT],
    [NEXT, ("throw", KeyboardInterrupt), NEXT],
    [NEXT, CLOSE, NEXT, CLOSE],
    [CLOSE, NEXT],
    [NEXT, NEXT, CLOSE, CLOSE, CLOSE],
]


def told(exc):
    """All of an exception that a consumer can see but its frames of ours."""
    cause = exc.__cause__ and (type(exc.__cause__), exc.__cause__.args)
    context = exc.__context__ and (type(exc.__context__), exc.__context__.args)
    notes = getattr(exc, "__notes__", None)
    value = repr(getattr(exc, "value", None))
    return type(exc), repr(exc.args), value, cause, context, exc.__suppress_context__, notes


def played(make, script):
    """What each step of ``script`` gives, and what the generator saw."""
    log, seen = [], []
    stream = make(log)
    for act, *arguments in script:
        given = [a(f"thrown {n}") if isinstance(a, type) else a for n, a in enumerate(arguments)]
        try:
            seen.append(getattr(stream, act)(*given))
        except BaseException as exc:
            seen.append((told(exc), any(exc is error for error in given)))
    state = inspect.getgeneratorstate(stream)
    for _ in range(4):  # some cling
        try:
            stream.close()
        except BaseException as exc:
            seen.append(told(exc))
    return seen, log, state


def in_handler(make, script):
    """The same, while the consumer handles an exception of its own."""
    try:
        raise OSError("the consumer's")
    except OSError:
        return played(make, script)


@pytest.mark.parametrize("play", [played, in_handler])
@pytest.mark.parametrize("body", BODIES, ids=lambda body: body.__name__)
@pytest.mark.parametrize("script", SCRIPTS, ids=lambda s: "-".join(str(a[-1]) for a in s)[:40])
def test_a_stream_answers_as_its_generator_would(tape, body, script, play):
    """To whatever is done to it, in whatever order, decorated once or twice."""
    wanted = play(body, script)

    assert play(turnspan.agent(body), script) == wanted
    assert play(turnspan.agent(turnspan.step(body)), script) == wanted


def later(body):
    """The same as an async generator, which yields to the event loop at each step."""

    async def body_later(log):
        source = body(log)
        try:
            item = next(source)
            while True:
                await asyncio.sleep(0)
                try:
                    got = yield item
                except BaseException as exc:
                    await asyncio.sleep(0)
                    item = source.throw(exc)
                else:
                    item = source.send(got)
        except StopIteration:
            return

    return body_later


async def played_later(make, script):
    log, seen = [], []
    stream = make(log)
    names = {"send": "asend", "throw": "athrow", "close": "aclose"}
    for act, *arguments in script:
        given = [a(f"thrown {n}") if isinstance(a, type) else a for n, a in enumerate(arguments)]
        try:
            seen.append(await getattr(stream, names[act])(*given))
        except (StopIteration, KeyboardInterrupt):
            raise
        except BaseException as exc:
            seen.append((told(exc), exc in given))
    for _ in range(4):
        try:
            await stream.aclose()
        except BaseException as exc:
            seen.append(told(exc))
    return seen, log


@pytest.mark.parametrize(
    "body",
    [body for body in BODIES if body is not clings],  # Python complains of those at their end
    ids=lambda body: body.__name__,
)
@pytest.mark.parametrize(
    "script",
    [s for s in SCRIPTS if ("throw", KeyboardInterrupt) not in s],
    ids=lambda s: "-".join(str(a[-1]) for a in s)[:40],
)
def test_an_async_stream_answers_as_its_generator_would(tape, body, script):
    """The same, awaited."""
    wanted = asyncio.run(played_later(later(body), script))
    found = asyncio.run(played_later(turnspan.agent(later(body)), script))

    assert found == wanted


@pytest.mark.parametrize("decorate", KINDS)
def test_a_stream_is_a_real_generator(tape, decorate):
    """Whoever asks for the type gets the type, function and object alike."""

    @decorate
    def stream(word):
        yield word

    @decorate
    async def stream_later(word):
        yield word

    made, made_later = stream("a"), stream_later("a")

    assert inspect.isgeneratorfunction(stream)
    assert inspect.isasyncgenfunction(stream_later)
    assert type(made) is types.GeneratorType
    assert type(made_later) is types.AsyncGeneratorType
    assert made.__name__ == "stream"
    assert made_later.__qualname__.endswith("<locals>.stream_later")
    assert inspect.getgeneratorstate(made) == "GEN_CREATED"
    assert not inspect.iscoroutinefunction(stream_later)
    assert not inspect.isgeneratorfunction(stream_later)


@pytest.mark.parametrize("decorate", KINDS)
def test_wrong_arguments_of_a_stream_are_told_where_it_is_called(tape, decorate):
    """As of any generator function, whose arguments are bound before its code runs."""

    def stream(word):
        yield word

    with pytest.raises(TypeError) as plain:
        stream()
    with pytest.raises(TypeError) as decorated:
        decorate(stream)()

    assert str(decorated.value) == str(plain.value)


def test_a_stream_is_lazy(tape):
    """Nothing of it runs until the first item is asked for, and no further than asked."""
    ran = []

    @turnspan.agent
    def stream():
        ran.append("first")
        yield 1
        ran.append("second")
        yield 2

    made = stream()
    before = list(ran)
    next(made)

    assert (before, ran) == ([], ["first"])
    assert tape.turns == []


def test_what_a_stream_yields_is_kept_by_nobody(tape):
    """An item goes when its consumer lets it go, before the next one is made."""

    class Item:
        pass

    @turnspan.agent
    def stream():
        yield Item()
        yield "last"

    @turnspan.agent
    async def stream_later():
        yield Item()
        yield "last"

    async def first():
        made = stream_later()
        return made, weakref.ref(await anext(made))

    made = stream()
    item = weakref.ref(next(made))
    made_later, item_later = asyncio.run(first())

    assert item() is None
    assert item_later() is None
    assert next(made) == "last"
    assert made_later is not None


def test_a_stream_that_nobody_has_is_gone_at_once(tape):
    """Without the collector: it is closed, tidied up and recorded where it was let go."""
    tidied = []

    @turnspan.agent
    def stream():
        try:
            yield "a"
            yield "b"
        finally:
            tidied.append(current_draft.get() is not None)

    gc.disable()
    try:
        for _ in stream():
            break
        statuses = [turn.status for turn in tape.turns]
        made = stream()
        next(made)
        with pytest.raises(ValueError):
            made.throw(ValueError("an error holds frames"))
        gone = weakref.ref(made)
        del made
        assert gone() is None
    finally:
        gc.enable()

    assert statuses == ["abandoned"]
    assert tidied == [True, True]


def test_a_generator_that_is_awaited_stays_one(tape):
    """`types.coroutine` makes it so; what it yields is its event loop's business."""

    @types.coroutine
    def pausing():
        yield
        return "rested"

    decorated = turnspan.agent(pausing)

    async def main():
        return await decorated()

    assert asyncio.run(main()) == "rested"
    assert inspect.isgeneratorfunction(decorated)
    assert inspect.isawaitable(decorated())
    assert tape.turns[0].output.content == '"<generator>"'


def test_an_event_loop_that_ends_closes_a_stream_once(tape, caplog):
    """It knows one generator, as without us, and finds nothing wrong with it."""
    known, closed = [], []

    @turnspan.agent
    async def stream():
        try:
            yield "a"
            yield "b"
        finally:
            await asyncio.sleep(0)
            closed.append(True)

    async def main():
        made = stream()
        await anext(made)
        known.extend(asyncio.get_running_loop()._asyncgens)
        return made

    kept = asyncio.run(main())

    assert len(known) == 1
    assert known[0] is kept
    assert closed == [True]
    assert caplog.text == ""
    assert tape.turn.status == "abandoned"
