"""Feedback from the call to the exporters of one process."""

from __future__ import annotations

import os

import pytest

import turnspan
from turnspan.exporters.memory import MemoryExporter
from turnspan.ports import JournalledFeedback, JournalledTurn, Outcome


class Taking:
    """Keeps what it is given, and takes feedback."""

    takes_feedback = True

    def __init__(self, name="taking"):
        self.name = name
        self.seen = []

    def export(self, batch, *, timeout_s):
        self.seen += batch
        return Outcome()

    def close(self, *, timeout_s):
        pass

    @property
    def kinds(self):
        return [type(each) for each in self.seen]


class Plain(Taking):
    """The same as third parties wrote it before there was feedback."""

    takes_feedback = False

    def export(self, batch, *, timeout_s):
        assert all(each.turn for each in batch)
        return super().export(batch, timeout_s=timeout_s)


@pytest.fixture(params=["journal", "ring"])
def directory(request, tmp_path):
    return tmp_path / "j" if request.param == "journal" else None


def test_feedback_reaches_those_that_take_it_and_holds_up_no_other(directory, ask):
    """In order after its turn; health counts it apart from turns."""
    taking, plain = Taking(), Plain("plain")
    runtime = turnspan.configure(exporters=[taking, plain], directory=directory)
    memory = []
    for n in range(3):
        with turnspan.session("s", user_id="ada"), turnspan.turn(agent="a") as turn:
            memory.append(turn.id)
        turnspan.feedback(memory[-1], score=n)
    ask("last")
    report = turnspan.flush(10.0)
    said = [each.feedback for each in taking.seen if isinstance(each, JournalledFeedback)]

    assert report.unsent == 0
    assert taking.kinds == [JournalledTurn, JournalledFeedback] * 3 + [JournalledTurn]
    assert plain.kinds == [JournalledTurn] * 4
    assert [(each.turn_id, each.score) for each in said] == [
        (turn_id, float(n)) for n, turn_id in enumerate(memory)
    ]
    health = runtime.health()
    assert (health.recorded, health.feedback, health.unsent) == (4, 3, 0)
    assert {name: each.delivered for name, each in health.exporters.items()} == {
        "taking": 7,
        "plain": 4,
    }


def test_feedback_alone_wakes_delivery(directory):
    """Nothing else need be recorded in the process that is told."""
    taking = Taking()
    turnspan.configure(exporters=[taking], directory=directory)
    turnspan.feedback("turn_of_another", rating="good")
    turnspan.flush(10.0)

    assert taking.kinds == [JournalledFeedback]


def test_observers_see_feedback_where_they_take_it(directory):
    """At once; an older one is shown turns alone."""

    class Watching(Plain):
        takes_feedback = False

        def observe(self, turn):
            self.seen.append(turn)

    memory, older = MemoryExporter(), Watching("older")
    turnspan.configure(exporters=[memory, older], directory=directory)
    with turnspan.turn(agent="a") as turn:
        turn_id = turn.id
    turnspan.feedback(turn_id, rating="good")

    assert [each.turn_id for each in memory.feedback] == [turn_id]
    assert older.kinds == [JournalledTurn]


def test_feedback_on_a_left_out_turn_is_passed_over(directory):
    """Its handle has no id to give it on."""
    memory = MemoryExporter()
    runtime = turnspan.configure(exporters=[memory], directory=directory, sample=0.0)
    with turnspan.turn(agent="a") as turn:
        turn_id = turn.id
    turnspan.feedback(turn_id, rating="good")

    assert (memory.turns, memory.feedback) == ([], [])
    assert (runtime.health().sampled_out, runtime.health().feedback) == (1, 0)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_forked_child_gives_feedback_of_its_own(start, turns_api):
    """With an id that the parent does not draw."""
    program = """
        import os, sys, turnspan
        turnspan.configure(exporters=[sys.argv[1]], directory="journal")
        turnspan.feedback("turn_1", rating="parent")
        child = os.fork()
        turnspan.feedback("turn_1", rating="child" if child == 0 else "parent again")
        assert turnspan.flush(10.0)
        if child:
            os.waitpid(child, 0)
    """
    process = start(program, turns_api.url)
    _, err = process.communicate(timeout=240)

    assert (process.returncode, err) == (0, "")
    assert len(set(turns_api.ids)) == len(turns_api.ids) == 3
