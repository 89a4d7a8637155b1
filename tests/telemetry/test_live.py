"""Spans through the application's provider say what our own would have said."""

from unittest.mock import MagicMock

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, Decision, Sampler, SamplingResult
from opentelemetry.trace import NoOpTracerProvider, SpanKind, StatusCode

from turnspan import __version__
from turnspan.telemetry.attributes import step_facts, turn_facts
from turnspan.telemetry.live import LiveSpans

KINDS = {SpanKind.INTERNAL: 1, SpanKind.CLIENT: 3}


@pytest.fixture
def record():
    """Record a wire turn through a source of spans; answers the open spans by id in the turn."""

    def run(source, turn, inside=lambda span: None):
        def start(kind, name, fields, parent):
            session, user = turn.get("session_id"), turn.get("user_id")
            agent = turn["agent"]["name"]
            at = fields["started_at"]
            return source.start(kind, name, at, parent, session, user, agent, True, fields)

        root = start("turn", turn["agent"]["name"], turn, None)
        inside(trace.get_current_span())
        opened = {"root": root}
        for step in turn["steps"]:
            span = start(step["kind"], step["name"], step, root)
            tools = turn.get("tool_definitions", [])
            source.end(span, {**step, "messages": turn["messages"], "tool_definitions": tools})
            opened[step["id"]] = span
        source.end(root, turn)
        return opened

    return run


def plain(value):
    return list(value) if isinstance(value, tuple) else value


def shown(span):
    return {
        "name": span.name,
        "kind": KINDS[span.kind],
        "attributes": {k: plain(v) for k, v in span.attributes.items()},
        "status": span.status.status_code.value,
        "description": span.status.description or "",
        "times": (span.start_time, span.end_time),
        "ids": (span.context.trace_id, span.context.span_id),
        "parent": span.parent.span_id if span.parent else None,
    }  # fmt: skip


def expected(facts, fields, opened):
    return {
        "name": facts.name,
        "kind": facts.kind,
        "attributes": facts.attributes,
        "status": facts.status,
        "description": facts.description,
        "times": (fields["started_at"], fields["ended_at"]),
        "ids": (opened.trace_id, opened.span_id),
        "parent": opened.parent_span_id,
    }


@pytest.mark.parametrize("content", [True, False])
def test_a_live_trace_is_the_trace_our_own_spans_would_make(
    content, ids, wire, steps, record, make_global, conforms
):
    """Names, kinds, attributes, status, times, ids and parentage are equal, span by span."""
    exporter = make_global()
    error = {"type": "ValueError", "message": "no"}
    turn = wire(steps=[steps.model(), steps.tool(status="error", error=error)])
    opened = record(LiveSpans(ids, content=content), turn)

    model, tool = turn["steps"]
    found = exporter.get_finished_spans()
    assert [shown(span) for span in found] == [
        expected(
            step_facts(model, turn, agent="support", content=content), model, opened["b" * 16]
        ),
        expected(step_facts(tool, turn, agent="support", content=content), tool, opened["c" * 16]),
        expected(turn_facts(turn, content=content), turn, opened["root"]),
    ]
    assert any(conforms(dict(span.attributes)) for span in found) is content
    scope = found[0].instrumentation_scope
    assert (scope.name, scope.version) == ("turnspan", __version__)
    assert scope.schema_url.startswith("https://opentelemetry.io/schemas/gen-ai")
    assert all(span.sampled and span.mode == "live" for span in opened.values())


@pytest.mark.parametrize("content", [True, False])
@pytest.mark.parametrize(
    "said",
    [
        {"tool": {"type": "function"}},
        {"tool": {"type": "function", "call_id": "call_1", "description": "Looks it up."}},
        {"tool": {"call_id": "call_1"}},
        {"tool": None},
        {"metadata": {"cached": True}},
        {"status": "paused"},
        {"reasoning": "It may rain."},
        {"name": ""},
    ],
    ids="-".join,
)
def test_a_live_tool_that_ended_well_says_all_it_has(
    said, content, ids, wire, steps, record, make_global
):
    """Whatever became known of it by its end is on its span, as our own spans would have it."""
    exporter = make_global()
    turn = wire(steps=[steps.tool(**said)])
    opened = record(LiveSpans(ids, content=content), turn)

    [tool] = turn["steps"]
    assert shown(exporter.get_finished_spans()[0]) == expected(
        step_facts(tool, turn, agent="support", content=content), tool, opened["c" * 16]
    )


