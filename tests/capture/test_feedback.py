"""A judgement of a turn is a record of its own."""

from __future__ import annotations

import pytest
from capture_tape import START_NS

import turnspan
from turnspan.capture.active import active
from turnspan.capture.values import Limits
from turnspan.schema import Cut, Feedback, decode_feedback, decode_record, encode_feedback

ALWAYS = {"mode": "own", "resource": {"service.name": "tests"}, "schema_version": 1}


def said(tape):
    """What was journalled, without what is the same of all feedback."""
    records = tape.records
    for record in records:
        for key, value in (ALWAYS | {"record": "feedback", "at": START_NS}).items():
            assert record.pop(key) == value
    return records


def test_feedback_is_journalled(tape):
    """What is said, of which turn, and when; an id tells it from what else is said."""
    turnspan.feedback("turn_1", rating="good", score=0.5, comment="Well done.\ud800")
    turnspan.feedback("turn_1", score=0)

    assert said(tape) == [
        {
            "id": "feedback_000000000001", "turn_id": "turn_1", "rating": "good",
            "score": 0.5, "comment": "Well done.?",
        },
        {"id": "feedback_000000000002", "turn_id": "turn_1", "score": 0.0},
    ]  # fmt: skip
    assert tape.log.lines[0].startswith(b'{"record":"feedback","id":"')
    assert tape.recorder.noted == 2


def test_the_schema_reads_what_is_journalled(tape):
    """And writes it again, but for the order of its keys."""
    with turnspan.session("s", user_id="ada"):
        turnspan.feedback("turn_1", rating="good", score=1, comment="x" * 300)
    [line] = tape.log.lines
    feedback = decode_feedback(line)

    assert feedback == Feedback(
        id="feedback_000000000001",
        turn_id="turn_1",
        at=START_NS,
        session_id="s",
        user_id="ada",
        rating="good",
        score=1.0,
        comment="x" * 300,
        resource={"service.name": "tests"},
    )
    assert decode_record(encode_feedback(feedback)) == decode_record(line)


def test_what_is_too_long_is_cut_and_says_so(record):
    """A rating is a word, a comment has the bounds of any value."""
    tape = record(limits=Limits(max_bytes=100))
    turnspan.feedback("turn_1", rating="ä" * 150, comment="é" * 80)
    [feedback] = map(decode_feedback, tape.log.lines)

    assert (feedback.rating, feedback.comment) == ("ä" * 100, "é" * 50)
    assert feedback.truncated == (
        Cut(where="rating", why="over 200 bytes", size_bytes=300),
        Cut(where="comment", why="over 100 bytes", size_bytes=160),
    )


def test_a_comment_is_content(record):
    """Where no content is recorded, that there was feedback is, and its score."""
    tape = record(policy=turnspan.Policy(content="none"))
    turnspan.feedback("turn_1", rating="bad", score=-1.5, comment="my secret")
    turnspan.feedback("turn_2", comment="my secret")

    assert said(tape) == [
        {"id": "feedback_000000000001", "turn_id": "turn_1", "score": -1.5},
        {"id": "feedback_000000000002", "turn_id": "turn_2"},
    ]


def test_no_code_of_a_value_is_run(tape):
    """Subclasses of text and numbers count as what they are."""

    class Text(str):
        __slots__ = ()

        def __str__(self):
            raise RuntimeError

        __eq__ = __len__ = __getitem__ = __hash__ = __str__

    class Number(float):
        def __float__(self):
            raise RuntimeError

    turnspan.feedback(Text("turn_1"), rating=Text("good"), score=Number(2.0), comment=Text("so"))

    assert said(tape) == [
        {
            "id": "feedback_000000000001", "turn_id": "turn_1", "rating": "good",
            "score": 2.0, "comment": "so",
        }
    ]  # fmt: skip


@pytest.mark.parametrize("turn_id", ["", "x" * 201])
def test_feedback_on_what_is_no_turn_is_passed_over(tape, turn_id):
    """An id comes with a request: it is no mistake of the programmer's."""
    turnspan.feedback(turn_id, rating="good")

    assert tape.log.lines == []


@pytest.mark.parametrize(
    "given, error",
    [
        ({"turn_id": 3, "rating": "good"}, TypeError),
        ({"turn_id": "turn_1", "rating": 5}, TypeError),
        ({"turn_id": "turn_1", "rating": 0}, TypeError),
        ({"turn_id": "turn_1", "comment": b"good"}, TypeError),
        ({"turn_id": "turn_1", "score": "high"}, TypeError),
        ({"turn_id": "turn_1", "score": True}, TypeError),
        ({"turn_id": "turn_1", "score": float("nan")}, ValueError),
        ({"turn_id": "turn_1", "score": float("inf")}, ValueError),
        ({"turn_id": "turn_1", "score": 10**400}, ValueError),
        ({"turn_id": "turn_1"}, ValueError),
        ({"turn_id": "turn_1", "rating": "", "comment": ""}, ValueError),
    ],
)
def test_feedback_that_says_nothing_is_refused(tape, given, error):
    """A mistake at the door."""
    with pytest.raises(error):
        turnspan.feedback(**given)

    assert tape.log.lines == []


def test_feedback_with_recording_off_is_lost_in_silence(record):
    """As everything else then."""
    tape = record()
    active.use(None)
    turnspan.feedback("turn_1", rating="good")

    assert tape.log.lines == []


def test_a_log_that_fails_never_reaches_the_caller(record):
    """It is counted."""

    class Broken:
        def append(self, _):
            raise OSError("disk on fire")

        def next_number(self, _):
            raise OSError("disk on fire")

    tape = record(log=Broken())
    turnspan.feedback("turn_1", rating="good")

    assert tape.recorder.failures == 1
