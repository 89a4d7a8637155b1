"""Each message is recorded once a turn, and steps name by ranges which they were given."""

from __future__ import annotations

import hashlib
import threading

import pytest
from pydantic import BaseModel

import turnspan
from turnspan.capture.conversation import MAX_MESSAGES, Conversation
from turnspan.capture.parts import MAX_PARTS, looks_like_message, message_of
from turnspan.capture.values import Limits
from turnspan.exporters.memory import MemoryExporter
from turnspan.schema import Content


def said(role: str, text: str) -> dict[str, object]:
    return {"role": role, "parts": [{"type": "text", "content": text}]}


class Message(BaseModel):
    role: str
    content: str


def completion(message) -> dict[str, object]:
    return {"choices": [{"message": message, "finish_reason": "stop"}]}


@pytest.mark.parametrize("as_dict", [True, False], ids=["dict", "same object"])
def test_a_growing_history_is_recorded_once(tape, as_dict):
    """Whether an answer comes back as the object it was or as a dictionary."""

    @turnspan.model
    def ask(messages):
        return completion(Message(role="assistant", content=f"answer {len(messages)}"))

    @turnspan.agent
    def work(rounds):
        history = [{"role": "system", "content": "Be brief."}]
        for n in range(rounds):
            history.append({"role": "user", "content": f"question {n}"})
            answer = ask(history)["choices"][0]["message"]
            history.append(answer.model_dump() if as_dict else answer)

    work(3)
    turn = tape.turn

    assert [message.text for message in turn.messages] == [
        "Be brief.", "question 0", "answer 2", "question 1", "answer 4", "question 2", "answer 6",
    ]  # fmt: skip
    assert [step.input_messages for step in turn.steps] == [((0, 2),), ((0, 4),), ((0, 6),)]
    assert [step.output_messages for step in turn.steps] == [((2, 3),), ((4, 5),), ((6, 7),)]
    assert turn.messages[2].finish_reason == "stop"


def test_a_history_of_the_responses_api_is_recorded_once(tape):
    """Its answers come back as several items, and tool outputs are items, too."""
    output = [
        {"type": "reasoning", "id": "rs", "summary": [{"type": "summary_text", "text": "Hm."}]},
        {"type": "function_call", "call_id": "c1", "name": "f", "arguments": "{}"},
    ]

    @turnspan.model
    def ask(input):
        return {"object": "response", "output": list(output), "status": "completed"}

    @turnspan.agent
    def work():
        history = [{"role": "user", "content": "Go."}]
        history += ask(history)["output"]
        history.append({"type": "function_call_output", "call_id": "c1", "output": '{"n":1}'})
        ask(history)

    work()
    turn = tape.turn

    assert [message.role for message in turn.messages] == [
        "user", "assistant", "tool", "assistant",
    ]  # fmt: skip
    assert [step.input_messages for step in turn.steps] == [((0, 1),), ((0, 3),)]
    assert [part.model_dump() for part in turn.messages[2].parts] == [
        {"type": "tool_call_response", "id": "c1", "response": {"n": 1}}
    ]


def test_a_history_that_was_cut_is_named_by_several_ranges():
    """What was left out is not in them."""
    messages = [{"role": "user", "content": str(n)} for n in range(6)]
    conversation = Conversation(Limits())
    found = [
        conversation.given(messages),
        conversation.given([messages[0], *messages[4:]]),
        conversation.given([*messages[4:], {"role": "user", "content": "new"}]),
        conversation.given([]),
    ]

    assert found == [[(0, 6)], [(0, 1), (4, 6)], [(4, 7)], []]
    assert len(conversation.messages) == 7


def test_a_message_that_is_changed_keeps_its_first_form():
    """It is known by its identity."""
    message = {"role": "user", "content": "first"}
    conversation = Conversation(Limits())
    conversation.given([message])
    message["content"] = "second"

    assert conversation.given([message]) == [(0, 1)]
    assert conversation.messages == [said("user", "first")]


def test_a_message_that_is_gone_is_not_taken_for_a_new_one():
    """No identity is used twice within a turn."""
    conversation = Conversation(Limits())
    for n in range(100):
        conversation.given([{"role": "user", "content": str(n)}])

    assert [message["parts"][0]["content"] for message in conversation.messages] == [
        str(n) for n in range(100)
    ]


