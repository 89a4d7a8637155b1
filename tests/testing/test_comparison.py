"""Whole turns compared but for what differs from run to run."""

from __future__ import annotations

import json
from itertools import pairwise

import pytest

import turnspan
from turnspan.schema import Content, Cut, Error, SpanEvent, SpanNotes, decode_turn
from turnspan.testing import (
    VOLATILE,
    assert_same_turn,
    comparable,
    make_step,
    make_turn,
    recording,
    sample_turns,
)


def test_two_runs_are_comparable_whatever_their_ids_and_times(concierge):
    """Recorded with the machine's clock and random ids, they are the same plain values."""
    runs = []
    for _ in range(2):
        with recording() as turns, turnspan.session("trip"):
            concierge("Coat", "Oslo")
        runs.append(turns.only())

    assert runs[0] != runs[1]
    assert comparable(runs[0]) == comparable(runs[1])
    assert_same_turn(*runs)


def test_what_is_compared_is_what_happened():
    """Plain values that can be stored, JSON content read, steps named by their position."""
    outer = make_step(1, kind="step", name="plan", input=None, output=None)
    inner = make_step(2, parent_id=outer.id)
    cut = Cut(where=f"steps/{inner.id}/output", why="too long")
    turn = make_turn(1, steps=(outer, inner), truncated=(cut,), metadata={"id": 7})
    told = comparable(turn)

    assert told == {
        "session_id": "session-1",
        "number": 1,
        "agent": {"name": "assistant"},
        "status": "ok",
        "input": {"content": "question 1"},
        "output": {"content": "answer 1"},
        "metadata": {"id": 7},
        "steps": [
            {"kind": "step", "name": "plan", "status": "ok"},
            {
                "kind": "tool",
                "name": "look_up",
                "status": "ok",
                "parent_id": 0,
                "input": {"json": {"key": "value"}},
                "output": {"json": {"found": True}},
            },
        ],
        "truncated": [{"where": "steps/1/output", "why": "too long"}],
    }
    assert json.loads(json.dumps(told)) == told


def test_with_nothing_ignored_it_is_the_whole_turn():
    """Ids, times and all; only the defaults are left out."""
    whole = comparable(make_turn(3), ignore=())

    assert whole["id"] == "turn_000000000003"
    assert whole["steps"][0]["id"] == make_step(3).id
    assert {*VOLATILE} & whole.keys() == {
        "id",
        "started_at",
        "ended_at",
        "duration_ms",
        "trace",
        "resource",
    }


@pytest.mark.parametrize(
    "change, ignore",
    [
        ({"metadata": {"n": 1}}, {"metadata"}),
        ({"error": Error(type="E", message="1")}, {"error.message"}),
        ({"tags": ("1",), "user_id": "ada"}, {"tags", "user_id"}),
    ],
)
def test_more_can_be_ignored(change, ignore):
    """A field, or one of what it holds, of turns and steps."""
    other = {key: value for key, value in change.items() if key == "error"}
    other = {key: value.model_copy(update={"message": "2"}) for key, value in other.items()}
    turns = make_turn(1, **change), make_turn(1, **other)

    assert_same_turn(*turns, ignore=VOLATILE | ignore)
    with pytest.raises(AssertionError):
        assert_same_turn(*turns)


def test_stack_traces_and_moments_of_span_events_are_not_compared():
    """Paths and clocks are no part of what happened; types and names are."""
    turns = [
        make_turn(
            1,
            error=Error(type="E", stacktrace=place),
            span=SpanNotes(events=(SpanEvent(name="retry", at=at),)),
        )
        for place, at in (("here", 1), ("there", 2))
    ]

    assert_same_turn(*turns)
    assert comparable(turns[0])["span"] == {"events": [{"name": "retry"}]}


@pytest.mark.parametrize("name", ["sesion_id", "steps_.id", ""])
def test_a_field_that_is_not_there_is_told(name):
    """A misspelt one would ignore nothing, or hide that it ignores nothing."""
    with pytest.raises(TypeError, match="there is no field"):
        comparable(make_turn(), ignore={name})


def test_json_is_compared_as_json():
    """White space and the order of keys say nothing; true is not 1."""
    one, same, other = (
        make_turn(1, output=Content(content=text, mime_type="application/json"))
        for text in ('{"a": 1, "b": true}', '{"b":true,"a":1}', '{"b":1,"a":1}')
    )

    assert_same_turn(one, same)
    with pytest.raises(AssertionError, match=r"output\.json\.b: True != 1"):
        assert_same_turn(one, other)


def test_json_that_was_cut_is_compared_as_text():
    """It cannot be read."""
    cut = Content(content='{"a": [1, 2', mime_type="application/json")

    assert comparable(make_turn(1, output=cut))["output"] == {
        "content": '{"a": [1, 2',
        "mime_type": "application/json",
    }


def test_what_differs_is_told_by_its_path():
    """Only that, with both sides; of long texts the part where they part."""
    long = "word " * 60
    steps = (make_step(1), make_step(2, name="book"), make_step(3, name="pay"))
    actual = make_turn(
        1,
        output=Content(content=long + "yes"),
        steps=(steps[0], steps[2]),
        metadata={"tier": "gold"},
    )
    expected = make_turn(
        1,
        output=Content(content=long + "no"),
        steps=(
            steps[0].model_copy(
                update={"input": Content(content='{"key":"other"}', mime_type="application/json")}
            ),
            *steps[1:],
        ),
        tags=("new",),
    )
    with pytest.raises(AssertionError) as raised:
        assert_same_turn(actual, expected)

    assert str(raised.value).splitlines() == [
        "these turns are not the same:",
        "  output.content, from character 300:",
        "    actual   …'d word word yes'",
        "    expected …'d word word no'",
        "  steps[0].input.json.key (tool look_up): 'value' != 'other'",
        "  steps[1]: only expected: tool book({'key': 'value'})",
        "  metadata: only actual: {'tier': 'gold'}",
        "  tags: only expected: ['new']",
    ]


def test_every_sample_is_the_same_as_itself_read_back_and_as_no_other():
    """Whatever stands in a turn."""
    samples = sample_turns(30)
    for turn in samples:
        assert_same_turn(turn, decode_turn(turn.model_dump_json().encode()))
    for one, other in pairwise(samples):
        with pytest.raises(AssertionError, match="not the same"):
            assert_same_turn(one, other)
