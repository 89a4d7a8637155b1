"""The end of a session: when, what was counted, and what was said and not yet submitted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Self

from turnspan.dialects.sonzai import derived_id
from turnspan.server.routes.sonzai.intake import Submission, aside_of, drawn, exchanges, sent

if TYPE_CHECKING:
    from turnspan.server.routes.sonzai.bodies import EndRequest

__all__ = ["Ending"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """How a session ends; its fields are JSON, but for the submissions."""

    id: str
    agent: str
    session_id: str
    user_id: str
    at: int
    """When it was asked for: nanoseconds since the epoch."""
    counts: Mapping[str, int]
    submissions: Sequence[Submission]

    @classmethod
    def of(cls, request: EndRequest, id: str, agent: str, at: int) -> Self:
        """What ``request`` asks for; its messages have the same turns whenever they are kept."""
        some = exchanges(sent(request.messages or ()))
        return cls(
            id=id,
            agent=agent,
            session_id=request.session_id,
            user_id=request.user_id,
            at=at,
            counts=request.model_dump(include={"total_messages", "duration_seconds"}),
            submissions=[
                Submission(
                    turn_id=derived_id(id, index),
                    agent=agent,
                    session_id=request.session_id,
                    user_id=request.user_id,
                    at=at,
                    messages=messages,
                    metadata=aside_of(request, id),
                )
                for index, messages in enumerate(some)
            ],
        )

    @classmethod
    def read(cls, payload: Mapping[str, Any]) -> Self:
        """What a job carries."""
        submissions = [Submission(**each) for each in payload["submissions"]]
        return cls(**{**payload, "submissions": submissions})

    @property
    def payload(self) -> dict[str, Any]:
        """It as a job carries it."""
        return asdict(self)

    @property
    def turn_count(self) -> int:
        """How many turns it brings."""
        return len(self.submissions)

    def drawn(self) -> list[tuple[dict[str, Any], Exception | None]]:
        """What plug-ins add to each of its turns, and how they failed."""
        return [drawn(each) for each in self.submissions]
