"""What a tool shows of a session, in words that are the same for all of them."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from backends.server import eventually

__all__ = ["ShownSession", "ShownStep", "ShownTurn", "value_of", "when_whole"]


@dataclass(frozen=True)
class ShownStep:
    """One span below a turn's; ``id`` is what the tool calls it."""

    name: str
    kind: str
    failed: bool = False
    given: Any = None
    result: Any = None
    tokens: tuple[int, int] | None = None
    reasoning: str | None = None
    id: str = field(default="", compare=False)


@dataclass(frozen=True)
class ShownTurn:
    """One trace."""

    id: str = field(compare=False)
    session: str
    user: str | None
    kind: str
    name: str
    given: str | None
    answer: str | None
    failed: bool
    tokens: tuple[int, int] | None
    steps: list[ShownStep] = field(default_factory=list)


@dataclass(frozen=True)
class ShownSession:
    """What a tool says of a session as a whole."""

    turns: int
    failed: int
    first_input: str | None
    last_output: str | None
    tokens: tuple[int, int]


def value_of(text: str | None) -> Any:
    """What ``text`` is as JSON; itself where it is none, or was cut."""
    try:
        return None if text is None else json.loads(text)
    except json.JSONDecodeError:
        return text


def when_whole(tool: Any, session: str, *, steps: int) -> list[ShownTurn]:
    """The turns of ``session`` as soon as they have so many ``steps``: tools take, then store.

    When time is up, what is there.
    """

    def whole() -> list[ShownTurn] | None:
        shown = tool.turns(session)
        return shown if sum(len(turn.steps) for turn in shown) == steps else None

    found: list[ShownTurn] = eventually(whole) or tool.turns(session)
    return found