@pytest.mark.parametrize("content", [True, False])
@pytest.mark.parametrize(
    "said",
    [
        {},
        {"agent": {"name": "support", "id": "a1", "version": "2", "description": "Helps."}},
        {"session_id": None, "user_id": None},
        {"tags": ["beta"], "metadata": {"plan": "pro"}, "number": 7, "resumes": "turn_0"},
        {"status": "cancelled"},
    ],
    ids=lambda said: "-".join(said) or "plain",
)
def test_a_live_turn_says_all_it_has(said, content, ids, wire, record, make_global):
    """Whatever became known of it by its end is on its span, as our own spans would have it."""
    exporter = make_global()
    turn = wire(steps=[], **said)
    opened = record(LiveSpans(ids, content=content), turn)

    [root] = exporter.get_finished_spans()
    assert shown(root) == expected(turn_facts(turn, content=content), turn, opened["root"])


def test_a_turn_that_ends_as_another_agent_in_another_session_says_so(ids, wire, make_global):
    """What it started with is set anew where it has changed since."""
    exporter = make_global()
    source = LiveSpans(ids)
    root = source.start("turn", "first", 5, None, "other", None, "first", True)
    source.end(root, wire(steps=[]))

    [span] = exporter.get_finished_spans()
    facts = turn_facts(wire(steps=[]), content=False)
    assert (span.name, {k: plain(v) for k, v in span.attributes.items()}) == (
        facts.name,
        facts.attributes,
    )


def test_a_tool_that_ends_under_another_name_says_so(ids, steps, make_global):
    """A step that learned its name late has it on its span."""
    exporter = make_global()
    source = LiveSpans(ids)
    root = source.start("turn", "a", 1, None, None, None, "a", False)
    tool = source.start("tool", "tool", 2, root, None, None, "a", False)
    source.end(tool, steps.tool())

    [span] = exporter.get_finished_spans()
    named = span.attributes["gen_ai.tool.name"]
    assert (span.name, named) == ("execute_tool weather", "weather")


def test_the_sampler_knows_operation_agent_and_tool_at_the_start(
    ids, wire, steps, record, make_global
):
    """Attributes the conventions name for sampling are there when a span is created."""
    asked = []

    class Asking(Sampler):
        def should_sample(self, parent_context, trace_id, name, kind, attributes, links):
            asked.append((name, kind, dict(attributes)))
            return SamplingResult(Decision.RECORD_AND_SAMPLE, attributes)

        def get_description(self):
            return "asking"

    make_global(Asking())
    record(LiveSpans(ids), wire(steps=[steps.model(), steps.model(model={}), steps.tool()]))

    common = {"gen_ai.agent.name": "support", "gen_ai.conversation.id": "session-1"}
    operation = "gen_ai.operation.name"
    tool = {
        operation: "execute_tool",
        "gen_ai.tool.name": "weather",
        "gen_ai.tool.type": "function",
    }
    asked_for = {"gen_ai.provider.name": "openai", "gen_ai.request.model": "gpt-5"}
    assert asked == [
        ("invoke_agent support", SpanKind.INTERNAL, {**common, operation: "invoke_agent"}),
        ("chat gpt-5", SpanKind.CLIENT, {**common, operation: "chat", **asked_for}),
        ("chat", SpanKind.CLIENT, {**common, operation: "chat"}),
        ("execute_tool weather", SpanKind.INTERNAL, {**common, **tool}),
    ]


def test_what_the_application_put_on_the_span_wins(ids, wire, record, make_global):
    """Attributes, name and a final status of other code are not overwritten at the end."""
    exporter = make_global()

    def touch(span):
        span.set_attributes({"input.value": "[hidden]", "extra": 1})
        span.update_name("renamed")
        span.set_status(StatusCode.OK)

    turn = wire(steps=[], status="error", error={"type": "ValueError"})
    record(LiveSpans(ids, content=True), turn, touch)

    [span] = exporter.get_finished_spans()
    assert (span.name, span.status.status_code) == ("renamed", StatusCode.OK)
    assert (span.attributes["input.value"], span.attributes["extra"]) == ("[hidden]", 1)
    assert span.attributes["output.value"] == "Rain."


def test_a_turn_joins_the_span_that_is_current(ids, wire, record, make_global):
    """The root is a child of the application's own span; a resumed turn is linked."""
    exporter = make_global()
    tracer = trace.get_tracer("app")
    link = {"trace_id": f"{7:032x}", "span_id": f"{8:016x}", "attributes": {"why": "resumes"}}
    turn = wire(steps=[])
    turn["trace"]["links"] = [link]
    with tracer.start_as_current_span("request") as above:
        opened = record(LiveSpans(ids), turn)["root"]

    root = exporter.get_finished_spans()[0]
    assert opened.parent_span_id == above.get_span_context().span_id == root.parent.span_id
    assert [(i.context.span_id, dict(i.attributes)) for i in root.links] == [
        (8, {"why": "resumes"})
    ]


