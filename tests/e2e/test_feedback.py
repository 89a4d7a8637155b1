"""Feedback survives what turns survive: real processes, SIGKILL, `turnspan drain`."""

from __future__ import annotations

import json
import signal

import pytest

import turnspan
from turnspan.delivery.health import FlushReport

JUDGED = """
    import os, signal, sys
    import turnspan

    @turnspan.agent
    def ask(question):
        ids.append(turnspan.current_turn().id)
        return question

    ids = []
    turnspan.configure(exporters=[sys.argv[1]], directory="journal")
    for number in range(20):
        ask(str(number))
        turnspan.feedback(ids[-1], score=number, comment=f"no. {number}")
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture
def judged(start, turns_api):
    """A process judged its turns and was killed, while the destination did not answer."""
    turns_api.be("silent")
    process = start(JUDGED, turns_api.url)
    _, err = process.communicate(timeout=240)
    turns_api.be("ok")
    assert (process.returncode, err) == (-signal.SIGKILL, "")


def stored(turns_api):
    """Kind, and input or score, of what arrived, in its order."""
    lines = [json.loads(line) for line in turns_api.state.stored.values()]
    return [
        (each["record"], each["input"]["content"] if "input" in each else each["score"])
        for each in lines
    ]


EXPECTED = [pair for n in range(20) for pair in (("turn", str(n)), ("feedback", float(n)))]


def test_feedback_of_a_killed_process_is_drained_after_its_turns(judged, turns_api, drain):
    """All of it, once, each behind its turn; draining again finds nothing."""
    said, again = drain(turns_api.url), drain(turns_api.url)

    assert stored(turns_api) == EXPECTED
    assert (said["refused"], said["unsent"]) == (0, 0)
    assert again["delivered"] == 0


def test_the_next_process_delivers_feedback_too(judged, run, turns_api):
    """`configure` adopts it with the turns."""
    run(
        """
        import sys
        import turnspan

        turnspan.configure(exporters=[sys.argv[1]], directory="journal")
        turnspan.flush(60.0)
        """,
        turns_api.url,
    )

    assert stored(turns_api) == EXPECTED


def test_feedback_that_is_refused_becomes_a_dead_letter(turns_api, dead):
    """It holds nothing up, is listed as what it is, and taken on the next try it is none."""
    turnspan.configure(exporters=[turns_api.url], directory="journal")
    with turnspan.turn(agent="a", input="first") as turn:
        turn_id = turn.id
    turnspan.flush(60.0)
    turns_api.be("status", status=422, body="what is feedback?")
    turnspan.feedback(turn_id, rating="good", comment='so, "turn": {}')
    report = turnspan.flush(60.0)
    turns_api.be("ok")
    with turnspan.turn(agent="a", input="second"):
        pass
    turnspan.close()
    [letter] = dead("list")
    arrived = list(turns_api.ids)
    dead("retry", "--all")

    assert report == FlushReport(refused=1)
    assert (letter["turn"], letter["feedback"]["turn_id"]) == (None, turn_id)
    assert letter["id"] == letter["feedback"]["id"]
    assert letter["reason"].startswith("422")
    assert len(arrived) == 2
    assert turns_api.ids == [*arrived, letter["id"]]
    assert dead("list") == []
