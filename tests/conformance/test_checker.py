"""The checker refuses what it should: one broken span or metric for each kind of rule."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import pytest
from conventions import (
    SeenMetric,
    SeenPoint,
    SeenSpan,
    metric_violations,
    trace_violations,
    violations,
)
from conventions.model import GENAI
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader

TEXT = [{"role": "assistant", "parts": [{"type": "text", "content": "hi"}]}]
CHAT = SeenSpan(
    name="chat gpt-5",
    kind="client",
    attributes={
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "gpt-5",
        "gen_ai.output.messages": json.dumps(TEXT),
        "gen_ai.usage.input_tokens": 3,
    },
)
TOOL = SeenSpan(
    name="execute_tool look_up",
    attributes={"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "look_up"},
)
AGENT = SeenSpan(
    name="invoke_agent a",
    attributes={"gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": "a"},
    trace_id="1",
    span_id="1",
    scope="turnspan",
    schema_url=GENAI["provenance"]["schema_url"],
    resource={"service.name": "tests"},
)


def changed(span: SeenSpan, without: str = "", **changes: Any) -> SeenSpan:
    """``span`` with other attributes (`gen_ai__x` is `gen_ai.x`) and fields."""
    fields = {field.name for field in dataclasses.fields(SeenSpan)}
    more = {key.replace("__", "."): v for key, v in changes.items() if key not in fields}
    kept = {key: v for key, v in span.attributes.items() if key != without}
    said = {key: value for key, value in changes.items() if key in fields}
    return dataclasses.replace(span, attributes={**kept, **more}, **said)


@pytest.mark.parametrize("span", [CHAT, TOOL, AGENT, SeenSpan(name="anything")])
def test_a_sound_span_has_no_violations(span):
    """What the broken ones are made of is not broken itself."""
    assert violations(span) == []


@pytest.mark.parametrize(
    "span, rule",
    [
        (changed(CHAT, gen_ai__operation__name="chatting"), "operation"),
        (changed(CHAT, without="gen_ai.operation.name"), "operation"),
        (SeenSpan(name="execute_tool look_up"), "operation"),
        (changed(CHAT, kind="server"), "kind"),
        (changed(TOOL, kind="client"), "kind"),
        (changed(CHAT, name="gpt-5"), "name"),
        (changed(CHAT, name="chat"), "name"),
        (changed(CHAT, without="gen_ai.provider.name"), "required"),
        (changed(TOOL, without="gen_ai.tool.name"), "required"),
        (changed(CHAT, server__address="example.com"), "required"),
        (changed(CHAT, gen_ai__usage__input_tokens="3"), "type"),
        (changed(CHAT, gen_ai__usage__input_tokens=True), "type"),
        (changed(CHAT, gen_ai__request__temperature=1), "type"),
        (changed(CHAT, gen_ai__response__finish_reasons="stop"), "type"),
        (changed(CHAT, gen_ai__response__finish_reasons=[1]), "type"),
        (changed(CHAT, user__id=7), "type"),
        (changed(CHAT, gen_ai__provider__name="OpenAI"), "enum"),
        (changed(CHAT, gen_ai__provider__name=""), "enum"),
        (changed(CHAT, gen_ai__request__tone="kind"), "unknown"),
        (changed(CHAT, gen_ai__system="openai"), "deprecated"),
        (changed(TOOL, gen_ai__usage__input_tokens=1), "undeclared"),
        (changed(AGENT, gen_ai__provider__name="openai"), "undeclared"),
        (changed(CHAT, gen_ai__request__stream=False), "condition"),
        (changed(CHAT, gen_ai__request__choice__count=1), "condition"),
        (changed(CHAT, gen_ai__response__time_to_first_chunk=0.1), "condition"),
        (changed(CHAT, error__type="ValueError"), "condition"),
        (changed(TOOL, status="error", error__type="E", gen_ai__tool__call__result="{}"),
         "condition"),
        (changed(CHAT, status="error"), "error"),
        (changed(CHAT, gen_ai__output__messages="hi"), "content"),
        (changed(CHAT, gen_ai__output__messages='[{"role":"assistant"}]'), "content"),
        (changed(CHAT, gen_ai__output__messages='[{"role":"a","parts":[{"type":"text"}]}]'),
         "content"),
        (changed(CHAT, gen_ai__tool__definitions='[{"type":"function"}]'), "content"),
        (changed(TOOL, gen_ai__tool__call__arguments="[]"), "content"),
        (SeenSpan(name="fetch_response", kind="client", attributes={
            "gen_ai.operation.name": "fetch_response", "gen_ai.provider.name": "openai",
            "gen_ai.response.id": "r", "gen_ai.usage.input_tokens": 1}), "forbidden"),
    ],
)  # fmt: skip
def test_a_broken_span_is_refused_by_its_rule(span, rule):
    """For each rule a span that breaks it, and the violation names the rule."""
    assert rule in {found.split(":")[0] for found in violations(span)}


def test_what_is_available_must_be_there():
    """Conditionally required and recommended attributes are asked for where they are known."""
    known = {"gen_ai.conversation.id", "gen_ai.response.id", "gen_ai.input.messages"}

    assert sorted(violations(CHAT, available=known)) == [
        "available: gen_ai.conversation.id is known, conditionally_required, and missing",
        "available: gen_ai.response.id is known, recommended, and missing",
    ]


CHILD = dataclasses.replace(
    AGENT,
    name="step",
    attributes={"gen_ai.agent.name": "a"},
    span_id="2",
    parent_id="1",
)


def test_a_sound_trace_has_no_violations():
    """A root and its child."""
    assert trace_violations([AGENT, CHILD]) == []


@pytest.mark.parametrize(
    "spans, rule",
    [
        ([AGENT, changed(CHILD, trace_id="2")], "trace"),
        ([AGENT, changed(CHILD, span_id="1")], "trace"),
        ([AGENT, changed(CHILD, parent_id="9")], "trace"),
        ([CHILD], "trace"),
        ([AGENT, changed(CHILD, schema_url="https://opentelemetry.io/schemas/1.37.0")], "scope"),
        ([AGENT, changed(CHILD, scope="")], "scope"),
        ([AGENT, changed(CHILD, resource={})], "resource"),
        ([changed(AGENT, gen_ai__conversation__id="c"), CHILD], "conversation"),
        ([AGENT, changed(CHILD, without="gen_ai.agent.name")], "agent"),
    ],
)
def test_a_broken_trace_is_refused_by_its_rule(spans, rule):
    """For each rule of a trace spans that break it."""
    assert rule in {found.split(":")[0] for found in trace_violations(spans)}


BOUNDS = GENAI["metrics"]["gen_ai.execute_tool.duration"]["bucket_boundaries"]
POINT = SeenPoint(attributes={"gen_ai.tool.name": "t"}, value=0.5, bounds=BOUNDS)
DURATION = SeenMetric(
    name="gen_ai.execute_tool.duration", instrument="histogram", unit="s", points=(POINT,)
)
TOKENS = SeenMetric(
    name="gen_ai.client.inference.usage.input_tokens",
    instrument="counter",
    unit="{token}",
    points=(
        SeenPoint(
            attributes={
                "gen_ai.operation.name": "chat",
                "gen_ai.provider.name": "openai",
                "gen_ai.token.modality": "text",
            },
            value=3,
        ),
    ),
)


def of(metric: SeenMetric, **changes: Any) -> SeenMetric:
    """``metric`` whose only point is changed."""
    return dataclasses.replace(metric, points=(dataclasses.replace(metric.points[0], **changes),))


@pytest.mark.parametrize("metric", [DURATION, TOKENS])
def test_a_sound_metric_has_no_violations(metric):
    """What the broken ones are made of is not broken itself."""
    assert metric_violations(metric) == []


@pytest.mark.parametrize(
    "metric, rule",
    [
        (dataclasses.replace(DURATION, name="gen_ai.workflow.duration"), "deprecated"),
        (dataclasses.replace(DURATION, name="gen_ai.turn.duration"), "unknown"),
        (dataclasses.replace(DURATION, instrument="counter"), "instrument"),
        (dataclasses.replace(TOKENS, is_monotonic=False), "instrument"),
        (dataclasses.replace(DURATION, unit="ms"), "unit"),
        (of(DURATION, bounds=[0.1, 1]), "buckets"),
        (of(TOKENS, value=3.0), "type"),
        (of(TOKENS, attributes={"gen_ai.provider.name": "openai"}), "required"),
        (of(DURATION, attributes={"gen_ai.tool.name": "t", "user.id": "u"}), "undeclared"),
        (of(DURATION, attributes={"gen_ai.tool.name": 1}), "type"),
    ],
)
def test_a_broken_metric_is_refused_by_its_rule(metric, rule):
    """For each rule a metric that breaks it."""
    assert rule in {found.split(":")[0] for found in metric_violations(metric)}


def test_metrics_of_the_sdk_are_read_as_they_are_exported():
    """Instrument, unit, buckets and points of a histogram and a counter."""
    reader = InMemoryMetricReader()
    meter = MeterProvider(metric_readers=[reader], shutdown_on_exit=False).get_meter("x")
    histogram = meter.create_histogram(
        DURATION.name, "s", explicit_bucket_boundaries_advisory=BOUNDS
    )
    histogram.record(0.5, dict(POINT.attributes))
    meter.create_counter(TOKENS.name, "{token}").add(3, dict(TOKENS.points[0].attributes))
    meter.create_histogram("gen_ai.turn.duration", "s").record(1)
    [scope] = reader.get_metrics_data().resource_metrics[0].scope_metrics
    found = {metric.name: SeenMetric.of_sdk(metric) for metric in scope.metrics}

    assert metric_violations(found.pop("gen_ai.turn.duration"))
    assert [metric_violations(metric) for metric in found.values()] == [[], []]
    assert found[TOKENS.name] == TOKENS
    assert list(found[DURATION.name].points[0].bounds) == BOUNDS
