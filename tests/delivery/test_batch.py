"""The batch goes in order and lets a recording caller go first, within bounds."""

import threading

import pytest

from turnspan.delivery import batch as module
from turnspan.delivery.batch import LONGEST_S, SLICE_S, Batch, Courtesy
from turnspan.ports import JournalledTurn


def turns(line, count):
    return [JournalledTurn(line(number)) for number in range(count)]


class Time:
    """Passes while somebody sleeps, and by as much as was asked for."""

    def __init__(self):
        self.now_s = 0.0

    def monotonic(self):
        return self.now_s

    def sleep(self, length_s):
        self.now_s += length_s


@pytest.fixture(autouse=True)
def time(monkeypatch):
    """That of the machine has others to serve too."""
    monkeypatch.setattr(module, "time", Time())
    return module.time


def test_a_batch_is_the_sequence_it_was_made_of(line):
    """Length, order, single turns and slices are those of the turns."""
    given = turns(line, 40)
    batch = Batch(given, Courtesy(lambda: 0))

    assert list(batch) == given
    assert len(batch) == 40
    assert batch[7] is given[7]
    assert list(batch[10:20]) == given[10:20]


def test_a_resting_caller_is_not_waited_for(line):
    """Where nothing is appended, iteration never sleeps."""
    courtesy = Courtesy(lambda: 5)

    list(Batch(turns(line, 512), courtesy))

    assert courtesy.stood_back_s == 0.0


def test_a_recording_caller_goes_first_until_it_rests(line):
    """While the journal grows, the batch naps; when it stops growing, it goes on."""
    grown = iter([0, 1, 2, 3, *[3] * 1000])
    courtesy = Courtesy(lambda: next(grown))

    list(Batch(turns(line, 1), courtesy))

    assert next(grown) == 3
    assert 0.0015 < courtesy.stood_back_s < 0.05


def test_a_busy_caller_does_not_starve_delivery(line, time):
    """Standing back ends at the age limit, although the caller never rests."""
    count = iter(range(1_000_000))
    courtesy = Courtesy(lambda: next(count), patience_s=0.02)

    for turn in Batch(turns(line, 400), courtesy):
        assert turn
        time.sleep(1.01 * SLICE_S)

    assert LONGEST_S <= courtesy.stood_back_s < LONGEST_S + 0.05
    courtesy.begin()
    assert courtesy.stood_back_s == 0.0


def test_a_busy_caller_is_stood_back_for_at_each_slice(line, time):
    """After the patience of the beginning, each slice of work waits two milliseconds more."""
    count = iter(range(1_000_000))
    courtesy = Courtesy(lambda: next(count), patience_s=0.02)

    for turn in Batch(turns(line, 10), courtesy):
        assert turn
        time.sleep(1.01 * SLICE_S)

    assert 0.02 + 9 * 0.002 <= courtesy.stood_back_s < 0.1


def test_in_a_hurry_it_takes_a_breath_only(line):
    """With somebody waiting for a flush, no patience is spent."""
    count = iter(range(1_000_000))
    courtesy = Courtesy(lambda: next(count), hurried=lambda: True)

    list(Batch(turns(line, 512), courtesy))

    assert courtesy.stood_back_s == 0.0


def test_the_switch_interval_stays_as_it_was(line):
    """It belongs to the whole process."""
    import sys

    before = sys.getswitchinterval()
    count = iter(range(1_000_000))
    worker = threading.Thread(
        target=lambda: list(Batch(turns(line, 64), Courtesy(lambda: next(count), patience_s=0.01)))
    )
    worker.start()
    during = sys.getswitchinterval()
    worker.join()

    assert (before, during) == (sys.getswitchinterval(), before)
