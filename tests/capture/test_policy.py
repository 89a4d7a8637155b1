"""What the policy hides is never written anywhere."""

from __future__ import annotations

import json
import re

import pytest

import turnspan
from turnspan.capture.policy import FIELDS, TOPS
from turnspan.errors import SettingsError
from turnspan.schema import Content, Cut, Error
from turnspan.settings import Settings

SECRET = "hunter2"
SHAPE = "application/vnd.turnspan.shape+json"


class Vault(Exception):
    pass


@turnspan.tool
def whisper(password):
    raise Vault(SECRET)


@turnspan.tool
def look_up(query):
    return {"query": query, "found": [SECRET]}


@turnspan.model
def ask(messages, model, temperature):
    message = {"role": "assistant", "content": SECRET, "reasoning_content": SECRET}
    call = {"id": "call-1", "function": {"name": "look_up", "arguments": {"query": SECRET}}}
    return {
        "choices": [{"message": {**message, "tool_calls": [call]}}],
        "usage": {"prompt_tokens": 3, "completion_tokens": 4},
    }


@turnspan.agent(state=lambda: {"password": SECRET}, reasoning=lambda _: SECRET)
def confess(question, history):
    turnspan.current_turn().set_input(SECRET)
    turnspan.current_turn().set_input([{"role": "user", "content": SECRET}])
    turnspan.current_turn().add_reasoning(SECRET)
    turnspan.current_turn().set_output({"password": SECRET})
    ask([{"role": "user", "content": SECRET}], model="gpt-test", temperature=0.5)
    look_up(SECRET)
    try:
        whisper(SECRET)
    except Vault:
        pass
    with turnspan.turn(input=SECRET) as inner:
        inner.set_output(SECRET)
    raise Vault(SECRET)


def confessed(tape):
    """The turn of an agent that says a secret in every place there is for it."""
    with pytest.raises(Vault, match=SECRET):
        confess(SECRET, history=[SECRET])
    return tape.turn


def written(tape):
    return b"".join(tape.log.lines)


@pytest.mark.parametrize("content", [False, "shape", "none"])
def test_with_content_off_no_byte_of_it_is_written(record, content):
    """Names, times, tokens and structure stay; what was said is nowhere in the journal."""
    tape = record(policy=turnspan.Policy(content=content))
    turn = confessed(tape)
    model, tool, failed, block = turn.steps

    assert SECRET.encode() not in written(tape)
    assert turn.error.type == f"{__name__}.Vault"
    assert (model.model.request_model, model.usage.input_tokens) == ("gpt-test", 3)
    assert (tool.name, tool.status) == ("look_up", "ok")
    assert (failed.status, failed.error.type) == ("error", f"{__name__}.Vault")
    assert (block.kind, block.status) == ("agent", "ok")
    assert tape.recorder.failures == 0


def test_off_is_the_shape_alone(record):
    """Type, size and keys of what was there, and the schema reads it."""
    tape = record(policy=turnspan.Policy(content=False))
    turn = confessed(tape)
    _, tool, _, block = turn.steps
    found = {"type": "object", "size": 2, "keys": {"query": {"type": "string", "size": 7}}}
    found["keys"]["found"] = {"type": "array", "size": 1}

    assert json.loads(tool.output.content) == found
    assert (tool.output.type, tool.output.mime_type) == ("tool_result", SHAPE)
    assert block.output == Content(content='{"type":"string","size":7}', mime_type=SHAPE)
    assert turn.state_before == {
        "type": "object",
        "size": 1,
        "keys": {"password": {"type": "string", "size": 7}},
    }
    assert turn.error.message == "<7 characters>"
    assert turn.reasoning == "<7 characters>"
    assert turn.messages[0].text == "<7 characters>"


def test_none_leaves_out_even_the_shape(record):
    """What stays is what happened, and when."""
    tape = record(policy=turnspan.Policy(content="none"))
    turn = confessed(tape)

    assert (turn.input, turn.output, turn.reasoning, turn.state_before) == (None,) * 4
    assert turn.error == Error(type=f"{__name__}.Vault")
    assert turn.messages == ()


