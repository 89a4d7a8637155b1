"""From what was submitted to a stored turn: one, however often, whoever does it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from turnspan.dialects.sonzai import ASIDE, EXTRACTION, turn_of
from turnspan.server.routes.sonzai.extraction import EXTRACTED, MOOD, extracted
from turnspan.server.store.port import Incoming, TurnStore

if TYPE_CHECKING:
    from pydantic import BaseModel

    from turnspan.schema import Status, Turn

__all__ = ["Submission", "aside_of", "drawn", "exchanges", "keep", "sent"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Submission:
    """One exchange on its way into the store; its fields are JSON."""

    turn_id: str
    status: Status = "ok"
    agent: str
    session_id: str
    user_id: str
    at: int
    """When it came: nanoseconds since the epoch."""
    messages: Sequence[Mapping[str, Any]]
    metadata: Mapping[str, Any] = field(default_factory=dict)

    @property
    def payload(self) -> dict[str, Any]:
        """It as a job carries it; `Submission(**payload)` is the way back."""
        return asdict(self)

    def turn(self, number: int | None = None, more: Mapping[str, Any] | None = None) -> Turn:
        """The turn that it becomes, with ``more`` in its metadata."""
        return turn_of(
            self.messages,
            id=self.turn_id,
            session_id=self.session_id,
            agent=self.agent,
            user_id=self.user_id,
            at=self.at,
            number=number,
            status=self.status,
            metadata={**self.metadata, **(more or {})},
        )


def aside_of(request: BaseModel, extraction_id: str) -> dict[str, Any]:
    """What goes into the metadata of a turn that ``request`` brings."""
    given = request.model_dump(include={key.partition(".")[2] for key in ASIDE.values()})
    named = {f"sonzai.{name}": value for name, value in given.items() if value}
    return {EXTRACTION: extraction_id, **named}


def sent(messages: Sequence[BaseModel]) -> list[dict[str, Any]]:
    """Messages as they came, without what is null."""
    return [each.model_dump(exclude_none=True, exclude={"author"}) for each in messages]


def exchanges(messages: Sequence[Mapping[str, Any]]) -> Iterator[list[Mapping[str, Any]]]:
    """A transcript in parts: one begins where the user speaks after somebody answered."""
    held: list[Mapping[str, Any]] = []
    answered = False
    for each in messages:
        answers = each["role"] in {"assistant", "tool"}
        if answered and not answers:
            yield held
            held = []
        answered = answers
        held.append(each)
    if held:
        yield held


def drawn(
    submission: Submission, mood: Mapping[str, Any] | None = None
) -> tuple[dict[str, Any], Exception | None]:
    """What plug-ins add to the metadata of ``submission``, and the first failure of one."""
    found, failure = extracted(submission.turn())
    added: dict[str, Any] = {EXTRACTED: found} if found else {}
    return added | ({MOOD: dict(mood)} if mood else {}), failure


def keep(within: TurnStore, submission: Submission, added: Mapping[str, Any]) -> None:
    """Store ``submission``, inside a transaction: the first version of its id stays.

    Raises:
        ValueError: another session has a turn of this id.
    """
    before = within.turn(submission.turn_id)
    if before is None:
        within.append(submission.session_id, lambda number: submission.turn(number, added))
        return
    known = before.turn
    if known.session_id != submission.session_id:
        raise ValueError("a turn of another session has this id")
    if known.status == "interrupted" and submission.status == "ok":
        final = submission.turn(known.number, added)
        began = {"started_at": known.started_at, "ended_at": max(known.started_at, submission.at)}
        within.add([Incoming.of(final.model_copy(update=began))])
