"""What was dropped is written down, so that it can be seen from outside and afterwards."""

from journal_records import turn_line

from turnspan.journal.history import History
from turnspan.journal.losses import Loss, Losses

DAY_NS = 86_400 * 10**9


def test_the_counts_of_a_process_are_replaced(directory):
    """One file a process holds what is so by now."""
    losses = Losses(directory)
    losses.write({"ring_full": 1}, 5)
    losses.write({"ring_full": 3, "closed": 1}, 7)
    [loss] = History(directory).losses()

    assert (loss.at, loss.dropped) == (7, {"ring_full": 3, "closed": 1})
    assert len(list(directory.dropped.iterdir())) == 1


def test_what_has_not_changed_is_not_written_again(directory):
    """The time is that of the last loss."""
    losses = Losses(directory)
    losses.write({"ring_full": 1}, 5)
    losses.write({"ring_full": 1}, 9)

    assert [loss.at for loss in History(directory).losses()] == [5]


def test_a_process_without_losses_writes_nothing(make, directory):
    """The room is not even made."""
    journal = make()
    journal.log.append(turn_line(1))
    journal.maintain()
    journal.close()

    assert History(directory).losses() == []
    assert not directory.dropped.exists()


def test_a_loss_at_the_very_end_is_written_too(make, directory):
    """What only memory held as the journal closed, with a disk that takes no turn."""
    journal = make(segment_bytes=10_000, directory_bytes=40_000, ring_bytes=2_000)
    for n in range(60):
        journal.log.append(turn_line(n, size=900))
    journal.maintain()
    for n in range(60, 70):
        journal.log.append(turn_line(n, size=900))
    journal.close()

    assert [dict(loss.dropped) for loss in History(directory).losses()] == [
        dict(journal.log.dropped)
    ]


def test_losses_of_others_are_forgotten_with_their_turns(directory):
    """After the time that delivered turns are kept; a torn file at once, one's own never."""
    Losses(directory).write({"ring_full": 1}, 1 * DAY_NS)
    Losses(directory).write({"ring_full": 2}, 3 * DAY_NS)
    own = Losses(directory)
    own.write({"ring_full": 4}, 1 * DAY_NS)
    (directory.dropped / "torn.dropped").write_bytes(b'{"pid":')
    own.forget(2 * DAY_NS)

    assert [loss.dropped for loss in History(directory).losses()] == [
        {"ring_full": 4},
        {"ring_full": 2},
    ]
    assert not (directory.dropped / "torn.dropped").exists()


def test_an_unreadable_file_is_passed_over(directory):
    """Looking never fails."""
    directory.dropped.mkdir(parents=True, exist_ok=True)
    (directory.dropped / "a.dropped").write_bytes(b"[]")
    Losses(directory).write({"closed": 1}, 5)
    losses = History(directory).losses()

    assert [type(loss) for loss in losses] == [Loss]
