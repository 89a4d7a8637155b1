"""Turns in Sonzai's words, and back."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from turnspan.dialects.sonzai import (
    EXTRACTION,
    LOST,
    LOST_WRITING,
    agent_of,
    derived_id,
    key_of,
    request_of,
    session_of,
    turn_of,
    user_of,
    version_of,
)
from turnspan.dialects.sonzai_recent import recent_of, turns_of
from turnspan.errors import WireError
from turnspan.schema import Agent, Content, Error, Model, Tool, Turn
from turnspan.testing.turns import START_NS, make_step, make_turn

TEXT = st.text(max_size=20)
MESSAGE = st.one_of(
    st.fixed_dictionaries({"role": st.sampled_from(["user", "assistant", "system"])}),
    st.fixed_dictionaries(
        {"role": st.sampled_from(["user", "assistant", "system"]), "content": TEXT}
    ),
    st.fixed_dictionaries({"role": st.just("tool"), "content": TEXT, "tool_call_id": TEXT}),
    st.fixed_dictionaries(
        {
            "role": st.just("assistant"),
            "tool_calls": st.lists(
                st.fixed_dictionaries(
                    {
                        "id": TEXT,
                        "type": st.just("function"),
                        "function": st.fixed_dictionaries(
                            {"name": TEXT, "arguments": st.sampled_from(["{}", '{"a":1}', "{", ""])}
                        ),
                    }
                ),
                min_size=1,
                max_size=2,
            ),
        }
    ),
)
WHO = {"session_id": "s", "agent": "luna", "user_id": "ada"}


@given(st.lists(MESSAGE, min_size=1, max_size=6))
def test_messages_come_back_as_they_came(messages):
    """An exchange that became a turn is submitted again with the same messages."""
    turn = turn_of(messages, id="turn_1", at=7, metadata={EXTRACTION: "e"}, **WHO)

    assert request_of(turn) == {"userId": "ada", "messages": messages}


def test_a_recorded_turn_is_its_input_its_tools_and_its_output():
    """What models were sent is left out: Sonzai takes the exchange, not the history before it."""
    failed = make_step(
        1,
        id="00000000000000aa",
        name="fail",
        started_at=START_NS,
        input=Content(content="a text"),
        output=None,
        status="error",
        error=Error(type="ValueError", message="no such city"),
        tool=Tool(call_id="call_9"),
    )
    model = make_step(
        1, kind="model", name="chat", model=Model(provider="openai", request_model="gpt-test")
    )
    turn = make_turn(1, user_id="ada", steps=(make_step(1), failed, model))

    assert request_of(turn) == {
        "userId": "ada",
        "messages": [
            {"role": "user", "content": "question 1"},
            called("call_9", "fail", '"a text"'),
            {"role": "tool", "content": "no such city", "tool_call_id": "call_9"},
            called("0000000100000001", "look_up", '{"key":"value"}'),
            {"role": "tool", "content": '{"found":true}', "tool_call_id": "0000000100000001"},
            {"role": "assistant", "content": "answer 1"},
        ],
        "provider": "openai",
        "model": "gpt-test",
    }


def called(call_id, name, arguments):
    function = {"name": name, "arguments": arguments}
    return {
        "role": "assistant",
        "tool_calls": [{"id": call_id, "type": "function", "function": function}],
    }


@pytest.mark.parametrize("kind", ["audio", "image"])
def test_what_is_no_text_is_not_sent(kind):
    """Sounds and pictures have no place in a message."""
    turn = make_turn(1, input=Content(type=kind, content="data:"), steps=())

    assert request_of(turn)["messages"] == [{"role": "assistant", "content": "answer 1"}]


def test_who_is_not_named_is_nobody_else():
    """A turn without a user or a session has one of its own; an agent goes by its id."""
    turn = make_turn(1, session_id=None, user_id=None, agent=Agent(name="luna", id="a-1"))

    assert (agent_of(turn), session_of(turn), user_of(turn)) == ("a-1", turn.id, turn.id)
    assert user_of(make_turn(1)) == "session-1"
    assert agent_of(make_turn(1)) == "assistant"


def test_a_key_names_the_version_of_a_turn():
    """An interrupted turn and what it became have keys of their own, both known as this turn."""
    id = "turn_0123456789aB"

    assert key_of(make_turn(1, id=id)) == id
    assert version_of(id) == (id, "ok")
    assert version_of(key_of(make_turn(1, id=id, status="interrupted"))) == (id, "interrupted")
    assert version_of("9d6154d707e5f24fa4b7fb7d25f01f53") == (None, "ok")
    assert key_of(make_turn(1, id="ü\n")) == "%C3%BC%0A"
    assert len(key_of(make_turn(1, id="x" * 500))) == 32


def test_what_is_lost_is_named():
    """Each field of a turn is sent or lost, read or lost; together they are all there are."""
    sent = {"id", "session_id", "user_id", "agent", "input", "output", "steps", "schema_version"}
    read = (sent - {"id", "steps"}) | {"messages"}

    assert {name for name in LOST_WRITING if "/" not in name} == set(Turn.model_fields) - sent
    assert {name for name in LOST if "/" not in name} == set(Turn.model_fields) - read


def spoken(*said):
    return [
        {"role": role, "content": content, "timestamp": f"2026-01-31T04:15:{second:02d}Z"}
        for role, content, second in said
    ]


@pytest.mark.parametrize(
    "said, turns",
    [
        ([], []),
        ([("user", "a", 1), ("assistant", "b", 2), ("user", "c", 2)], [("a", "b"), ("c", None)]),
        ([("user", "a", 1), ("user", "b", 1), ("assistant", "c", 5)], [("a\nb", "c")]),
        ([("user", "a", 1), ("user", "b", 2)], [("a", None), ("b", None)]),
        ([("assistant", "a", 1), ("assistant", "b", 2)], [(None, "a"), (None, "b")]),
        ([("user", "a", 1), ("assistant", "b", 1), ("user", "c", 1)], [("a", "b"), ("c", None)]),
        ([("system", "x", 1), ("user", "", 1), ("assistant", "", 1)], [("", "")]),
    ],
)
def test_turns_are_told_apart_in_recent_messages(said, turns):
    """One begins where somebody speaks after the agent did, or where the time is another."""
    read = list(turns_of(spoken(*said), **WHO))

    assert [(content(turn.input), content(turn.output)) for turn in read] == turns
    assert len({turn.id for turn in read}) == len(read)
    assert [turn.number for turn in read] == [None] * len(read)


def content(value):
    return None if value is None else value.content


@given(st.lists(st.tuples(TEXT, TEXT), max_size=5))
def test_recent_messages_are_read_as_the_turns_they_were(said):
    """What a context tells of some turns is read as these turns, with the same ids every time."""
    turns = [
        make_turn(index, input=Content(content=asked), output=Content(content=answered))
        for index, (asked, answered) in enumerate(said)
    ]
    recent = [each for turn in turns for each in recent_of(turn)]

    first, second = (list(turns_of(recent, **WHO)) for _ in range(2))

    assert [(turn.input, turn.output) for turn in first] == [(t.input, t.output) for t in turns]
    assert [(turn.started_at, turn.ended_at) for turn in first] == [
        (turn.started_at, turn.ended_at) for turn in turns
    ]
    assert first == second


@pytest.mark.parametrize(
    "message",
    [
        {},
        {"role": "user", "content": "a"},
        {"role": "user", "content": "a", "timestamp": "yesterday"},
        {"role": 7, "content": "a", "timestamp": "2026-01-31T04:15:00Z"},
        {"role": "user", "content": {}, "timestamp": "2026-01-31T04:15:00Z"},
    ],
)
def test_messages_of_another_shape_are_told_apart(message):
    """What is no recent message is an error, not a turn."""
    with pytest.raises(WireError, match="a recent message is unreadable"):
        list(turns_of([message], **WHO))


def test_a_derived_id_is_that_of_a_turn():
    """It is as long as any, differs with its parts, and is always the same."""
    assert derived_id("a", 1) == derived_id("a", 1)
    assert derived_id("a", 1) != derived_id("a", 2)
    assert version_of(derived_id("a", 1)) == (derived_id("a", 1), "ok")
