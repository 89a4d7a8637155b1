"""The disk: full, read-only, deleted, torn, flipped, crowded."""

import json
import os
import shutil
import signal
import subprocess

import pytest

from turnspan.clock import SystemClock
from turnspan.journal import Directory, Journal
from turnspan.settings import Settings

TO = "http://127.0.0.1:1"
LAST_BYTES = 4096

CROWDED = """
    import logging, os, sys, time
    from producer import ask, question, say
    import turnspan

    where, count, limit = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    if limit:  # where no file system of its own could be mounted
        import resource
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
    turnspan.configure(exporters=sys.argv[4:], directory=where)
    for number in range(count):
        ask(question(number))
    health = turnspan.health()
    say(recorded=health.recorded, dropped=dict(health.dropped), journalled=health.journalled)
    report = turnspan.flush(60)
    say(flushed=bool(report), unsent=report.unsent, problems=turnspan.health().dropped)
"""


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 1 MB; where none can be mounted, a folder, and a limit on its files."""
    place = tmp_path / "small"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(place)]
    mounted = bool(shutil.which("mount")) and _works(mount)
    yield place, 0 if mounted else 200_000
    if mounted:
        subprocess.run(["umount", "-l", str(place)], check=True)


def _works(command):
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def said(out):
    return [{k: v for k, v in json.loads(line).items() if k != "at_s"} for line in out.splitlines()]


def test_a_full_disk_costs_no_turn_while_memory_holds_it(ended, both, small_disk):
    """What the disk does not take is in memory, and delivered from there."""
    place, limit = small_disk
    both.be("status", status=503, times=1)
    status, out, err = ended(CROWDED, str(place / "turns"), "1500", str(limit), *both.to)

    assert (status, "turns are kept in memory" in err) == (0, True)
    first, last = said(out)
    assert (first["recorded"], first["dropped"]) == (1500, {})
    assert 0 < first["journalled"] < 1500
    assert last["flushed"]
    assert both.whole == [list(range(1500))] * 2
    assert both.duplicates == [0, 0]


def test_a_disk_that_has_room_again_takes_what_memory_held(program, both, small_disk, start_again):
    """The program that met it full goes on; killed later, it has lost nothing."""
    place, limit = small_disk
    if limit:
        pytest.skip("needs a file system of its own")
    (place / "ballast").write_bytes(b"x" * 900_000)
    both.be("down")
    process = program(
        """
        import os, sys, time
        from producer import ask, question
        import turnspan

        turnspan.configure(exporters=sys.argv[2:], directory=sys.argv[1])
        for number in range(300):
            ask(question(number))
        print(dict(turnspan.health().dropped), turnspan.health().journalled < 300, flush=True)
        os.unlink(f"{sys.argv[1]}/../ballast")
        while turnspan.health().journalled < 300:
            time.sleep(0.05)
        os.kill(os.getpid(), 9)
        """,
        str(place / "turns"),
        *both.to,
    )
    out, _ = process.communicate(timeout=240)
    both.be("ok")
    start_again(both.to, dir=place / "turns")

    assert (process.returncode, out) == (-9, "{} True\n")
    assert both.whole == [list(range(300))] * 2
    assert both.duplicates == [0, 0]


def test_a_read_only_directory_means_memory(ended, both, tmp_path):
    """The program says so once, and its turns arrive as long as it lives."""
    place = tmp_path / "locked"
    place.mkdir()
    place.chmod(0o500)
    (tmp_path / "turns").symlink_to("/proc/turnspan" if os.geteuid() == 0 else place / "turns")
    status, out, err = ended(CROWDED, "turns", "100", "0", *both.to)

    assert status == 0
    assert err.count("turns are kept in memory") == 1
    assert said(out)[-1]["flushed"]
    assert both.whole == [list(range(100))] * 2


def test_a_directory_deleted_under_way_costs_nothing(program, both, tmp_path):
    """Twice, while the destination is down: what was written before is read from its file."""
    both.be("down")
    process = program(
        """
        import os, shutil, sys
        from producer import ask, question, say
        import turnspan

        def delete():
            while os.path.exists("turns"):
                shutil.rmtree("turns", ignore_errors=True)

        runtime = turnspan.configure(exporters=sys.argv[1:], directory="turns")
        for number in range(90):
            if number in (30, 60):
                delete()
            if number == 45:
                runtime.journal.maintain()  # as it does by itself every 30 s
            ask(question(number))
        say(recorded=True)
        sys.stdin.readline()
        say(flushed=bool(turnspan.flush(60)))
        """,
        *both.to,
        told=True,
    )
    process.stdout.readline()
    both.be("ok")
    out, _ = process.communicate("go\n", timeout=240)

    assert said(out) == [{"flushed": True}]
    assert both.whole == [list(range(90))] * 2
    assert both.duplicates == [0, 0]


def torn(tmp_path, produce):
    """A segment of a dead program, more than 4 KiB of it, and its directory."""
    produce([TO], turns=8, end="kill")
    [segment] = tmp_path.glob("turns/journal/*.ndjson")
    return segment


def read(directory, exporter=TO):
    """What a new process reads for ``exporter``, and commits."""
    journal = Journal.attach(Directory(directory), settings=Settings(), clock=SystemClock())
    try:
        backlog = journal.backlog(exporter)
        journal.adopt()
        found = []
        while batch := backlog.read(max_turns=100, max_bytes=2**20):
            found += batch
            backlog.commit(len(batch))
        return found
    finally:
        journal.close()


def test_a_journal_cut_off_at_any_byte_loses_the_torn_record_alone(produce, tmp_path):
    """At each of its last 4,096 offsets: no exception, nothing twice, all before it there."""
    segment = torn(tmp_path, produce)
    whole = segment.read_bytes()
    lines = whole.splitlines(keepends=True)
    ends = [sum(map(len, lines[: n + 1])) for n in range(len(lines))]
    turns = [line if b'"record":"turn"' in line[:16] else None for line in lines]
    lock = next(segment.parent.glob("*.lock"))
    wrong = []
    for cut in range(len(whole) - LAST_BYTES, len(whole)):
        shutil.rmtree(tmp_path / "turns/cursors")
        lock.write_bytes(b"")
        segment.write_bytes(whole[:cut])
        first, second = read(tmp_path / "turns"), read(tmp_path / "turns")
        # A line that lacks its newline alone is whole.
        kept = [t for t, end in zip(turns, ends, strict=True) if t and end <= cut + 1]
        got = [each.raw for each in first if each.turn.status != "interrupted"]
        ids = [each.turn.id for each in first]
        if got != kept or len(ids) != len(set(ids)) or second:
            wrong.append(cut)

    assert len(whole) > LAST_BYTES
    assert wrong == []


def test_what_is_left_of_a_torn_journal_arrives(both, produce, drain, tmp_path):
    """Over the wire too: the turn that was torn comes as interrupted, if it was opened."""
    both.be("down")
    produce(both.to, turns=30, end="kill")
    [segment] = tmp_path.glob("turns/journal/*.ndjson")
    os.truncate(segment, segment.stat().st_size - 700)
    both.be("ok")
    drain(both.to)
    turns = [json.loads(line) for line in both.http.state.stored.values()]

    assert both.whole == [list(range(29))] * 2
    assert [turn["status"] for turn in turns] == ["ok"] * 29 + ["interrupted"]


def test_flipped_bits_cost_no_more_than_the_lines_they_are_in(
    both, produce, drain, doctor, tmp_path
):
    """Eight bits, one in each of eight turns: all others arrive, these are named somewhere."""
    both.be("down")
    done = produce(both.to, turns=40, end="kill")
    [segment] = tmp_path.glob("turns/journal/*.ndjson")
    text = bytearray(segment.read_bytes())
    hit = range(2, 40, 5)
    for turn, place in zip(hit, (1, 3, 12, 16, 25, 60, -3, -1), strict=True):
        at = text.index(b'{"record":"turn","id":"' + done.recorded[turn].encode())
        end = text.index(b"\n", at)
        text[at + place if place > 0 else end + 1 + place] ^= 0x10
    segment.write_bytes(text)
    both.be("ok")
    drain(both.to)
    intact = {n for n in range(40) if n not in {*hit, hit[-1] + 1}}

    for arrived in both.whole:
        assert intact <= set(arrived)
    assert both.resent == [0, 0]
    assert [line for line in doctor()["journal"] if "cannot be read and are skipped" in line]


@pytest.mark.parametrize("damage", ["a bit", "zeros"])
def test_a_segment_with_a_damaged_head_is_delivered_all_the_same(
    both, produce, drain, tmp_path, damage
):
    """Whom it is owed to can still be read in what is left of it."""
    both.be("down")
    produce(both.to, turns=20, end="kill")
    [segment] = tmp_path.glob("turns/journal/*.ndjson")
    text = bytearray(segment.read_bytes())
    if damage == "a bit":
        text[5] ^= 0x10
    else:
        text[:60] = b"\0" * 60
    segment.write_bytes(text)
    both.be("ok")
    drain(both.to)

    assert both.whole == [list(range(20))] * 2
    assert both.duplicates == [0, 0]


def test_a_segment_without_a_head_waits_for_a_word(both, produce, drain, doctor, tmp_path):
    """It is sent to nobody it may not be meant for; `doctor` names it, `--from-start` sends it."""
    both.be("down")
    produce(both.to, turns=20, end="kill")
    [segment] = tmp_path.glob("turns/journal/*.ndjson")
    text = segment.read_bytes()
    segment.write_bytes(text.replace(b'"exporters":[', b'"exporterz":[', 1).replace(b"{", b"[", 1))
    both.be("ok")
    drain(both.to)
    before = both.whole
    warned = [line for line in doctor()["journal"] if "cannot say whom it is owed to" in line]
    drain(both.to, "--from-start")

    assert before == [[], []]
    assert len(warned) == 1
    assert both.whole == [list(range(20))] * 2
    assert both.duplicates == [0, 0]


@pytest.mark.parametrize(
    "cursor", ["missing", "future", "nonsense", "empty", "in a line", "a folder"]
)
def test_a_cursor_in_doubt_means_again_never_not(both, produce, start_again, tmp_path, cursor):
    """Delivered turns come again under the ids they had; the others come."""
    produce(both.to, turns=20, end="kill", linger=3)
    for path in tmp_path.glob("turns/cursors/*/*"):
        size = int(path.read_text())
        path.unlink()
        if cursor == "a folder":
            path.mkdir()
        elif cursor != "missing":
            path.write_text(
                {"future": f"{size + 10**9}\n", "nonsense": "\x00\xff", "empty": "",
                 "in a line": f"{size - 7}\n"}[cursor]
            )  # fmt: skip
    start_again(both.to)

    assert both.whole == [list(range(20))] * 2
    assert both.duplicates == [0, 0]


def test_a_living_program_keeps_its_turns(program, both, produce):
    """While it stands still another one comes and goes: its turns arrive from itself, once."""
    both.be("down")
    process = program(
        """
        import sys
        from producer import ask, question
        import turnspan

        turnspan.configure(exporters=sys.argv[1:], directory="turns")
        for number in range(30):
            ask(question(number))
        print("recorded", flush=True)
        sys.stdin.readline()
        turnspan.flush(60)
        """,
        *both.to,
        told=True,
    )
    process.stdout.readline()
    process.send_signal(signal.SIGSTOP)
    both.be("ok")
    produce(both.to, first=1000, turns=5, end="flush")
    between = both.whole
    process.send_signal(signal.SIGCONT)
    process.communicate("go\n", timeout=240)

    assert between == [list(range(1000, 1005))] * 2
    assert both.whole == [[*range(30), *range(1000, 1005)]] * 2
    assert both.resent == [0, 0]


def test_two_hundred_dead_programs_cost_no_more_descriptors_than_sixteen(ended, program, both):
    """Each left a few turns: all arrive, and the application has room for files of its own."""
    both.be("down")
    crowd = """
        import os, sys, warnings
        from producer import ask, question
        import turnspan

        warnings.simplefilter("ignore", DeprecationWarning)
        turnspan.configure(exporters=sys.argv[1:], directory="turns")
        for program in range(200):
            if not os.fork():
                for number in range(3):
                    ask(question(program * 10 + number))
                os._exit(0)
            os.wait()
        os._exit(0)
        """
    heir = """
        import os, resource, sys, time
        from producer import say
        import turnspan

        resource.setrlimit(resource.RLIMIT_NOFILE, (200, 200))
        turnspan.configure(exporters=sys.argv[1:], directory="turns")
        files = [open(os.devnull) for _ in range(80)]
        while (unsent := turnspan.health().unsent) < 1200:
            time.sleep(0.01)  # what is adopted in the background is counted then
        say(unsent=unsent)
        sys.stdin.readline()
        say(flushed=bool(turnspan.flush(60)), dropped=dict(turnspan.health().dropped))
        [file.close() for file in files]
        """
    assert ended(crowd, *both.to)[0] == 0

    process = program(heir, *both.to, told=True)
    waits = process.stdout.readline()
    both.be("ok")
    out, _ = process.communicate("go\n", timeout=240)
    wanted = [program * 10 + number for program in range(200) for number in range(3)]

    assert process.returncode == 0
    assert said(waits + out) == [{"unsent": 1200}, {"flushed": True, "dropped": {}}]
    assert both.whole == [wanted] * 2
    assert both.duplicates == [0, 0]
    assert both.resent == [0, 0]


def test_a_disk_full_of_delivered_turns_is_made_room_on(program, both, small_disk, wait_for):
    """They go before their time, though nobody could note that they were delivered."""
    place, limit = small_disk
    if limit:
        pytest.skip("needs a file system of its own")
    both.be("down")
    process = program(
        """
        import sys
        from producer import ask, question, say
        import turnspan

        turnspan.configure(exporters=sys.argv[2:], directory=sys.argv[1], segment_bytes=50_000)
        for number in range(1500):
            ask(question(number))
        say(parked=turnspan.health().parked is not None)
        sys.stdin.readline()
        turnspan.flush(60)
        while turnspan.health().parked:
            turnspan.flush(1)
        """,
        str(place / "turns"),
        *both.to,
        told=True,
    )
    parked = json.loads(process.stdout.readline())["parked"]
    both.be("ok")
    process.stdin.write("\n")
    process.stdin.flush()
    wait_for(lambda: process.poll() is not None)

    assert (parked, process.returncode) == (True, 0)
    assert both.whole == [list(range(1500))] * 2
