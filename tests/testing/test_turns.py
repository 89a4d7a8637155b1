"""The turns that tests are made of."""

import pytest

from turnspan.schema import Agent, Status, decode_turn, encode_turn
from turnspan.testing import make_step, make_turn, raw_turn, sample_turns


def test_a_turn_is_the_same_in_every_run_and_another_for_every_index():
    """Ids, times and places in the trace follow from the index alone."""
    turns = [make_turn(index) for index in (1, 2, 3)]

    assert make_turn(2) == turns[1]
    assert len({turn.id for turn in turns}) == 3
    assert len({(turn.trace.trace_id, turn.trace.span_id) for turn in turns}) == 3
    assert len({turn.steps[0].id for turn in turns}) == 3
    assert [turn.number for turn in turns] == [1, 2, 3]
    assert {turn.duration_ms for turn in turns} == {500.0}


def test_fields_can_be_replaced():
    """What is not named stays as it was."""
    changed = make_turn(2, agent=Agent(name="other"), steps=(make_step(2, name="other"),))

    assert changed == make_turn(2).model_copy(
        update={"agent": Agent(name="other"), "steps": (make_step(2, name="other"),)}
    )


@pytest.mark.parametrize("make", [make_turn, make_step, raw_turn])
def test_a_field_that_does_not_exist_is_told(make):
    """A misspelt field would otherwise be passed over."""
    with pytest.raises(TypeError, match="there is no field 'sesion_id'"):
        make(1, sesion_id="a")


def test_a_raw_turn_is_the_line_of_the_turn():
    """What an exporter is handed decodes to what `make_turn` makes."""
    raw = raw_turn(4, status="error")

    assert raw.raw.endswith(b"}\n")
    assert raw.turn == make_turn(4, status="error")


def test_samples_survive_the_wire_and_are_drawn_the_same_again():
    """Sixty turns: each different, each equal to itself after encoding."""
    turns = sample_turns(60)

    assert [decode_turn(encode_turn(turn)) for turn in turns] == turns
    assert sample_turns(60) == turns
    assert sample_turns(60, seed=1) != turns
    assert len({turn.id for turn in turns}) == 60


def test_samples_show_every_status_and_kind_of_step():
    """Whatever an exporter must cope with is among them."""
    turns = sample_turns(60)
    steps = [step for turn in turns for step in turn.steps]

    assert {turn.status for turn in turns} == {*Status.__args__} - {"open"}
    assert {step.kind for step in steps} == {"model", "tool", "retrieval", "agent", "step"}
    assert any(step.parent_id for step in steps)
    assert any(turn.messages for turn in turns)
    assert any(turn.session_id is None for turn in turns)