def test_a_trace_that_is_left_out_still_has_ids_of_its_own(ids, wire, steps, record, make_global):
    """A sampler that drops everything, or a tracer that makes nothing, costs no id."""
    exporter = make_global(ALWAYS_OFF)
    dropped = record(LiveSpans(ids), wire(steps=[steps.tool()]))
    trace._TRACER_PROVIDER = NoOpTracerProvider()
    nothing = record(LiveSpans(ids), wire(steps=[steps.tool()]))

    assert exporter.get_finished_spans() == ()
    for opened in (dropped, nothing):
        root, tool = opened["root"], opened["c" * 16]
        assert len({root.span_id, tool.span_id, 0}) == 3
        assert (tool.trace_id, tool.parent_span_id) == (root.trace_id, root.span_id)
        assert (root.trace_id > 0, root.sampled, tool.sampled) == (True, False, False)


def test_what_a_provider_raises_does_not_reach_the_caller(ids, wire, steps, record, monkeypatch):
    """Broken processors and tracers are logged; the turn has its ids all the same."""

    class Broken(SpanProcessor):
        def on_end(self, span):
            raise RuntimeError("on_end")

    class NoTracer(NoOpTracerProvider):
        def get_tracer(self, *args, **kwargs):
            raise RuntimeError("get_tracer")

    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(Broken())
    source = LiveSpans(ids)
    for broken in (provider, NoTracer()):
        monkeypatch.setattr(trace, "_TRACER_PROVIDER", broken)
        opened = record(source, wire(steps=[steps.tool()]))
        assert opened["root"].trace_id > 0
        assert opened["c" * 16].parent_span_id == opened["root"].span_id
    assert trace.get_current_span() is trace.INVALID_SPAN


def test_content_that_cannot_be_told_costs_the_content_only(ids, wire, record, make_global):
    """A lone surrogate in what was said leaves the other attributes on the span."""
    exporter = make_global()
    record(LiveSpans(ids, content=True), wire(steps=[], input={"content": "\ud800"}))

    [span] = exporter.get_finished_spans()
    assert dict(span.attributes) == turn_facts(wire(steps=[]), content=False).attributes | {
        "gen_ai.response.finish_reasons": ("stop",)
    }


def test_a_record_that_was_lost_still_ends_its_span(ids, make_global):
    """An end that knows the time only ends the span with what it has."""
    exporter = make_global()
    source = LiveSpans(ids)
    root = source.start("turn", "support", 5, None, None, None, "support", True)
    source.end(root, {"ended_at": 9})

    [span] = exporter.get_finished_spans()
    assert (span.start_time, span.end_time) == (5, 9)


def test_a_child_that_is_not_current_has_the_right_parent(ids, make_global):
    """Without activation the parent is the one that was named, not the current span."""
    exporter = make_global()
    source = LiveSpans(ids)
    root = source.start("turn", "a", 1, None, None, None, "a", False)
    nested = source.start("agent", "helper", 2, root, None, None, "a", False)
    tool = source.start("tool", "t", 3, nested, None, None, "a", False)
    for span in (tool, nested, root):
        source.end(span, {"ended_at": 9})

    found = [(s.context.span_id, s.parent and s.parent.span_id, s.attributes["gen_ai.agent.name"])
             for s in exporter.get_finished_spans()]  # fmt: skip
    assert found == [
        (tool.span_id, nested.span_id, "helper"),
        (nested.span_id, root.span_id, "helper"),
        (root.span_id, None, "a"),
    ]


@pytest.mark.parametrize("identity", [7, None, "x", MagicMock()], ids=["7", "none", "x", "mock"])
def test_a_span_without_an_identity_costs_the_turn_nothing(
    identity, ids, wire, record, monkeypatch
):
    """Stand-ins of tests answer anything; the turn then has ids of its own."""
    provider = MagicMock()
    span = provider.get_tracer.return_value.start_span.return_value
    span.get_span_context.return_value = identity
    monkeypatch.setattr(trace, "_TRACER_PROVIDER", provider)
    opened = record(LiveSpans(ids), wire(steps=[]))

    assert opened["root"].trace_id > 0
    assert opened["root"].span_id > 0
