"""A reader: one place that turns are fetched from, and what is asked of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from turnspan.schema import Turn

__all__ = ["Query", "Reader"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """Which turns are meant; everything that is set must hold."""

    session_id: str | None = None
    user_id: str | None = None
    agent: str | None = None
    """The name of the agent, or its id."""
    since: int | None = None
    """Started at or after: nanoseconds since the epoch."""
    until: int | None = None
    """Started before."""
    project_id: str | None = None
    """For the dialects that want it said; a key says it to all others."""

    def asks_for(self, name: str) -> bool:
        """Whether turns are chosen by ``name``, a field of a turn."""
        if name == "started_at":
            return self.since is not None or self.until is not None
        return name in {each.name for each in fields(self)} and getattr(self, name) is not None

    def holds(self, turn: Turn) -> bool:
        """Whether ``turn`` is one of them."""
        return (
            self.session_id in {None, turn.session_id}
            and self.user_id in {None, turn.user_id}
            and self.agent in {None, turn.agent.name, turn.agent.id}
            and (self.since is None or turn.started_at >= self.since)
            and (self.until is None or turn.started_at < self.until)
        )


class Reader(Protocol):
    """Fetches turns from one place, page by page. For one thread at a time."""

    @property
    def name(self) -> str:
        """Its URL, without credentials."""
        ...

    @property
    def dialect(self) -> str:
        """The dialect that it reads."""
        ...

    @property
    def lost(self) -> frozenset[str]:
        """Fields of a turn that this dialect does not carry."""
        ...

    def turns(self, query: Query) -> Iterator[Turn]:
        """The turns that ``query`` means, fetched as they are asked for.

        What the place cannot choose by may be left to the caller, who looks at each turn too.

        Raises:
            ReaderError: it does not answer, refuses, or answers what cannot be read.
        """
        ...

    def close(self) -> None:
        """Close the connection."""
        ...
