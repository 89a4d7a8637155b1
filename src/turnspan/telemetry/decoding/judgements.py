"""Feedback that stands on spans: events `gen_ai.evaluation.result`.

Source: https://github.com/open-telemetry/semantic-conventions-genai, model/gen-ai/events.yaml, as
of 2026-10. The conventions want a log record; what is on a span is the same event.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from turnspan.schema.feedback import Feedback
from turnspan.telemetry import semconv as names
from turnspan.telemetry.decoding.ids import derived

if TYPE_CHECKING:
    from turnspan.schema.turn import Turn
    from turnspan.telemetry.decoding.received import ReceivedSpan

__all__ = ["feedback_on"]


def feedback_on(turn: Turn, spans: Iterable[ReceivedSpan]) -> Iterator[Feedback]:
    """What the events on ``spans`` say of ``turn``, whose spans they are."""
    for span in spans:
        for index, event in enumerate(span.events):
            if event["name"] == names.EVALUATION_RESULT:
                told = event.get("attributes", {})
                key = f"{span.trace_id}{span.span_id}{index}"
                yield _feedback(turn, event["at"] or span.ended_at, told, key)


def _feedback(turn: Turn, at: int, told: Mapping[str, Any], key: str) -> Feedback:
    number = told.get(names.EVALUATION_SCORE)
    score = float(number) if isinstance(number, int | float) else None
    return Feedback(
        id=_text(told, names.FEEDBACK_ID) or derived("feedback", key),
        turn_id=turn.id,
        at=at,
        session_id=turn.session_id,
        user_id=_text(told, names.USER_ID),
        rating=_text(told, names.EVALUATION_LABEL),
        score=score,
        comment=_text(told, names.EVALUATION_EXPLANATION),
        resource=turn.resource,
    )


def _text(told: Mapping[str, Any], name: str) -> str | None:
    value = told.get(name)
    return value if isinstance(value, str) else None
