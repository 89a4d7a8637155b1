"""What goes out with a request, and what a request brings."""

import pytest
from opentelemetry import baggage, propagate
from opentelemetry.baggage.propagation import W3CBaggagePropagator
from opentelemetry.context import Context, attach, detach, get_current
from opentelemetry.trace import (
    NonRecordingSpan,
    SpanContext,
    TraceFlags,
    get_current_span,
    set_span_in_context,
)

import turnspan
from turnspan import notices
from turnspan.exporters.memory import MemoryExporter
from turnspan.integrations.propagation import inject, received
from turnspan.telemetry.suppression import suppressed

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
PARENT = f"00-{TRACE}-{SPAN}-01"
SESSION = "gen_ai.conversation.id=trip+7,user.id=ada"


@pytest.fixture
def within():
    """Enters a context of OpenTelemetry, and leaves it after the test."""
    tokens = []
    yield lambda context: tokens.append(attach(context))
    while tokens:
        detach(tokens.pop())


@turnspan.agent
def ask(carrier, **options):
    inject(carrier, **options)
    return "done"


@turnspan.agent
def answer(question):
    return question


def test_the_trace_of_the_turn_goes_out(recorded):
    """A `traceparent` with the turn's own ids, and nothing else by default."""
    carrier = {}
    with turnspan.session("trip 7", user_id="ada"):
        ask(carrier)
    [turn] = recorded.turns

    assert carrier == {"traceparent": f"00-{turn.trace.trace_id}-{turn.trace.span_id}-01"}


def test_session_and_user_travel_only_where_that_is_asked_for(recorded, within):
    """Beside what baggage there is; inside a turn and outside."""
    within(baggage.set_baggage("tenant", "blue", Context()))
    inside, outside = {}, {}
    with turnspan.session("trip 7", user_id="ada"):
        ask(inside, session=True)
        inject(outside, session=True)

    assert inside.keys() == {"traceparent", "baggage"}
    assert outside == {"baggage": inside["baggage"]}
    assert sorted(inside["baggage"].split(",")) == sorted(["tenant=blue", *SESSION.split(",")])


def test_of_no_session_nothing_is_said(unconfigured):
    """Neither outside of turns nor of sessions."""
    carrier = {}
    inject(carrier, session=True)

    assert carrier == {}


def test_an_id_that_no_header_should_hold_stays_here(recorded, caplog):
    """It is said, and the rest goes."""
    carrier = {}
    with turnspan.session("ü", user_id="x" * 2000):
        inject(carrier, session=True)

    assert carrier == {"baggage": "gen_ai.conversation.id=%C3%BC"}
    assert caplog.messages == ["user.id is too long to travel in baggage: left out"]


def test_what_the_policy_hides_does_not_travel(unconfigured):
    """A user that is written nowhere is told nobody."""
    turnspan.configure(exporters=[], directory=None, hide=["user_id"], redact=["email"])
    carrier = {}
    with turnspan.session("for ada@example.com", user_id="ada"):
        ask(carrier, session=True)

    assert "user.id" not in carrier["baggage"]
    assert "ada" not in carrier["baggage"]


def test_where_instrumentation_is_suppressed_nothing_goes_out(recorded):
    """Telemetry's own requests are not part of a trace."""
    carrier = {}
    with suppressed():
        inject(carrier)
        ask(carrier)

    assert carrier == {}


@pytest.mark.parametrize("name", ["traceparent", "Traceparent", "TRACEPARENT"])
def test_a_turn_belongs_to_the_trace_that_came_in(recorded, name):
    """Its parent is the caller's span; the next turn is on its own again."""
    before = get_current()
    with received({name: PARENT, "tracestate": "vendor=1"}):
        answer("inside")
    answer("outside")
    inside, outside = recorded.turns
    trace = inside.trace

    assert (trace.trace_id, trace.parent_span_id, trace.state) == (TRACE, SPAN, "vendor=1")
    assert outside.trace.parent_span_id is None
    assert outside.trace.trace_id != TRACE
    assert get_current() is before


def test_a_failure_inside_passes_and_leaves_nothing_behind(unconfigured):
    """The context is what it was."""
    before = get_current()
    with pytest.raises(KeyError), received({"traceparent": PARENT, "baggage": SESSION}):
        raise KeyError

    assert get_current() is before


@pytest.mark.parametrize("session, told", [(True, ("trip 7", "ada")), (False, (None, None))])
def test_the_callers_session_is_believed_only_where_that_is_asked_for(recorded, session, told):
    """And it does not go on by itself to whoever is called next."""
    onward = {}
    with received({"traceparent": PARENT, "baggage": f"{SESSION},tenant=blue"}, session=session):
        answer("hi")
        inject(onward)
    [turn] = recorded.turns

    assert (turn.session_id, turn.user_id) == told
    assert onward == {"traceparent": PARENT, "baggage": "tenant=blue"}


def test_a_session_that_is_in_force_stays_so(recorded):
    """Whoever entered it knows better than a header."""
    with turnspan.session("mine"), received({"baggage": SESSION}, session=True):
        answer("hi")

    assert recorded.turns[0].session_id == "mine"


def test_entries_of_baggage_come_onto_turns_as_asked(unconfigured):
    """`baggage_keys` reads what came in."""
    recorded = MemoryExporter()
    turnspan.configure(exporters=[recorded], directory=None, baggage_keys=["tenant"])
    with received({"baggage": "tenant=blue,other=1"}):
        answer("hi")

    assert recorded.turns[0].metadata == {"tenant": "blue"}


def test_a_span_that_is_current_already_is_nearer(recorded, within):
    """Such as that of an instrumentation of the server, which is the caller's child."""
    span = NonRecordingSpan(SpanContext(7, 8, False, TraceFlags(1)))
    within(set_span_in_context(span, baggage.set_baggage("tenant", "near", Context())))
    with received({"traceparent": PARENT, "baggage": "tenant=far,other=1"}):
        entries = baggage.get_all()
        answer("hi")

    assert recorded.turns[0].trace.parent_span_id == f"{8:016x}"
    assert entries == {"tenant": "near", "other": "1"}


@pytest.mark.parametrize(
    "carrier", [{}, {"traceparent": "nonsense"}, {"traceparent": f"{PARENT},{PARENT}"}]
)
def test_what_is_no_trace_context_is_passed_over(recorded, carrier):
    """The turn is recorded, in a trace of its own."""
    with received(carrier):
        answer("hi")

    assert recorded.turns[0].trace.parent_span_id is None


class Broken(W3CBaggagePropagator):
    def inject(self, *args, **kwargs):
        raise RuntimeError("no")

    extract = inject


def test_a_propagator_that_fails_harms_no_request(recorded, monkeypatch, caplog):
    """It is said, on both sides, and everything else goes on."""
    monkeypatch.setattr(propagate, "_HTTP_TEXT_FORMAT", Broken())
    monkeypatch.setattr(notices, "_said", {})
    carrier = {}
    ask(carrier)
    with received({"traceparent": PARENT}):
        inside = get_current_span().get_span_context().is_valid

    assert (carrier, inside, len(recorded.turns)) == ({}, False, 1)
    assert caplog.messages == [
        "a request goes without its trace context: no",
        "the trace context of a request cannot be read: no",
    ]
