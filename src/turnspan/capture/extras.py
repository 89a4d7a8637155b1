"""What a decorator asks for beside input and output: state, reasoning, metadata."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from turnspan.capture.calls import Call
from turnspan.capture.contents import put_reasoning, put_state
from turnspan.capture.drafts import Draft, TurnDraft

if TYPE_CHECKING:
    from turnspan.capture.recorder import Recorder

__all__ = ["put_extras", "put_last_extras"]

_NOTHING: Final[Mapping[str, Any]] = {}


def put_extras(recorder: Recorder, turn: TurnDraft, call: Call) -> None:
    """Put what is known as ``turn`` begins."""
    if call.state is not None:
        turn.read_state = call.state
        turn.has_more = True
        put_state(recorder, turn, "state_before")
    turn.merge("metadata", call.known.get("metadata", _NOTHING))


def put_last_extras(recorder: Recorder, draft: Draft, call: Call, result: object) -> None:
    """Put what is known as ``draft`` ends."""
    if call.reasoning is not None:
        put_reasoning(recorder, draft, call.reasoning, result)
