"""Producers and destinations: each a process or a server of its own, each with its troubles."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent
FOREIGN = ("TURNSPAN_", "OTEL_")
LONGEST_S = 240  # for a program that hangs; a busy machine needs a tenth of it
EXIT_S = "30"  # what an exit may take where the destination answers, late on a busy machine


@dataclass(frozen=True)
class Done:
    """A program that has ended. ``exit_s`` is from the last line it printed."""

    status: int
    lines: list[dict[str, Any]]
    err: str
    exit_s: float
    recorded: list[str] = field(default_factory=list)


class Destinations:
    """One for each exporter; what is said to them is said to both."""

    def __init__(self, http: Any, otlp: Any) -> None:
        self.http = http
        self.otlp = otlp
        self.to: list[str] = [http.url, f"otlp+{otlp.url}"]

    def be(self, name: str, **options: Any) -> None:
        self.http.be(name, **options)
        self.otlp.be(name, **options)

    @property
    def whole(self) -> list[list[int]]:
        """The numbers of the turns that arrived with all they held, at each."""
        return [self.http.whole, self.otlp.whole]

    @property
    def duplicates(self) -> list[int]:
        """Turns, and spans, that are there under more than one id; for turns of `producer.py`."""
        each = ((self.http, 1), (self.otlp, 2))
        return [len(server.ids) - items * len(server.whole) for server, items in each]

    @property
    def resent(self) -> list[int]:
        """What was sent again under an id that was known."""
        return [self.http.state.duplicates, self.otlp.state.duplicates]


@pytest.fixture(autouse=True)
def each_test_begins_unconfigured(unconfigured: None) -> None:
    """Programs of these tests inherit nothing."""


@pytest.fixture
def both(turns_api) -> Iterator[Destinations]:
    """A destination of turns and one of spans."""
    with type(turns_api)() as otlp:
        yield Destinations(turns_api, otlp)


@pytest.fixture
def produce(tmp_path) -> Callable[..., Done]:
    """Runs `producer.py`; ``to`` are the destinations, the rest its arguments.

    Its exit waits for a destination that answers late, unless it is ``hurried``.
    """

    def produce(to: list[str], *given: str, hurried: bool = False, **options: Any) -> Done:
        recorded = tmp_path / "recorded"
        recorded.unlink(missing_ok=True)
        command = [sys.executable, "-W", "error", str(HERE / "producer.py")]
        command += ["--recorded", str(recorded), *given]
        command += [word for url in to for word in ("--to", url)]
        for name, value in options.items():
            command += [f"--{name.replace('_', '-')}", str(value)]
        kept = {k: v for k, v in os.environ.items() if not k.startswith(FOREIGN)}
        done = subprocess.run(
            command,
            cwd=tmp_path,
            env=kept | {"NO_PROXY": "*", "no_proxy": "*"} | patience(hurried),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=LONGEST_S,
            check=False,
        )
        ended_s = time.monotonic()
        lines = [json.loads(line) for line in done.stdout.splitlines()]
        assert lines, done.stderr
        ids = recorded.read_text().split() if recorded.exists() else []
        return Done(done.returncode, lines, done.stderr, ended_s - lines[-1]["at_s"], ids)

    return produce


@pytest.fixture
def start_again(produce) -> Callable[..., Done]:
    """The next start of the program: it has nothing to record, and flushes."""

    def start_again(to: list[str], **options: Any) -> Done:
        done: Done = produce(to, turns=0, end="flush", patience=60, **options)
        assert done.lines[-1]["flushed"], done
        return done

    return start_again


@pytest.fixture
def drain(tmp_path) -> Callable[..., None]:
    """`turnspan drain` on what the program left."""

    def drain(to: list[str], *further: str) -> None:
        command = ["drain", "--dir", str(tmp_path / "turns"), *further]
        command += [word for url in to for word in ("--to", url)]
        done = turnspan_says(*command)
        assert done.returncode == 0, done

    return drain


@pytest.fixture
def doctor(tmp_path) -> Callable[..., dict[str, list[str]]]:
    """What `turnspan doctor` finds, by what it looked at."""

    def doctor(**env: str) -> dict[str, list[str]]:
        done = turnspan_says("doctor", "--dir", str(tmp_path / "turns"), "--json", **env)
        found: dict[str, list[str]] = {}
        for finding in json.loads(done.stdout)["findings"]:
            found.setdefault(finding["check"], []).append(finding["said"])
        return found

    return doctor


@pytest.fixture
def program(start) -> Callable[..., subprocess.Popen[str]]:
    """Starts a program that may import from `producer`; as to its exit, see `produce`."""

    def program(
        text: str, *args: str, told: bool = False, hurried: bool = False
    ) -> subprocess.Popen[str]:
        env = {"PYTHONPATH": str(HERE)} | patience(hurried)
        process: subprocess.Popen[str] = start(text, *args, told=told, **env)
        return process

    return program


@pytest.fixture
def ended(program) -> Callable[..., tuple[int, str, str]]:
    """Runs such a program to its end: status, output, complaints."""

    def ended(text: str, *args: str, hurried: bool = False) -> tuple[int, str, str]:
        process = program(text, *args, hurried=hurried)
        out, err = process.communicate(timeout=LONGEST_S)
        return process.returncode, out, err

    return ended


@pytest.fixture
def at_once() -> Iterator[Callable[..., list[Any]]]:
    """Calls a function for each of several values side by side: most of them only wait."""
    with ThreadPoolExecutor(4) as pool:
        yield lambda function, values: list(pool.map(function, values))


def patience(hurried: bool) -> dict[str, str]:
    """The environment of a program that may take its time to exit, or not."""
    return {} if hurried else {"TURNSPAN_EXIT_S": EXIT_S}


def turnspan_says(*command: str, **env: str) -> subprocess.CompletedProcess[str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith(FOREIGN)}
    return subprocess.run(
        [sys.executable, "-W", "error", "-m", "turnspan", *command],
        env=kept | {"NO_PROXY": "*", "no_proxy": "*"} | env,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=LONGEST_S,
        check=False,
    )


@pytest.fixture
def wait_for() -> Callable[[Callable[[], Any]], None]:
    """Waits until something is true, which it must be before long."""

    def wait_for(is_so: Callable[[], Any]) -> None:
        until_s = time.monotonic() + LONGEST_S
        while not is_so():
            assert time.monotonic() < until_s, "it never came"
            time.sleep(0.02)

    return wait_for
