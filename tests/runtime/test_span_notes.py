"""What other code puts on a span of ours stays within the bounds of everything else."""

from __future__ import annotations

import pytest
from opentelemetry import trace

import turnspan
from turnspan.exporters.memory import MemoryExporter


@pytest.fixture
def memory():
    """Where turns are looked at, of a runtime with small bounds."""
    memory = MemoryExporter()
    turnspan.configure(
        exporters=[memory], directory=None, spans="own", max_value_bytes=4000, max_turn_bytes=6000
    )
    return memory


@turnspan.tool
def crowded():
    """Has more put on its span than fits."""
    span = trace.get_current_span()
    span.set_attribute("big", "x" * 50_000)
    span.set_attribute("row", ["y" * 1000] * 50)
    span.set_attribute("small", 7)
    for number in range(500):
        span.add_event("event", {"n": number, "text": "z" * 100})
    span.update_name("mine")
    span.set_status(trace.StatusCode.ERROR, "because")


def test_notes_on_a_span_are_cut_to_a_value(memory):
    """The small ones are kept first, events are whole, and what is missing is named."""
    with turnspan.turn(agent="desk"):
        crowded()
    (turn,) = memory.turns
    (step,) = turn.steps

    assert len(memory.raw[0]) < 8000
    assert (step.span.name, step.span.status, step.span.status_description) == (
        "mine",
        "error",
        "because",
    )
    assert step.span.attributes.keys() <= {"small", "big"}
    assert [event.attributes["n"] for event in step.span.events] == list(
        range(len(step.span.events))
    )
    assert [(cut.where, cut.why) for cut in turn.truncated] == [
        (f"steps/{step.id}/span", "over 4000 bytes")
    ]
    assert turn.truncated[0].size_bytes > 150_000


def test_notes_on_the_spans_of_a_turn_count_towards_its_budget(memory):
    """However many steps have some; those of the turn come last."""
    with turnspan.turn(agent="desk"):
        for _ in range(10):
            crowded()
        trace.get_current_span().set_attribute("last", "x" * 5000)
    (turn,) = memory.turns

    assert len(memory.raw[0]) < 16_000
    assert [cut.where for cut in turn.truncated if cut.where.endswith("span")] == [
        *(f"steps/{step.id}/span" for step in turn.steps),
        "span",
    ]


def test_notes_that_fit_are_kept_as_they_are(memory):
    """Nothing is cut of them, and nothing said."""
    with turnspan.turn(agent="desk"):
        trace.get_current_span().set_attributes({"a": "x" * 500, "b": [1, 2]})
    (turn,) = memory.turns

    assert turn.span.attributes == {"a": "x" * 500, "b": [1, 2]}
    assert turn.truncated == ()


@pytest.mark.parametrize("key", ["name", "status", "trace_id", "span_id", "at", "attributes"])
def test_attributes_of_other_code_are_shaped_whatever_they_are_called(key):
    """The names that notes themselves have may be those of attributes, too."""
    memory = MemoryExporter()
    policy = turnspan.Policy(content=False)
    turnspan.configure(exporters=[memory], directory=None, spans="own", policy=policy)

    with turnspan.turn(agent="desk"):
        span = trace.get_current_span()
        span.set_attribute(key, "hunter2")
        span.add_event("asked", {key: ["hunter2"]})
        span.add_link(span.get_span_context(), {key: "hunter2"})
    (turn,) = memory.turns

    assert b"hunter2" not in memory.raw[0]
    assert turn.span.attributes.keys() == {key}
    assert turn.span.events[0].name == "asked"
