"""What a run becomes, where it turns out to be a turn or an agent of its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

from turnspan import session  # by the front door, which says how a first use configures
from turnspan.capture.contents import set_input
from turnspan.capture.context import Session, current_draft, current_session
from turnspan.capture.drafts import Draft, TurnDraft
from turnspan.capture.weight import weigh_messages
from turnspan.integrations.transcript import Transcript, transcript_of

if TYPE_CHECKING:
    from turnspan.capture.recorder import Recorder

__all__ = ["Opening", "Openings", "Tentative", "exact", "keep_given", "open_turn", "put_opening"]


@dataclass(frozen=True, slots=True)
class Opening:
    """What a turn is, where a run turns out to be one.

    ``messages`` is what it was given beside ``input``, and ``read`` makes them dictionaries, as
    for `Runs.set_messages`.
    """

    agent: str
    input: object = None
    session_id: str | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)
    tags: Sequence[str] = ()
    messages: Sequence[Any] = ()
    read: Callable[[Any], dict[str, Any]] | None = None


Openings: TypeAlias = Opening | Callable[[], Opening]
"""An opening, or what makes one where one is needed."""


class Tentative:
    """A root that becomes a turn, or a step, as soon as something happens inside it."""

    __slots__ = ("mono_ns", "now_ns", "opening", "recorder", "under")

    def __init__(self, recorder: Recorder, opening: Openings) -> None:
        self.recorder: Recorder = recorder
        self.opening: Openings = opening
        self.under: Draft | None = current_draft.get()
        self.now_ns: int = recorder.clock.now_ns()
        self.mono_ns: int = recorder.clock.monotonic_ns()

    def open(self) -> Draft:
        """Begin what it is, at the time at which it began."""
        opening = self.opening if isinstance(self.opening, Opening) else self.opening()
        under = self.under
        if under is not None and not under.turn.ended:
            draft = under.recorder.open_step(under, "agent", opening.agent, activate=False)
            turn = under.turn
            draft.fields["started_at"] = turn.started_at + self.mono_ns - turn.started_mono
            draft.fields["agent"] = {"name": opening.agent}
            put_opening(draft, opening)
            return draft
        return open_turn(self.recorder, opening, since=self)


def open_turn(recorder: Recorder, opening: Opening, *, since: Tentative | None = None) -> TurnDraft:
    """Begin a turn, in the session that is in force or else in that of ``opening``."""
    now = current_session.get() or Session()
    metadata = {**opening.metadata, **now.metadata}
    tags = tuple(dict.fromkeys((*now.tags, *opening.tags)))
    joined = now.id or opening.session_id
    its = session(joined, user_id=now.user_id, metadata=metadata, tags=tags).entered
    turn = recorder.open_turn({"name": opening.agent}, activate=False, session=its)
    if since is not None:
        turn.started_at = turn.fields["started_at"] = since.now_ns
        turn.started_mono = since.mono_ns
    if turn.left_out:
        return turn
    try:
        put_opening(turn, opening)
        recorder.announce(turn)
    except Exception:
        recorder.abandon(turn)
        raise
    return turn


def put_opening(draft: Draft, opening: Opening) -> None:
    """Keep what an agent was given."""
    recorder = draft.recorder
    transcript = transcript_of(draft.turn)
    with transcript.lock:
        set_input(recorder, draft, exact(opening.input))
        if opening.messages and opening.read is not None and recorder.content:
            keep_given(draft, transcript, opening.messages, opening.read)


def keep_given(
    draft: Draft,
    transcript: Transcript,
    messages: Sequence[Any],
    read: Callable[[Any], dict[str, Any]],
) -> None:
    """Keep ``messages`` as what ``draft`` was given; hold the transcript's lock meanwhile."""
    recorder = draft.recorder
    conversation = recorder.conversation(draft.turn)
    known = len(conversation.messages)
    draft.fields["input_messages"] = conversation.given(transcript.forms(messages, read))
    if len(conversation.messages) > known:
        weigh_messages(recorder, draft.turn, known)


def exact(value: object) -> object:
    """A text is a text, though frameworks have subclasses of `str` of their own."""
    return str.__str__(value) if isinstance(value, str) else value
