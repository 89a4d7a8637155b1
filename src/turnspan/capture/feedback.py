"""Somebody's judgement of a turn that has ended."""

from __future__ import annotations

from typing import Any

from turnspan.capture.active import active

__all__ = ["feedback"]


def feedback(
    turn_id: str,
    *,
    rating: str | None = None,
    score: float | None = None,
    comment: str | None = None,
) -> None:
    """Journal a judgement of the turn ``turn_id``: a word, a number, a sentence, or all.

    It becomes a `feedback` record of the journal, where `turnspan show` finds it.

    Raises:
        TypeError: ``turn_id`` is no string, or ``score`` no number.
        ValueError: nothing is said.
    """
    if not isinstance(turn_id, str):
        raise TypeError(f"a turn id is a string, not {type(turn_id).__name__}")
    if score is not None and not isinstance(score, int | float):
        raise TypeError(f"a score is a number, not {type(score).__name__}")
    given = {"rating": rating, "score": score, "comment": comment}
    said: dict[str, Any] = {key: value for key, value in given.items() if value is not None}
    if not said:
        raise ValueError("feedback needs a rating, a score or a comment")
    recorder = active.recorder or active.awaken()
    if recorder is not None:
        recorder.note(turn_id, said)
