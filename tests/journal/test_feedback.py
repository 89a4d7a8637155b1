"""Feedback is given to those that take it, and never stands in the way of the others."""

from __future__ import annotations

import signal

import orjson
from journal_records import (
    EXPORTER,
    feedback_line,
    open_line,
    step_line,
    turn_line,
)

from turnspan.journal import History, RingLog, purge
from turnspan.ports import JournalledFeedback, JournalledTurn, Unsent


def taken(backlog, *, batch=100):
    """Reads and commits all there is: `t` or `f` and the number of each."""
    found = []
    while items := backlog.read(max_turns=batch, max_bytes=2**20):
        kinds = {JournalledTurn: "t", JournalledFeedback: "f"}
        found += [f"{kinds[type(each)]}{int(each.raw.split(b'_')[1][:12])}" for each in items]
        backlog.commit(len(items))
    return found


def test_feedback_comes_in_the_order_of_the_journal_to_those_that_take_it(make):
    """After its turn, over a rotation too; others see turns alone, and are done all the same."""
    journal = make(exporters=("a", "b"))
    both, turns = journal.backlog("a", feedback=True), journal.backlog("b")
    for n in range(3):
        journal.log.append(open_line(n))
        journal.log.append(turn_line(n))
        journal.log.append(feedback_line(n))
        journal.log.rotate()
    journal.log.append(feedback_line(3))

    assert taken(both, batch=2) == ["t0", "f0", "t1", "f1", "t2", "f2", "f3"]
    assert taken(turns, batch=2) == ["t0", "t1", "t2"]
    assert [each.unsent().size_bytes for each in (both, turns)] == [0, 0]


def test_what_was_committed_of_feedback_is_not_read_again(make):
    """A cursor knows no difference."""
    journal = make()
    for n in range(3):
        journal.log.append(feedback_line(n))
    backlog = journal.backlog(EXPORTER, feedback=True)
    backlog.read(max_turns=9, max_bytes=2**20)
    backlog.commit(2)
    journal.close()
    again = make()
    backlog = again.backlog(EXPORTER, feedback=True)
    again.adopt()

    assert taken(backlog) == ["f2"]


def test_feedback_is_adopted_from_a_process_that_was_killed(make, child):
    """As turns are, and by whoever takes feedback."""
    code = """
        journal = opened()
        journal.log.append(turn_line(1))
        journal.log.append(feedback_line(7))
        os.kill(os.getpid(), signal.SIGKILL)
    """
    child(code, expect=-signal.SIGKILL)
    journal = make()
    backlog = journal.backlog(EXPORTER, feedback=True)

    assert journal.adopt() == 1
    assert taken(backlog) == ["t1", "f7"]


def test_feedback_that_waits_is_counted_where_it_is_taken(make):
    """With its size and its age; elsewhere nothing waits."""
    journal = make(exporters=("a", "b"))
    both, turns = journal.backlog("a", feedback=True), journal.backlog("b")
    line = feedback_line(7)
    journal.log.append(line)

    assert both.unsent(count=True) == Unsent(len(line), 1, 7)
    assert turns.unsent(count=True) == Unsent(0, 0, None)


def test_a_ring_gives_feedback_to_those_that_take_it():
    """Memory lets go of it when all have passed."""
    log = RingLog(10_000, exporters=["a", "b"])
    both, turns = log.backlog("a", feedback=True), log.backlog("b")
    for n in range(2):
        log.append(turn_line(n))
        log.append(feedback_line(n))

    assert taken(both) == ["t0", "f0", "t1", "f1"]
    assert taken(turns) == ["t0", "t1"]
    log.append(turn_line(2))
    assert (taken(turns), taken(both)) == (["t2"], ["t2"])
    assert len(log.ring) == 0


def test_what_the_disk_does_not_take_comes_from_memory(make):
    """Feedback given while the journal was parked."""
    journal = make()
    backlog = journal.backlog(EXPORTER, feedback=True)
    journal.log.append(turn_line(1))
    journal.log.park("test")
    journal.log.append(feedback_line(1))

    assert taken(backlog) == ["t1", "f1"]


def test_history_finds_feedback_by_turn(make, directory):
    """Oldest first, those of several turns together; what cannot be read is passed over."""
    journal = make()
    for line in (feedback_line(9, on=1), feedback_line(3, on=2), feedback_line(5, on=3)):
        journal.log.append(line)
    journal.log.append(b'{"record":"feedback","id":7}\n')
    found = History(directory).feedback({"turn_000000000001", "turn_000000000002"})

    assert [(each.at, each.turn_id[-1]) for each in found] == [(3, "2"), (9, "1")]


def test_feedback_goes_with_the_session_that_is_erased(make, directory):
    """On its turns, given in it, journalled or refused; of others nothing goes."""
    journal = make()
    journal.log.append(turn_line(1, session="a"))
    journal.log.append(turn_line(2, session="b"))
    journal.log.append(step_line(2, "e" * 16, ended_at=2))
    said = [feedback_line(1, on=1), feedback_line(2, on=2), feedback_line(3, on=9, session="a")]
    for line in said:
        journal.log.append(line)
    dead = directory.dead / "x" / "o.ndjson"
    dead.parent.mkdir()
    letters = [{"reason": "r", "at": 1, "feedback": orjson.loads(line)} for line in said]
    dead.write_bytes(b"".join(orjson.dumps(letter) + b"\n" for letter in letters))

    assert purge(directory, session_id="a") == 1
    left = [orjson.loads(line) for line in dead.read_bytes().splitlines() if line.strip()]
    assert [each["feedback"]["id"] for each in left] == ["feedback_000000000002"]
    assert taken(journal.backlog(EXPORTER, feedback=True)) == ["t2", "f2"]
    assert b"feedback_000000000001" not in journal.log.chain.active.path.read_bytes()


def test_old_feedback_is_erased_with_old_turns(make, directory):
    """By when it was given, its turn being here or not."""
    journal = make()
    journal.log.append(turn_line(1))
    journal.log.append(feedback_line(5, on=1))
    journal.log.append(feedback_line(2, on=8))
    journal.log.append(feedback_line(6, on=8))

    assert purge(directory, before_ns=3) == 1
    assert taken(journal.backlog(EXPORTER, feedback=True)) == ["f6"]
