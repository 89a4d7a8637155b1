"""`with turnspan.turn():` is a turn around code that has no function."""

from __future__ import annotations

import asyncio

import pytest
from capture_tape import START_NS, TICK_NS

import turnspan
from turnspan.capture.active import active
from turnspan.schema import Agent, Content, Trace, Turn


def test_a_block_is_a_turn(tape):
    """With what was given and what was set in it."""
    with turnspan.turn(agent="desk", input="why") as turn:
        assert turn
        turn.set_output("because")

    assert tape.turn == Turn(
        id="turn_000000000001",
        agent=Agent(name="desk"),
        started_at=START_NS,
        ended_at=START_NS + TICK_NS,
        input=Content(content="why"),
        output=Content(content="because"),
        trace=Trace(trace_id=f"{1:032x}", span_id=f"{1:016x}"),
        resource={"service.name": "tests"},
    )
    assert not turn


def test_an_asynchronous_block_is_a_turn(tape):
    """`async with` does the same."""

    async def main():
        async with turnspan.turn(agent="desk") as turn:
            await asyncio.sleep(0)
            turn.set_output("because")

    asyncio.run(main())

    assert (tape.turn.agent.name, tape.turn.output.content) == ("desk", "because")


def test_a_block_passes_its_exception_on(tape):
    """And records it."""
    error = ValueError("mine")
    with pytest.raises(ValueError) as caught, turnspan.turn():
        raise error

    assert caught.value is error
    assert (tape.turn.status, tape.turn.error.message) == ("error", "mine")
    assert tape.turn.agent.name == "agent"


def test_a_block_inside_a_turn_is_a_step_of_it(tape):
    """What is set on its handle is set on the step."""
    with turnspan.turn(agent="outer") as outer:
        with turnspan.turn(agent="inner", input="a") as inner:
            inner.set_output("b")
            assert inner
            assert inner.trace_id == outer.trace_id
        outer.set_output("c")

    assert tape.step.kind == "agent"
    assert tape.step.agent == Agent(name="inner")
    assert (tape.step.input.content, tape.step.output.content) == ("a", "b")
    assert tape.turn.output.content == "c"


@pytest.mark.parametrize("odd", [3, "", b"x", object()])
def test_an_agent_without_a_name_has_a_plain_one(tape, odd):
    """The turn stays readable."""
    with turnspan.turn(agent=odd):
        pass

    assert tape.turn.agent == Agent(name="agent")


def test_one_block_can_be_used_again(tape):
    """Each time is a turn."""
    block = turnspan.turn(agent="desk")
    for _ in range(2):
        with block:
            pass

    assert [turn.id for turn in tape.turns] == ["turn_000000000001", "turn_000000000002"]


def test_with_recording_off_a_block_is_only_a_block(record):
    """Its handle is false and takes everything."""
    record()
    active.use(None)
    with turnspan.turn(input="x") as turn:
        turn.set_output("y")

        assert not turn
