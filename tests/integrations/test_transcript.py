"""Messages are known by their object first, and by what they say after that."""

from __future__ import annotations

import pytest

from turnspan.integrations.transcript import Transcript, transcript_of


class Message:
    """A message of some framework."""

    def __init__(self, text):
        self.text = text


@pytest.fixture
def transcript():
    return Transcript()


def reader(seen):
    def read(message):
        seen.append(message)
        return {"role": "user", "content": message.text}

    return read


def test_an_object_is_read_once(transcript):
    """A growing history costs its new messages."""
    seen = []
    history = [Message("a"), Message("b")]
    first = transcript.forms(history, reader(seen))
    again = transcript.forms([*history, Message("c")], reader(seen))

    assert [message.text for message in seen] == ["a", "b", "c"]
    assert [id(form) for form in again[:2]] == [id(form) for form in first]


def test_equal_messages_share_a_form(transcript):
    """A message that is made anew for each call is the same message."""
    one, other, different = transcript.forms([Message("a"), Message("a"), Message("b")], reader([]))

    assert one is other
    assert one is not different


def test_an_answer_is_known_when_it_comes_back(transcript):
    """As the object it was, and as a copy that says the same."""
    answer, form = Message("yes"), {"role": "user", "content": "yes"}
    transcript.answered(answer, form)
    back = transcript.forms([answer, Message("yes")], reader([]))

    assert [item is form for item in back] == [True, True]


def test_copies_of_one_message_are_not_all_held(transcript):
    """A framework that copies on every call does not fill the memory."""
    for _ in range(100):
        transcript.forms([Message("a")], reader([]))

    assert len(transcript._by_object) == 2


def test_what_cannot_be_written_is_known_by_its_object(transcript):
    """Two messages of unreadable content are two messages."""
    one, other = Message(object()), Message(object())
    forms = transcript.forms([one, other, one], reader([]))

    assert forms[0] is forms[2]
    assert forms[0] is not forms[1]


def test_a_turn_has_one_transcript_as_long_as_it_lives(runtime):
    """Two handlers at work in one turn share it, and nobody keeps it after that."""
    turn = runtime.recorder.open_turn({"name": "desk"}, activate=False)
    other = runtime.recorder.open_turn({"name": "desk"}, activate=False)

    assert transcript_of(turn) is transcript_of(turn)
    assert transcript_of(turn) is not transcript_of(other)