@pytest.mark.parametrize(
    "field, gone",
    [
        ("input", lambda turn: turn.input),
        ("output", lambda turn: turn.output),
        ("tool_input", lambda turn: turn.steps[1].input),
        ("tool_output", lambda turn: turn.steps[1].output),
        ("step_output", lambda turn: turn.steps[0].output),
        ("step_input", lambda turn: turn.steps[3].input),
        ("reasoning", lambda turn: turn.reasoning),
        ("state", lambda turn: turn.state_before or turn.state_after),
        ("error_message", lambda turn: turn.error.message),
        ("stacktrace", lambda turn: turn.error.stacktrace),
        ("messages", lambda turn: [part for m in turn.messages for part in m.parts]),
        ("parameters", lambda turn: turn.steps[0].model.parameters),
    ],
)
def test_one_field_alone_is_left_out(record, field, gone):
    """The others are whole."""
    whole = confessed(record())
    turn = confessed(record(policy=turnspan.Policy(content={field: "none"})))

    assert gone(whole)
    assert not gone(turn)


def test_a_message_shows_no_more_than_what_it_is_made_of(record):
    """Input that is hidden is not in the messages either, nor are a tool's arguments."""
    hidden = {"input": "none", "tool_input": "none", "reasoning": "none"}
    turn = confessed(record(policy=turnspan.Policy(content=hidden)))
    user, _, answer = turn.messages

    assert user.parts == ()
    assert [part.type for part in answer.parts] == ["text"]


@pytest.mark.parametrize(
    "hide, kept",
    [
        (["pin"], {"user": {"name": "ada", "card": {"no": 1}}, "pin": "<hidden>"}),
        (["P*N"], {"user": {"name": "ada", "card": {"no": 1}}, "pin": "<hidden>"}),
        (["input.user.card"], {"user": {"name": "ada", "card": "<hidden>"}, "pin": "x"}),
        (["input.*.no"], {"user": {"name": "ada", "card": {"no": "<hidden>"}}, "pin": "x"}),
        (["steps.*.input.user"], {"user": "<hidden>", "pin": "x"}),
        (["output.user"], {"user": {"name": "ada", "card": {"no": 1}}, "pin": "x"}),
    ],
)
def test_names_and_paths_are_hidden_where_they_stand(record, hide, kept):
    """A name anywhere, a path there alone; a turn and a step have paths of their own."""
    given = {"user": {"name": "ada", "card": {"no": 1}}, "pin": "x"}
    tape = record(policy=turnspan.Policy(hide=hide))

    @turnspan.tool
    def pay(user, pin):
        return None

    with turnspan.turn(input=given):
        pay(**given)
    turn = tape.turn
    shown = turn.steps[0].input if hide[0].startswith("steps") else turn.input

    assert json.loads(shown.content) == kept


@pytest.mark.parametrize("hide", ["question", "input.question", "input.*"])
def test_a_single_text_is_hidden_by_its_parameter(record, hide):
    """Though its name is not written."""
    tape = record(policy=turnspan.Policy(hide=[hide]))

    @turnspan.agent
    def work(question):
        return "done"

    work(SECRET)
    work(question=SECRET)

    assert [turn.input.content for turn in tape.turns] == ["<hidden>", "<hidden>"]
    assert SECRET.encode() not in written(tape)


@pytest.mark.parametrize(
    "said",
    [
        "connect(password='hunter2', host='x')",
        'the config is {"user": 1, "password": "hunter2"} as ever',
        "PASSWORD = hunter2",
        '{"deep": {"password": "hunter2"}}',
        '{"torn": {"password": "hunter2"',
        '[{"text": "{\\"password\\": \\"hunter2\\"}"}]',
    ],
)
def test_what_a_text_assigns_to_a_secret_name_is_hidden(record, said):
    """As code does, or JSON, whole or torn."""
    tape = record(policy=turnspan.Policy(hide=["password"]))
    with turnspan.turn(input=said):
        pass

    assert SECRET.encode() not in written(tape)
    assert "<hidden>" in tape.turn.input.content


