"""Erasing turns."""

import orjson
import pytest
from journal_records import EXPORTER, deliver, number_of, open_line, step_line, turn_line

from turnspan.journal import History, purge


def test_a_session_is_erased_everywhere_and_offsets_hold(make, directory):
    """Openings, steps and dead letters too; cursors go on where they were, the writer as well."""
    journal = make()
    for n, session in enumerate(("a", "b", "a", "b")):
        journal.log.append(open_line(n, session=session))
        journal.log.append(step_line(n, "e" * 16, ended_at=n))
        journal.log.append(turn_line(n, session=session))
    dead = directory.dead / "x" / "o.ndjson"
    dead.parent.mkdir()
    letters = [
        {"reason": "r", "at": 1, "turn": orjson.loads(turn_line(7, session=s))} for s in "ab"
    ]
    dead.write_bytes(b"".join(orjson.dumps(letter) + b"\n" for letter in letters))
    backlog = journal.backlog(EXPORTER)
    backlog.read(max_turns=1, max_bytes=2**20)
    backlog.commit(1)

    assert purge(directory, session_id="a") == 3
    journal.log.append(turn_line(9, session="b"))
    assert deliver(journal) == [1, 3, 9]
    assert journal.counts().corrupt_lines == 0
    text = journal.log.chain.active.path.read_bytes() + dead.read_bytes()
    assert b'"session_id":"a"' not in text
    assert b"turn_000000000002" not in text
    assert text.count(b'"session_id":"b"') == 6


def test_turns_before_a_time_are_erased(make, directory):
    """By when they ended."""
    journal = make()
    for n in range(5):
        journal.log.append(turn_line(n))

    assert purge(directory, before_ns=3) == 2
    assert [number_of(t.raw) for t in History(directory).turns()] == [2, 3, 4]


def test_purge_wants_one_criterion(directory):
    """Nothing is erased by a call that says nothing."""
    with pytest.raises(ValueError, match="either"):
        purge(directory)
