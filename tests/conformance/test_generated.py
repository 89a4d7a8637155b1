"""Whatever a turn holds, its spans conform: our own as OTLP, and those of the application's SDK."""

from __future__ import annotations

import os
from typing import Any

import pytest
from conventions import spans_of_request, spans_of_sdk, trace_violations, violations
from generated import DISHONEST, available_of, turns
from hypothesis import HealthCheck, assume, given, settings
from opentelemetry import trace
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from turnspan.telemetry.live import LiveSpans
from turnspan.telemetry.otlp import RequestWriter
from turnspan.telemetry.vendor_keys import known_profiles, profiles_named
from turnspan.testing.repeatable import CountedIds

NIGHTLY = os.environ.get("TURNSPAN_TESTS") == "nightly"
many = settings(
    max_examples=3000 if NIGHTLY else 120,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)


def faults(spans: list[Any], available: Any) -> list[str]:
    found = [
        f"{span.name}: {fault}"
        for span in spans
        for fault in violations(span, available=available(span))
    ]
    return found + trace_violations(spans)


@pytest.mark.parametrize("content", [True, False])
@given(turn=turns())
@many
def test_own_spans_of_any_turn_conform(turn, content):
    """Names, kinds, attributes and content of every span of every turn are as they should be."""
    writer = RequestWriter(content=content)
    writer.add(turn)
    known = available_of(turn)
    spans = spans_of_request(writer.take())

    assert len(spans) == 1 + len(turn.get("steps", ()))
    assert faults(spans, lambda span: known[span.span_id]) == []


@given(turn=turns())
@many
def test_profiles_leave_every_standard_key_as_it_is(turn):
    """All of them together add to the spans of any turn, and what was there conforms as before."""
    bare, full = (
        RequestWriter(content=True, profiles=profiles)
        for profiles in ((), profiles_named(known_profiles()))
    )
    bare.add(turn)
    full.add(turn)
    before, after = spans_of_request(bare.take()), spans_of_request(full.take())

    assert [span.name for span in before] == [span.name for span in after]
    for one, other in zip(before, after, strict=True):
        assert {key: other.attributes[key] for key in one.attributes} == one.attributes
        assert len(other.attributes) > len(one.attributes)
    assert faults(after, lambda _: ()) == []


@pytest.mark.parametrize("content", [True, False])
@given(turn=turns())
@many
def test_live_spans_of_any_turn_conform(turn, content):
    """The same, of spans that start and end through the application's own provider.

    What they are made of was captured a moment ago: JSON is JSON.
    """
    assume(DISHONEST not in str(turn))
    exporter = InMemorySpanExporter()
    provider = TracerProvider(resource=Resource({"service.name": "tests"}), shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(trace, "_TRACER_PROVIDER", provider)
        ids = _record_live(turn, content=content)
    known = available_of(turn)
    spans = spans_of_sdk(exporter.get_finished_spans())

    assert len(spans) == 1 + len(turn.get("steps", ()))
    assert faults(spans, lambda span: known[ids[span.span_id]]) == []


def _record_live(turn: dict[str, Any], *, content: bool) -> dict[str, str]:
    """Make the spans of ``turn`` live; the id of each → its id in the turn."""
    source = LiveSpans(CountedIds(), content=content)
    session, user, agent = turn.get("session_id"), turn.get("user_id"), turn["agent"]["name"]
    root_id = turn["trace"]["span_id"]
    root = source.start("turn", agent, turn["started_at"], None, session, user, agent, False)
    opened = {root_id: root}
    steps = turn.get("steps", [])
    for step in reversed(steps):  # parents begin before their children
        above = opened[step.get("parent_id") or root_id]
        at, kind = step["started_at"], step["kind"]
        opened[step["id"]] = source.start(
            kind, step["name"], at, above, session, user, agent, False, step
        )
    shared = {key: turn.get(key, []) for key in ("messages", "tool_definitions")}
    for step in steps:
        source.end(opened[step["id"]], {**step, **shared})
    source.end(root, turn)
    return {f"{span.span_id:016x}": key for key, span in opened.items()}
