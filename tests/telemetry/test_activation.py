"""The span of a stream is current while the stream's code runs, in whichever mode."""

import asyncio
import contextvars

import pytest
from opentelemetry import baggage, trace
from opentelemetry.context import attach, detach, get_current
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.trace import SpanContext, TraceFlags, use_span
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

import turnspan
from turnspan.telemetry.activation import NoActivation, SpanActivation
from turnspan.telemetry.off import OffSpans

SPAN = trace.NonRecordingSpan(SpanContext(1, 2, is_remote=False, trace_flags=TraceFlags(1)))
OTHER = trace.NonRecordingSpan(SpanContext(1, 3, is_remote=False, trace_flags=TraceFlags(1)))
THEIRS = TracerProvider(shutdown_on_exit=False).get_tracer("theirs")


def current():
    return trace.get_current_span().get_span_context().span_id


def test_a_span_is_current_between_resume_and_suspend():
    """And what was current before is so again, the very same context."""
    activation = SpanActivation()
    before = get_current()
    activation.resume(SPAN)
    inside = current()
    activation.suspend(SPAN)

    assert inside == 2
    assert get_current() is before


def test_what_the_consumer_has_in_its_context_is_seen_inside():
    """At each step that which is there at that step."""
    activation, seen = SpanActivation(), []
    for n in (1, 1, 2):
        token = attach(baggage.set_baggage("n", str(n)))
        activation.resume(SPAN)
        seen.append((current(), baggage.get_baggage("n")))
        activation.suspend(SPAN)
        detach(token)

    assert seen == [(2, "1"), (2, "1"), (2, "2")]


def test_a_span_that_the_stream_s_code_leaves_current_stays_so():
    """As without us, until that code takes it back; ours never shows."""
    activation, before = SpanActivation(), get_current()
    activation.resume(SPAN)
    token = attach(trace.set_span_in_context(OTHER))
    activation.suspend(SPAN)
    between = current()
    activation.resume(SPAN)
    inside = current()
    detach(token)
    after = current()
    activation.suspend(SPAN)

    assert (between, inside, after) == (3, 3, 2)
    assert get_current() is before


def test_a_span_of_ours_inside_the_stream_does_not_stay_outside():
    """It comes back with the stream's next step."""
    activation, before = SpanActivation(), get_current()
    activation.resume(SPAN)
    attach(trace.set_span_in_context(OTHER))
    activation.suspend(OTHER)
    between = get_current()
    activation.resume(OTHER)
    inside = current()
    activation.suspend(OTHER)

    assert between is before
    assert inside == 3
    assert get_current() is before


def test_each_step_may_be_taken_in_another_context():
    """All of them are as they were before."""
    activation, seen = SpanActivation(), []

    def step():
        activation.resume(SPAN)
        seen.append(current())
        activation.suspend(SPAN)
        seen.append(current())

    for _ in range(2):
        contextvars.copy_context().run(step)
    with use_span(OTHER):
        contextvars.copy_context().run(step)

    assert seen == [2, 0, 2, 0, 2, 3]


def test_to_suspend_what_was_never_resumed_does_nothing():
    """An interrupt may have come between."""
    before = get_current()
    SpanActivation().suspend(SPAN)

    assert get_current() is before


def test_without_spans_the_context_is_left_alone(ids):
    """`OTEL_SDK_DISABLED` means that nobody looks at it."""
    activation, before = OffSpans(ids).activation(), get_current()
    activation.resume(SPAN)

    assert type(activation) is NoActivation
    assert get_current() is before


@pytest.fixture
def memory(unconfigured, request, make_global):
    from turnspan.exporters.memory import MemoryExporter

    kept = MemoryExporter()
    if request.param == "live":
        make_global()
    turnspan.configure(exporters=[kept], directory=None, spans=request.param)
    return kept


@turnspan.agent
def tell(question):
    yield current()
    with THEIRS.start_as_current_span("theirs"):
        yield current()
    yield current()


@turnspan.agent
async def tell_later(question):
    for item in tell.__wrapped__(question):
        await asyncio.sleep(0)
        yield item


@pytest.mark.parametrize("memory", ["own", "live"], indirect=True)
@pytest.mark.parametrize("asynchronous", [False, True])
def test_the_turn_s_span_is_current_inside_a_stream_and_never_outside(memory, asynchronous):
    """Headers that its code sends carry its trace; its consumer's carry none of it."""
    outside = []

    async def read_later():
        found = []
        async for item in tell_later("q"):
            found.append(item)
            outside.append(current())
        return found

    def read():
        found = []
        for item in tell("q"):
            found.append(item)
            outside.append(current())
        return found

    found = asyncio.run(read_later()) if asynchronous else read()
    (turn,) = memory.turns
    root = int(turn.trace.span_id, 16)

    assert found[0] == found[2] == root
    assert outside[0] == outside[2] == 0
    assert root not in outside
    assert current() == 0
    assert turn.trace.mode in ("own", "live")


@pytest.mark.parametrize("memory", ["own"], indirect=True)
def test_a_stream_has_the_trace_it_was_called_in(memory):
    """Though it is read after that request is over, as some servers do."""
    carrier = {"traceparent": f"00-{'ab' * 16}-{'cd' * 8}-01"}
    token = attach(TraceContextTextMapPropagator().extract(carrier))
    made = tell("q")
    detach(token)
    list(made)
    (turn,) = memory.turns

    assert (turn.trace.trace_id, turn.trace.parent_span_id) == ("ab" * 16, "cd" * 8)


def test_live_spans_of_streams_nest_and_end(unconfigured, make_global):
    """Each under the one that called it, the time to its first chunk on the model's."""
    spans = make_global()

    @turnspan.model(name="m-1")
    def words():
        yield "a"
        yield "b"

    @turnspan.agent
    def outer():
        yield from words()

    turnspan.configure(exporters=[], directory=None, spans="live")
    assert list(outer()) == ["a", "b"]
    inner, root = spans.get_finished_spans()

    assert (inner.name, root.name) == ("chat m-1", "invoke_agent outer")
    assert inner.parent.span_id == root.context.span_id
    assert inner.attributes["gen_ai.request.stream"] is True
    assert inner.attributes["gen_ai.response.time_to_first_chunk"] > 0