def test_a_secret_of_a_tool_is_hidden_in_the_messages_as_well(record):
    """Where the model asked for the call, and where it was told the result."""
    tape = record(policy=turnspan.Policy(hide=["steps.look_up.input", "steps.look_up.output.key"]))
    call = {"id": "c", "function": {"name": "look_up", "arguments": {"query": SECRET}}}
    said = [
        {"role": "assistant", "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c", "content": '{"key": "hunter2", "n": 1}'},
    ]
    with turnspan.turn(input=said):
        pass
    (asked,), (told,) = (message.parts for message in tape.turn.messages)

    assert asked.fields["arguments"] == "<hidden>"
    assert told.fields["response"] == {"key": "<hidden>", "n": 1}


def test_a_result_whose_call_is_not_known_is_hidden_as_any_tools(record):
    """A history may have been cut before the call; other names of a tool hide nothing."""
    tape = record(policy=turnspan.Policy(hide=["steps.look_up.output.key", "pin"]))
    with turnspan.turn(
        input=[
            {"role": "tool", "tool_call_id": "c", "content": '{"key": "hunter2", "n": 1}'},
            {"role": "user", "content": "well?"},
        ]
    ):
        pass

    assert tape.turn.messages[0].parts[0].fields["response"] == {"key": "<hidden>", "n": 1}


def test_a_redactor_is_given_path_and_text_of_each_string(record):
    """Keys of mappings too; what it answers is kept."""
    asked = []

    def redact(path, text):
        asked.append((path, text))
        return text.replace(SECRET, "***")

    tape = record(policy=turnspan.Policy(redact=redact))

    @turnspan.tool
    def keep(thing):
        return [SECRET]

    with turnspan.turn(input="hello"):
        keep({SECRET: 1, "name": SECRET})
    step = tape.step

    assert json.loads(step.input.content) == {"thing": {"***": 1, "name": "***"}}
    assert json.loads(step.output.content) == ["***"]
    assert {("input", "hello"), ("steps.keep.input.thing.name", SECRET)} <= set(asked)


def failing(_path, text):
    if SECRET in text:
        raise ValueError(text)
    return text


def exiting(_path, text):
    if SECRET in text:
        raise SystemExit(text)
    return text


@pytest.mark.parametrize("redact", [failing, lambda path, text: None, lambda path: path])
def test_what_a_redactor_fails_on_is_withheld(record, caplog, redact):
    """And noted, counted, and said without the text that it failed on."""
    tape = record(policy=turnspan.Policy(redact=redact))
    with turnspan.turn(input=SECRET):
        pass
    turn = tape.turn

    assert turn.input == Content(content="<withheld>")
    assert turn.truncated[0].where == "input"
    assert turn.truncated[0].why.startswith("withheld: the redactor ")
    assert tape.recorder.redaction.withheld > 0
    assert len([r for r in caplog.records if "a redactor" in r.message]) == 1
    assert SECRET not in caplog.text
    assert SECRET.encode() not in written(tape)


def test_half_a_character_from_a_redactor_costs_no_more_than_itself(record):
    """The rest of the record is kept."""
    tape = record(policy=turnspan.Policy(redact=lambda path, text: f"{text}\ud83d"))
    with turnspan.turn(input="hello"):
        pass

    assert tape.turn.input == Content(content="hello?")


def test_patterns_are_looked_for_in_the_names_of_errors_too(record):
    """A class that is made from data is named by it."""
    tape = record(policy=turnspan.Policy(patterns=[re.compile(SECRET)]))
    with pytest.raises(Vault), turnspan.turn():
        raise type(f"No_{SECRET}", (Vault,), {})

    assert tape.turn.error.type == f"{__name__}.No_<hidden>"
    assert SECRET.encode() not in written(tape)


