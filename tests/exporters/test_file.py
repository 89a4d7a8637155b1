"""The exporter that appends to a file: sharing, rotation, crashes, faults of the disk."""

import os
import resource
import signal
import stat
import subprocess
import sys
import textwrap
import threading
import time
from itertools import pairwise
from subprocess import PIPE

import pytest

from turnspan.errors import ExporterError
from turnspan.exporters import file as module
from turnspan.exporters.file import FileExporter, from_url
from turnspan.exporters.identity import turn_id
from turnspan.ports import JournalledTurn, Outcome
from turnspan.settings import Settings
from turnspan.testing import raw_turn

fcntl = pytest.importorskip("fcntl")

YEAR_2096_NS = 4_000_000_000_000_000_000


def turns(first, last):
    return [raw_turn(index) for index in range(first, last + 1)]


def young(first, last):
    """Turns that end after any exporter of a test was made."""
    return [raw_turn(index, ended_at=YEAR_2096_NS) for index in range(first, last + 1)]


def send(exporter, batch, timeout_s=5.0):
    return exporter.export(batch, timeout_s=timeout_s)


def lines(*paths):
    return b"".join(path.read_bytes() for path in paths).splitlines(keepends=True)


def raws(batch):
    return [turn.raw for turn in batch]


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "turns.jsonl"


@pytest.fixture
def python():
    """Runs Python in processes of their own, and ends those that are left."""
    running = []

    def start(source, *arguments):
        command = [sys.executable, "-c", textwrap.dedent(source), *map(str, arguments)]
        running.append(subprocess.Popen(command, stdin=PIPE, stdout=PIPE, text=True))
        return running[-1]

    yield start
    for process in running:
        process.kill()
        process.communicate()


def test_the_journalled_bytes_are_appended_as_they_are(path):
    """A line of the file is the line of the journal, after what was there."""
    path.write_text('{"somebody":"else"}\n')
    batch = turns(1, 3)

    assert send(FileExporter(path), batch) == Outcome()
    assert lines(path) == [b'{"somebody":"else"}\n', *raws(batch)]


def test_nothing_is_made_before_the_first_turn_and_then_only_for_us(tmp_path):
    """Directories are 0700 and the file 0600; those that exist keep their mode."""
    parent = tmp_path / "a" / "b"
    path = parent / "turns.jsonl"
    exporter = FileExporter(path)
    send(exporter, [])
    before = sorted(tmp_path.iterdir())

    send(exporter, turns(1, 1))

    assert before == []
    assert [mode(parent.parent), mode(parent), mode(path)] == [0o700, 0o700, 0o600]


def test_a_line_that_is_no_turn_is_refused_and_the_rest_written(path):
    """Nothing gets in that a reader would trip over."""
    good = raw_turn(1)
    two = JournalledTurn(good.raw + raw_turn(2).raw)
    bad = [b"", b"{}\n", b'{"record":"turn","id":7}\n', good.raw[:-9] + b"\n", good.raw[:-1]]

    outcome = send(FileExporter(path), [*map(JournalledTurn, bad), two, good])

    assert outcome == Outcome(refused=dict.fromkeys(range(6), "neither turn nor feedback"))
    assert lines(path) == [good.raw]


def test_turns_sent_again_after_a_restart_are_written_once(path):
    """The ids in the tail of the file are known, and so are those written since."""
    send(FileExporter(path), turns(1, 5))
    again = FileExporter(path)

    outcomes = [send(again, turns(3, 7)), send(again, turns(6, 8))]

    assert outcomes == [Outcome(), Outcome()]
    assert lines(path) == raws(turns(1, 8))


def test_turns_in_the_closed_file_before_are_known_too(path):
    """A file that was closed a moment before the crash still counts."""
    most = len(raw_turn(1).raw) * 3
    send(FileExporter(path, rotate_bytes=most), turns(1, 4))

    send(FileExporter(path, rotate_bytes=most), turns(2, 5))

    assert lines(path.with_name("turns.jsonl.000001"), path) == raws(turns(1, 5))


