"""The log: every record is on disk when `append` returns."""

import os
import shutil
import signal
import threading

import pytest
from journal_records import EXPORTER, deliver, number_of, turn_line

from turnspan.journal.reader import turn_lines


def turns_on_disk(directory):
    names = [name for names in directory.owners().values() for name in names]
    return [number_of(line) for n in names for _, line in turn_lines(directory.journal / n)]


def test_a_process_that_records_nothing_leaves_no_segment(make, directory):
    """Opening a journal is not writing to it."""
    make().close()

    assert directory.owners() == {}
    assert directory.locked() == []


def test_a_turn_is_on_disk_when_append_returns(make, directory):
    """No buffer stands between the caller and the page cache."""
    journal = make()
    journal.log.append(turn_line(1))

    (name,) = next(iter(directory.owners().values()))
    header, turn = (directory.journal / name).read_bytes().splitlines(keepends=True)
    assert header.startswith(b'{"record":"segment","owner":"')
    assert turn == turn_line(1)
    assert os.stat(directory.journal / name).st_mode & 0o777 == 0o600


def test_a_log_at_rest_takes_what_comes_all_the_same(make, directory):
    """Turns of exit handlers get a segment of their own, and their numbers go on."""
    journal = make()
    journal.log.append(turn_line(1, session="s"))
    journal.log.next_number("s")
    journal.rest()
    rested = [len(names) for names in directory.owners().values()]
    journal.log.append(turn_line(2, session="s"))
    later = [len(names) for names in directory.owners().values()]

    assert (rested, later) == ([1], [2])
    assert turns_on_disk(directory) == [1, 2]
    assert make().log.next_number("s") == 3
    assert journal.counts().dropped == {}


def test_sigkill_loses_nothing_that_was_appended(child, make, directory):
    """A killed process' turns are all there, and the next process delivers them."""
    child(
        """
        log = opened().log
        for n in range(2000):
            log.append(turn_line(n))
        os.kill(os.getpid(), signal.SIGKILL)
        """,
        expect=-signal.SIGKILL,
    )

    journal = make()
    journal.backlog(EXPORTER)
    assert journal.adopt() == 1
    assert deliver(journal) == list(range(2000))


def test_rotation_under_four_threads_loses_and_repeats_nothing(make):
    """A reader that follows while segments change gets every turn once, each thread in order."""
    journal = make(segment_bytes=20_000)
    backlog = journal.backlog(EXPORTER)
    done = threading.Event()
    seen = []

    def write(thread):
        for n in range(3000):
            journal.log.append(turn_line(thread * 10_000 + n))

    def follow():
        while True:
            ending = done.is_set()
            turns = backlog.read(max_turns=64, max_bytes=2**20)
            seen.extend(number_of(turn.raw) for turn in turns)
            backlog.commit(len(turns))
            if not turns:
                if ending:
                    return
                backlog.wait(0.5)

    reader = threading.Thread(target=follow)
    writers = [threading.Thread(target=write, args=(t,)) for t in range(4)]
    for thread in (reader, *writers):
        thread.start()
    for thread in writers:
        thread.join()
    done.set()
    backlog.wake()
    reader.join()

    assert len(journal.log.chain.segments) > 10
    assert sorted(seen) == [t * 10_000 + n for t in range(4) for n in range(3000)]
    for t in range(4):
        mine = [n for n in seen if n // 10_000 == t]
        assert mine == sorted(mine)


def test_an_append_from_a_signal_handler_in_the_middle_of_others(make):
    """A handler that records a turn while one is being recorded does neither harm."""
    journal = make(segment_bytes=5000)
    log, handled = journal.log, []

    def handler(*_):
        handled.append(100_000 + len(handled))
        log.append(turn_line(handled[-1]))
        log.next_number("s")

    former = signal.signal(signal.SIGALRM, handler)
    signal.setitimer(signal.ITIMER_REAL, 0.0005, 0.0005)
    try:
        for n in range(5000):
            log.append(turn_line(n))
            log.next_number("s")
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, former)

    assert len(handled) > 5
    assert sorted(deliver(journal)) == [*range(5000), *handled]


@pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")
def test_parent_and_forked_child_write_segments_of_their_own(make, directory):
    """Neither writes into the other's file, and the child's turns are adopted when it is gone."""
    journal = make()
    journal.log.append(turn_line(1))
    pid = os.fork()
    if pid == 0:
        try:
            journal.log.append(turn_line(2))
            os.kill(os.getpid(), signal.SIGKILL)
        finally:
            os._exit(1)
    journal.log.append(turn_line(3))
    os.waitpid(pid, 0)

    assert sorted(map(len, directory.owners().values())) == [1, 1]
    journal.backlog(EXPORTER)
    assert journal.adopt() == 1
    assert sorted(deliver(journal)) == [1, 2, 3]


@pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")
def test_a_child_that_exits_does_not_free_the_parents_lock(make, child):
    """Closing what it inherited, the child drops no lock but its own."""
    journal = make()
    journal.log.append(turn_line(1))
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)

    done = child("journal = opened(); journal.backlog(EXPORTER); print(journal.adopt())")
    assert done.stdout == "0\n"


def test_two_processes_share_a_directory(make, child, directory):
    """Each delivers its own while both live; what one leaves the other takes over."""
    journal = make()
    journal.log.append(turn_line(1))
    done = child(
        """
        journal = opened()
        journal.log.append(turn_line(2))
        journal.backlog(EXPORTER)
        print(journal.adopt(), deliver(journal))
        journal.log.append(turn_line(3))
        journal.close()
        """
    )

    assert done.stdout == "0 [2]\n"
    journal.backlog(EXPORTER)
    assert journal.adopt() == 1
    assert deliver(journal) == [3, 1]


def test_a_full_disk_sends_turns_to_memory_and_back(child):
    """Past the largest file the process may write, turns go to the ring, and all arrive."""
    done = child(
        """
        import resource
        journal = opened()
        journal.upkeep.close()  # this test calls it by hand
        resource.setrlimit(resource.RLIMIT_FSIZE, (3000, resource.RLIM_INFINITY))
        for n in range(30):
            journal.log.append(turn_line(n, size=100))
        assert journal.counts().diverted, journal.counts()
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        journal.maintain()
        assert journal.counts().parked is None
        journal.log.append(turn_line(30))
        got = deliver(journal)
        assert sorted(got) == list(range(31)), got
        assert journal.counts().dropped == {}
        print(journal.counts().corrupt_lines)
        """
    )

    assert done.stdout in ("0\n", "1\n", "2\n")
    assert "disk" in done.stderr or "written" in done.stderr


def test_a_directory_that_is_deleted_is_made_anew(make, directory):
    """Upkeep notices; turns go to a new segment under a new lock."""
    journal = make()
    journal.log.append(turn_line(1))
    former = journal.log.chain.owner
    shutil.rmtree(directory.path)
    journal.maintain()
    journal.log.append(turn_line(2))

    assert turns_on_disk(directory) == [2]
    assert journal.log.chain.owner != former
    assert directory.lock(journal.log.chain.owner).exists()


def test_a_directory_that_cannot_be_made_anew_means_the_ring(make, directory):
    """Where a file stands in its place, turns are kept in memory and delivered from there."""
    journal = make()
    journal.log.append(turn_line(1))
    shutil.rmtree(directory.path)
    directory.path.write_text("")
    journal.maintain()
    journal.log.append(turn_line(2))

    assert journal.counts().parked is not None
    assert journal.counts().in_memory == 1
    assert deliver(journal) == [2]


def test_what_memory_held_is_on_disk_before_anything_newer(make, directory):
    """When there is room again, and at the latest when the journal closes."""
    journal = make()
    journal.log.append(turn_line(1))
    journal.log.park("test")
    journal.log.append(turn_line(2))
    journal.log.unpark()
    journal.log.append(turn_line(3))
    journal.log.park("test")
    journal.log.append(turn_line(4))
    journal.close()

    assert turns_on_disk(directory) == [1, 2, 3, 4]
    assert journal.counts().dropped == {}
    assert journal.counts().journalled == 4


def test_a_descriptor_that_others_closed_is_not_taken_from_them(make, tmp_path, directory):
    """Code that closes every descriptor gets ours too; its next file under that number is safe."""
    journal = make()
    journal.log.append(turn_line(1))
    number = journal.log.fd
    os.close(number)
    journal.log.append(turn_line(2))
    theirs = os.open(tmp_path / "theirs", os.O_CREAT | os.O_RDONLY)
    try:
        journal.log.append(turn_line(3))

        assert sorted(turns_on_disk(directory)) == [1, 2, 3]
        assert (tmp_path / "theirs").read_bytes() == b""
    finally:
        os.close(theirs)


def test_appending_after_close_is_counted_and_harmless(make):
    """A turn that ends in an exit handler is not worth an exception."""
    journal = make()
    journal.log.append(turn_line(1))
    journal.close()
    journal.log.append(turn_line(2))

    assert journal.counts().dropped == {"closed": 1}
    assert journal.counts().journalled == 1


def test_disk_durability_waits_for_fsync(child):
    """`sync` answers when everything appended before it is safe."""
    done = child(
        """
        journal = opened(durability="disk", segment_bytes=4096)
        for n in range(100):
            journal.log.append(turn_line(n))
        print(journal.sync(10.0), journal.log.unsynced)
        journal.close()
        """
    )

    assert done.stdout == "True []\n"


