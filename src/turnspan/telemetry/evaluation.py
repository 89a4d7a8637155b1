"""Feedback as an event of the GenAI conventions, and the turns it may be about.

Source: https://github.com/open-telemetry/semantic-conventions-genai, model/gen-ai/events.yaml,
`gen_ai.evaluation.result`, as of 2026-10.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import Any, Final, NamedTuple, TypeAlias

from turnspan.telemetry import semconv as names

__all__ = ["EndedTurn", "JudgedTurn", "RecentTurns", "evaluation_attributes", "response_id_of"]

Fields: TypeAlias = Mapping[str, Any]

MOST_TURNS: Final = 4096

EndedTurn: TypeAlias = tuple[str, int, int, int, str | None, str | None]
"""What `JudgedTurn` has, its ids as numbers: a turn in its caller's thread is left so."""


class JudgedTurn(NamedTuple):
    """Of a turn, what an event about it tells."""

    id: str
    trace_id: str
    span_id: str
    flags: int = 1
    session_id: str | None = None
    response_id: str | None = None
    """What the provider calls the last answer of a model in it."""

    @classmethod
    def of(cls, turn: Fields) -> JudgedTurn:
        """From a decoded `turn` line.

        Raises:
            KeyError, TypeError, AttributeError: it is no turn.
        """
        trace = turn["trace"]
        return cls(
            turn["id"],
            trace["trace_id"],
            trace["span_id"],
            trace.get("flags", 1) & 0xFF,
            turn.get("session_id"),
            response_id_of(turn),
        )

    @classmethod
    def ended(cls, turn: EndedTurn) -> JudgedTurn:
        """The same with its ids written out."""
        turn_id, trace_id, span_id, flags, session_id, response_id = turn
        ids = f"{trace_id:032x}", f"{span_id:016x}"
        return cls(turn_id, *ids, flags, session_id, response_id)


class RecentTurns:
    """The last turns that came by, so that feedback finds its span. Thread-safe, and bounded."""

    __slots__ = ("_turns",)

    def __init__(self, most: int = MOST_TURNS) -> None:
        # Appending to it and copying it are single operations: a lock would bind a forked child
        # to a thread it has not got.
        self._turns: deque[JudgedTurn | EndedTurn] = deque(maxlen=most)

    def add(self, turn: JudgedTurn | EndedTurn) -> None:
        """Remember ``turn``, and forget the oldest where there are too many."""
        self._turns.append(turn)

    def find(self, turn_id: str) -> JudgedTurn | None:
        """The turn with that id, if it was among the last."""
        for turn in reversed(self._turns.copy()):
            if turn[0] == turn_id:
                return turn if isinstance(turn, JudgedTurn) else JudgedTurn.ended(turn)
        return None


def response_id_of(turn: Fields) -> str | None:
    """What the provider calls the last answer of a model in ``turn``."""
    for step in reversed(turn.get("steps") or ()):
        if step.get("kind") == "model" and (found := (step.get("model") or {}).get("response_id")):
            return str(found)
    return None


def evaluation_attributes(
    feedback: Fields, turn: JudgedTurn | None, *, content: bool
) -> dict[str, Any]:
    """Of the event about ``feedback``, a decoded line; with ``content`` its comment too.

    Raises:
        KeyError, TypeError, ValueError: it is no feedback.
    """
    score = feedback.get("score")
    told = {
        names.EVALUATION_NAME: names.FEEDBACK,
        names.EVALUATION_SCORE: None if score is None else float(score),
        names.EVALUATION_LABEL: feedback.get("rating"),
        names.EVALUATION_EXPLANATION: feedback.get("comment") if content else None,
        names.RESPONSE_ID: turn and turn.response_id,
        names.CONVERSATION_ID: (turn and turn.session_id) or feedback.get("session_id"),
        names.USER_ID: feedback.get("user_id"),
        names.TURN_ID: feedback["turn_id"],
        names.FEEDBACK_ID: feedback["id"],
    }
    return {key: value for key, value in told.items() if value is not None}
