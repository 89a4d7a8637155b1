"""The table of rules: who is in it, how it is tried, and what it looks like."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from turnspan.testing.decorator_rules import RULES

PROGRAMS = Path(__file__).parents[2] / "benchmarks"


def answered(*arguments, **environment):
    """What a program of the benchmarks prints."""
    done = subprocess.run(
        [sys.executable, *map(str, arguments)],
        env={"PATH": "/usr/bin:/bin", **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_every_adapter_names_what_it_needs_installed(program):
    """`--make` knows the packages of each peer without importing its adapter."""
    peers = program("rules_of_peers").PEERS
    named = {peer: peers.packages(peer) for peer in peers.known()}

    assert len(named) > 10
    assert next(iter(named)) == "turnspan"
    assert [peer for peer, packages in named.items() if not packages] == ["turnspan"]


def test_one_library_is_tried_by_a_python_of_its_own():
    """The answer has the version and, of each rule asked for, the verdict."""
    told = json.loads(answered(PROGRAMS / "rules_of_one.py", "turnspan", "a_function", "mutation"))
    names = [name for name, _, _ in told["findings"]]

    assert told["version"]
    assert names == [r.name for r in RULES if r.name == "a_function" or r.room == "mutation"]
    assert {(verdict, seen) for _, verdict, seen in told["findings"]} == {("passed", "")}


@pytest.mark.parametrize("event,args", [
    ("socket.getaddrinfo", ("example.com", 443, 0, 0, 0)),
    ("socket.connect", (None, ("192.0.2.1", 443))),
    ("socket.sendto", (None, ("192.0.2.1", 53))),
])  # fmt: skip
def test_nobody_gets_further_than_this_machine(event, args, program):
    """A library that phones home while it is tried is told that there is no network."""
    with pytest.raises(OSError, match="tried offline"):
        program("rules_of_one").stay_here(event, args)


@pytest.mark.parametrize("event,args", [
    ("socket.getaddrinfo", ("localhost", 80, 0, 0, 0)),
    ("socket.connect", (None, ("127.0.0.1", 9))),
    ("socket.connect", (None, "/run/a-socket")),
    ("open", ("example.com", "r", 0)),
])  # fmt: skip
def test_loopback_is_open(event, args, program):
    """Libraries that insist on a server get one on this machine."""
    assert program("rules_of_one").stay_here(event, args) is None


def test_a_peer_that_is_not_installed_is_named(tmp_path):
    """The table goes on without it."""
    nowhere = str(tmp_path / "python")
    printed = answered(PROGRAMS / "rules_of_peers.py", "weave", TURNSPAN_PEER_WEAVE=nowhere)

    assert printed.splitlines()[-1] == "Not installed here: weave."


def test_the_table_has_a_line_a_rule_and_counts_what_is_broken(program, capsys):
    """Signs stand under the library's name and version; the last line has the counts."""
    peers = program("rules_of_peers")
    verdicts = dict.fromkeys((rule.name for rule in RULES), ("passed", ""))
    broken = verdicts | {RULES[0].name: ("failed", "seen"), RULES[1].name: ("not applicable", "x")}
    peers.table({
        "ours": {"version": "1", "findings": verdicts},
        "theirs": {"version": "2", "findings": broken},
    })  # fmt: skip
    lines = capsys.readouterr().out.splitlines()

    assert lines[0].endswith("| ours 1 | theirs 2 |")
    assert [line.rpartition(" ours")[2][-9:] for line in lines[2:4]] == ["| ✓ | ✗ |", "| ✓ | – |"]
    assert len(lines) == len(RULES) + 3
    assert lines[-1] == f"| **broken, of {len(RULES)}** | 0 | 1 |"
