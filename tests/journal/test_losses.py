"""What had to be dropped is found by others, for a time."""

import os

from journal_records import turn_line

from turnspan.journal.losses import Losses, Lost


def test_what_processes_dropped_is_added_up(directory):
    """By reason, with the time of the last; the latest count of each process stands."""
    Losses(directory).write("one", {"ring_full": 2}, 10)
    two = Losses(directory)
    two.write("two", {"ring_full": 1}, 20)
    two.write("two", {"ring_full": 4, "closed": 1, "nothing": 0}, 30)

    assert Losses(directory).read() == Lost({"ring_full": 6, "closed": 1}, 30)


def test_nothing_is_written_where_nothing_was_dropped(directory):
    """A process that loses nothing leaves no file."""
    Losses(directory).write("one", {}, 10)

    assert Losses(directory).read() == Lost()
    assert not (directory.path / "dropped").exists()


def test_what_is_torn_or_old_is_passed_over(directory):
    """A file that cannot be read hides no other, and one too old is deleted."""
    losses = Losses(directory)
    losses.write("old", {"closed": 1}, 10)
    old = directory.path / "dropped" / "old.json"
    os.utime(old, ns=(1000, 1000))
    Losses(directory).write("new", {"closed": 2}, 20)
    (directory.path / "dropped" / "torn.json").write_bytes(b'{"dropped": [')
    losses.forget(2000)

    assert losses.read() == Lost({"closed": 2}, 20)
    assert not old.exists()


def test_what_cannot_be_written_down_is_said(directory, caplog):
    """A file in the folder's place costs the caller nothing."""
    directory.path.mkdir()
    (directory.path / "dropped").write_text("in the way")
    Losses(directory).write("one", {"closed": 1}, 10)

    assert "cannot be written down" in caplog.text


def test_a_closed_journal_has_written_down_what_it_dropped(make, directory):
    """What memory held at the end, where nothing could be written any more."""
    journal = make()
    journal.log.append(turn_line(1))
    journal.log.dropped["ring_full"] += 3
    journal.close()

    assert Losses(directory).read().counts == {"ring_full": 3}
