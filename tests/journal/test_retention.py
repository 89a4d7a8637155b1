"""Delivered data goes, undelivered stays."""

import tracemalloc
from collections import Counter

import orjson
from journal_records import EXPORTER, deliver, number_of, turn_line

from turnspan.journal.ring import Ring

DAY_NS = 86_400 * 10**9


def fill(journal, first, count, size=900):
    for n in range(first, first + count):
        journal.log.append(turn_line(n, size=size))


def test_delivered_segments_go_when_the_directory_is_full(make, directory):
    """Oldest first, together with their cursors, at the second sweep that sees them so."""
    journal = make(segment_bytes=10_000, directory_bytes=40_000)
    fill(journal, 0, 60)
    deliver(journal)
    before = directory.size_bytes()
    journal._retention.sweep({}, 0)
    journal.maintain()
    assert directory.size_bytes() == before
    journal.maintain()

    assert directory.size_bytes() <= 40_000
    ((*_, last),) = directory.owners().values()
    assert last == journal.log.chain.active.path.name
    room = directory.cursor(EXPORTER, "x").parent
    assert {path.name for path in room.iterdir()} <= {
        name for names in directory.owners().values() for name in names
    }
    assert journal.counts().parked is None


def test_undelivered_turns_are_never_deleted(make, directory):
    """Over budget with nothing to delete: memory, said and counted, and back when there is room."""
    journal = make(segment_bytes=10_000, directory_bytes=40_000)
    backlog = journal.backlog(EXPORTER)
    fill(journal, 0, 60)
    journal.maintain()
    journal.maintain()
    assert journal.counts().parked == "directory budget"
    journal.log.append(turn_line(60))
    assert journal.counts().in_memory == 1

    assert deliver(journal) == list(range(61))
    journal.maintain()
    journal.maintain()
    assert journal.counts().parked is None
    journal.log.append(turn_line(61))
    assert [number_of(t.raw) for t in backlog.read(max_turns=9, max_bytes=2**20)] == [61]
    assert journal.counts().in_memory == 0


def test_a_flood_stays_within_the_budget(make, directory):
    """Not at the next sweep but at the very record the log goes on in memory, and counts."""
    journal = make(segment_bytes=2**20, directory_bytes=2**20, ring_bytes=2**18)
    journal.log.append(turn_line(0))
    journal.maintain()
    sizes = []
    for n in range(1, 3000):
        journal.log.append(turn_line(n, size=1000))
        sizes.append(directory.size_bytes() if n % 100 == 0 else 0)
    counts = journal.counts()
    arrived = deliver(journal)

    assert 2**19 < max(sizes) <= 2**20
    assert counts.parked == "directory budget"
    assert counts.in_memory * 1000 <= 2**18
    assert len(arrived) == counts.journalled + counts.in_memory
    assert len(arrived) + counts.dropped["ring_full"] == 3000


def test_what_memory_held_comes_back_within_the_budget(make, directory):
    """As far as there is room for it, made of what was delivered; in segments of the usual size."""
    journal = make(segment_bytes=10_000, directory_bytes=60_000, ring_bytes=2**20)
    backlog = journal.backlog(EXPORTER)
    for n in range(200):
        journal.log.append(turn_line(n, size=1000))
        journal.maintain()
    read, sizes = [], []
    while journal.counts().in_memory:
        on_disk = journal.counts().journalled - len(read)
        assert on_disk
        read += backlog.read(max_turns=on_disk, max_bytes=2**20)
        backlog.commit(on_disk)
        backlog.read(max_turns=1, max_bytes=1)  # is done with those on disk
        journal.maintain()
        journal.maintain()
        segments = [path.stat().st_size for path in directory.journal.glob("*.ndjson")]
        sizes.append((directory.size_bytes() <= 60_000, max(segments) <= 12_000))

    assert set(sizes) == {(True, True)}
    assert [number_of(turn.raw) for turn in read] + deliver(journal) == list(range(200))


def test_a_full_directory_of_delivered_turns_never_stops_recording(make, directory):
    """Room is made before it is needed: at each rotation, for the next."""
    journal = make(segment_bytes=20_000, directory_bytes=100_000)
    for n in range(500):
        journal.log.append(turn_line(n, size=1000))
        if n % 20 == 19:
            deliver(journal)
            journal.maintain()
            assert journal.counts().parked is None

    assert directory.size_bytes() <= 100_000


def test_a_ring_takes_no_more_memory_than_its_bound():
    """What the encoder reserved beyond a line is not kept with it."""
    ring = Ring(2**20, owed=True, dropped=Counter())
    text = "x" * 1100  # its line is a little longer than the encoder's first reserve
    tracemalloc.start()
    for n in range(3000):
        ring.keep(orjson.dumps({"record": "turn", "id": str(n), "text": text}))
    kept_bytes = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()

    assert kept_bytes < 1.2 * 2**20


def test_a_segment_half_delivered_stays(make, directory):
    """A cursor before the end protects the segment, for any of its exporters."""
    journal = make(exporters=("a", "b"), segment_bytes=5_000, retain_s=1.0)
    fill(journal, 0, 20)
    deliver(journal, "a")
    journal.maintain()
    journal._clock.at_ns = 2**62
    journal.maintain()
    journal.maintain()

    assert deliver(journal, "b") == list(range(20))
    journal.maintain()
    journal.maintain()
    ((*names,),) = directory.owners().values()
    assert names == [journal.log.chain.active.path.name]


def test_a_late_write_to_a_sealed_segment_is_delivered_and_keeps_it(make, directory):
    """A write that was under way at the rotation lands behind the reader's back."""
    journal = make(retain_s=1.0)
    journal.log.append(turn_line(1))
    first = journal.log.chain.active.path
    journal.log.rotate()
    journal.log.append(turn_line(2))
    assert deliver(journal) == [1, 2]
    journal._clock.at_ns = 2**62
    journal.maintain()
    with open(first, "ab") as file:
        file.write(turn_line(3))
    journal.maintain()

    assert first.exists()
    assert deliver(journal) == [3]


def test_without_exporters_age_and_budget_alone_decide(make, directory):
    """The journal is the destination then."""
    journal = make(exporters=(), segment_bytes=10_000, directory_bytes=40_000)
    fill(journal, 0, 100)
    journal.maintain()
    journal.maintain()

    assert directory.size_bytes() <= 40_000
    assert journal.counts().parked is None


def test_a_dead_owners_delivered_segments_go_with_their_lock(make, directory, child):
    """Nothing of it is left but what was counted."""
    child("journal = opened(); journal.log.append(turn_line(1)); deliver(journal); journal.close()")
    journal = make(retain_s=1.0)
    journal.backlog(EXPORTER)
    journal.maintain()
    deliver(journal)
    journal._clock.at_ns = 2**62
    journal.maintain()
    journal.maintain()

    assert directory.owners() == {}
    assert directory.locked() == []


def test_a_living_neighbours_segments_are_not_touched(make, directory):
    """Two journals of one process stand for two processes: neither deletes for the other."""
    first, second = make(retain_s=1.0), make(retain_s=1.0)
    first.log.append(turn_line(1))
    first.log.rotate()
    deliver(first)
    second._clock.at_ns = 2**62
    second.maintain()
    second.maintain()

    assert len(directory.owners()[first.log.chain.owner]) == 2
