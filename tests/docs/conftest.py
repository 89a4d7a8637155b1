from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

# Runs a program that may talk to this machine only, and whose warnings are errors as ours are.
OFFLINE = """
import runpy, sys


def watch(event, args):
    if event in ("socket.connect", "socket.sendto") and isinstance(args[1], tuple):
        if args[1][0] not in ("127.0.0.1", "::1", "localhost"):
            raise OSError(f"the docs' programs run offline; {args[1][0]} was asked for")


sys.addaudithook(watch)
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


@pytest.fixture
def run(tmp_path: Path) -> Callable[[Path], str]:
    """Runs a program in a folder of its own, offline and unconfigured; gives what it printed."""

    def run(program: Path) -> str:
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("TURNSPAN_", "OTEL_"))}
        done = subprocess.run(
            [sys.executable, "-W", "error", "-c", OFFLINE, str(program)],
            cwd=tmp_path,
            env=kept | {"COLUMNS": "100", "NO_COLOR": "1"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )
        assert done.returncode == 0, f"{program.name} failed:\n{done.stdout}{done.stderr}"
        return done.stdout

    return run


@pytest.fixture
def needs() -> Callable[[str], None]:
    """Skips where a program wants a plugin that isn't installed, as with the lowest versions."""

    def needs(program: str) -> None:
        for plugin in ("turnspan_langchain", "langchain_core"):
            if plugin in program and importlib.util.find_spec(plugin) is None:
                pytest.skip(f"{plugin} is not installed here")

    return needs
