"""What the code inside a turn says of it stands in the turn."""

from __future__ import annotations

import pytest

import turnspan
from turnspan.schema import Content, Model, Usage

NOTHING = object()


def use_all(handle) -> None:
    handle.set_input("in")
    handle.set_output({"out": 1})
    handle.add_reasoning("first")
    handle.add_reasoning("second")
    handle.set_metadata(a=1, b=[2])
    handle.set_metadata(b=3)
    handle.add_tags("x", "y", "x")
    handle.set_usage(
        input_tokens=1,
        output_tokens=2,
        cache_read_tokens=3,
        cache_write_tokens=4,
        reasoning_tokens=5,
        cost_usd=0.5,
    )
    handle.set_model(provider="openai", name="gpt-test")


USAGE = Usage(
    input_tokens=1,
    output_tokens=2,
    cache_read_tokens=3,
    cache_write_tokens=4,
    reasoning_tokens=5,
    cost_usd=0.5,
)


def test_outside_a_turn_a_handle_is_false_and_does_nothing(tape):
    """Nobody has to ask first."""
    for handle in (turnspan.current_turn(), turnspan.current_step()):
        use_all(handle)

        assert not handle
        assert (handle.id, handle.trace_id) == ("", "")
        assert "of nothing" in repr(handle)
    assert tape.log.lines == []


def test_everything_can_be_said_of_a_turn(tape):
    """And what is said wins over what the function was given and returned."""
    ids = []

    @turnspan.agent
    def work(question):
        turn = turnspan.current_turn()
        assert turn
        assert not turnspan.current_step()
        ids.append((turn.id, turn.trace_id))
        use_all(turn)
        return "ignored"

    assert work("question") == "ignored"
    turn = tape.turn

    assert ids == [(turn.id, turn.trace.trace_id)]
    assert turn.input == Content(content="in")
    assert turn.output == Content(content='{"out":1}', mime_type="application/json")
    assert turn.reasoning == "first\nsecond"
    assert turn.metadata == {"a": 1, "b": 3}
    assert turn.tags == ("x", "y")
    assert turn.usage == USAGE


def test_everything_can_be_said_of_a_step(tape):
    """Tags are the turn's; the rest is the step's."""
    ids = []

    @turnspan.model
    def call():
        step = turnspan.current_step()
        assert step
        ids.append((step.id, step.trace_id))
        use_all(step)

    with turnspan.turn():
        call()
    turn, step = tape.turn, tape.step

    assert ids == [(step.id, turn.trace.trace_id)]
    assert step.input == Content(content="in")
    assert step.output == Content(content='{"out":1}', mime_type="application/json")
    assert step.reasoning == "first\nsecond"
    assert step.metadata == {"a": 1, "b": 3}
    assert step.model == Model(provider="openai", request_model="gpt-test")
    assert step.usage == turn.usage == USAGE
    assert turn.tags == ("x", "y")
    assert turn.metadata == {}


def test_the_innermost_step_is_current(tape):
    """And the turn is current at any depth."""
    seen = []

    @turnspan.tool
    def inner():
        seen.append((turnspan.current_turn().id, turnspan.current_step().id))

    @turnspan.step
    def middle():
        inner()
        seen.append((turnspan.current_turn().id, turnspan.current_step().id))

    @turnspan.agent
    def outer():
        middle()

    outer()
    first, second = tape.turn.steps

    assert seen == [(tape.turn.id, first.id), (tape.turn.id, second.id)]


def test_a_handle_used_after_the_end_does_nothing(tape):
    """Neither raise nor write."""
    kept = []

    @turnspan.tool
    def inner():
        kept.append(turnspan.current_step())

    @turnspan.agent
    def outer():
        kept.append(turnspan.current_turn())
        inner()
        use_all(kept[1])

    outer()
    before = list(tape.log.lines)
    for handle in kept:
        use_all(handle)

        assert not handle
    assert tape.log.lines == before
    assert tape.turn.tags == ()


def test_messages_can_be_set_as_input(tape):
    """They become messages of the turn, and its input what the user said last."""
    with turnspan.turn() as turn:
        turn.set_input(
            [
                {"role": "system", "content": "Be brief."},
                {"role": "user", "content": "Why?"},
                {"role": "assistant", "content": "Because."},
            ]
        )

    assert tape.turn.input == Content(content="Why?")
    assert tape.turn.input_messages == ((0, 3),)
    assert [m.text for m in tape.turn.messages] == ["Be brief.", "Why?", "Because."]


