"""Cursors survive a crash, and one in doubt costs a repeat, never a turn."""

import pytest
from journal_records import EXPORTER, deliver, turn_line

from turnspan.journal.cursors import Cursors


@pytest.fixture
def dead(make, directory):
    """A closed owner with three turns, two of them delivered; the name of its segment."""
    journal = make()
    for n in range(3):
        journal.log.append(turn_line(n))
    backlog = journal.backlog(EXPORTER)
    backlog.read(max_turns=10, max_bytes=2**20)
    backlog.commit(2)
    journal.close()
    ((name,),) = directory.owners().values()
    return name


def redelivered(make):
    journal = make()
    journal.backlog(EXPORTER)
    journal.adopt()
    return deliver(journal)


def test_delivery_goes_on_at_the_cursor(dead, make):
    """What was committed is not sent again."""
    assert redelivered(make) == [2]


@pytest.mark.parametrize(
    "text", [None, b"", b"12", b"garbage\n", b"-5\n", b"99999999\n", b"7\n", b"9" * 30 + b"\n"]
)
def test_a_cursor_in_doubt_counts_as_the_start(dead, make, directory, text):
    """Missing, cut, corrupt, past the end, in the middle of a line: everything comes again."""
    path = directory.cursor(EXPORTER, dead)
    if text is None:
        path.unlink()
    else:
        path.write_bytes(text)

    assert redelivered(make) == [0, 1, 2]


def test_a_cursor_that_cannot_be_written_stops_nothing(directory, caplog):
    """It is said, and turns may come twice."""
    directory.path.mkdir()
    (directory.path / "cursors").write_text("")
    Cursors(directory, EXPORTER).commit("segment", 7)

    assert "may be sent again" in caplog.text


def test_a_cursor_that_could_not_be_written_is_written_later(make, directory):
    """Else a segment would never count as delivered, and be sent again by the next start."""
    journal = make()
    backlog = journal.backlog(EXPORTER)
    journal.log.append(turn_line(1))
    journal.log.rotate()
    place = directory.path / "cursors"
    place.rename(directory.path / "elsewhere")
    place.write_text("in the way")
    backlog.commit(len(backlog.read(max_turns=9, max_bytes=2**20)))
    place.unlink()
    backlog.read(max_turns=9, max_bytes=2**20)
    sealed, _ = journal.log.chain.segments

    position = Cursors(directory, EXPORTER).position(sealed.path.name)
    assert position == sealed.path.stat().st_size
