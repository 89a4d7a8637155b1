"""The pytest plugin: the fixture `turns`, its mark, and readable differences of turns.

Whoever has turnspan installed has this imported by every run of pytest, so it imports nothing
but itself until a test asks for the fixture.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from turnspan.testing.captured import CapturedTurns

__all__ = ["pytest_assertrepr_compare", "pytest_configure", "turns"]

_MARK = (
    "turnspan(*, deterministic=False, **options): how the fixture `turns` records: with counted "
    "ids and a ticking clock, and with options of turnspan.configure()."
)


@pytest.fixture
def turns(request: pytest.FixtureRequest) -> Iterator[CapturedTurns]:
    """The turns of this test, captured in memory; what was configured before is undisturbed."""
    from turnspan.testing.recording import recording

    with recording(**_asked(request.node)) as captured:
        yield captured


def pytest_configure(config: pytest.Config) -> None:
    """Make the mark known."""
    config.addinivalue_line("markers", _MARK)


def pytest_assertrepr_compare(op: str, left: object, right: object) -> list[str] | None:
    """Show where turns differ that were asserted to be equal."""
    if op != "==" or "turnspan.schema.turn" not in sys.modules:
        return None  # nobody can have made a turn or a step yet
    from turnspan.testing.explanation import explained

    return explained(left, right)


def _asked(node: pytest.Item) -> dict[str, Any]:
    """What the marks of a test ask for; the nearer one wins."""
    asked: dict[str, Any] = {}
    for mark in reversed(list(node.iter_markers("turnspan"))):
        if mark.args:
            raise pytest.UsageError("@pytest.mark.turnspan takes options by name")
        asked |= mark.kwargs
    return asked
