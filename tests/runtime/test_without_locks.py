"""Systems without POSIX locks record to memory, file systems without them to disk."""

from __future__ import annotations

import errno
import json
import subprocess
import sys
import textwrap

import turnspan
from turnspan.journal import Directory, History

NO_LOCKS = "this system has no POSIX file locks: turns are kept in memory only"

# What Windows has not, taken from whoever imports turnspan: a system of that kind is not here.
ELSEWHERE = """
    import json, os, sys
    import concurrent.futures, http.client, subprocess, tempfile, threading, pydantic

    sys.modules["fcntl"] = sys.modules["resource"] = None
    for name in ("O_CLOEXEC", "pread", "pwrite", "fork", "register_at_fork", "statvfs", "fchmod"):
        delattr(os, name)

    import turnspan

    @turnspan.agent
    def echo(question):
        return question

    turnspan.configure(exporters=sys.argv[1:], directory="turns")
    echo("one")
    echo("two")
    turnspan.flush(30.0)
    health = turnspan.health()
    print(json.dumps([health.recorded, health.journalled, health.delivered, health.dropped]))
    turnspan.close()
    from turnspan.cli import main

    main(["doctor", "--dir", "turns"])
"""


def test_where_a_system_has_no_locks_turns_are_kept_in_memory(tmp_path):
    """They arrive all the same, nothing is written to a directory, and one line says so."""
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(ELSEWHERE), "file:turns.ndjson"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=240,
        check=True,
    )
    arrived = [json.loads(line) for line in (tmp_path / "turns.ndjson").read_text().splitlines()]
    told, *doctor = done.stdout.splitlines()

    assert json.loads(told) == [2, 0, 2, {}]
    assert any(NO_LOCKS in line for line in doctor)
    assert [turn["input"]["content"] for turn in arrived] == ["one", "two"]
    assert [each.name for each in tmp_path.iterdir()] == ["turns.ndjson"]
    assert NO_LOCKS in done.stderr


def test_where_a_file_system_has_no_locks_nobody_adopts(tmp_path, monkeypatch, ask, caplog):
    """Turns are journalled and delivered; of another process's nothing is taken, said once."""
    import fcntl

    def fail(*_):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "lockf", fail)
    for name in ("one", "two"):
        turnspan.configure(exporters=["file:" + str(tmp_path / "out")], directory=tmp_path / "t")
        ask(name)
        assert turnspan.flush(60.0)
    health = turnspan.health()
    turnspan.close()
    arrived = [
        json.loads(line)["input"]["content"] for line in (tmp_path / "out").read_text().splitlines()
    ]
    history = History(Directory(tmp_path / "t"))

    assert arrived == ["one", "two"]
    assert (health.journalled, health.delivered, health.dropped) == (1, 1, {})
    assert [each.state for each in history.owners()] == ["foreign", "foreign"]
    assert caplog.messages == [
        f"no file locks in {tmp_path}/t/journal: turns of dead processes wait"
    ]