def test_the_first_record_starts_upkeep_and_close_ends_it(child):
    """A process with nothing to record has no thread; one that closed has none left."""
    done = child(
        """
        import _thread
        journal = opened()
        print(_thread._count(), end=" ")
        journal.log.append(turn_line(1))
        print(eventually(lambda: _thread._count() == 1), end=" ")
        journal.close()
        print(eventually(lambda: _thread._count() == 0))
        """
    )

    assert done.stdout == "0 True True\n"


def test_the_journal_never_holds_up_an_exit(directory, child):
    """A process that forgets to close ends at once."""
    child("journal = opened(); journal.log.append(turn_line(1))")


def test_a_switch_under_way_is_not_taken_for_a_deletion(make):
    """Between the new segment's making and its use the two differ; nothing goes to memory then."""
    journal = make()
    log = journal.log
    log.append(turn_line(1))
    is_checked = threading.Event()
    in_between = threading.Event()

    def switch():
        with log._switch:
            new = log.chain.open_next()
            in_between.set()
            is_checked.wait(0.2)
            log._lead_to(new)

    switching = threading.Thread(target=switch)
    switching.start()
    in_between.wait()
    log.check()
    is_checked.set()
    switching.join()

    assert log.parked is None
    assert log.rotate()


def test_a_deleted_directory_takes_no_turn_from_a_reader_that_comes_later(make, directory):
    """What was written to the deleted segment, before and after, is read from what is open."""
    journal = make()
    backlog = journal.backlog(EXPORTER)
    for n in (1, 2):
        journal.log.append(turn_line(n))
    shutil.rmtree(directory.path)
    journal.log.append(turn_line(3))
    journal.log.check()
    journal.maintain()
    journal.log.append(turn_line(4))
    journal.maintain()

    assert backlog.unsent(count=True).turns == 4
    assert deliver(journal) == [1, 2, 3, 4]
    journal.maintain()
    assert backlog.unsent(count=True).turns == 0
    assert len(journal.log._orphans) == 0
    assert journal.counts().dropped == {}


def test_turns_that_were_read_count_as_unsent_when_the_directory_is_deleted(make, directory):
    """A flush that finds the destination down must not be told that nothing is left."""
    journal = make()
    backlog = journal.backlog(EXPORTER)
    for n in (1, 2):
        journal.log.append(turn_line(n))
    backlog.read(max_turns=9, max_bytes=2**20)
    shutil.rmtree(directory.path)

    assert backlog.unsent().size_bytes == 2 * len(turn_line(1))
    assert deliver(journal) == [1, 2]


def test_a_program_that_closes_every_descriptor_gets_no_line_into_its_files(child, directory):
    """As a daemoniser does: its files have the lowest numbers, and ours were high."""
    done = child(
        """
        journal = opened()
        backlog = journal.backlog(EXPORTER)
        journal.log.append(turn_line(1))
        backlog.read(max_turns=9, max_bytes=2**20)
        print(journal.log.fd >= 200)
        journal.upkeep.close(1.0)  # it looks by chance; here the look is `check` below
        os.closerange(3, 10_000)
        files = [open(f"{directory.path}-{n}", "w+b") for n in range(8)]
        journal.log.append(turn_line(2))
        journal.log.check()
        journal.log.append(turn_line(3))
        print(deliver(journal))
        journal.close()
        for file in files:
            file.write(b"mine")
            file.flush()
            file.seek(0)
        print({file.read() for file in files})
        """
    )

    assert done.stdout == "True\n[1, 2, 3]\n{b'mine'}\n"


def test_low_descriptors_that_are_closed_are_none_of_ours(child):
    """The log, its lock and its readers go on where they were."""
    done = child(
        """
        journal = opened()
        backlog = journal.backlog(EXPORTER)
        journal.log.append(turn_line(1))
        backlog.read(max_turns=9, max_bytes=2**20)
        os.closerange(3, 100)
        journal.log.append(turn_line(2))
        journal.log.check()
        print(deliver(journal), len(journal.log.chain.segments))
        """
    )

    assert done.stdout == "[1, 2] 1\n"


def test_a_name_without_json_leaves_turns_in_memory(make, caplog):
    """The header that cannot be written stops neither the caller nor the delivery."""
    name = "broken \ud800"
    journal = make(exporters=(name,))
    journal.log.append(turn_line(1))
    journal.log.append(turn_line(2))

    assert deliver(journal, name) == [1, 2]
    assert [record.levelname for record in caplog.records] == ["WARNING"]
