"""Each tool is started once for all tests, on loopback, and ended when they are done."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, os.path.dirname(__file__))  # for backends and chromium
from backends import ENVIRONMENTS, backends, python_of

HERE = Path(__file__).parent
FOREIGN = ("TURNSPAN_", "OTEL_")
SESSION = "trip-7"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--pictures",
        default=str(ENVIRONMENTS / "pictures"),
        help="where pictures of the tools' pages are put; those of the docs are in docs/tools",
    )


@pytest.fixture(scope="session")
def started(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """Every tool that is installed; they start side by side, and are waited for when asked for."""
    running: dict[str, Any] = {}
    try:
        for name, backend in backends().items():
            if python := python_of(name):
                running[name] = backend(python, tmp_path_factory.mktemp(name))
        yield running
    finally:
        for backend in running.values():
            backend.server.stop()


@pytest.fixture(scope="session", params=backends())
def tool(request: pytest.FixtureRequest, started: dict[str, Any]) -> Any:
    """One tool after the other, ready."""
    if request.param not in started:
        pytest.skip(f"{request.param} is not installed: `make test-tools` does it")
    started[request.param].server.wait()
    return started[request.param]


@pytest.fixture(scope="session")
def run_for() -> Callable[..., str]:
    """Runs Python with the given words, and records for a tool as its page says."""

    def run_for(*words: object, tool: Any, folder: Path, env: dict[str, str] | None = None) -> str:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(FOREIGN)}
        # A tool that has just started takes its first request slowly.
        patient = {"TURNSPAN_TIMEOUT_S": "60", "TURNSPAN_EXIT_S": "120", "NO_PROXY": "*"}
        done = subprocess.run(
            [sys.executable, "-W", "error", *map(str, words)],
            cwd=folder,
            env=kept | patient | tool.environment() | (env or {}),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    return run_for


@pytest.fixture(scope="session")
def recorded(tool: Any, run_for: Callable[..., str], tmp_path_factory: Any) -> str:
    """The session that `weather_desk.py`, a process of its own, recorded for the tool."""
    folder = tmp_path_factory.mktemp("recorded")
    run_for(HERE / "weather_desk.py", SESSION, tool=tool, folder=folder)
    return SESSION
