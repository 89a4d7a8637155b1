"""Runs that record into memory, on a clock that a test moves."""

from __future__ import annotations

import itertools

import pytest

import turnspan
from turnspan.exporters.memory import MemoryExporter
from turnspan.integrations import Runs
from turnspan.runtime import Runtime
from turnspan.schema import RandomIds
from turnspan.settings import Settings


class Ticking:
    """A clock on which everything takes a millisecond."""

    def __init__(self):
        self._ticks = itertools.count(1)

    def now_ns(self):
        return 1_800_000_000_000_000_000 + next(self._ticks) * 1_000_000

    monotonic_ns = now_ns


class Idle:
    """Seconds since whenever; a test moves them."""

    def __init__(self):
        self.now_s = 1000.0

    def __call__(self):
        return self.now_s


@pytest.fixture
def memory():
    return MemoryExporter()


@pytest.fixture
def make_runtime(memory):
    built = []

    def make(**given):
        settings = Settings.read({}, {"directory": None, "spans": "own", **given})
        runtime = Runtime(settings, [memory], environ={}, clock=Ticking(), ids=RandomIds(1))
        built.append(runtime)
        return runtime

    yield make
    for runtime in built:
        runtime.close(timeout_s=1.0)


@pytest.fixture
def runtime(make_runtime):
    return make_runtime()


@pytest.fixture
def idle():
    return Idle()


@pytest.fixture
def runs(runtime, idle):
    return Runs(recorder=runtime.recorder, max_roots=3, max_idle_s=60.0, monotonic_s=idle)


@pytest.fixture
def recorded(unconfigured):
    """Turns of this process, recorded by the front door."""
    recorded = MemoryExporter()
    turnspan.configure(exporters=[recorded], directory=None)
    return recorded
