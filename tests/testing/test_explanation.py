"""What pytest says of turns that were asserted to be equal and are not."""

from __future__ import annotations

from itertools import pairwise

import pytest

from turnspan.schema import Content, Error
from turnspan.testing import make_step, make_turn, sample_turns
from turnspan.testing.explanation import explained

MOVED = ("id", "started_at", "ended_at", "trace.trace_id", "trace.span_id")


def test_only_what_differs_is_shown():
    """The differences, then one line for ids and times, where more than those differ."""
    right = make_turn(2, number=1, output=Content(content="no"))

    assert explained(make_turn(1), right) == [
        "turn turn_000000000001 == turn turn_000000000002",
        "  input.content: 'question 1' != 'question 2'",
        "  output.content: 'answer 1' != 'no'",
        f"  and what differs from run to run: {', '.join(MOVED)}",
    ]


def test_ids_and_times_are_shown_where_nothing_else_differs():
    """Then they are why."""
    assert explained(make_turn(1), make_turn(1, id="turn_x")) == [
        "turn turn_000000000001 == turn turn_x",
        "  id: 'turn_000000000001' != 'turn_x'",
    ]


def test_steps_are_compared_too():
    """Alone, by their kind and name."""
    failed = make_step(1, status="error", error=Error(type="ValueError"), output=None)

    assert explained(make_step(1), failed) == [
        "step tool look_up == step tool look_up",
        "  output: only left: {'json': {'found': True}}",
        "  status: 'ok' != 'error'",
        "  error: only right: {'type': 'ValueError'}",
    ]


def test_lists_of_turns_are_compared_turn_by_turn():
    """And what one of them has more is named."""
    left = [make_turn(1), make_turn(2)]
    right = [make_turn(1, tags=("new",)), make_turn(2), make_turn(3)]

    assert explained(left, right) == [
        "a list of 2 == a list of 3",
        "  only right: turn turn_000000000003",
        "  [0].tags: only right: ['new']",
    ]


def test_the_same_json_in_other_words_is_still_a_difference():
    """For the turns are not equal."""
    left, right = (
        make_turn(1, output=Content(content=text, mime_type="application/json"))
        for text in ('{"a":1}', '{"a": 1}')
    )

    assert explained(left, right) == [
        "turn turn_000000000001 == turn turn_000000000001",
        """  output.content: '{"a":1}' != '{"a": 1}'""",
    ]


@pytest.mark.parametrize(
    "left, right",
    [
        (make_turn(1), make_step(1)),
        (make_turn(1), "turn"),
        ([make_turn(1)], (make_turn(1),)),
        ([make_turn(1)], [make_step(1)]),
        ([], [make_turn(1)]),
        ([1], [2]),
        ({"turn": 1}, {"turn": 2}),
    ],
)
def test_anything_else_is_left_to_pytest(left, right):
    """It explains what it knows."""
    assert explained(left, right) is None


def test_a_turn_that_cannot_be_read_does_not_hide_the_failure():
    """One that was put together without validation."""
    broken = make_turn(1).model_copy(update={"state_before": object(), "steps": None})
    (said,) = explained(broken, make_turn(1))

    assert said.startswith("turns that cannot be told apart by field: ")


def test_all_samples_can_be_explained():
    """Each against the next, whatever is in them."""
    samples = sample_turns(40)
    for left, right in pairwise(samples):
        said = explained(left, right)
        assert said[0] == f"turn {left.id} == turn {right.id}"
        assert len(said) > 1
