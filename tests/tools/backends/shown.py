"""What a tool shows of a session, in words that are the same for all of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

__all__ = ["ShownSession", "ShownStep", "ShownTurn"]


@dataclass(frozen=True)
class ShownStep:
    """One span below a turn's."""

    name: str
    kind: str
    failed: bool = False
    given: Any = None
    result: Any = None
    tokens: tuple[int, int] | None = None
    reasoning: str | None = None


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