def test_an_exit_out_of_a_redactor_goes_on_once_the_record_is_written(record):
    """It is the program's, and the text is withheld all the same."""
    tape = record(policy=turnspan.Policy(redact=exiting))

    @turnspan.tool
    def keep(thing):
        return thing

    with pytest.raises(SystemExit), turnspan.turn():
        keep(SECRET)

    assert tape.turn.steps[0].input.content == '{"thing":"<withheld>"}'


def test_a_redactor_that_is_recorded_itself_does_not_go_round_in_circles(record):
    """What it says while it redacts is withheld."""

    @turnspan.agent
    def redact(path, text):
        return text.upper()

    tape = record(policy=turnspan.Policy(redact=redact))
    with turnspan.turn(input="hello"):
        pass

    assert tape.turns[-1].input.content == "HELLO"
    assert "<withheld>" in tape.turns[0].input.content


def test_where_the_policy_cannot_be_applied_only_the_structure_is_written(record, monkeypatch):
    """Rather nothing of a value than one that nobody looked at."""
    tape = record(policy=turnspan.Policy(hide=["password"]))
    monkeypatch.setattr(tape.recorder.redaction, "_searches", None)
    turn = confessed(tape)

    assert SECRET.encode() not in written(tape)
    assert [step.kind for step in turn.steps] == ["model", "tool", "tool", "agent"]
    assert turn.agent.name == "<withheld>"
    assert turn.truncated == (
        Cut(where="…", why="withheld: the policy could not be applied (TypeError)"),
    )


@pytest.mark.parametrize(
    "text, kept",
    [
        ("word " * 2000 + "sk-proj-0123456789abcdef" + "g" * 4000, "word " * 1999 + "word"),
        ("x" * 20_000, "x" * (10_000 - 4096)),
        ("pay " * 2497 + "4111 1111 1111 1111", "pay " * 2496 + "pay"),
        ("short and sweet", "short and sweet"),
    ],
    ids=["in a key", "no white space", "in a card", "whole"],
)
def test_a_cut_leaves_no_half_secret(record, text, kept):
    """What is kept ends at the last white space, or 4 KiB earlier."""
    from turnspan.capture.values import Limits

    policy = turnspan.Policy(patterns=["api_key", "card"])
    tape = record(policy=policy, limits=Limits(max_bytes=10_000))
    with turnspan.turn(input=text):
        pass
    with turnspan.turn(input={"text": text}):
        pass
    first, second = tape.turns

    assert first.input.content.rstrip() == kept
    assert kept.startswith(json.loads(second.input.content)["text"][:-5000])
    assert b"sk-proj" not in written(tape)
    assert b"4111" not in written(tape)


def test_an_input_too_long_for_an_open_record_is_searched_first(record):
    """It holds 64 KiB, and a secret may stand where they end."""
    tape = record(policy=turnspan.Policy(hide=["password"], patterns=["api_key"]))
    long = "x " * 32_760 + "sk-proj-0123456789abcdefghijklmnop"
    with turnspan.turn(input=long):
        pass
    with turnspan.turn(input={"password": SECRET, "text": "x " * 40_000}):
        pass
    opened = [record for record in tape.records if record["record"] == "open"]

    assert [len(record["input"]["content"]) <= 64 * 1024 for record in opened] == [True, True]
    assert b"sk-proj" not in written(tape)
    assert SECRET.encode() not in written(tape)


def test_bytes_are_not_shown_while_texts_are_searched(record):
    """Their base64 would hide what is in them."""
    tape = record(policy=turnspan.Policy(patterns=["email"]))
    with turnspan.turn(input={"raw": b"ada@example.com"}):
        pass

    assert tape.turn.input.content == '{"raw":"<bytes>"}'


@pytest.mark.parametrize("hide", [["user_id", "session_id"]])
def test_ids_can_be_hidden(record, hide):
    """Without a session there is no number in it."""
    tape = record(policy=turnspan.Policy(hide=hide))
    with turnspan.session("trip", user_id="ada"), turnspan.turn():
        pass
    turn = tape.turn

    assert (turn.session_id, turn.user_id, turn.number) == (None, None, None)