def test_turns_several_closed_files_back_are_known(path):
    """The tail is counted in bytes, over as many small files as it takes."""
    most = len(raw_turn(1).raw) * 3
    send(FileExporter(path, rotate_bytes=most), turns(1, 20))

    send(FileExporter(path, rotate_bytes=most), turns(2, 21))

    assert lines(*sorted(path.parent.glob("turns.jsonl.*")), path) == raws(turns(1, 21))


def test_what_others_wrote_and_closed_meanwhile_is_learnt_from_where_we_were(path, monkeypatch):
    """Files that went by another name are the same files: each line is read once."""
    most = len(raw_turn(1).raw) * 3
    first, second = (FileExporter(path, rotate_bytes=most) for _ in range(2))
    send(first, young(1, 2))
    send(second, young(3, 11))
    learnt = []
    monkeypatch.setattr(first, "_learn", learnt.extend)

    send(first, young(12, 12))

    assert learnt == raws(young(3, 11))


def test_only_so_much_of_a_large_file_is_read(path, monkeypatch):
    """What lies further back is not looked at, and half a line does no harm."""
    monkeypatch.setattr(module, "_BACK_BYTES", len(raw_turn(1).raw) * 2 + 7)
    send(FileExporter(path), turns(1, 9))

    send(FileExporter(path), turns(7, 9))

    assert lines(path) == raws([*turns(1, 9), *turns(7, 7)])


def test_all_that_was_written_since_the_exporter_was_made_is_read(path, monkeypatch):
    """A turn that another process wrote and left may come by us, however many came after it."""
    monkeypatch.setattr(module, "_MAX_IDS", 3)
    heir, other = FileExporter(path), FileExporter(path)
    send(other, young(1, 9))

    send(heir, young(2, 3))
    send(other, young(11, 19))
    send(heir, young(11, 12))

    assert lines(path) == raws([*young(1, 9), *young(11, 19)])


def test_recovered_turns_are_looked_for_far_back(path, monkeypatch):
    """They ended before the exporter was made: others may have written much since."""
    monkeypatch.setattr(module, "_MAX_IDS", 3)
    most = len(raw_turn(1).raw) * 5
    send(FileExporter(path, rotate_bytes=most), [raw_turn(1, status="interrupted"), *turns(2, 19)])

    send(FileExporter(path, rotate_bytes=most), turns(1, 4))

    there = lines(*sorted(path.parent.glob("turns.jsonl.*")), path)
    assert there == [raw_turn(1, status="interrupted").raw, *raws(turns(2, 19)), raw_turn(1).raw]


def test_so_many_ids_are_remembered_and_no_more(path, monkeypatch):
    """A process that runs for a year holds no year of ids; after a recovery it lets go of them."""
    monkeypatch.setattr(module, "_MAX_IDS", 3)
    monkeypatch.setattr(module, "_MAX_RECOVERY_IDS", 5)
    exporter = FileExporter(path)

    for index in range(1, 10):
        send(exporter, turns(index, index))
    recovering = list(exporter._seen)
    send(exporter, young(10, 10))

    assert recovering == [turn.turn.id for turn in turns(5, 9)]
    assert list(exporter._seen) == [turn.turn.id for turn in turns(8, 10)]


def test_the_final_version_follows_an_interrupted_turn(path):
    """The file only grows: a reader takes the last line of an id. Nothing follows a final one."""
    cut_off, final = raw_turn(1, status="interrupted"), raw_turn(1)

    for exporter in (FileExporter(path), FileExporter(path)):
        for turn in (cut_off, final, cut_off, final):
            send(exporter, [turn])

    assert lines(path) == [cut_off.raw, final.raw]


def test_a_line_torn_by_a_crash_is_closed_and_its_turn_written(path):
    """The half line stays alone on its line, even one that looks whole by its end."""
    torn = raw_turn(2).raw
    torn = torn[: torn.index(b'"name":"assistant"}') + len(b'"name":"assistant"}')]
    path.write_bytes(raw_turn(1).raw + torn)

    send(FileExporter(path), turns(1, 2))
    send(FileExporter(path), turns(1, 3))

    assert lines(path) == [raw_turn(1).raw, torn + b"\n", raw_turn(2).raw, raw_turn(3).raw]


