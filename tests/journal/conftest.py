"""Journals and child processes for the tests of this room."""

import os
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from turnspan import notices
from turnspan.journal import Directory, Journal
from turnspan.settings import Settings

sys.path.insert(0, os.path.dirname(__file__))  # for journal_records, which children import too
from journal_records import EXPORTER, SteadyClock


@pytest.fixture(autouse=True)
def _fresh_notices() -> None:
    notices._said.clear()


@pytest.fixture
def clock() -> SteadyClock:
    return SteadyClock()


@pytest.fixture
def directory(tmp_path: Path) -> Directory:
    return Directory(tmp_path / "spool")


@pytest.fixture
def make(directory: Directory, clock: SteadyClock) -> Iterator[Callable[..., Journal]]:
    """Open journals on the test's directory; they are closed at the end."""
    journals: list[Journal] = []

    def opened(*, exporters: tuple[str, ...] = (EXPORTER,), **options: object) -> Journal:
        settings = Settings.read({}, options)
        journal = Journal.open(
            directory, settings=settings, resource={"service.name": "s"}, service="s",
            exporters=exporters, clock=clock,
        )  # fmt: skip
        journal._start_threads = lambda: None  # tests call maintain() themselves
        journal.log._on_segment = lambda: None
        journals.append(journal)
        return journal

    yield opened
    for journal in journals:
        journal.close()


CHILD = """
import os, signal, sys, time
sys.path.insert(0, {tests!r})
from journal_records import *
directory = Directory({path!r})
def opened(exporters=(EXPORTER,), **options):
    return Journal.open(directory, settings=Settings.read({{}}, options), resource={{}},
                        service="s", exporters=exporters, clock=SteadyClock())
"""


@pytest.fixture
def child(directory: Directory) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run code in a process of its own, with `opened()` for a journal on the same directory."""

    def run(code: str, *, expect: int = 0) -> subprocess.CompletedProcess[str]:
        head = CHILD.format(tests=os.path.dirname(__file__), path=str(directory.path))
        done = subprocess.run(
            [sys.executable, "-c", head + textwrap.dedent(code)],
            capture_output=True, text=True, timeout=240, check=False,
        )  # fmt: skip
        assert done.returncode == expect, done.stderr
        return done

    return run