def test_ids_that_show_a_secret_stay_apart(record):
    """Each is known by a hash of it."""
    tape = record(policy=turnspan.Policy(patterns=["email"]))
    for name in ("ada@example.com", "bob@example.com", "ada@example.com"):
        with turnspan.session(name), turnspan.turn():
            pass
    first, second, third = (turn.session_id for turn in tape.turns)

    assert first.startswith("<hidden:email>-")
    assert (first == third, first == second) == (True, False)
    assert [turn.number for turn in tape.turns] == [1, 1, 2]


def test_secret_arguments_of_a_callable_without_a_signature_are_never_recorded(tape):
    """Those that are given by their names are known by them."""
    greet = turnspan.agent("{name}".format)
    greet(name="ada", password=SECRET)

    assert json.loads(tape.turn.input.content) == {"name": "ada", "password": "<hidden>"}


def test_arguments_of_an_obviously_secret_name_are_never_recorded(record):
    """Without any policy; what stands under a key of a mapping is data."""
    tape = record()

    @turnspan.tool
    def connect(host, api_key, **more):
        return None

    @turnspan.agent
    def log_in(password):
        connect("x", SECRET, db_password=SECRET, headers={"authorization": "kept"})

    log_in(SECRET)
    turn = tape.turn
    given = {"host": "x", "api_key": "<hidden>", "db_password": "<hidden>"}

    assert turn.input.content == "<hidden>"
    assert json.loads(turn.steps[0].input.content) == {
        **given,
        "headers": {"authorization": "kept"},
    }
    assert SECRET.encode() not in written(tape)


@pytest.mark.parametrize(
    "given, what",
    [
        ({"content": 1}, "content is 1, which is no level of content"),
        ({"content": {"inputs": True}}, "content names 'inputs', which is no field"),
        ({"content": {"input": "some"}}, "input is 'some', which is no level of content"),
        ({"hide": "password"}, "hide='password' is no list"),
        ({"hide": [""]}, "hide has '', which is neither a name nor a path"),
        ({"hide": ["a..b"]}, "hide has 'a..b', which is neither a name nor a path"),
        ({"hide": ["*"]}, "hide has '*', which is everything"),
        ({"patterns": ["phone"]}, "there is no pattern 'phone'"),
        ({"patterns": [re.compile("(a+)+b")]}, "the pattern '(a+)+b' has a repeat"),
        ({"patterns": [re.compile(b"a")]}, "re.compile(b'a') is no pattern of text"),
        ({"redact": "me"}, "redact='me' is not callable"),
    ],
)
def test_what_cannot_be_read_is_refused_at_the_door(given, what):
    """With what and fix, where the policy is made."""
    with pytest.raises(SettingsError) as raised:
        turnspan.Policy(**given)

    assert raised.value.what.startswith(what)
    assert raised.value.fix


@pytest.mark.parametrize(
    "environ, policy",
    [
        ({}, turnspan.Policy()),
        ({"TURNSPAN_CONTENT": "false"}, turnspan.Policy(content=False)),
        ({"TURNSPAN_CONTENT": "off"}, turnspan.Policy(content=False)),
        ({"TURNSPAN_CONTENT": "none"}, turnspan.Policy(content="none")),
        (
            {"TURNSPAN_CONTENT": "input=shape, reasoning=none"},
            turnspan.Policy(content={"input": "shape", "reasoning": "none"}),
        ),
        (
            {"TURNSPAN_HIDE": "password input.user.card", "TURNSPAN_REDACT": "email,card"},
            turnspan.Policy(hide=["password", "input.user.card"], patterns=["email", "card"]),
        ),
    ],
)
def test_the_environment_says_the_same(environ, policy):
    """For a program that calls no `configure()`."""
    assert turnspan.Policy.of(Settings.read(environ, {})) == policy


