"""Light spans: identity now, the span itself later."""

import contextvars
import gc
import logging
import threading
import weakref

import pytest
from opentelemetry import trace
from opentelemetry.context import attach, detach, get_current
from opentelemetry.propagate import inject
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import (
    NonRecordingSpan,
    SpanContext,
    Status,
    StatusCode,
    TraceFlags,
    TraceState,
    use_span,
)

from turnspan.ports import OpenSpan, SpanSource
from turnspan.telemetry.own import OwnSpans
from turnspan.telemetry.sampling import Sampler


def start(source: SpanSource, kind="turn", parent=None, *, activate=True) -> OpenSpan:
    return source.start(kind, "name", 1, parent, "session-1", None, "support", activate)


def remote(flags=1, **more) -> SpanContext:
    return SpanContext(7, 8, is_remote=True, trace_flags=TraceFlags(flags), **more)


@pytest.fixture
def own(ids):
    return OwnSpans(ids)


def test_a_turn_alone_begins_a_trace_and_its_steps_stay_in_it(own):
    """Trace id, parent, flags and sampling come down from the root."""
    root = start(own)
    tool = start(own, "tool", root)

    assert (root.trace_id >> 100, root.parent_span_id, root.flags, root.state) == (1, None, 1, "")
    assert (tool.trace_id, tool.parent_span_id) == (root.trace_id, root.span_id)
    assert (tool.flags, tool.sampled, tool.mode) == (1, True, "own")
    assert tool.span_id != root.span_id
    own.end(tool, {})
    own.end(root, {})


def test_the_open_span_is_current_and_goes_when_it_ends(own):
    """`get_current_span` sees each span while it is open, and what was there before after it."""
    before = get_current()
    root = start(own)
    tool = start(own, "tool", root)
    seen = [trace.get_current_span()]
    own.end(tool, {})
    seen.append(trace.get_current_span())
    own.end(root, {})

    assert seen == [tool, root]
    assert get_current() is before


def test_a_span_that_is_not_activated_leaves_the_context_alone(own):
    """Callbacks of frameworks open spans without touching the context."""
    before = get_current()
    root = start(own, activate=False)

    assert get_current() is before
    assert own.end(root, {}) is None


def test_a_turn_joins_the_trace_that_is_current(own):
    """Trace id, state and the random flag of the caller's trace are kept."""
    state = TraceState([("vendor", "1"), ("other", "2")])
    token = attach(trace.set_span_in_context(NonRecordingSpan(remote(3, trace_state=state))))
    root = start(own)
    context = trace.get_current_span().get_span_context()
    carrier: dict[str, str] = {}
    inject(carrier)
    own.end(root, {})
    detach(token)

    assert (root.trace_id, root.parent_span_id, root.flags) == (7, 8, 3)
    assert root.state == "vendor=1,other=2"
    assert context == SpanContext(7, root.span_id, False, TraceFlags(3), state)
    assert carrier == {
        "traceparent": f"00-{7:032x}-{root.span_id:016x}-03",
        "tracestate": "vendor=1,other=2",
    }


def test_what_the_sampler_leaves_out_still_has_an_identity(ids):
    """Flags are 0, nothing is recorded, and propagation says so."""
    own = OwnSpans(ids, Sampler(bound=0))
    root = start(own)
    span = trace.get_current_span()
    span.set_attribute("a", 1)
    tool = start(own, "tool", root)
    found = (root.sampled, root.flags, tool.sampled, span.is_recording())

    assert found == (False, 0, False, False)
    assert span.get_span_context().trace_flags == 0
    assert (own.end(tool, {}), own.end(root, {})) == (None, None)


def test_the_decision_of_the_caller_is_followed(own):
    """A trace that came unsampled stays so."""
    token = attach(trace.set_span_in_context(NonRecordingSpan(remote(0))))
    root = start(own)
    own.end(root, {})
    detach(token)

    assert (root.sampled, root.flags) == (False, 0)


