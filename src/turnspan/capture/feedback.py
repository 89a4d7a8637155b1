"""Somebody's judgement of a turn that has ended."""

from __future__ import annotations

from math import isfinite
from typing import Any, Final

from turnspan.capture.active import active
from turnspan.capture.context import current_session
from turnspan.capture.recorder import Recorder
from turnspan.capture.texts import cut_text, encodable
from turnspan.notices import say

__all__ = ["feedback"]

MAX_ID_CHARS: Final = 200
MAX_RATING_BYTES: Final = 200

Fields = dict[str, Any]


def feedback(
    turn_id: str,
    *,
    rating: str | None = None,
    score: float | None = None,
    comment: str | None = None,
) -> None:
    """Record a judgement of the turn ``turn_id``: a word, a number, a sentence, or all.

    It is journalled, delivered to every exporter that takes feedback, and told to
    OpenTelemetry as a `gen_ai.evaluation.result` event. The session in force here says who
    gave it. An empty ``turn_id``, which is what a turn has that nobody records, and one over
    200 characters are passed over. A rating is kept as its first 200 bytes.

    Raises:
        TypeError: ``turn_id``, ``rating`` or ``comment`` is no string, or ``score`` no number.
        ValueError: nothing is said, or ``score`` is not finite.
    """
    turn_id = _text("turn id", turn_id)
    given = {
        "rating": _text("rating", "" if rating is None else rating),
        "score": _number(score),
        "comment": _text("comment", "" if comment is None else comment),
    }
    said = {key: value for key, value in given.items() if value not in (None, "")}
    if not said:
        raise ValueError("feedback needs a rating, a score or a comment")
    recorder = active.recorder or active.awaken()
    if recorder is None or not turn_id:
        return
    if len(turn_id) > MAX_ID_CHARS:
        say("feedback", "no turn has an id of %d characters: feedback left out", len(turn_id))
        return
    recorder.note({"turn_id": encodable(turn_id), **_giver(), **_judgement(recorder, said)})


def _judgement(recorder: Recorder, said: Fields) -> Fields:
    """What is ``said``, within bounds and as far as the policy lets it be told."""
    cuts: list[Fields] = []
    told = dict(said)
    if "rating" in said:
        told["rating"] = _cut(recorder, "rating", said["rating"], MAX_RATING_BYTES, cuts)
    comment = _told_comment(recorder, told.pop("comment", ""), cuts)
    return told | ({"comment": comment} if comment else {}) | ({"truncated": cuts} if cuts else {})


def _told_comment(recorder: Recorder, comment: str, cuts: list[Fields]) -> str:
    """``comment`` as the policy lets it be told: being content, it passes here and nowhere else."""
    if not recorder.content:
        return ""
    return _cut(recorder, "comment", comment, recorder.max_bytes, cuts)


def _cut(recorder: Recorder, where: str, text: str, max_bytes: int, cuts: list[Fields]) -> str:
    kept, size_bytes = cut_text(text, max_bytes, words=recorder.limits.words)
    if size_bytes is not None:
        cuts.append({"where": where, "why": f"over {max_bytes} bytes", "size_bytes": size_bytes})
    return encodable(kept)


def _giver() -> Fields:
    """Who gives it: what the session in force knows."""
    session = current_session.get()
    if session is None:
        return {}
    known = {"session_id": session.id, "user_id": session.user_id}
    return {key: encodable(value) for key, value in known.items() if value is not None}


def _text(what: str, given: object) -> str:
    if not isinstance(given, str):
        raise TypeError(f"a {what} is a string, not {type(given).__name__}")
    return str.__str__(given)  # whatever a subclass makes of it


def _number(given: object) -> float | None:
    if given is None:
        return None
    if isinstance(given, bool) or not isinstance(given, int | float):
        raise TypeError(f"a score is a number, not {type(given).__name__}")
    try:
        number = float.__float__(given) if isinstance(given, float) else int.__float__(given)
    except OverflowError:
        number = float("inf")
    if not isfinite(number):
        raise ValueError("a score is a finite number")
    return number
