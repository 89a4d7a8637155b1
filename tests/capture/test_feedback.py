"""A judgement of a turn is a record of its own."""

from __future__ import annotations

import pytest
from capture_tape import START_NS

import turnspan
from turnspan.capture.active import active


def test_feedback_is_journalled(tape):
    """What is said, of which turn, and when."""
    turnspan.feedback("turn_1", rating="good", score=0.5, comment="Well done.\ud800")
    turnspan.feedback("turn_1", score=0)

    assert tape.records == [
        {
            "record": "feedback", "turn_id": "turn_1", "at": START_NS, "rating": "good",
            "score": 0.5, "comment": "Well done.?",
        },
        {"record": "feedback", "turn_id": "turn_1", "at": START_NS, "score": 0},
    ]  # fmt: skip
    assert tape.log.lines[0].startswith(b'{"record":"feedback",')


@pytest.mark.parametrize(
    "given, error",
    [
        ({"turn_id": 3, "rating": "good"}, TypeError),
        ({"turn_id": "turn_1", "score": "high"}, TypeError),
        ({"turn_id": "turn_1"}, ValueError),
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
