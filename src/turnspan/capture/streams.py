"""Streams: the turn or step of a generator, from its first item to its end.

It is recorded where its function was called: in the turn, session and trace that were current
there. It begins when the generator is started; one that nobody starts is not recorded. It is
current only while the generator's own code runs, never in the code that consumes it. It ends
with the generator, however that comes about, and keeps what was yielded until then.
"""

from __future__ import annotations

import os
from contextvars import Context, copy_context
from typing import Any, Final
from weakref import ReferenceType, WeakSet, ref

from turnspan.capture.active import active
from turnspan.capture.calls import Call
from turnspan.capture.chunks import Chunks
from turnspan.capture.contents import put_input, put_output
from turnspan.capture.context import Session, current_draft, current_session
from turnspan.capture.drafts import Draft, StepDraft, TurnDraft
from turnspan.capture.extras import put_extras, put_last_extras
from turnspan.capture.failures import status_of
from turnspan.capture.recorder import Recorder
from turnspan.capture.relay import relayed
from turnspan.ports import Activation

__all__ = ["Stream", "end_open_streams"]

_UNCHANGED: Final = Session()


class Stream:
    """One call of a decorated generator function; watches the relay its caller is given.

    The relay holds it, and it holds neither the relay nor the generator: it goes when they go,
    without waiting for the collector. Like them it is used by one thread at a time.
    """

    __slots__ = (
        "__weakref__",
        "_activation",
        "_among",
        "_call",
        "_chunks",
        "_draft",
        "_given",
        "_inner",
        "_outer",
        "_outer_session",
        "_relay",
        "_running",
        "_session",
    )

    _activation: Activation
    _chunks: Chunks

    def __init__(self, call: Call, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        self._call = call
        self._among = _open  # those of this process
        self._given: tuple[tuple[Any, ...], dict[str, Any], Context] | None = (
            args,
            kwargs,
            copy_context(),
        )
        self._draft: Draft | None = None
        self._inner: Draft | None = None  # what is current in the generator's code
        self._outer: Draft | None = None  # what is current in the consumer's
        self._outer_session: Session | None = None
        self._session: Session | None = _UNCHANGED  # one that the generator's code opened
        self._relay: ReferenceType[Any] | None = None
        self._running = False

    def __del__(self) -> None:
        # A relay may go without a word: its event loop is closed, so nobody closes it.
        draft = getattr(self, "_draft", None)  # there was no room on the stack to make it
        if draft is not None and not draft.ended:
            self.abandon()

    @property
    def started_at(self) -> int:
        """When its first item was asked for; 0 where it is not recorded."""
        return self._draft.fields["started_at"] if self._draft else 0

    @property
    def _is_left(self) -> bool:
        """Whether nobody has the relay any more."""
        return self._relay is not None and self._relay() is None

    def relayed(self, source: Any) -> Any:
        """What the caller gets for ``source``, the generator that the function made."""
        made = relayed(source, self)
        if made is not source:
            self._relay = ref(made)
        return made

    def resume(self) -> None:
        """Make it current: the generator's code is about to run."""
        if self._given is not None:
            self._begin()
        inner = self._inner
        if inner is None or self._draft is None:
            return
        try:
            self._outer, self._outer_session = current_draft.get(), current_session.get()
            self._running = True
            current_draft.set(inner)
            if self._session is not _UNCHANGED:
                current_session.set(self._session)
            self._activation.resume(inner.span)
        except BaseException as exc:  # noqa: BLE001  # border: our failures are not the caller's
            inner.recorder.contain("a stream could not be made current", exc)

    def pause(self, item: object) -> None:
        """Keep ``item``, which was yielded, and make current what was so before."""
        draft = self._draft
        if draft is None or draft.ended or draft.left_out:
            self._suspend()
            return
        try:
            if not self._chunks.count:
                draft.fields["first_chunk_at"] = draft.recorder.now(draft.turn)
            self._suspend()
            self._chunks.add(item)
        except BaseException as exc:  # noqa: BLE001  # border: our failures are not the caller's
            draft.recorder.contain("a chunk could not be recorded", exc)

    def end(self, value: object, left: bool) -> None:  # noqa: FBT001  # as the port has it
        """Close it: the generator returned ``value``, perhaps for its consumer had ``left`` it."""
        self._suspend()
        self._close("abandoned" if left else "ok", value=value)

    def fail(self, error: BaseException) -> None:
        """Close it: ``error`` came out of the generator."""
        self._suspend()
        if self._is_left and status_of(error) == "cancelled":
            self._close("abandoned")  # an event loop that ends closes what was left like this
        else:
            self._close("error", error=error)

    def abandon(self) -> None:
        """Close it: nobody will go on with it."""
        self._close("abandoned")

    def settle(self) -> str:
        """Its turn ends: put what there is on the step. The status that it is told with."""
        draft = self._draft
        if draft is None:
            return "open"
        self._try_output(draft, None)
        draft.told = self._is_left  # and its event loop has yet to close it
        return "abandoned" if self._is_left else "open"

    def forget(self) -> None:
        """In a forked child: what was open is the parent's."""
        self._given = self._draft = self._outer = None

    def _begin(self) -> None:
        (args, kwargs, where), self._given = self._given or ((), {}, Context()), None
        recorder, draft = active.recorder, None
        if recorder is None:
            return
        try:
            draft = self._opened(recorder, where)
            if draft is None:
                return
            if not draft.left_out:
                self._put_beginning(recorder, draft, args, kwargs)
            self._chunks = Chunks(recorder.limits)
            self._activation = recorder.activation()
        except BaseException as exc:  # noqa: BLE001  # border: our failures are not the caller's
            if draft is not None:
                recorder.abandon(draft)
            recorder.contain("a stream could not be recorded", exc)
            return
        self._draft = self._inner = draft
        if isinstance(draft, StepDraft):
            draft.stream = ref(self)
        self._among = _open
        _open.add(self)

    def _put_beginning(
        self, recorder: Recorder, draft: Draft, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> None:
        put_input(recorder, draft, self._call, args, kwargs)
        if isinstance(draft, TurnDraft):
            put_extras(recorder, draft, self._call)
            recorder.announce(draft)

    def _opened(self, recorder: Recorder, where: Context) -> Draft | None:
        """The turn or step of it; None where it is neither."""
        call = self._call
        there = where.get(current_draft) if self._among is _open else None  # else the parent's
        for parent in (there, current_draft.get()):
            if parent is not None and not parent.turn.ended:
                if parent.turn.left_out:
                    return None
                return recorder.open_step(parent, call.kind, call.name, call.known, activate=False)
        if call.kind != "agent" and not recorder.orphans:
            return None
        session = where.get(current_session) or current_session.get()
        return where.run(recorder.open_turn, call.agent, activate=False, session=session)

    def _suspend(self) -> None:
        """Make current what was so before `resume`, and remember what the generator left so."""
        known = self._inner
        if not self._running or known is None:
            return
        self._running = False
        try:
            inner, session = current_draft.get(), current_session.get()
            if inner is not None and not inner.ended:
                self._inner = known = inner
            current_draft.set(self._outer)
            self._session = _UNCHANGED
            if session is not self._outer_session:
                self._session = session
                current_session.set(self._outer_session)
            self._outer = self._outer_session = None
            self._activation.suspend(known.span)
        except BaseException as exc:  # noqa: BLE001  # border: our failures are not the caller's
            known.recorder.contain("a stream stayed current", exc)

    def _close(
        self, status: str, *, value: object = None, error: BaseException | None = None
    ) -> None:
        draft = self._draft
        if draft is None or draft.ended:
            return
        self._among.discard(self)
        try:
            if not draft.turn.ended:
                self._try_output(draft, value)
        finally:
            self._end(draft, status, error)

    def _end(self, draft: Draft, status: str, error: BaseException | None) -> None:
        recorder = draft.recorder
        if error is not None:
            recorder.fail(draft, error)
            return
        try:
            recorder.close(draft, status)
        except BaseException as exc:  # noqa: BLE001  # border: our failures are not the caller's
            recorder.abandon(draft)
            recorder.contain("a stream was lost", exc)

    def _try_output(self, draft: Draft, value: object) -> None:
        if draft.left_out:
            return
        try:
            self._put_output(draft, value)
        except BaseException as exc:  # noqa: BLE001  # border: our failures are not the caller's
            draft.turn.cut(draft.path("output"), "could not be recorded")
            draft.recorder.contain("the output of a stream could not be recorded", exc)

    def _put_output(self, draft: Draft, value: object) -> None:
        """Keep what the chunks come to; of a generator that yielded nothing, what it returned."""
        call, chunks, recorder = self._call, self._chunks, draft.recorder
        if chunks.count:
            draft.fields["chunks"] = chunks.count
            value = chunks.joined(whole=call.kind == "model")
            if (cut := chunks.cut) is not None:
                draft.turn.cut(draft.path("output"), *cut)
        put_output(recorder, draft, call, value)
        if call.extras:
            put_last_extras(recorder, draft, call, value)


def end_open_streams() -> None:
    """Record the streams that are open as abandoned: the process ends, and nobody will go on."""
    for stream in sorted(_all_open(), key=lambda stream: stream.started_at, reverse=True):
        stream.abandon()  # the inner ones first: they are steps of the others


def _all_open() -> list[Stream]:
    """Those there are now, though other threads may be starting some."""
    for _ in range(10):
        try:
            return list(_open)
        except RuntimeError:
            continue
    return []


def _start_over() -> None:
    global _open  # noqa: PLW0603  # another thread of the parent may have been changing it
    for stream in _all_open():
        stream.forget()
    _open = WeakSet()


_open: WeakSet[Stream] = WeakSet()

if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_start_over)