@pytest.mark.parametrize(
    "value, content",
    [
        (None, None),
        ("", Content(content="")),
        (0, Content(content="0", mime_type="application/json")),
        ([], Content(content="[]", mime_type="application/json")),
        ({"a": object()}, Content(content='{"a":"<object>"}', mime_type="application/json")),
    ],
)
def test_any_value_can_be_set(tape, value, content):
    """None is nothing; everything else is kept as text or JSON."""
    with turnspan.turn() as turn:
        turn.set_output(value)

    assert tape.turn.output == content


def test_what_is_set_is_kept_as_it_was_then(tape):
    """A later change in the caller's object changes nothing."""
    value = {"a": [1]}
    with turnspan.turn(input=value) as turn:
        turn.set_output(value)
        turn.set_metadata(value=value)
        value["a"].append(2)

    assert tape.turn.input.content == '{"a":[1]}'
    assert tape.turn.output.content == '{"a":[1]}'
    assert tape.turn.metadata == {"value": {"a": [1]}}


def test_values_of_the_wrong_type_are_left_out_and_the_turn_stays_readable(tape, caplog):
    """What a schema would refuse never gets as far as the journal."""

    @turnspan.model
    def call():
        step = turnspan.current_step()
        step.set_usage(input_tokens=1.5, output_tokens="2", cost_usd=1, reasoning_tokens=True)
        step.set_model(provider=1, name=None)
        step.add_tags(1, None, "ok")
        step.add_reasoning(42)

    with turnspan.turn() as turn:
        turn.set_metadata(odd={1: {2, 3}, None: b"x"})
        call()

    assert tape.turn.tags == ("ok",)
    assert tape.step.usage == Usage(cost_usd=1)
    assert tape.step.model is None or tape.step.model == Model()
    assert tape.step.reasoning is None
    assert tape.turn.metadata == {"odd": {"1": [2, 3], "null": "eA=="}}
    assert "a tag is a string" in caplog.text
    assert "reasoning is a string, not int: left out" in caplog.text
    assert "Traceback" not in caplog.text


def test_usage_of_model_steps_is_summed_unless_the_turn_says_otherwise(tape):
    """What is set on the turn wins."""

    @turnspan.model
    def call(n):
        turnspan.current_step().set_usage(input_tokens=n, cost_usd=0.25)

    for said in (None, 7):
        with turnspan.turn() as turn:
            call(1)
            call(2)
            turn.set_usage(input_tokens=said)

    assert [turn.usage for turn in tape.turns] == [
        Usage(input_tokens=3, cost_usd=0.5),
        Usage(input_tokens=7),
    ]


def test_usage_is_read_from_a_reply_though_the_output_was_set(tape):
    """The one says what came out, the other what it took."""

    @turnspan.model
    def call(prompt):
        turnspan.current_step().set_output("short")
        return {
            "choices": [{"message": {"role": "assistant", "content": "long"}}],
            "usage": {"prompt_tokens": 3, "completion_tokens": 4},
        }

    with turnspan.turn():
        call("x")

    assert tape.step.output == Content(content="short")
    assert tape.step.usage == Usage(input_tokens=3, output_tokens=4)


def test_a_lone_surrogate_is_replaced(tape):
    """In every text that can be set."""
    with turnspan.turn() as turn:
        turn.set_input("in\ud800")
        turn.set_output("out\ud800")
        turn.add_reasoning("why\ud800")
        turn.add_tags("tag\ud800")
        turn.set_metadata(key="value\ud800")
    turn = tape.turn

    assert (turn.input.content, turn.output.content) == ("in?", "out?")
    assert (turn.reasoning, turn.tags, turn.metadata) == ("why?", ("tag?",), {"key": "value?"})


def test_a_model_of_a_turn_is_left_out_and_said(tape, caplog):
    """It belongs to the step that asked it; what never had a handle stays silent."""
    turnspan.current_turn().set_model(name="gpt-test")
    with turnspan.turn() as turn:
        turn.set_model(provider="openai", name="gpt-test")

    assert "model" not in tape.records[-1]
    assert caplog.messages == [
        "a turn has no model of its own: use current_step() under turnspan.model"
    ]