@pytest.mark.parametrize(
    "environ",
    [
        {"TURNSPAN_CONTENT": "of"},
        {"TURNSPAN_CONTENT": "inptu=none"},
        {"TURNSPAN_CONTENT": "input=some"},
        {"TURNSPAN_HIDE": "a..b"},
        {"TURNSPAN_REDACT": "emial"},
    ],
)
def test_a_variable_that_cannot_be_read_is_an_error(environ):
    """Nothing is guessed about what shall be hidden."""
    with pytest.raises(SettingsError):
        turnspan.Policy.of(Settings.read(environ, {}))


@pytest.mark.parametrize("path", ["inptu.user.card", "user.email", "steps_.login.output"])
def test_a_path_that_begins_nowhere_is_an_error(path):
    """It would hide nothing, and nobody would notice."""
    with pytest.raises(SettingsError) as raised:
        turnspan.Policy(hide=[path])

    assert path in raised.value.what
    assert raised.value.fix.startswith(f"write *.{path} for wherever it stands, or begin with")


def test_a_path_may_begin_with_any_place_of_a_turn():
    """In capitals, and with a `*` for a part of it or all."""
    paths = [f"{top}.x" for top in (*TOPS, "INPUT", "in*", "*", "*put")]

    assert turnspan.Policy(hide=paths).hide == tuple(paths)


def test_a_policy_can_be_compared_and_has_a_level_for_every_field():
    """The default hides nothing."""
    assert turnspan.Policy() == turnspan.Policy(content=True)
    assert turnspan.Policy().levels() == dict.fromkeys(FIELDS, "on")
    assert turnspan.Policy().is_plain
    assert not turnspan.Policy(hide=["x"]).is_plain


@pytest.mark.parametrize("cut_into", [str, str.encode], ids=["texts", "bytes"])
def test_a_stream_that_is_cut_leaves_no_half_secret(record, cut_into):
    """A secret may come in several chunks, of which the budget takes the first."""
    from turnspan.capture.values import Limits

    tape = record(policy=turnspan.Policy(patterns=["api_key"]), limits=Limits(max_bytes=10_000))

    @turnspan.agent
    def talk():
        for chunk in ("word " * 1998, "sk-pr", "oj-01", "23456789abcdefghijkl"):
            yield cut_into(chunk)

    list(talk())
    (turn,) = tape.turns

    assert turn.output.content.rstrip() == ("word " * 1998).rstrip()
    assert turn.truncated[0].where == "output"
    assert b"sk-pr" not in written(tape)


def test_a_model_stream_that_is_cut_leaves_no_half_secret(record):
    """The chunks of a client are folded into one answer, which is cut alike."""
    from turnspan.capture.values import Limits

    tape = record(policy=turnspan.Policy(patterns=["api_key"]), limits=Limits(max_bytes=10_000))

    @turnspan.model
    def complete(prompt):
        for text in ("word " * 1998, "sk-pr", "oj-01", "23456789abcdefghijkl"):
            yield {"choices": [{"index": 0, "delta": {"content": text}}]}

    with turnspan.turn():
        list(complete("hi"))
    (turn,) = tape.turns

    assert turn.steps[0].output.content.startswith("word word")
    assert b"sk-pr" not in written(tape)


def test_a_handle_that_is_passed_on_shows_nothing_of_its_turn(record):
    """What a draft holds is hidden only as it is written: of ours a type's name is recorded."""
    tape = record(policy=turnspan.Policy(content={"input": "none"}))

    @turnspan.tool
    def look(*given):
        return given

    with turnspan.turn(agent="desk", input=SECRET) as turn:
        look(turn, turnspan.current_turn(), tape.recorder, turn._draft)
        look(turnspan.health())
    shown, health = tape.turn.steps

    assert SECRET.encode() not in b"".join(tape.log.lines)
    assert json.loads(shown.output.content) == [
        "<turnspan.capture.handles.OpenTurn>",
        "<turnspan.capture.handles.OpenTurn>",
        "<turnspan.capture.recorder.Recorder>",
        "<turnspan.capture.drafts.TurnDraft>",
    ]
    assert json.loads(health.output.content)[0]["recorded"] == 0
