"""Which turn waits where a run goes on: in memory, and beside the journal."""

from __future__ import annotations

import os
import stat
import threading
from types import SimpleNamespace

import pytest

from turnspan.integrations.pauses import MAX_OF_THREAD, Pauses, Waiting, pauses


def turn(name, directory=None):
    """As much of a turn as is remembered."""
    span = SimpleNamespace(trace_id=7, span_id=9)
    return SimpleNamespace(id=name, span=span, source=SimpleNamespace(directory=directory))


def test_a_turn_is_found_by_thread_and_checkpoint():
    """And without a checkpoint the thread's last is."""
    some = Pauses()
    for checkpoint in ("c1", "c2"):
        some.remember(Waiting("T", checkpoint), turn(f"turn_{checkpoint}"))

    assert some.find(Waiting("T", "c1"), None).turn_id == "turn_c1"
    assert some.find(Waiting("T"), None).turn_id == "turn_c2"
    assert some.find(Waiting("T", "c3"), None) is None
    assert some.find(Waiting("other", "c1"), None) is None


def test_a_replay_is_not_taken_for_a_resumption():
    """A turn that waited at nobody knows which checkpoint is found by who certainly resumes."""
    some = Pauses()
    some.remember(Waiting("T"), turn("turn_a"))

    assert some.find(Waiting("T", "c1"), None, certain=False) is None
    assert some.find(Waiting("T", "c1"), None).turn_id == "turn_a"


def test_another_process_finds_it_in_the_directory(tmp_path):
    """With the ids of its span; and nobody else on the machine may read it."""
    waiting = Waiting("T", "c1")
    Pauses().remember(waiting, turn("turn_a", tmp_path))
    found = Pauses().find(waiting, tmp_path)
    (file,) = (tmp_path / "paused").iterdir()

    assert (found.turn_id, found.key) == ("turn_a", waiting.key)
    assert (found.trace_id, found.span_id) == (7, 9)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert b"T" not in file.read_bytes().replace(b"turn", b"")


def test_the_key_tells_what_waits_apart():
    """By thread, checkpoint and namespace, and by ids where several interrupts are open."""
    waitings = [
        Waiting("T", "c"),
        Waiting("U", "c"),
        Waiting("T", "d"),
        Waiting("T", "c", "n"),
        Waiting("T", "c", "", ("a", "b")),
        Waiting("T", "", "", ("a",)),
        Waiting("T", "", "", ("b",)),
    ]

    assert len({waiting.key for waiting in waitings}) == len(waitings)
    assert Waiting("T", "c", "", ("a",)).key == Waiting("T", "c").key
    assert Waiting("T", "c", "", ("b", "a")).key == Waiting("T", "c", "", ("a", "b")).key


def test_of_one_thread_only_so_many_are_remembered(tmp_path):
    """The oldest are forgotten."""
    some = Pauses()
    for number in range(MAX_OF_THREAD + 1):
        some.remember(Waiting("T", f"c{number}"), turn(f"turn_{number}", tmp_path))

    assert some.find(Waiting("T", "c0"), tmp_path) is None
    assert some.find(Waiting("T", "c1"), tmp_path).turn_id == "turn_1"


@pytest.mark.parametrize("content", [b"", b"{}", b'[{"key":1}]', b"[7]", b"\xff"])
def test_a_file_that_cannot_be_read_is_passed_over(tmp_path, content):
    """A turn is not linked then, and nothing else happens."""
    Pauses().remember(Waiting("T", "c"), turn("turn_a", tmp_path))
    (file,) = (tmp_path / "paused").iterdir()
    file.write_bytes(content)

    assert Pauses().find(Waiting("T", "c"), tmp_path) is None


def test_files_of_long_ago_are_removed(tmp_path):
    """As a process remembers its first."""
    old = tmp_path / "paused" / "old.json"
    old.parent.mkdir()
    old.write_bytes(b"[]")
    os.utime(old, (0, 0))
    Pauses().remember(Waiting("T", "c"), turn("turn_a", tmp_path))

    assert not old.exists()


def test_a_directory_that_cannot_be_written_to_leaves_memory(tmp_path):
    """What pauses and resumes in one process is linked all the same."""
    (tmp_path / "paused").write_bytes(b"in the way")
    some = Pauses()
    some.remember(Waiting("T", "c"), turn("turn_a", tmp_path))

    assert some.find(Waiting("T", "c"), tmp_path).turn_id == "turn_a"


def test_a_forked_child_is_not_kept_waiting():
    """Though another thread held the lock as it was forked."""
    held, let_go = threading.Event(), threading.Event()

    def hold():
        with pauses._lock:
            held.set()
            let_go.wait()

    holder = threading.Thread(target=hold)
    holder.start()
    held.wait()
    pid = os.fork()
    if pid == 0:
        os._exit(0 if pauses._lock.acquire(blocking=False) else 1)
    _, status = os.waitpid(pid, 0)
    let_go.set()
    holder.join()

    assert os.waitstatus_to_exitcode(status) == 0