def test_a_full_file_is_closed_and_the_young_ones_kept(path):
    """Closed files are numbered in their order; the oldest go as asked, no turn is split."""
    most = len(raw_turn(1).raw) * 2
    exporter = FileExporter(path, rotate_bytes=most, keep=2)

    send(exporter, turns(1, 9))

    names = sorted(entry.name for entry in path.parent.iterdir())
    assert names == ["turns.jsonl", "turns.jsonl.000003", "turns.jsonl.000004"]
    assert lines(*(path.with_name(name) for name in [*names[1:], names[0]])) == raws(turns(5, 9))
    assert {mode(entry) for entry in path.parent.iterdir()} == {0o600}


def test_without_keep_no_closed_file_is_deleted(path):
    """Deleting turns is for the user to ask."""
    exporter = FileExporter(path, rotate_bytes=1)

    send(exporter, turns(1, 12))
    closed = sorted(path.parent.glob("turns.jsonl.*"))

    assert lines(*closed, path) == raws(turns(1, 12))
    assert len(closed) == 11


def test_other_files_beside_it_are_left_alone(path):
    """Only files of this name with a number are counted or deleted."""
    others = [
        "turns.jsonl.000001.gz",
        "turns.jsonl.1",
        "my-turns.jsonl.000009",
        "turnsXjsonl.000003",
    ]
    for name in others:
        path.with_name(name).write_text("theirs")

    send(FileExporter(path, rotate_bytes=1, keep=1), turns(1, 4))

    assert {path.with_name(name).read_text() for name in others} == {"theirs"}
    assert path.with_name("turns.jsonl.000003").exists()


def test_a_file_taken_away_by_another_program_is_begun_anew(path):
    """Tools that rotate logs move files away between two batches."""
    exporter = FileExporter(path)
    send(exporter, turns(1, 2))
    path.rename(path.with_name("taken"))

    send(exporter, turns(2, 3))

    assert lines(path) == raws(turns(3, 3))


def test_a_file_emptied_by_another_program_goes_on(path):
    """`copytruncate` leaves an empty file of the same inode."""
    exporter = FileExporter(path)
    send(exporter, turns(1, 2))
    os.truncate(path, 0)

    send(exporter, turns(3, 4))

    assert lines(path) == raws(turns(3, 4))


def test_a_link_stays_a_link(path):
    """A file reached by a link is closed where it lies."""
    target = path.with_name("real.jsonl")
    path.symlink_to(target)

    send(FileExporter(path, rotate_bytes=1), turns(1, 2))

    assert path.is_symlink()
    assert lines(path.with_name("real.jsonl.000001"), target) == raws(turns(1, 2))


def test_an_exporter_learns_what_others_wrote_meanwhile(path):
    """Another process may deliver what this one is sent again an hour later."""
    first, second = FileExporter(path), FileExporter(path)
    send(first, turns(1, 1))
    send(second, turns(2, 3))

    send(first, turns(2, 4))

    assert lines(path) == raws(turns(1, 4))


WRITER = """
import sys, time
from turnspan.exporters.file import FileExporter
from turnspan.testing import raw_turn

path, first, last, rotate, together = sys.argv[1], *map(int, sys.argv[2:])
exporter = FileExporter(path, rotate_bytes=rotate)
print("ready", flush=True)
sys.stdin.readline()
for index in range(first, last + 1, 5):
    if together and index > first and not (index - first) % together:
        print("ready", flush=True)  # one would be done before the other begins
        sys.stdin.readline()
    batch = [raw_turn(n) for n in range(index, index + 5)]
    outcome = exporter.export(batch, timeout_s=30.0)
    assert not outcome.unsent and not outcome.refused, outcome
    print(index, flush=True)
    time.sleep(0.001)  # so that a kill comes in the middle
"""


def go(*processes):
    for process in processes:
        while process.stdout.readline() != "ready\n":
            assert process.poll() is None
    for process in processes:
        process.stdin.write("go\n")
        process.stdin.flush()


