"""Attempts: a step that failed and is tried again is one step."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import orjson

from turnspan.capture.drafts import StepDraft

if TYPE_CHECKING:
    from turnspan.integrations.run_tree import Run

__all__ = ["reopened"]

_OF_ITS_END: Final = ("status", "ended_at", "error", "output", "output_messages", "reasoning")


def reopened(above: Run | None, kind: str, name: str) -> StepDraft | None:
    """The step below ``above`` that failed last, open again; None if it was something else.

    Its metadata says how many `attempts` there were, and what became of the `failed_attempts`.
    A span that went through the application's provider has ended for good: then each attempt is
    a step.
    """
    step = None if above is None else above.failed
    if not isinstance(step, StepDraft) or step.turn.ended or step.span.mode != "own":
        return None
    fields = step.fields
    if fields["kind"] != kind or fields["name"] != name:
        return None
    assert above is not None  # noqa: S101  # it had the step
    above.failed = None
    with above.lock:
        if not step.turn.take_back(fields):
            return None
        _count(step)
        for key in _OF_ITS_END:
            fields.pop(key, None)
        step.ended = False
        step.turn.open_steps[step.id] = step
    return step


def _count(step: StepDraft) -> None:
    fields = step.fields
    known = _failed(step)
    began = known[-1]["ended_at"] if known else fields["started_at"]
    error = fields.get("error", {}).get("type", "")
    known.append({"error": error, "started_at": began, "ended_at": fields["ended_at"]})
    json = step.recorder.json
    told = {"attempts": json(len(known) + 1), "failed_attempts": json(known)}
    step.merge("metadata", told)


def _failed(step: StepDraft) -> list[dict[str, Any]]:
    told = step.fields.get("metadata", {}).get("failed_attempts")
    return [] if told is None else orjson.loads(orjson.dumps(told))
