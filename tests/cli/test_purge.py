"""`purge`: erases what it is told to, after asking."""

import os
import pty
import subprocess
import sys
import time

import pytest

from turnspan.journal import History
from turnspan.testing import make_turn


def left(directory):
    return [each.turn.id for each in History(directory).turns()]


def test_a_session_is_erased(call, record):
    """Its turns are gone, the others stay."""
    directory = record([make_turn(n, session_id="a" if n < 3 else "b") for n in range(1, 5)])
    said = call("purge", "--session", "a", "--yes", "--json")

    assert said.json == {"erased": 2}
    assert left(directory) == ["turn_000000000003", "turn_000000000004"]


@pytest.mark.parametrize("before", ["2023-11-14T22:13:23+00:00", "1d"])
def test_what_ended_before_a_time_is_erased(before, call, record):
    """A time that says its zone, or an age."""
    directory = record([
        make_turn(1), make_turn(2), make_turn(3, ended_at=time.time_ns())
    ])  # fmt: skip
    said = call("purge", "--before", before, "--yes")

    assert (said.status, said.out) == (0, "2 turns erased\n")
    assert left(directory) == ["turn_000000000003"]


def test_a_time_that_cannot_be_read_erases_nothing(call, record):
    """A mistake, with the form to write."""
    directory = record([make_turn(1)])
    said = call("purge", "--before", "yesterday", "--yes")

    assert said.status == 2
    assert "is no time" in said.err
    assert len(left(directory)) == 1


def test_where_nobody_can_answer_it_erases_nothing(ran, record):
    """Without a terminal and without --yes it is a mistake."""
    directory = record([make_turn(1)])
    said = ran("purge", "--session", "session-1")

    assert said.status == 2
    assert "give --yes" in said.err
    assert len(left(directory)) == 1


@pytest.mark.parametrize("answer, kept", [("y", 0), ("", 1)])
def test_on_a_terminal_it_asks_and_does_as_told(answer, kept, record, tmp_path):
    """Only a yes erases."""
    directory = record([make_turn(1)])
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-m", "turnspan", "purge", "--session", "session-1", "--dir", ".turnspan"],
        cwd=tmp_path,
        stdin=theirs,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        os.write(ours, f"{answer}\n".encode())
        out, err = process.communicate(timeout=240)
    os.close(ours)
    os.close(theirs)

    assert process.returncode == 0
    assert err.startswith("Erase the turns of session 'session-1' from ")
    assert (out == "1 turn erased\n") == (kept == 0)
    assert len(left(directory)) == kept


def test_one_of_the_two_must_be_given(call, capsys):
    """Neither is not everything."""
    with pytest.raises(SystemExit) as left_with:
        call("purge", "--yes")

    assert left_with.value.code == 2