def test_two_processes_share_a_file_that_rotates_under_them(path, python):
    """Every turn of both is there whole, once and in the order of its process."""
    both = [python(WRITER, path, first, first + 299, 20_000, 30) for first in (1, 1001)]
    for _ in range(10):
        go(*both)
    codes = [process.wait(timeout=120) for process in both]

    closed = sorted(path.parent.glob("turns.jsonl.*"))
    there = lines(*closed, path)
    by_process = [
        [line for line in there if turn_id(line).startswith(begins)]
        for begins in ("turn_000000000", "turn_000000001")
    ]
    switches = sum(turn_id(a)[:14] != turn_id(b)[:14] for a, b in pairwise(there))
    assert codes == [0, 0]
    assert switches > 5  # they did write at the same time
    assert by_process == [raws(turns(1, 300)), raws(turns(1001, 1300))]
    assert len(closed) >= len(b"".join(there)) // 20_000 - 1
    assert max(entry.stat().st_size for entry in path.parent.iterdir()) <= 20_000


def test_a_writer_killed_at_any_moment_costs_nobody_a_turn(path, python):
    """After SIGKILL the file is whole, and what is sent again is there once."""
    killed = python(WRITER, path, 1, 5000, 50_000, 0)
    go(killed)
    for _ in range(20):
        killed.stdout.readline()
    os.kill(killed.pid, signal.SIGKILL)
    killed.wait(timeout=60)

    outcome = send(FileExporter(path, rotate_bytes=50_000), turns(1, 5000), timeout_s=60.0)

    there = lines(*sorted(path.parent.glob("turns.jsonl.*")), path)
    assert outcome == Outcome()
    assert there == raws(turns(1, 5000))


def test_a_lock_that_others_keep_leaves_turns_unsent_in_time(path, python):
    """While another process holds the file, the exporter waits for its timeout and no longer."""
    holder = python(
        """
        import fcntl, sys, time
        held = open(sys.argv[1], "a")
        fcntl.flock(held, fcntl.LOCK_EX)
        print("held", flush=True)
        time.sleep(60)
        """,
        path,
    )
    holder.stdout.readline()
    exporter = FileExporter(path)
    started_s = time.monotonic()

    held = send(exporter, turns(1, 2), timeout_s=0.2)
    waited_s = time.monotonic() - started_s
    threading.Timer(0.1, holder.kill).start()
    freed = send(exporter, turns(1, 2))

    cause = f"cannot write {path}: another process holds its lock"
    assert held == Outcome.all_unsent(2, cause)
    assert 0.2 <= waited_s < 10.0
    assert freed == Outcome()
    assert lines(path) == raws(turns(1, 2))


def test_a_child_forked_while_we_write_does_not_keep_the_lock(path):
    """The lock is given back explicitly, for a child holds the same open file."""
    batch = turns(1, 2)

    class Forking(list):
        def __iter__(self):
            yield batch[0]
            self.child = os.fork()
            if self.child == 0:
                time.sleep(30)
                os._exit(0)
            yield batch[1]

    forking = Forking(batch)
    try:
        first = send(FileExporter(path), forking)
        second = send(FileExporter(path), turns(3, 3), timeout_s=10.0)
    finally:
        os.kill(forking.child, signal.SIGKILL)
        os.waitpid(forking.child, 0)

    assert (first, second) == (Outcome(), Outcome())


