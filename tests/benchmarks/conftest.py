"""The benchmarks are programs, not a package: tests import them as they import one another."""

import importlib
import sys
from pathlib import Path

import pytest

PROGRAMS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def program(monkeypatch):
    """A module of `benchmarks/`, by its name."""
    monkeypatch.syspath_prepend(str(PROGRAMS))
    before = set(sys.modules)
    yield importlib.import_module
    for name in set(sys.modules) - before:
        if getattr(sys.modules[name], "__file__", None) == str(PROGRAMS / f"{name}.py"):
            del sys.modules[name]
