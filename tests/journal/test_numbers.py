"""The numbers of a session's turns."""

import signal
import sys
import threading

from journal_records import EXPORTER, turn_line

from turnspan.journal import numbers as numbers_module
from turnspan.journal.numbers import MAX_RUNS, Numbers


def test_numbers_count_each_session_from_one(make):
    """Sessions do not share a count."""
    log = make().log

    assert [log.next_number("a"), log.next_number("a"), log.next_number("b")] == [1, 2, 1]


def test_numbers_go_on_after_a_clean_restart(make, directory):
    """Closing writes them down, for turns that are no longer in a segment too."""
    first = make()
    for n in range(1, 4):
        assert first.log.next_number('s"1') == n
    first.log.append(turn_line(3, session='s"1'))
    first.close()
    for names in directory.owners().values():
        for name in names:
            (directory.journal / name).unlink()

    assert make().log.next_number('s"1') == 4


def test_numbers_go_on_after_sigkill(child, make):
    """Without a file of numbers they are read from the segments, openings included."""
    child(
        """
        log = opened().log
        name = 'a "quoted" s\xe9ssion'
        for n in range(1, 4):
            log.append(turn_line(log.next_number(name), session=name))
        log.append(open_line(log.next_number(name), session=name))
        os.kill(os.getpid(), signal.SIGKILL)
        """,
        expect=-signal.SIGKILL,
    )

    assert make().log.next_number('a "quoted" s\xe9ssion') == 5


def test_numbers_survive_sigkill_after_a_rotation(child, make, directory):
    """The file written at the rotation is taken together with the segments after it."""
    child(
        """
        journal = opened(segment_bytes=4096)
        for n in range(1, 41):
            journal.log.append(turn_line(journal.log.next_number("s"), session="s", size=100))
            journal.maintain()
        os.kill(os.getpid(), signal.SIGKILL)
        """,
        expect=-signal.SIGKILL,
    )

    assert list(directory.numbers.iterdir())
    assert make().log.next_number("s") == 41


def test_adoption_writes_the_numbers_a_dead_owner_left_out(child, make, directory):
    """So that they outlive its segments."""
    child(
        """
        log = opened().log
        log.append(turn_line(log.next_number("s"), session="s"))
        os.kill(os.getpid(), signal.SIGKILL)
        """,
        expect=-signal.SIGKILL,
    )
    journal = make()
    journal.backlog(EXPORTER)
    journal.adopt()
    for names in directory.owners().values():
        for name in names:
            (directory.journal / name).unlink()

    assert journal.log.next_number("s") == 2


def test_a_start_on_many_known_sessions_looks_into_no_run(directory, monkeypatch):
    """Each is in several files by then; the highest number wins, when the session comes back."""
    directory.prepare()
    for _ in range(3):
        numbers = Numbers(directory, max_sessions=16)
        for n in range(100):
            numbers.next(f"s{n}")
        numbers.write("h-b-1-1-aa", None)
    looked = []
    found = numbers_module._found
    monkeypatch.setattr(
        numbers_module, "_found", lambda run, key: looked.append(key) or found(run, key)
    )
    last = Numbers(directory, max_sessions=16)
    last.load()

    assert looked == []
    assert [last.next(f"s{n}") for n in range(100)] == [4] * 100


def test_a_past_is_read_before_the_first_session_is_seen(make, directory):
    """Upkeep does it as it begins: a session of half a million need not wait for the others."""
    first = make()
    for _ in range(3):
        first.log.append(turn_line(first.log.next_number("s"), session="s"))
    first.close()
    second = make()
    second.backlog(EXPORTER)
    second.adopt_aside(lambda: None)
    second.wait_adopted(5.0)
    second.close()  # waits for what upkeep is doing
    for path in (*directory.numbers.iterdir(), *directory.journal.glob("*.ndjson")):
        path.unlink()

    assert second.log.next_number("s") == 4


def test_memory_is_bounded_and_what_was_pushed_out_is_found_again(directory):
    """More sessions than fit: each goes on from its own count."""
    directory.prepare()
    numbers = Numbers(directory, max_sessions=10)
    for n in range(50):
        assert numbers.next(f"s{n}") == 1

    assert len(numbers._last) <= 10
    assert [numbers.next(f"s{n}") for n in range(50)] == [2] * 50


def test_threads_share_one_count(directory):
    """No number is given twice in a process."""
    directory.prepare()
    numbers = Numbers(directory)
    given = []

    def draw():
        for _ in range(2000):
            given.append(numbers.next("s"))

    threads = [threading.Thread(target=draw) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(given) == list(range(1, 8001))


def test_a_session_that_comes_back_is_found_without_reading_segments(make, monkeypatch):
    """Segments are read once, at the first session; what was pushed out is looked up."""
    first = make()
    first.log.append(turn_line(7, session="old"))
    read = []
    segment_lines = numbers_module.lines_of
    monkeypatch.setattr(
        numbers_module, "lines_of", lambda path: read.append(path) or segment_lines(path)
    )
    numbers = Numbers(first.directory, max_sessions=16)
    given = [numbers.next(f"s{n}") for n in range(100)]

    assert given == [1] * 100
    assert [numbers.next(f"s{n}") for n in range(100)] == [2] * 100
    assert numbers.next("old") == 8
    assert len(read) == 1


def test_runs_are_merged_and_forget_nothing(directory):
    """Upkeep leaves few files, each session once with its latest number."""
    directory.prepare()
    numbers = Numbers(directory, max_sessions=8)
    for _ in range(3):
        for n in range(40):
            numbers.next(f"s{n}")
    assert len(list(directory.numbers.iterdir())) > MAX_RUNS
    numbers.keep()

    assert len(list(directory.numbers.iterdir())) == 1
    assert [numbers.next(f"s{n}") for n in range(40)] == [4] * 40


def test_what_was_pushed_out_outlives_the_process(directory):
    """The next one finds it, however the last one ended."""
    directory.prepare()
    before = Numbers(directory, max_sessions=8)
    for n in range(40):
        before.next(f"s{n}")
    after = Numbers(directory, max_sessions=8)

    assert [after.next(f"s{n}") for n in range(30)] == [2] * 30


def test_a_handler_in_the_middle_of_a_call_draws_another_number(directory):
    """At each place where a signal may come in, for a session new and known."""
    directory.prepare()
    numbers = Numbers(directory)
    given = []
    place = 0

    def trace(frame, event, arg):
        nonlocal place
        if frame.f_code.co_filename != numbers_module.__file__:
            return None
        frame.f_trace_opcodes = True
        if event == "opcode":
            place += 1
            if place == stop:
                sys.settrace(None)
                frame.f_trace = None
                given.append(numbers.next("s"))
                given.append(numbers.next("s"))
        return trace

    for stop in range(1, 400):
        place = 0
        sys._getframe().f_trace_opcodes = True  # 3.12 wants to be told in the frame it starts from
        sys.settrace(trace)
        number = numbers.next("s")
        sys.settrace(None)
        given.append(number)
        if place < stop:
            break

    assert stop > 20
    assert len(set(given)) == len(given)
