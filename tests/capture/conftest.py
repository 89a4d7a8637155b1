"""A recorder whose records are kept in memory, with a clock and ids that repeat."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from turnspan import notices
from turnspan.capture.active import active
from turnspan.capture.context import current_draft, current_session

sys.path.insert(0, os.path.dirname(__file__))  # for capture_tape
from capture_tape import Tape


@pytest.fixture(autouse=True)
def _clean_context() -> Iterator[None]:
    """Every test leaves the context as it found it, and says what it says anew."""
    notices._said.clear()

    yield

    assert current_draft.get() is None
    assert current_session.get() is None


@pytest.fixture
def record() -> Iterator[Callable[..., Tape]]:
    """Put a recorder in force that has the given options; its tape."""
    before = active.recorder, active._decided

    def start(**options: Any) -> Tape:
        tape = Tape(**options)
        active.use(tape.recorder)
        return tape

    yield start
    active.recorder, active._decided = before


@pytest.fixture
def tape(record: Callable[..., Tape]) -> Tape:
    """A recorder with the defaults is in force; what it wrote."""
    return record()
