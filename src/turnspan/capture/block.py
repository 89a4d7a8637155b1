"""A turn around a block of code that has no function to decorate."""

from __future__ import annotations

from types import TracebackType

from turnspan.capture.active import active
from turnspan.capture.contents import set_input
from turnspan.capture.context import current_draft
from turnspan.capture.drafts import Draft, TurnDraft
from turnspan.capture.handles import OpenTurn
from turnspan.capture.recorder import Recorder
from turnspan.capture.texts import plain_text, short

__all__ = ["turn"]


class turn:  # noqa: N801  # a context manager that reads as a noun at the call site
    """Record the block as one turn of ``agent``; sync or async, once per instance at a time.

    Inside another turn the block is a step of it, and the handle is that of the outer turn's
    nested agent: what is set on it is set on the step.

    Not around a `yield` of a generator that is not decorated itself: it would stay current in
    the code that consumes the generator. Put it around the loop there.
    """

    __slots__ = ("_agent", "_draft", "_input")

    def __init__(self, *, agent: str | None = None, input: object = None) -> None:
        self._agent = short(plain_text(agent) or "agent")
        self._input = input
        self._draft: Draft | None = None

    def __enter__(self) -> OpenTurn:
        recorder = active.recorder or active.awaken()
        if recorder is not None:
            self._draft = _opened(recorder, self._agent, self._input)
        return OpenTurn(self._draft)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        draft, self._draft = self._draft, None
        if draft is None:
            return
        if error is not None:
            draft.recorder.fail(draft, error)
        else:
            _closed(draft)

    async def __aenter__(self) -> OpenTurn:
        return self.__enter__()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.__exit__(kind, error, traceback)


def _opened(recorder: Recorder, agent: str, value: object) -> Draft | None:
    draft: Draft | None = None
    parent = current_draft.get()
    try:
        if parent is None or parent.turn.ended:
            draft = recorder.open_turn({"name": agent})
        elif parent.turn.left_out:
            return None
        else:
            draft = recorder.open_step(parent, "agent", agent, {"agent": {"name": agent}})
        if value is not None and not draft.left_out:
            set_input(recorder, draft, value)
        if isinstance(draft, TurnDraft):
            recorder.announce(draft)
    except BaseException as exc:  # noqa: BLE001  # border: our failures are not the caller's
        recorder.undo(draft or current_draft.get(), parent)
        recorder.contain("a turn could not be opened", exc)
        return None
    return draft


def _closed(draft: Draft) -> None:
    try:
        draft.recorder.close(draft)
    except BaseException as exc:  # noqa: BLE001  # border: our failures are not the caller's
        draft.recorder.abandon(draft)
        draft.recorder.contain("a turn was lost", exc)
