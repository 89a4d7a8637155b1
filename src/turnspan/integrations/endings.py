"""How runs end: status, error, and what a turn that is one call answers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

from turnspan.capture.contents import set_output
from turnspan.capture.drafts import Draft, StepDraft
from turnspan.capture.failures import status_of
from turnspan.capture.values import encodable
from turnspan.integrations.border import contained
from turnspan.integrations.run_tree import Run

__all__ = ["Failure", "close_run", "keep_pieces", "status_after"]

Failure: TypeAlias = BaseException | Mapping[str, str]
"""The exception that ended a run, or `type` and `message` where there was none."""


def status_after(error: Failure | None) -> str:
    """The status of a run that ended with ``error``, or without."""
    if error is None:
        return "ok"
    return status_of(error) if isinstance(error, BaseException) else "error"


def close_run(run: Run, status: str, error: Failure | None) -> None:
    """End what ``run`` recorded, the innermost first. Never raises."""
    drafts = run.drafts
    if not drafts:
        return
    with run.lock:
        for draft in reversed(drafts):
            if error is not None and status != "abandoned" and not draft.left_out:
                _note(draft, error)
            try:
                if run.chunks:
                    draft.fields["chunks"] = run.chunks
                if len(drafts) > 1 and not draft.left_out:
                    _hand_up(draft, drafts)
                draft.recorder.close(draft, status)
            except Exception as exc:  # noqa: BLE001  # the border: the framework goes on
                draft.recorder.failed("a run was lost", exc)
                draft.recorder.abandon(draft)


@contained
def keep_pieces(run: Run) -> None:
    """A stream whose end nobody told has said what came so far."""
    draft = run.draft
    if run.pieces and draft is not None and "output" not in draft.fields:
        set_output(draft.recorder, draft, "".join(run.pieces))


@contained
def _note(draft: Draft, error: Failure) -> None:
    if isinstance(error, BaseException):
        draft.recorder.note_error(draft, error)
        return
    told = {"type": encodable(error["type"])}
    if draft.recorder.content and "message" in error:
        told["message"] = encodable(error["message"])
    draft.fields["error"] = told


def _hand_up(draft: Draft, drafts: tuple[Draft, ...]) -> None:
    """A turn that is one call answers what the call answered."""
    if isinstance(draft, StepDraft) and "output" in draft.fields:
        drafts[0].fields.setdefault("output", {**draft.fields["output"], "type": "text"})
