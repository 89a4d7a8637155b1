"""What is rarely there when a turn or step ends."""

from __future__ import annotations

from contextvars import Token
from typing import TYPE_CHECKING, Final

from turnspan.capture.contents import put_state
from turnspan.capture.context import current_draft
from turnspan.capture.conversation import MAX_MESSAGES
from turnspan.capture.drafts import Adopted, Draft, Fields, TurnDraft
from turnspan.capture.weight import bounded_steps
from turnspan.interrupts import is_anothers

if TYPE_CHECKING:
    from turnspan.capture.recorder import Recorder

__all__ = ["drop_contents", "leave_elsewhere", "put_rest", "restore", "with_context"]


def put_rest(recorder: Recorder, turn: TurnDraft) -> None:
    """Put what stands on ``turn`` and not yet in its fields."""
    fields = turn.fields
    if turn.adopted is not None:
        _adopt(recorder, turn, turn.adopted)
    if turn.read_state is not None:
        put_state(recorder, turn, "state_after")
    if turn.open_steps:
        _sweep(recorder, turn)
    if turn.steps_left_out:
        why = f"the turn has more than {len(turn.steps)} steps: {turn.steps_left_out} left out"
        turn.cut("steps", why)
    if turn.usage is not None and "usage" not in fields:
        fields["usage"] = turn.usage
    if turn.conversation is not None:
        fields["messages"] = turn.conversation.messages
        if turn.conversation.is_full:
            turn.cut("messages", f"more than {MAX_MESSAGES} messages")
    if turn.definitions is not None:
        fields["tool_definitions"] = turn.definitions.kept
    if turn.cuts is not None:
        fields["truncated"] = turn.cuts


def _adopt(recorder: Recorder, turn: TurnDraft, adopted: Adopted) -> None:
    turn.adopted = None
    try:
        adopted.put(turn)
        if turn.steps:
            turn.fields["steps"] = bounded_steps(recorder, turn)
    except Exception as exc:  # border: the spans are of another's making
        if is_anothers(exc):
            raise
        recorder.failed("what others have recorded of a turn was left out", exc)


def drop_contents(turn: TurnDraft, fields: Fields, max_bytes: int) -> None:
    """Leave out what a step that ended says, for ``turn`` is over its budget."""
    for key in _CONTENTS:
        content = fields.pop(key, None)
        if content is not None:
            size = len(content["content"])
            turn.size -= size
            where = f"steps/{fields['id']}/{key}"
            turn.cut(where, f"the turn is over {max_bytes} bytes", size)


def with_context(turn: TurnDraft, fields: Fields) -> Fields:
    """What a step says, and what of ``turn`` it names by ranges."""
    if turn.conversation is None and turn.definitions is None:
        return fields
    told = dict(fields)
    if turn.conversation is not None:
        told["messages"] = turn.conversation.messages
    if turn.definitions is not None:
        told["tool_definitions"] = turn.definitions.kept
    return told


def restore(draft: Draft, token: Token[Draft | None]) -> None:
    """Make current again what was current before ``draft``."""
    try:
        current_draft.reset(token)
    except (ValueError, RuntimeError):  # of another context, or undone already
        leave_elsewhere(draft)


def leave_elsewhere(draft: Draft) -> None:
    """Ended in another context than it began in: there is nothing to put back here."""
    if current_draft.get() is draft:
        before = draft.token.old_value if draft.token is not None else None
        current_draft.set(before if isinstance(before, Draft) else None)


def _sweep(recorder: Recorder, turn: TurnDraft) -> None:
    """Steps that outlive their turn are recorded as what they are: open, or left."""
    ended_at = turn.fields["ended_at"]
    swept: list[Fields] = []
    for step in list(turn.open_steps.values()):
        stream = step.stream() if step.stream is not None else None
        status = "open" if stream is None else stream.settle()
        if step.kind == "model" and "usage" in step.fields:
            turn.add_usage(step.fields["usage"])
        swept.append({**step.fields, "status": status, "ended_at": ended_at})
    turn.open_steps.clear()
    known = len(turn.steps)
    turn.steps += swept
    turn.fields["steps"] = kept = bounded_steps(recorder, turn)
    _hold(turn, kept[known:], swept[max(len(kept) - known, 0) :], recorder.max_turn_bytes)


def _hold(turn: TurnDraft, kept: list[Fields], lost: list[Fields], max_bytes: int) -> None:
    """Leave out what the last of the steps say that were ``kept``, until ``turn`` fits.

    What all of them say is counted already, those that are ``lost`` included.
    """
    for fields in lost:
        turn.size -= sum(len(fields[key]["content"]) for key in _CONTENTS if key in fields)
    for fields in reversed(kept):
        if turn.size > max_bytes:
            drop_contents(turn, fields, max_bytes)


_CONTENTS: Final = ("input", "output")
