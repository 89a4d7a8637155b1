"""Nothing that the policy hides is in any byte that turnspan writes, wherever it was said."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = Path(__file__).with_name("planted.py").read_text(encoding="utf-8")
SECRET = re.compile(rb"zq\d\dkw|998877665520|4111111111111111")
LOCAL = b"zq18kw"  # of a local variable, which is never recorded


@pytest.fixture
def planted(run, turns_api, otlp, tmp_path):
    """What the program had written, everywhere, with a given policy and maker of spans."""

    def planted(mode: str, policy: str) -> dict[str, bytes]:
        turns_api.be("status", status=422, body="no")
        urls = [turns_api.url] if mode == "live" else [turns_api.url, otlp.url]
        done = run(PROGRAM, mode, policy, *urls)
        places = {
            str(path.relative_to(tmp_path)): path.read_bytes()
            for path in tmp_path.rglob("*")
            if path.is_file() and path.name != "program.py"
        }
        places["terminal"] = f"{done.stdout}{done.stderr}".encode()
        places["spans"] = places.pop("spans.json") + b"".join(
            each.SerializeToString() for each in otlp.received.values()
        )
        ids = re.findall(rb'"id":"(turn_[^"]+)"', places["turns.ndjson"])
        shown = [looked_at(tmp_path, "show", turn_id.decode()) for turn_id in ids]
        places["show"] = b"".join(shown)
        places["sessions"] = looked_at(tmp_path, "sessions")
        places["dead list"] = looked_at(tmp_path, "dead", "list")
        return places

    return planted


def looked_at(tmp_path, *command: str) -> bytes:
    """What a command prints of the journal."""
    done = subprocess.run(
        [sys.executable, "-m", "turnspan", *command, "--dir", str(tmp_path / "journal")],
        capture_output=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout + done.stderr


def found_in(places: dict[str, bytes]) -> dict[str, set[bytes]]:
    """Which secrets are where."""
    found = {place: set(SECRET.findall(written)) for place, written in places.items()}
    return {place: secrets for place, secrets in found.items() if secrets}


@pytest.mark.parametrize("mode", ["own", "live"])
def test_no_byte_of_a_hidden_secret_is_written(planted, mode):
    """Journal, dead letters, file, spans, log, terminal and what the commands print."""
    places = planted(mode, "hide")
    found = found_in(places)
    if mode == "live":  # what the application puts on its own spans never comes by us
        assert found.pop("spans") == {b"zq25kw", b"zq26kw", b"zq27kw"}

    assert found == {}
    assert b"<hidden:email>" in places["spans"]
    assert any(place.startswith("journal/dead/") for place in places)
    assert b"the callable given as state= failed" in places["log.txt"]


@pytest.mark.parametrize("mode", ["own", "live"])
def test_without_a_policy_each_of_them_is_somewhere(planted, mode):
    """So the search finds what there is to find; local variables are never recorded."""
    places = planted(mode, "show")
    found = set().union(*found_in(places).values())
    numbers = {number for number in range(1, 37) if number not in (18, 20)}

    assert found >= {f"zq{number:02d}kw".encode() for number in numbers} - {LOCAL}
    assert LOCAL not in found
    assert {b"998877665520", b"4111111111111111"} <= found
    assert {"terminal", "spans", "log.txt", "turns.ndjson"} <= found_in(places).keys()
