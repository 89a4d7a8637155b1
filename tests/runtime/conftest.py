from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import pytest

import turnspan
from turnspan.journal import Directory, History


@pytest.fixture(autouse=True)
def each_test_begins_unconfigured(unconfigured: None) -> None:
    """This room's tests configure the process they run in."""


@pytest.fixture
def ask() -> Callable[[Any], Any]:
    """A decorated agent that answers what it was asked."""

    @turnspan.agent(name="echo")
    def ask(question: Any) -> Any:
        return question

    return ask


@pytest.fixture
def journalled() -> Callable[[str | os.PathLike[str]], list[tuple[Any, ...]]]:
    """Session, number and input of each turn in a directory, in the order they ended."""

    def journalled(directory: str | os.PathLike[str]) -> list[tuple[Any, ...]]:
        turns = [each.turn for each in History(Directory(directory)).turns()]
        return [(turn.session_id, turn.number, turn.input.content) for turn in turns]

    return journalled
