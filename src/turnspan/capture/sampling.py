"""Sampling: which turns are recorded, where that is not all of them.

A session is recorded whole or not at all, and every process decides alike: by a hash of the
session's id. A turn without a session is decided by its own id.
"""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import blake2b
from typing import Any, Final

from turnspan.capture.calls import Call
from turnspan.capture.contents import put_input
from turnspan.capture.context import Session, current_draft, current_session
from turnspan.capture.drafts import Draft, Fields, TurnDraft, trace_of
from turnspan.capture.endings import put_rest
from turnspan.capture.extras import put_extras
from turnspan.capture.failures import status_of
from turnspan.capture.options import Options
from turnspan.capture.recorder import Recorder
from turnspan.ports import Clock, Ids, SpanSource, TurnLog

__all__ = ["SampledRecorder", "is_sampled", "recorder_of"]

_ALL: Final = 2**64
_NOBODY: Final = Session()  # the session of a turn that nobody will see: it takes no number


def is_sampled(key: str, share: float) -> bool:
    """Is the session, or the turn without one, whose id is ``key`` among that ``share``?

    Whatever is among a smaller share is among a larger one too.
    """
    digest = blake2b(key.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "big") < share * _ALL


def recorder_of(
    log: TurnLog, spans: SpanSource, clock: Clock, ids: Ids, options: Options
) -> Recorder:
    """The recorder that ``options`` ask for: the plain one where everything is recorded."""
    kind = Recorder if options.sample >= 1.0 else SampledRecorder
    return kind(log, spans, clock, ids, options)


class SampledRecorder(Recorder):
    """A recorder that leaves out turns by ``options.sample``.

    A turn that is *left out* shields what is inside it: an agent called there is no turn of
    its own, and nothing there is recorded. Two kinds of turns are *held back* instead, that is
    recorded in memory with all that is in them, and not written: with ``keep_errors`` every
    one, until it is known how it ends, and in live mode every one, for its spans are the
    application's and go out all the same.
    """

    sampled_out: int

    def __init__(
        self, log: TurnLog, spans: SpanSource, clock: Clock, ids: Ids, options: Options
    ) -> None:
        super().__init__(log, spans, clock, ids, options)
        self._share = options.sample
        self._keeps_errors = options.keep_errors

    @property
    def is_busy(self) -> bool:
        """Whether a turn is open."""
        return self.opened > self.recorded + self.lost + self.sampled_out

    def enter(self, call: Call, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Draft | None:
        """Open what a call of ``call`` is, if it is recorded. Never raises."""
        parent = current_draft.get()
        if parent is not None and not parent.turn.ended:
            return None if parent.turn.left_out else super().enter(call, args, kwargs)
        if call.kind != "agent" and not self.orphans:
            return None
        turn: TurnDraft | None = None
        try:
            turn = self.open_turn(call.agent)
            if not turn.left_out:
                self._begin(turn, call, args, kwargs)
        except BaseException as exc:  # noqa: BLE001  # border: nothing of ours reaches the caller
            self.undo(turn or current_draft.get(), parent)
            self.contain("a call could not be recorded", exc)
            return None
        return turn

    def leave(self, draft: Draft, call: Call, result: object) -> None:
        """Close ``draft`` with what its call returned. Never raises."""
        if draft.left_out:
            self._shut(draft, "ok")
        else:
            super().leave(draft, call, result)

    def fail(self, draft: Draft, error: BaseException) -> None:
        """End ``draft`` because ``error`` came out of it. Never raises."""
        if draft.left_out:
            self._shut(draft, status_of(error))
        else:
            super().fail(draft, error)

    def open_turn(
        self, agent: Mapping[str, Any], *, activate: bool = True, session: Session | None = None
    ) -> TurnDraft:
        """Begin a turn of ``agent``, held back or left out where sampling says so."""
        session = session or current_session.get() or _NOBODY
        if session.id is not None and not is_sampled(session.id, self._share):
            return self._open_unsampled(agent, session, activate=activate)
        turn = super().open_turn(agent, activate=activate, session=session)
        if session.id is None and not is_sampled(turn.id, self._share):
            self._take_out(turn, hold_back=self._keeps_errors or turn.span.mode == "live")
        return turn

    def announce(self, turn: TurnDraft) -> None:
        """Write the record that makes a turn known, if it is to be known."""
        if not (turn.left_out or turn.held_back):
            super().announce(turn)

    def _begin(
        self, turn: TurnDraft, call: Call, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> None:
        put_input(self, turn, call, args, kwargs)
        if call.extras:
            put_extras(self, turn, call)
        self.announce(turn)

    def _open_unsampled(
        self, agent: Mapping[str, Any], session: Session, *, activate: bool
    ) -> TurnDraft:
        hold_back = self._keeps_errors or self._spans.is_live
        known = session if hold_back else _NOBODY
        turn = super().open_turn(agent, activate=activate, session=known)
        self._take_out(turn, hold_back=hold_back)
        return turn

    def _take_out(self, turn: TurnDraft, *, hold_back: bool) -> None:
        self._spans.leave_out(turn.span, keeps_notes=hold_back)
        if hold_back:
            turn.held_back = True
            turn.fields["trace"] = trace_of(turn.span)
        else:
            turn.left_out = True

    def _journal_steps(self, turn: TurnDraft) -> None:
        if not (turn.left_out or turn.held_back):
            super()._journal_steps(turn)

    def _close_turn(self, turn: TurnDraft, fields: Fields) -> None:
        if not (turn.left_out or turn.held_back) or self._is_kept(turn, fields):
            super()._close_turn(turn, fields)
            return
        if turn.held_back:  # for its span, which the application may have made
            fields["steps"] = turn.steps
            put_rest(self, turn)
        self._end_span(turn.span, fields)
        self.sampled_out += 1

    def _is_kept(self, turn: TurnDraft, fields: Fields) -> bool:
        return turn.held_back and self._keeps_errors and fields["status"] == "error"

    def _shut(self, draft: Draft, status: str) -> None:
        try:
            self.close(draft, status)
        except BaseException as exc:  # noqa: BLE001  # border: nothing of ours reaches the caller
            self.abandon(draft)
            self.contain("a turn could not be left out", exc)