def test_threads_of_one_turn_share_its_messages():
    """Each message has one place, whoever comes first."""
    conversation = Conversation(Limits())
    messages = [{"role": "user", "content": str(n)} for n in range(2000)]
    found = []

    def give():
        found.append(conversation.given(messages))

    threads = [threading.Thread(target=give) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert conversation.messages == [said("user", str(n)) for n in range(2000)]
    assert found == [[(0, 2000)]] * 4


def test_an_agent_with_messages_shows_what_the_user_said_last(tape):
    """Whatever the list is called, where it is the only argument."""

    @turnspan.agent
    def work(chat):
        return "x"

    work([{"role": "user", "content": "first"}, {"role": "user", "content": "last"}])
    work([{"role": "system", "content": "alone"}])

    assert [turn.input and turn.input.content for turn in tape.turns] == ["last", None]
    assert [turn.input_messages for turn in tape.turns] == [((0, 2),), ((0, 1),)]


@pytest.mark.parametrize(
    "odd",
    [
        None,
        3,
        "text",
        {},
        {"role": "user"},
        {"role": [], "content": ""},
        {"role": {}, "content": ""},
        {"type": "phone_call", "content": "x"},
        {"type": "reasoning"},
    ],
)
def test_what_is_no_message_does_not_look_like_one(odd):
    """And is recorded as an ordinary argument."""
    assert looks_like_message(odd) is False


URL = "https://example.com/cat.png"
LARGE = "QUJD" * 10_000


@pytest.mark.parametrize(
    "content, parts",
    [
        (None, []),
        ("", []),
        ("text", [{"type": "text", "content": "text"}]),
        (["a", {"type": "text", "text": "b"}], [
            {"type": "text", "content": "a"}, {"type": "text", "content": "b"},
        ]),
        ({"a": 1}, [{"type": "text", "content": '{"a":1}'}]),
        ([{"a": 1}], [{"type": "text", "content": '{"a":1}'}]),
        ([{"type": "image_url", "image_url": {"url": URL}}], [
            {"type": "uri", "modality": "image", "uri": URL},
        ]),
        ([{"type": "input_image", "image_url": URL}], [
            {"type": "uri", "modality": "image", "uri": URL},
        ]),
        ([{"type": "image_url", "image_url": {"url": "data:image/png;base64,QUJD"}}], [
            {"type": "blob", "modality": "image", "content": "QUJD", "mime_type": "image/png"},
        ]),
        ([{"type": "image", "source": {
            "type": "base64", "media_type": "image/png", "data": "QUJD"}}], [
            {"type": "blob", "modality": "image", "content": "QUJD", "mime_type": "image/png"},
        ]),
        ([{"type": "input_audio", "input_audio": {"data": "QUJD", "format": "wav"}}], [
            {"type": "blob", "modality": "audio", "content": "QUJD", "mime_type": "wav"},
        ]),
        ([{"type": "file", "file": {"file_id": "file-1"}}], [
            {"type": "file", "modality": "document", "file_id": "file-1"},
        ]),
        ([{"type": "image", "base64": LARGE, "mime_type": "image/png"}], [{
            "type": "uri", "modality": "image", "mime_type": "image/png", "size": 40_000,
            "uri": "sha256:" + hashlib.sha256(LARGE.encode()).hexdigest(),
        }]),
        ([{"type": "tool_result", "tool_use_id": "c1", "content": [{"type": "text"}]}], [
            {"type": "tool_call_response", "id": "c1", "response": [{"type": "text"}]},
        ]),
        ([{"type": "uri", "modality": "video", "uri": URL}], [
            {"type": "uri", "modality": "video", "uri": URL},
        ]),
        ([{"type": "blob", "modality": "image", "content": "QUJD", "mime_type": "image/png"}], [
            {"type": "blob", "modality": "image", "content": "QUJD", "mime_type": "image/png"},
        ]),
        ([{"type": "server_tool_call", "name": "search", "server_tool_call": {"type": "w"}}], [
            {"type": "server_tool_call", "name": "search", "server_tool_call": {"type": "w"}},
        ]),
        ([{"type": "compaction", "id": "c1", "content": "so far"}], [
            {"type": "compaction", "id": "c1", "content": "so far"},
        ]),
        ([{"type": "web_search_result", "url": URL}], [
            {"type": "web_search_result", "content": {"url": URL}},
        ]),
    ],
)  # fmt: skip
def test_every_kind_of_content_has_its_part(content, parts):
    """Large media are kept as hash, type and size."""
    assert message_of({"role": "user", "content": content}, Limits()) == {
        "role": "user",
        "parts": parts,
    }


@pytest.mark.parametrize(
    "message, role, part",
    [
        ({"role": "developer", "content": "x"}, "system", {"type": "text", "content": "x"}),
        ({"type": "human", "content": "x"}, "user", {"type": "text", "content": "x"}),
        (
            {"type": "tool", "tool_call_id": "c1", "content": '{"a": 1}'},
            "tool",
            {"type": "tool_call_response", "id": "c1", "response": {"a": 1}},
        ),
        (
            {"role": "assistant", "content": None, "refusal": "No."},
            "assistant",
            {"type": "text", "content": "No."},
        ),
        (
            {"role": "assistant", "parts": [{"type": "reasoning", "content": "Hm."}]},
            "assistant",
            {"type": "reasoning", "content": "Hm."},
        ),
    ],
)
def test_roles_of_every_client_become_those_of_the_conventions(message, role, part):
    """OpenAI, LangChain and messages that are in the form already."""
    assert message_of(message, Limits()) == {"role": role, "parts": [part]}


def test_a_message_over_the_budget_is_cut_and_says_so(record):
    """As every value does that is not whole."""
    tape = record(limits=Limits(max_bytes=1000))

    @turnspan.agent
    def work(messages):
        return "x"

    work([{"role": "user", "content": "x" * 5000}])

    assert len(tape.turn.messages[0].text) == 1000
    assert any(note.where.startswith("messages") for note in tape.turn.truncated)


def test_a_lone_surrogate_in_a_message_costs_no_turn(tape):
    """It is replaced where it stands."""

    @turnspan.agent
    def work(messages):
        return "x"

    work([{"role": "user", "content": "a\ud800"}])

    assert tape.turn.messages[0].text == "a?"
    assert tape.turn.trace.trace_id == f"{1:032x}"


def test_large_media_are_kept_whole_where_that_is_asked_for(tmp_path):
    """The option reaches what reads the messages."""
    memory = MemoryExporter()
    turnspan.configure(exporters=[memory], directory=tmp_path / "journal", media=True)

    @turnspan.agent
    def look(messages):
        return "seen"

    image = {"type": "image", "base64": LARGE, "mime_type": "image/png"}
    try:
        look([{"role": "user", "content": [image]}])
    finally:
        turnspan.close()
    (part,) = memory.turns[0].messages[0].parts

    assert (part.type, part.fields["content"]) == ("blob", LARGE)


def test_what_stands_beside_the_messages_is_kept_by_its_name(tape):
    """In the metadata, for the input is what was said; what is no data by its type."""

    @turnspan.model
    def ask(messages, client, **more):
        return "Rain."

    @turnspan.agent
    def desk(messages, client=None, locale="en", user=None):
        return ask(messages, client, model="m", seed=1, user=user, metadata={"k": [1]})

    said = [{"role": "user", "content": "Weather?"}]
    desk(said, object(), locale="nb", user="ada")
    desk(said, object())
    whole, plain = tape.turns

    assert whole.metadata["arguments"] == {"client": "<object>", "locale": "nb", "user": "ada"}
    assert whole.steps[0].metadata["arguments"] == {
        "client": "<object>",
        "user": "ada",
        "metadata": {"k": [1]},
    }
    assert whole.steps[0].input is None
    assert whole.steps[0].model.parameters == {"seed": 1}
    assert plain.metadata == {}
    assert [turn.input for turn in tape.turns] == [Content(content="Weather?")] * 2
    assert [turn.input_messages for turn in tape.turns] == [((0, 1),), ((0, 1),)]
    assert [len(turn.messages) for turn in tape.turns] == [1, 1]


@pytest.mark.parametrize(
    "result",
    [
        "r" * 3000,
        {"rows": ["r" * 100] * 30},
        '{"k":"' + "r" * 3000 + '"}',
        "\ud800" * 3000,
        {"half \ud800": ["r" * 3000]},
    ],
)
def test_what_tools_were_given_and_answered_counts_towards_the_turns_budget(record, result):
    """A long talk with tools makes no turn that no server takes; what is left out is named."""
    tape = record(max_turn_bytes=20_000)

    @turnspan.model
    def ask(messages):
        return {"role": "assistant", "content": "y"}

    @turnspan.agent
    def work():
        said = [{"role": "user", "content": "?"}]
        for n in range(40):
            call = {"id": f"c{n}", "function": {"name": "f", "arguments": {"a": "x" * 1000}}}
            said.append({"role": "assistant", "content": "", "tool_calls": [call]})
            said.append({"role": "tool", "tool_call_id": f"c{n}", "content": result})
        ask(said)

    work()
    whole = [bool(message.parts) for message in tape.turn.messages]

    assert len(tape.log.lines[-1]) < 40_000
    assert whole[:4] == [True] * 4
    assert whole[-2] is False
    assert {cut.why for cut in tape.turn.truncated[:50]} == {"the turn is over 20000 bytes"}


@pytest.mark.parametrize("place", ["response", "arguments"])
def test_a_tools_text_over_the_budget_is_cut_and_says_so(record, place):
    """As any other text of a message is."""
    tape = record(limits=Limits(max_bytes=1000))
    given, answered = ("x" * 2000, "y") if place == "arguments" else ("x", "y" * 2000)
    call = {"id": "c", "function": {"name": "f", "arguments": given}}

    @turnspan.model
    def ask(messages):
        return None

    with turnspan.turn():
        ask([{"role": "assistant", "tool_calls": [call]},
             {"role": "tool", "tool_call_id": "c", "content": answered}])  # fmt: skip
    calls, answers = tape.turn.messages
    cut = calls.parts[0].arguments if place == "arguments" else answers.parts[0].response

    assert cut == ("x" if place == "arguments" else "y") * 1000
    assert [(note.where, note.why) for note in tape.turn.truncated] == [
        ("messages/0" if place == "arguments" else "messages/1", "over 1000 bytes")
    ]


@pytest.mark.parametrize(
    "given, answered, places",
    [
        (object(), "y", ["messages/0"]),
        ({"deep": [object()]}, {"ok": 1}, ["messages/0"]),
        ({"ok": 1}, list(range(30_000)), ["messages/1"]),
        ({"ok": 1}, [{"type": "image", "data": "aGk="}, {"type": "odd", "it": object()}], []),
    ],
)
def test_structured_data_of_a_tool_that_is_not_whole_says_so(tape, given, answered, places):
    """Arguments and results in messages, as anywhere else; nothing of the note is in them."""
    call = {"id": "c", "function": {"name": "f", "arguments": given}}

    @turnspan.model
    def ask(messages):
        return None

    with turnspan.turn():
        ask([{"role": "assistant", "tool_calls": [call]},
             {"role": "tool", "tool_call_id": "c", "content": answered}])  # fmt: skip

    assert [note.where for note in tape.turn.truncated] == places
    assert b"turnspan.cut" not in tape.log.lines[-1]


def test_a_call_that_a_model_asks_for_and_is_not_whole_says_so(tape):
    """What it answers is a message like any other."""

    @turnspan.model
    def ask(question):
        call = {"id": "c", "function": {"name": "f", "arguments": {"x": object()}}}
        message = {"role": "assistant", "content": None, "tool_calls": [call]}
        return {"choices": [{"message": message, "finish_reason": "tool_calls"}]}

    with turnspan.turn():
        ask("?")

    assert [(note.where, note.why) for note in tape.turn.truncated] == [
        ("messages/0", "could not be read: <object>")
    ]
    assert b"turnspan.cut" not in tape.log.lines[-1]


def test_of_very_many_messages_the_first_are_kept(tape):
    """Reading them is the caller's time; what was seen before is still known, the rest named."""
    history = [{"role": "user", "content": str(n)} for n in range(MAX_MESSAGES + 500)]

    @turnspan.model
    def ask(messages):
        return None

    with turnspan.turn():
        ask(history[:10])
        ask(history)
        ask(history[5:])
    turn = tape.turn

    assert [message.text for message in turn.messages] == [str(n) for n in range(MAX_MESSAGES)]
    assert [step.input_messages for step in turn.steps] == [
        ((0, 10),),
        ((0, MAX_MESSAGES),),
        ((5, MAX_MESSAGES),),
    ]
    assert [(cut.where, cut.why) for cut in turn.truncated] == [
        ("messages", "more than 10000 messages")
    ]


@pytest.mark.parametrize("field", ["content", "tool_calls"])
def test_of_very_many_parts_the_first_are_kept(tape, field):
    """Blocks of one message, or calls that it asks for."""
    call = {"function": {"name": "f", "arguments": {}}}
    block = {"type": "text", "text": "x"}
    rows = [block if field == "content" else {**call, "id": str(n)} for n in range(MAX_PARTS + 5)]

    @turnspan.model
    def ask(messages):
        return {"choices": [{"message": {"role": "assistant", field: rows}}]}

    with turnspan.turn():
        ask([{"role": "assistant", field: rows}])

    assert {len(message.parts) for message in tape.turn.messages} == {MAX_PARTS}
    assert {cut.why for cut in tape.turn.truncated} == {"more than 1000 parts"}


@pytest.mark.parametrize(
    "options, kept",
    [
        ({"content": False}, None),
        ({"content": {"input": "none"}}, None),
        ({"content": {"step_input": False}}, None),
        ({"hide": ["input.user.card"]}, None),
        ({"hide": ["input"]}, None),
        ({"hide": ["inp*"]}, None),
        ({"hide": ["card"]}, {"user": {"card": "<hidden>"}, "mail": "a@b.example"}),
        ({"patterns": ["email"]}, {"user": {"card": "4111"}, "mail": "<hidden:email>"}),
        ({"content": {"output": "none"}}, {"user": {"card": "4111"}, "mail": "a@b.example"}),
    ],
)
def test_what_is_hidden_of_an_input_is_not_told_beside_it(record, options, kept):
    """Levels and paths of inputs don't reach the metadata, so nothing stands there then."""
    tape = record(policy=turnspan.Policy(**options))

    @turnspan.agent
    def desk(messages, user, mail):
        return "Yes."

    desk([{"role": "user", "content": "Hi"}], {"card": "4111"}, "a@b.example")

    assert tape.turn.metadata.get("arguments") == kept
