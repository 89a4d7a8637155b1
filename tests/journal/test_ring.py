"""The ring: turns in memory, within a bound."""

import threading

from journal_records import EXPORTER, number_of, open_line, turn_line

from turnspan.journal import RingLog
from turnspan.ports import Unsent


def read(backlog, *, turns=100, size=2**20):
    return [number_of(t.raw) for t in backlog.read(max_turns=turns, max_bytes=size)]


def test_turns_are_read_in_order_until_committed():
    """Reading again gives the same; committing moves on."""
    log = RingLog(10_000, exporters=[EXPORTER])
    backlog = log.backlog(EXPORTER)
    log.append(open_line(0))
    for n in range(5):
        log.append(turn_line(n))

    assert read(backlog, turns=2) == [0, 1]
    assert read(backlog, turns=3) == [0, 1, 2]
    backlog.commit(2)
    assert read(backlog) == [2, 3, 4]
    assert backlog.unsent(count=True) == Unsent(3 * len(turn_line(2)), 3, 3)


def test_one_turn_is_given_however_large():
    """A limit never leaves a backlog stuck."""
    log = RingLog(10_000, exporters=[EXPORTER])
    backlog = log.backlog(EXPORTER)
    log.append(turn_line(1, size=5000))

    assert read(backlog, size=10) == [1]


def test_the_oldest_is_dropped_first_and_counted():
    """What nobody had read when memory was full is said to be lost."""
    size = len(turn_line(1))
    log = RingLog(size * 3, exporters=[EXPORTER])
    backlog = log.backlog(EXPORTER)
    for n in range(1, 6):
        log.append(turn_line(n))

    assert read(backlog) == [3, 4, 5]
    assert log.dropped == {"ring_full": 2}


def test_what_every_reader_has_is_let_go_without_a_loss():
    """Two readers: a line stays for the slower."""
    log = RingLog(2**20, exporters=["a", "b"])
    first, second = log.backlog("a"), log.backlog("b")
    for n in range(4):
        log.append(turn_line(n))
    read(first)
    first.commit(4)

    assert len(log.ring) == 4
    read(second)
    second.commit(3)
    assert len(log.ring) == 1
    assert log.dropped == {}


def test_without_exporters_nothing_is_kept():
    """Nobody would ever read it."""
    log = RingLog(2**20)
    log.append(turn_line(1))

    assert len(log.ring) == 0
    assert log.next_number("s"), log.next_number("s") == (1, 2)


def test_a_sleeping_reader_wakes_at_the_next_turn():
    """No wake-up is lost between looking and sleeping."""
    log = RingLog(2**26, exporters=[EXPORTER])
    backlog = log.backlog(EXPORTER)
    got = []

    def follow():
        while len(got) < 3000:
            turns = backlog.read(max_turns=10, max_bytes=2**20)
            got.extend(turns)
            backlog.commit(len(turns))
            if not turns:
                backlog.wait(20)

    reader = threading.Thread(target=follow)
    reader.start()
    for n in range(3000):
        log.append(turn_line(n))
    reader.join(15)

    assert [number_of(t.raw) for t in got] == list(range(3000))


def test_a_forked_child_begins_anew_whoever_held_the_locks(child):
    """A thread of the parent holds them all at the fork; its readers read nothing here."""
    done = child(
        """
        import threading, warnings
        from turnspan import notices
        from turnspan.journal import RingLog
        from turnspan.journal.bell import Sleep

        warnings.simplefilter("ignore", DeprecationWarning)
        line = turn_line(1)
        log = RingLog(3 * len(line), exporters=[EXPORTER])
        parent = log.backlog(EXPORTER)
        log.append(line)
        log.next_number("s")
        held, over = threading.Event(), threading.Event()

        def hold():
            with log.ring._lock, log._numbers._lock, log.bells._lock, notices._lock:
                held.set()
                over.wait()

        threading.Thread(target=hold, daemon=True).start()
        held.wait()
        if (pid := os.fork()) == 0:
            signal.alarm(10)
            backlog = log.backlog(EXPORTER)
            for n in range(2, 5):
                log.append(turn_line(n))
                log.next_number("s")
                backlog.commit(len(backlog.read(max_turns=9, max_bytes=999)))
                backlog.wait(0.01)
            found = len(log.ring), dict(log.dropped), notices.say("x", "y", level=0)
            print(found, flush=True)
            os._exit(0)
        print(os.waitpid(pid, 0)[1], len(log.ring))
        over.set()
        """
    )

    assert done.stdout == "(0, {}, True)\n0 1\n"
