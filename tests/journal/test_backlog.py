"""What one exporter has yet to deliver, through crashes."""

import os
import tempfile
import threading

from hypothesis import given, settings
from hypothesis import strategies as st
from journal_records import (
    EXPORTER,
    Directory,
    Journal,
    Settings,
    SteadyClock,
    deliver,
    number_of,
    open_line,
    turn_line,
)

from turnspan.ports import Unsent

ACTIONS = st.one_of(
    st.tuples(st.just("append"), st.integers(1, 5)),
    st.tuples(st.just("torn"), st.integers(1, 80)),
    st.tuples(st.just("rotate"), st.just(0)),
    st.tuples(st.just("park"), st.just(0)),
    st.tuples(st.just("read"), st.integers(1, 4)),
    st.tuples(st.just("commit"), st.integers(0, 4)),
    st.tuples(st.just("maintain"), st.just(0)),
    st.tuples(st.just("restart"), st.just(0)),
)


class Machine:
    """A journal driven by actions; it remembers what was appended and what was committed."""

    def __init__(self, path):
        self.directory = Directory(path)
        self.appended, self.delivered = [], []
        self.journal = None
        self.clock = SteadyClock()
        self.restart(0)

    def restart(self, _):
        if self.journal is not None:
            self.journal.close()
        self.journal = Journal.open(
            self.directory, settings=Settings(retain_s=1e9), resource={}, service=None,
            exporters=(EXPORTER,), clock=self.clock,
        )  # fmt: skip
        self.journal._start_threads = lambda: None
        self.journal.log._on_segment = lambda: None
        self.backlog = self.journal.backlog(EXPORTER)
        self.journal.adopt()
        self.read, self.committed = [], 0

    def append(self, count):
        for _ in range(count):
            self.appended.append(len(self.appended))
            self.journal.log.append(open_line(self.appended[-1]))
            self.journal.log.append(turn_line(self.appended[-1]))

    def torn(self, length):
        active = self.journal.log.chain.active
        if active:
            with open(active.path, "ab") as file:
                file.write(turn_line(999_999)[:length].rstrip(b"}\n") + b" \n")

    def rotate(self, _):
        self.journal.log.rotate()

    def park(self, _):
        if self.journal.log.parked:
            self.journal.log.unpark()
        else:
            self.journal.log.park("test")

    def read_all(self):
        while turns := self.backlog.read(max_turns=7, max_bytes=2**20):
            self.delivered += [number_of(turn.raw) for turn in turns]
            self.backlog.commit(len(turns))

    def take(self, count):
        self.committed = 0
        turns = self.backlog.read(max_turns=count, max_bytes=2**20)
        self.read = [number_of(turn.raw) for turn in turns]

    def commit(self, count):
        self.backlog.commit(count)
        self.delivered += self.read[self.committed : count]
        self.committed = max(self.committed, min(count, len(self.read)))

    def maintain(self, _):
        self.journal.maintain()


@settings(max_examples=100, deadline=None)
@given(st.lists(ACTIONS, max_size=30))
def test_any_sequence_delivers_every_turn_in_order(actions):
    """Whatever is appended, torn, rotated, read, committed or restarted: all of it, in order."""
    with tempfile.TemporaryDirectory() as path:
        machine = Machine(path)
        has_parked = False
        for name, value in actions:
            has_parked = has_parked or name == "park"
            {"read": machine.take}.get(name, getattr(machine, name, None))(value)
        machine.read_all()
        machine.journal.close()

        assert sorted(set(machine.delivered)) == machine.appended
        if not has_parked:  # what memory held comes late, and perhaps again
            assert machine.delivered == machine.appended


def test_a_new_exporter_starts_at_segments_opened_after_it(make):
    """It is not owed the past."""
    first = make(exporters=("a",))
    first.log.append(turn_line(1))
    first.close()
    second = make(exporters=("a", "b"))
    second.backlog("a"), second.backlog("b")
    second.adopt()
    second.log.append(turn_line(2))

    assert deliver(second, "a") == [1, 2]
    assert deliver(second, "b") == [2]


def test_reading_again_without_commit_gives_the_same_turns(make):
    """And perhaps more; committing twice does no harm."""
    journal = make()
    backlog = journal.backlog(EXPORTER)
    for n in range(4):
        journal.log.append(turn_line(n))
    first = backlog.read(max_turns=2, max_bytes=2**20)
    again = backlog.read(max_turns=3, max_bytes=2**20)
    backlog.commit(1)
    backlog.commit(1)
    rest = backlog.read(max_turns=9, max_bytes=1)

    assert [number_of(t.raw) for t in first] == [0, 1]
    assert [number_of(t.raw) for t in again] == [0, 1, 2]
    assert [number_of(t.raw) for t in rest] == [1]


def test_unsent_counts_turns_and_not_what_surrounds_them(make):
    """A turn that is open is nothing to wait for in a flush."""
    journal = make()
    backlog = journal.backlog(EXPORTER)
    journal.log.append(open_line(1))
    assert backlog.unsent() == Unsent(0, 0, None)
    journal.log.append(turn_line(1))

    assert backlog.unsent() == Unsent(len(turn_line(1)), None, 2)
    assert backlog.unsent(count=True) == Unsent(len(turn_line(1)), 1, 2)


def test_a_segment_that_was_cut_short_takes_nothing_from_what_waits_elsewhere(make):
    """Behind its cursor nothing is left, rather than less than that."""
    journal = make()
    backlog = journal.backlog(EXPORTER)
    journal.log.append(turn_line(1))
    backlog.commit(len(backlog.read(max_turns=9, max_bytes=9999)))
    segment = journal.log.chain.active.path
    os.truncate(segment, 10)
    (tail,) = backlog._tails()

    assert tail.left_bytes() == 0
    assert tail.is_at_end


def test_an_idle_reader_sleeps_until_it_is_woken(make):
    """`wake` before `wait` counts, and the time is kept."""
    backlog = make().backlog(EXPORTER)
    backlog.wake()
    backlog.wait(None)
    backlog.wait(0.01)
    thread = threading.Thread(target=backlog.wait, args=(None,))
    thread.start()
    backlog.wake()
    thread.join(5)

    assert not thread.is_alive()


def test_without_a_descriptor_to_spare_a_segment_is_read_later(child):
    """The application has used up all there are: nothing counts as gone, and all is read then."""
    done = child(
        """
        import resource
        first = opened()
        first.log.append(turn_line(1))
        first.close()
        second = opened()
        backlog = second.backlog(EXPORTER)
        second.adopt()
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        files = [open(os.devnull)]
        resource.setrlimit(resource.RLIMIT_NOFILE, (files[0].fileno() + 1, hard))
        print(backlog.read(max_turns=9, max_bytes=999), backlog.unsent(count=True).turns)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        print(deliver(second), dict(second.counts().dropped))
        """
    )

    assert done.stdout == "[] 0\n[1] {}\n"
