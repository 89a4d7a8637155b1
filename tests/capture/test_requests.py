"""What a model call asks for beside its messages."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

import turnspan
from turnspan.schema import Message, MessagePart

SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}}
WEATHER = {"type": "function", "name": "weather", "description": "Now.", "parameters": SCHEMA}
ASKED = [{"role": "user", "content": "Weather in Oslo?"}]


@pytest.fixture
def tape(record):
    """A recorder with the usual options."""
    return record()


@turnspan.model
def ask(messages=None, **more):
    return "Rain."


@pytest.mark.parametrize(
    "given, parameters",
    [
        ({"temperature": 0.5, "n": 2, "stream": True},
         {"temperature": 0.5, "n": 2, "stream": True}),
        ({"reasoning_effort": "low"}, {"reasoning_effort": "low"}),
        ({"stop": "END"}, {"stop": "END"}),
        ({"stop_sequences": ("a", "b", 1)}, {"stop_sequences": ["a", "b"]}),
        ({"stop": ["half \ud800"]}, {"stop": ["half ?"]}),
        ({"previous_response_id": "r1"}, {"previous_response_id": "r1"}),
        ({"response_format": {"type": "json_schema", "json_schema": SCHEMA}},
         {"response_format": {"type": "json_schema"}}),
        ({"response_format": dict}, {"response_format": {"type": "json_schema"}}),
        ({"n": 2, "response_format": "auto", "stop": None, "flavour": "sweet"}, {"n": 2}),
    ],
)  # fmt: skip
def test_parameters_are_those_a_convention_has_a_name_for(tape, given, parameters):
    """Numbers and switches, and the few texts that say how, not what."""
    with turnspan.turn():
        ask(ASKED, **given)

    assert tape.step.model.parameters == parameters


@pytest.mark.parametrize(
    "options, kept",
    [({"content": "none"}, {"n": 2, "reasoning_effort": "low"}),
     ({"content": False}, {"n": 2, "reasoning_effort": "low"})],
)  # fmt: skip
def test_texts_of_the_callers_own_stay_out_without_content(record, options, kept):
    """Stop sequences are said by somebody; so are tools and instructions."""
    tape = record(policy=turnspan.Policy(**options))
    with turnspan.turn():
        ask(ASKED, n=2, reasoning_effort="low", stop="SECRET", tools=[WEATHER], system="SECRET")

    assert tape.step.model.parameters == kept
    assert "SECRET" not in str(tape.turn)
    assert "Now." not in str(tape.turn)


@pytest.mark.parametrize(
    "tool",
    [
        WEATHER,
        {"type": "function", "function": {k: v for k, v in WEATHER.items() if k != "type"}},
        {"name": "weather", "description": "Now.", "input_schema": SCHEMA},
    ],
)
def test_a_tool_definition_is_read_from_each_clients_shape(tape, tool):
    """OpenAI's two and Anthropic's are one tool."""
    with turnspan.turn():
        ask(ASKED, tools=[tool])

    assert tape.turn.tool_definitions == (WEATHER,)
    assert tape.step.input_tools == ((0, 1),)


def test_a_tool_is_kept_once_a_turn_however_often_it_is_offered(tape):
    """By object, and by what it says; each call names those it was offered."""
    search = {"type": "web_search"}
    with turnspan.turn():
        ask(ASKED, tools=[WEATHER, search])
        ask(ASKED, tools=[dict(WEATHER), {"type": "custom", "name": "shell"}])
        ask(ASKED)

    assert [each["name"] for each in tape.turn.tool_definitions] == [
        "weather",
        "web_search",
        "shell",
    ]
    assert [step.input_tools for step in tape.turn.steps] == [((0, 2),), ((0, 1), (2, 3)), ()]


def test_what_is_no_tool_definition_stays_an_argument(tape):
    """A list of functions, or of names, is input like any other."""
    with turnspan.turn():
        ask(tools=["weather"], subject="x")

    assert tape.turn.tool_definitions == ()
    assert tape.step.input.content == '{"tools":["weather"],"subject":"x"}'


def test_tools_over_the_turns_budget_are_cut_and_named(record):
    """A turn is no larger for what it was offered."""
    tape = record(max_turn_bytes=100)
    with turnspan.turn():
        ask(ASKED, tools=[{**WEATHER, "description": "x" * 200}])

    assert (tape.turn.tool_definitions, tape.step.input_tools) == ((), ())
    assert [cut.where for cut in tape.turn.truncated] == ["tool_definitions/0"]


@pytest.mark.parametrize("name", ["system", "instructions", "system_instruction"])
@pytest.mark.parametrize("said", ["Be brief.", [{"type": "text", "text": "Be brief."}]])
def test_instructions_apart_from_the_messages_are_kept_once(tape, name, said):
    """They are a message of the turn that each step names as its instructions."""
    with turnspan.turn():
        ask(ASKED, **{name: said})
        ask(ASKED, **{name: said})

    part = MessagePart(type="text", content="Be brief.")
    assert tape.turn.messages[0] == Message(role="system", parts=(part,))
    assert [step.system_instructions for step in tape.turn.steps] == [((0, 1),), ((0, 1),)]
    assert [step.input_messages for step in tape.turn.steps] == [((1, 2),), ((1, 2),)]


def test_without_messages_they_are_an_argument_like_any_other(tape):
    """Several arguments are a JSON object by their names."""
    with turnspan.turn():
        ask(system="Be brief.", question="Weather?")

    assert tape.step.input.content == '{"system":"Be brief.","question":"Weather?"}'
    assert tape.step.system_instructions == ()


def test_the_shape_of_a_tool_is_what_it_is_called(record):
    """Where the policy keeps shapes, what a tool says of itself is its size and keys."""
    tape = record(policy=turnspan.Policy(content=False))
    with turnspan.turn():
        ask(ASKED, tools=[WEATHER])

    [tool] = tape.turn.tool_definitions
    assert (tool["type"], tool["name"], tool["description"]) == (
        "function",
        "weather",
        "<4 characters>",
    )
    assert tool["parameters"]["type"] == "object"
    assert tape.step.input_tools == ((0, 1),)


def test_a_policy_searches_tools_and_instructions_too(record):
    """What is hidden is hidden wherever it was said."""
    tape = record(policy=turnspan.Policy(patterns=["email"]))
    with turnspan.turn():
        ask(
            ASKED,
            system="Write to ada@example.com.",
            stop="ada@example.com",
            tools=[{**WEATHER, "description": "Asks ada@example.com."}],
        )

    assert "ada@example.com" not in str(tape.turn)
    assert tape.turn.tool_definitions[0]["description"] == "Asks <hidden:email>."


def test_tools_offered_from_many_threads_keep_their_places(tape):
    """Steps of one turn may run at once: each names the tools it was offered."""
    offered = [[{"type": "function", "name": f"{row}-{n}"} for n in range(20)] for row in range(8)]
    with turnspan.turn(), ThreadPoolExecutor(8) as pool:
        list(pool.map(turnspan.carry(lambda tools: ask(ASKED, tools=tools)), offered))

    known = [tool["name"] for tool in tape.turn.tool_definitions]
    found = [
        [name for start, end in step.input_tools for name in known[start:end]]
        for step in tape.turn.steps
    ]
    assert sorted(found) == [[tool["name"] for tool in row] for row in offered]


def test_of_very_many_tools_the_first_are_kept(tape):
    """Reading them is the caller's time; that there were more is said."""
    with turnspan.turn():
        ask(ASKED, tools=[{**WEATHER, "name": f"n{n}"} for n in range(1500)])

    assert len(tape.turn.tool_definitions) == 1000
    assert tape.step.input_tools == ((0, 1000),)
    assert [(cut.where, cut.why) for cut in tape.turn.truncated] == [
        ("tool_definitions", "more than 1000 tools at once")
    ]
