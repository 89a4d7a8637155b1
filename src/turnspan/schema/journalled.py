"""Turns and feedback as the journal holds them: lines, decoded on demand."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeAlias

from turnspan.schema.records import FEEDBACK

if TYPE_CHECKING:
    from turnspan.schema.feedback import Feedback
    from turnspan.schema.turn import Turn

__all__ = ["Journalled", "JournalledFeedback", "JournalledTurn", "journalled"]


class JournalledTurn:
    """An ended turn as the journal holds it."""

    __slots__ = ("_turn", "raw")

    def __init__(self, raw: bytes) -> None:
        self.raw: bytes = raw  # the `turn` line, newline included
        self._turn: Turn | None = None

    @property
    def turn(self) -> Turn:
        """The turn, decoded on first use.

        Raises:
            WireError: the line is JSON, but no turn.
        """
        if self._turn is None:
            from turnspan.schema.wire import decode_turn  # here: brings pydantic

            self._turn = decode_turn(self.raw)
        return self._turn

    @property
    def resource(self) -> Mapping[str, Any]:
        """The OpenTelemetry resource of the process that recorded it."""
        return self.turn.resource

    def __repr__(self) -> str:
        return f"JournalledTurn({self.raw[:80]!r}…)"


class JournalledFeedback:
    """Feedback as the journal holds it."""

    __slots__ = ("_feedback", "raw")

    def __init__(self, raw: bytes) -> None:
        self.raw: bytes = raw  # the `feedback` line, newline included
        self._feedback: Feedback | None = None

    @property
    def feedback(self) -> Feedback:
        """The feedback, decoded on first use.

        Raises:
            WireError: the line is JSON, but no feedback.
        """
        if self._feedback is None:
            from turnspan.schema.wire import decode_feedback  # here: brings pydantic

            self._feedback = decode_feedback(self.raw)
        return self._feedback

    @property
    def resource(self) -> Mapping[str, Any]:
        """The OpenTelemetry resource of the process that recorded it."""
        return self.feedback.resource

    def __repr__(self) -> str:
        return f"JournalledFeedback({self.raw[:80]!r}…)"


Journalled: TypeAlias = JournalledTurn | JournalledFeedback
"""What is delivered: turns, and to exporters that take it feedback, in the journal's order."""


def journalled(line: bytes) -> Journalled:
    """What the `turn` or `feedback` line ``line`` holds."""
    return JournalledFeedback(line) if line.startswith(FEEDBACK) else JournalledTurn(line)
