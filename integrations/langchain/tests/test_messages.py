"""Inputs and outputs in every form LangChain accepts."""

from __future__ import annotations

import pytest
from langchain_core.messages import (
    AIMessage,
    ChatMessage,
    HumanMessage,
    SystemMessage,
    ToolMessage,
)
from langchain_core.prompt_values import ChatPromptValue

from turnspan_langchain.messages import answer_of, question_of, read_message

IMAGE = {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}


class Command:
    """What resumes a graph has a value; only its name and that are looked at."""

    resume = "yes"


@pytest.mark.parametrize(
    "given,question",
    [
        ("hi", "hi"),
        (None, None),
        (HumanMessage("hi"), "hi"),
        ([SystemMessage("s"), HumanMessage("a"), AIMessage("b"), HumanMessage("c")], "c"),
        ([("system", "s"), ("user", "hi")], "hi"),
        ([{"role": "user", "content": "hi"}], "hi"),
        ({"messages": [("human", "hi")]}, "hi"),
        ({"messages": ("user", "hi")}, "hi"),
        ({"messages": "hi"}, "hi"),
        ({"messages": HumanMessage("hi")}, "hi"),
        ({"messages": []}, None),
        ({"messages": None}, None),
        ({"messages": [HumanMessage([{"type": "text", "text": "see"}, IMAGE])]}, "see"),
        ({"messages": [HumanMessage([IMAGE])]}, None),
        ({"input": "hi"}, "hi"),
        ({"a": "x", "b": "y"}, {"a": "x", "b": "y"}),
        (ChatPromptValue(messages=[HumanMessage("hi")]), "hi"),
        (Command(), "yes"),
        ([1, 2], [1, 2]),
        ([], []),
        (7, 7),
    ],
)
def test_the_question_is_what_the_user_said_last(given, question):
    """Whatever the input's form is."""
    assert question_of(given) == question


@pytest.mark.parametrize(
    "given,answer",
    [
        ("yes", "yes"),
        (None, None),
        (AIMessage("yes"), "yes"),
        ({"messages": [HumanMessage("q"), AIMessage("yes")]}, "yes"),
        ({"messages": [AIMessage("old"), HumanMessage("q"), AIMessage("")]}, None),
        ([HumanMessage("q"), AIMessage("yes")], "yes"),
        ({"messages": [HumanMessage("q"), ToolMessage("t", tool_call_id="1")]}, "t"),
        (
            {"messages": [HumanMessage("q"), ToolMessage("t", tool_call_id="1"), AIMessage("a")]},
            "a",
        ),
        ({"answer": 1}, {"answer": 1}),
        (AIMessage([{"type": "text", "text": "a"}, "b"]), "ab"),
    ],
)
def test_the_answer_is_what_the_model_said_last(given, answer):
    """Unless the user spoke after it."""
    assert answer_of(given) == answer


@pytest.mark.parametrize(
    "message,read",
    [
        (HumanMessage("hi", name="ada"), {"role": "user", "content": "hi", "name": "ada"}),
        (ChatMessage("hi", role="critic"), {"role": "critic", "content": "hi"}),
        (
            ToolMessage("3", tool_call_id="c1"),
            {"role": "tool", "content": "3", "tool_call_id": "c1"},
        ),
        (
            AIMessage(
                "",
                tool_calls=[{"name": "f", "args": {"x": 1}, "id": "c1"}],
                invalid_tool_calls=[{"name": "g", "args": "{", "id": "c2", "error": "bad"}],
                additional_kwargs={"reasoning_content": "hm"},
            ),
            {
                "role": "assistant",
                "content": "",
                "tool_calls": [
                    {"id": "c1", "name": "f", "args": {"x": 1}},
                    {"id": "c2", "name": "g", "args": "{"},
                ],
                "reasoning_content": "hm",
            },
        ),
    ],
)
def test_a_message_is_read_as_plain_data(message, read):
    """Calls that a model made badly are calls too."""
    assert read_message(message) == read