@pytest.fixture
def small_disk():
    """Files of this process cannot grow beyond so many bytes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)

    def limit(size_bytes):
        resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, hard))

    yield limit
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("room_bytes", [0, 100])
def test_a_full_disk_leaves_the_rest_unsent_and_no_half_line(path, small_disk, room_bytes):
    """What fitted was delivered, the rest is offered again, and the file stays readable."""
    exporter = FileExporter(path)
    batch = turns(1, 4)
    small_disk(len(batch[0].raw) + room_bytes)

    full = send(exporter, batch)
    after_full = path.read_bytes()
    small_disk(10**9)
    mended = send(exporter, batch[1:])

    assert full.unsent == {1, 2, 3}
    assert full.cause.startswith(f"cannot write {path}: ")
    assert after_full == batch[0].raw
    assert mended == Outcome()
    assert lines(path) == raws(batch)


def test_a_refused_line_before_a_full_disk_stays_refused(path, small_disk):
    """Each turn is accounted for: refused, delivered, unsent."""
    batch = [JournalledTurn(b"{}\n"), *turns(1, 2), JournalledTurn(b"{}\n")]
    small_disk(len(raw_turn(1).raw))

    outcome = send(FileExporter(path), batch)
    small_disk(10**9)  # where pytest itself writes to a file, it needs the room

    assert (list(outcome.refused), outcome.unsent) == ([0], {2, 3})


def test_what_the_disk_did_not_confirm_is_unsent(path, monkeypatch):
    """With `fsync` nothing counts as delivered before the disk has said so."""
    exporter = FileExporter(path, fsync=True)

    def fail(_):
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as broken:
        broken.setattr(os, "fsync", fail)
        failed = send(exporter, turns(1, 2))
    mended = send(exporter, turns(1, 2))

    assert failed == Outcome.all_unsent(2, f"cannot write {path}: Input/output error")
    assert mended == Outcome()
    assert lines(path) == raws(turns(1, 2))


def test_a_directory_that_went_away_leaves_turns_unsent(tmp_path):
    """It may be mended while the process runs: no error, a cause."""
    exporter = FileExporter(tmp_path / "sub" / "turns.jsonl")
    (tmp_path / "sub").write_text("in the way")

    broken = send(exporter, turns(1, 1))
    (tmp_path / "sub").unlink()
    mended = send(exporter, turns(1, 1))

    cause = f"cannot write {tmp_path}/sub/turns.jsonl: File exists"
    assert (broken, mended) == (Outcome.all_unsent(1, cause), Outcome())


def test_the_time_over_leaves_the_rest_unsent(path):
    """A batch that outlives its time is taken up later."""
    outcome = send(FileExporter(path), turns(1, 2), timeout_s=0.0)

    assert outcome == Outcome.all_unsent(2, f"cannot write {path}: the time was over")


def test_a_file_system_without_locks_is_used_and_said(path, monkeypatch, caplog):
    """Where the kernel has no locks, one warning, and the turns are written."""

    def fail(*_):
        raise OSError(38, "Function not implemented")

    monkeypatch.setattr(fcntl, "flock", fail)

    outcomes = [send(FileExporter(path), turns(n, n)) for n in (1, 2)]

    assert outcomes == [Outcome(), Outcome()]
    assert lines(path) == raws(turns(1, 2))
    assert [record.message for record in caplog.records] == [
        f"{path}: no locks here ([Errno 38] Function not implemented); let one process write to it"
    ]


def test_the_name_is_the_absolute_path(tmp_path, monkeypatch):
    """The same file has the same name, however it was written and wherever the program goes."""
    monkeypatch.chdir(tmp_path)
    relative = FileExporter("turns.jsonl")
    monkeypatch.chdir("/")

    send(relative, turns(1, 1))

    assert relative.name == f"file:{tmp_path}/turns.jsonl"
    assert lines(tmp_path / "turns.jsonl") == raws(turns(1, 1))


def test_a_url_says_when_to_rotate_and_how_many_to_keep(path):
    """`rotate` takes a size with its unit."""
    exporter = from_url(f"file:{path}?rotate=64MiB&keep=5", settings=Settings())

    assert (exporter.name, exporter._rotate_bytes, exporter._keep) == (
        f"file:{path}",
        64 * 2**20,
        5,
    )


@pytest.mark.parametrize("shape", ["", "/", "/sub/", "/fifo", "/file/turns.jsonl", "/file/a/b"])
def test_a_path_that_cannot_be_a_file_is_refused_at_the_door(tmp_path, shape):
    """A directory, a pipe, or a file where a directory is meant: said before any turn is lost."""
    (tmp_path / "file").write_text("")
    os.mkfifo(tmp_path / "fifo")

    with pytest.raises(ExporterError) as raised:
        FileExporter(f"{tmp_path}{shape}")

    assert str(tmp_path) in raised.value.what