def test_a_span_of_the_users_has_the_light_span_as_parent(own):
    """Other instrumentations make children of ours, sampled as ours is."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    root = start(own)
    with provider.get_tracer("app").start_as_current_span("query"):
        pass
    own.end(root, {})

    [child] = exporter.get_finished_spans()
    assert (child.context.trace_id, child.parent.span_id) == (root.trace_id, root.span_id)


def test_a_log_record_can_be_joined_with_the_turn(own):
    """What a log filter asks of the current span are the ids of the open turn."""
    root = start(own)
    context = trace.get_current_span().get_span_context()
    again = trace.get_current_span().get_span_context()
    own.end(root, {})

    assert (context.trace_id, context.span_id) == (root.trace_id, root.span_id)
    assert (context.is_valid, again is context) == (True, True)


def test_what_others_put_on_the_span_comes_back_at_its_end(own):
    """Attributes, events, links, name and status are kept in wire shape."""
    root = start(own)
    span = trace.get_current_span()
    span.set_attribute("a", 1)
    span.set_attributes({"a": 2, "list": ("x", True), "none": None, "": 1, 7: 1})
    span.add_event("cache.miss", {"key": "k"}, timestamp=5)
    span.add_event("bare", timestamp=6)
    span.add_link(remote(), {"why": "retry"})
    span.add_link(trace.INVALID_SPAN_CONTEXT)
    span.update_name("renamed")
    span.set_status(StatusCode.ERROR, "bad")

    assert own.end(root, {}) == {
        "attributes": {"a": 2, "list": ["x", True]},
        "events": [
            {"name": "cache.miss", "at": 5, "attributes": {"key": "k"}},
            {"name": "bare", "at": 6},
        ],
        "links": [
            {"trace_id": f"{7:032x}", "span_id": f"{8:016x}", "attributes": {"why": "retry"}}
        ],
        "name": "renamed",
        "status": "error",
        "status_description": "bad",
    }


@pytest.mark.parametrize(
    "calls, expected",
    [
        ([(StatusCode.ERROR, "a"), (StatusCode.OK, None)], {"status": "ok"}),
        ([(StatusCode.OK, None), (StatusCode.ERROR, "a")], {"status": "ok"}),
        ([(StatusCode.ERROR, "a"), (StatusCode.ERROR, None)], {"status": "error"}),
        ([(Status(StatusCode.ERROR, "b"), None), (StatusCode.UNSET, None)],
         {"status": "error", "status_description": "b"}),
        ([("error", None)], None),
    ],
)  # fmt: skip
def test_ok_is_final_and_unset_says_nothing(calls, expected, own):
    """Status follows the rules that OpenTelemetry sets for it."""
    root = start(own)
    for status, description in calls:
        trace.get_current_span().set_status(status, description)

    assert own.end(root, {}) == expected


def test_an_exception_is_kept_as_the_event_the_sdk_makes_of_it(own):
    """Type, message and stack trace of `record_exception` are those of the SDK."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    theirs = provider.get_tracer("app").start_span("x")
    root = start(own)
    try:
        raise KeyError("k")
    except KeyError as exc:
        trace.get_current_span().record_exception(exc, {"more": 1}, timestamp=5)
        theirs.record_exception(exc, {"more": 1}, timestamp=5)
    theirs.end()

    [event] = exporter.get_finished_spans()[0].events
    expected = {"name": event.name, "at": event.timestamp, "attributes": dict(event.attributes)}
    assert own.end(root, {}) == {"events": [expected]}


def test_an_exception_that_cannot_be_shown_harms_nobody(own):
    """An exception whose message raises is recorded by its type."""

    class Rude(Exception):
        def __str__(self) -> str:
            raise RuntimeError

    root = start(own)
    trace.get_current_span().record_exception(Rude())

    [event] = own.end(root, {})["events"]
    assert event["attributes"]["exception.message"] == "<its message raised RuntimeError>"


def test_values_of_any_kind_become_json_without_running_their_code(own):
    """Subclasses go through the base type, unknown types and cycles end as a name."""

    class Loud(str):
        __slots__ = ()

        def __str__(self) -> str:
            raise AssertionError("user code was run")

    class Thing:
        def __repr__(self) -> str:
            raise AssertionError("user code was run")

    cycle: list[object] = []
    cycle.append(cycle)
    root = start(own)
    span = trace.get_current_span()
    span.set_attributes(
        {"s": Loud("x"), "t": Thing(), "b": b"\x00", "big": 2**70, "half": "\ud800"}
    )
    span.set_attributes({"nan": float("nan"), "map": {"k": 1.5, 2: 3}, "cycle": cycle})
    span.set_attributes(None)

    found = own.end(root, {})["attributes"]
    name = f"<{Thing.__qualname__}>"
    assert found.pop("cycle") == [[[[[[[["<list>"]]]]]]]]
    assert found == {
        "s": "x", "t": name, "b": "AA==", "big": str(2**70), "half": "?", "nan": "nan",
        "map": {"k": 1.5},
    }  # fmt: skip


def test_nobody_else_can_end_our_span(own):
    """`end` and leaving a `with` of other code change nothing; our end does."""
    root = start(own)
    span = trace.get_current_span()
    span.end()
    with use_span(span, end_on_exit=True), span:
        pass
    open_still = span.is_recording()
    own.end(root, {})
    span.set_attribute("late", 1)
    span.add_event("late")
    span.update_name("late")

    assert (open_still, span.is_recording(), root.notes) == (True, False, None)


def test_an_end_in_another_context_is_silent(own, caplog):
    """A span that ends in a thread or context it did not begin in logs and raises nothing."""

    def elsewhere():
        root = start(own)
        thread = threading.Thread(target=own.end, args=(root, {}))
        thread.start()
        thread.join()
        inner = contextvars.copy_context().run(start, own)
        own.end(inner, {})
        return root, inner

    with caplog.at_level(logging.DEBUG):
        root, inner = contextvars.copy_context().run(elsewhere)

    assert caplog.records == []
    assert (root.is_recording(), inner.is_recording()) == (False, False)
    assert trace.get_current_span() is trace.INVALID_SPAN


def test_a_broken_current_span_is_passed_over(own):
    """A span of somebody else's making that raises does not stop a turn."""

    class Broken(NonRecordingSpan):
        def get_span_context(self):
            raise RuntimeError("no")

    token = attach(trace.set_span_in_context(Broken(trace.INVALID_SPAN_CONTEXT)))
    root = start(own, activate=False)
    detach(token)

    assert root.parent_span_id is None


def test_an_ended_span_is_freed_at_once(own):
    """No reference cycle is left behind by a turn."""
    gc.collect()
    gc.disable()
    try:
        root = start(own)
        gone = weakref.ref(root)
        own.end(root, {})
        del root
        assert gone() is None
    finally:
        gc.enable()
