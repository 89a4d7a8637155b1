"""Directories with turns in them, and the program, in this process or as one of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Any

import pytest

from turnspan.cli import main
from turnspan.clock import SystemClock
from turnspan.delivery.dead import DeadLetters
from turnspan.journal import Directory, Journal
from turnspan.ports import journalled
from turnspan.schema import Feedback, Turn, encode_feedback, encode_turn
from turnspan.settings import Settings


@dataclass
class Said:
    """What a command answered."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Its output as one JSON value."""
        return json.loads(self.out)

    @property
    def lines(self) -> list[Any]:
        """Its output as JSON, a value a line."""
        return [json.loads(line) for line in self.out.splitlines()]


@pytest.fixture
def call(unconfigured, capsys) -> Callable[..., Said]:
    """Calls `main` in this process, in an empty folder."""

    def call(*words: str) -> Said:
        capsys.readouterr()
        status = main(list(words))
        return Said(status, *capsys.readouterr())

    return call


@pytest.fixture
def program(tmp_path) -> Callable[..., AbstractContextManager[subprocess.Popen[str]]]:
    """Starts the real program, unconfigured but for what is given; it ends with the block."""

    @contextmanager
    def program(*words: str, **env: str) -> Iterator[subprocess.Popen[str]]:
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("TURNSPAN_", "OTEL_"))}
        # A shell starts what it puts in the background with SIGINT ignored, which is inherited.
        before = signal.signal(signal.SIGINT, signal.default_int_handler)
        process = subprocess.Popen(
            [sys.executable, "-W", "error", "-m", "turnspan", *words],
            cwd=tmp_path,
            env=kept | {"NO_PROXY": "*", "no_proxy": "*"} | env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        signal.signal(signal.SIGINT, before)
        with process:
            try:
                yield process
            finally:
                process.kill()  # a test that failed must not wait for it

    return program


@pytest.fixture
def ran(program) -> Callable[..., Said]:
    """Runs the real program to its end."""

    def ran(*words: str, **env: str) -> Said:
        with program(*words, **env) as process:
            out, err = process.communicate(timeout=240)
        return Said(process.returncode, out, err)

    return ran


@pytest.fixture
def record(tmp_path) -> Callable[..., Directory]:
    """Writes turns to the journal in `.turnspan`, as a process that has ended since."""

    def record(
        turns: Sequence[Turn],
        *,
        feedback: Sequence[Feedback] = (),
        exporters: Sequence[str] = (),
    ) -> Directory:
        directory = Directory(tmp_path / ".turnspan")
        journal = Journal.open(
            directory,
            settings=Settings(),
            resource={"service.name": "tests"},
            service="tests",
            exporters=exporters,
            clock=SystemClock(),
        )
        for turn in turns:
            journal.log.append(encode_turn(turn))
        for each in feedback:
            journal.log.append(encode_feedback(each))
        journal.close()
        return directory

    return record


@pytest.fixture
def bury(tmp_path) -> Callable[..., DeadLetters]:
    """Puts turns and feedback among the dead letters of an exporter."""

    def bury(exporter: str, *refused: Turn | Feedback) -> DeadLetters:
        Directory(tmp_path / ".turnspan").prepare()
        letters = DeadLetters(tmp_path / ".turnspan", owner="tests")
        for at, each in enumerate(refused, 1):
            line = encode_turn(each) if isinstance(each, Turn) else encode_feedback(each)
            letters.append(exporter, journalled(line), reason=f"reason {at}", at=at)
        return letters

    return bury
