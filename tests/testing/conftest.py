"""Agents to record, and runs of pytest inside a test."""

from __future__ import annotations

import textwrap
from collections.abc import Callable
from typing import Any

import pytest

import turnspan

INI = """
[pytest]
asyncio_default_fixture_loop_scope = function
asyncio_mode = strict
addopts = --strict-markers --strict-config -p no:langsmith -p no:hypothesispytest -p no:anyio
filterwarnings = error
"""


@pytest.fixture(autouse=True)
def each_test_begins_unconfigured(unconfigured: None) -> None:
    """What a test configures outside of a recording is its own."""


@pytest.fixture
def concierge() -> Callable[..., str]:
    """An agent that looks the weather up in each of the cities it is given."""

    @turnspan.tool
    def forecast(city: str) -> dict[str, Any]:
        if city == "Atlantis":
            raise LookupError(f"no such city: {city}")
        return {"city": city, "celsius": 4}

    @turnspan.agent
    def concierge(question: str, *cities: str) -> str:
        for city in cities:
            forecast(city=city)
        return f"{question}? Yes."

    return concierge


@pytest.fixture
def check(pytester: pytest.Pytester) -> Callable[..., pytest.RunResult]:
    """Runs pytest on a module in a process of its own, where turnspan is fresh."""

    def check(source: str, *args: str) -> pytest.RunResult:
        pytester.makeini(INI)
        pytester.makepyfile(textwrap.dedent(source))
        return pytester.runpytest_subprocess("-q", *args)

    return check
