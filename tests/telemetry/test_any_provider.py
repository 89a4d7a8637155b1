"""Live mode needs OpenTelemetry's interface, and nothing of its SDK."""

import itertools
from unittest.mock import MagicMock

import pytest
from opentelemetry import trace
from opentelemetry.trace import Span, SpanContext, SpanKind, TraceFlags, Tracer, TracerProvider

import turnspan
from turnspan.exporters.memory import MemoryExporter

SDK = "opentelemetry.sdk"


class PlainSpan(Span):
    """A span that has what the interface asks for, and no attribute of the SDK's."""

    def __init__(self, tracer, name, parent, kind, start_time):
        self.tracer, self.first_name, self.kind = tracer, name, kind
        trace_id = parent.trace_id if parent.is_valid else next(tracer.ids)
        self.parent_id = parent.span_id or None
        self.context = SpanContext(trace_id, next(tracer.ids), False, TraceFlags(1))
        self.said, self.times, self.status = {}, [start_time], None

    def get_span_context(self):
        return self.context

    def is_recording(self):
        return len(self.times) == 1

    def set_attributes(self, attributes):
        self.said.update(attributes)

    def set_attribute(self, key, value):
        self.said[key] = value

    def update_name(self, name):
        self.first_name = name

    def set_status(self, status, description=None):
        self.status = status

    def add_event(self, name, attributes=None, timestamp=None):
        raise AssertionError("no span events")

    def record_exception(self, exception, attributes=None, timestamp=None, escaped=False):
        raise AssertionError("no span events")

    def end(self, end_time=None):
        self.times.append(end_time)
        self.tracer.ended.append(self)


class PlainTracer(Tracer):
    def __init__(self):
        self.ids, self.ended = itertools.count(1), []

    def start_span(
        self, name, context=None, kind=SpanKind.INTERNAL, attributes=None, links=None,
        start_time=None, record_exception=True, set_status_on_exception=True,
    ):  # fmt: skip
        parent = trace.get_current_span(context).get_span_context()
        span = PlainSpan(self, name, parent, kind, start_time)
        span.set_attributes(attributes or {})
        return span

    def start_as_current_span(self, name, **options):
        return trace.use_span(self.start_span(name, **options), end_on_exit=True)


class PlainProvider(TracerProvider):
    def __init__(self):
        self.tracer = PlainTracer()

    def get_tracer(self, *args, **kwargs):
        return self.tracer


@pytest.fixture
def tracer(unconfigured, monkeypatch):
    """The tracer of a provider that is no SDK's, and global."""
    provider = PlainProvider()
    monkeypatch.setattr(trace, "_TRACER_PROVIDER", provider)
    return provider.tracer


def test_spans_start_and_end_live_and_nest_with_those_of_others(tracer):
    """Agent, tool and another's span, innermost first, with the turn's ids and times."""
    memory = MemoryExporter()
    turnspan.configure(exporters=[memory], directory=None, spans="live")

    @turnspan.tool
    def fetch():
        with tracer.start_as_current_span("GET", kind=SpanKind.CLIENT):
            return len(tracer.ended)

    @turnspan.agent
    def browse():
        return fetch()

    ended_inside = browse()
    [turn] = memory.turns
    get, tool, agent = tracer.ended
    [step] = turn.steps

    assert ended_inside == 0
    assert [each.first_name for each in tracer.ended] == [
        "GET",
        "execute_tool fetch",
        "invoke_agent browse",
    ]
    assert [get.parent_id, tool.parent_id, agent.parent_id] == [
        tool.context.span_id,
        agent.context.span_id,
        None,
    ]
    assert (turn.trace.mode, turn.trace.span_id) == ("live", f"{agent.context.span_id:016x}")
    assert step.id == f"{tool.context.span_id:016x}"
    assert (agent.times, tool.times) == (
        [turn.started_at, turn.ended_at],
        [step.started_at, step.ended_at],
    )
    assert agent.said["gen_ai.operation.name"] == "invoke_agent"


def test_a_failure_is_told_by_status_and_type(tracer):
    """And by no span event: OpenTelemetry is retiring them."""
    turnspan.configure(exporters=[], directory=None, spans="live")

    @turnspan.agent
    def browse():
        raise KeyError("no")

    with pytest.raises(KeyError):
        browse()
    [agent] = tracer.ended

    assert agent.status.status_code.name == "ERROR"
    assert agent.said["error.type"] == "KeyError"


def test_with_auto_such_a_provider_is_one(tracer):
    """It is the application's, whoever wrote it."""
    memory = MemoryExporter()
    turnspan.configure(exporters=[memory], directory=None)
    turnspan.agent(lambda: None)()

    assert memory.turns[0].trace.mode == "live"


def test_the_sdk_is_not_imported_for_it(run):
    """Where it is not installed, live mode works all the same."""
    program = f"""
        import sys
        sys.modules["{SDK}"] = None  # as if it were not there
        from opentelemetry import trace
        from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags
        import turnspan

        class Tracer(trace.NoOpTracer):
            def start_span(self, name, *args, **options):
                print(name)
                return NonRecordingSpan(SpanContext(1, 2, False, TraceFlags(1)))

        class Provider(trace.NoOpTracerProvider):
            def get_tracer(self, *args, **options):
                return Tracer()

        trace.set_tracer_provider(Provider())
        turnspan.configure(exporters=[], directory=None)

        @turnspan.agent
        def browse():
            return 1

        browse()
        turnspan.flush()
    """
    done = run(program)

    assert (done.stdout, done.stderr) == ("invoke_agent browse\n", "")


@pytest.mark.parametrize("spans", ["own", "live"])
def test_turns_are_recorded_under_a_stand_in_for_a_span(spans, unconfigured):
    """What a test has put there to be current answers anything, and has no identity."""
    memory = MemoryExporter()
    turnspan.configure(exporters=[memory], directory=None, spans=spans)

    with trace.use_span(MagicMock()), turnspan.turn(agent="desk"), turnspan.turn(agent="clerk"):
        pass

    assert [turn.trace.parent_span_id for turn in memory.turns] == [None]
    assert turnspan.health().dropped == {}
