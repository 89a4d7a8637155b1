"""Turns of spans: a thread that puts together the traces whose time has come.

Several processes share the work: a trace of which more came, or which another process took,
is left alone.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Final

from turnspan.notices import say
from turnspan.server.store.port import Feedback, Incoming
from turnspan.telemetry.decoding import ReceivedSpan, decode_spans

if TYPE_CHECKING:
    from turnspan.ports import Clock
    from turnspan.schema import Feedback as Said
    from turnspan.server.limits import Limits
    from turnspan.server.store.port import Store, WaitingTrace

__all__ = ["Assembly"]

PAUSE_S: Final = 0.1
FORGET_EVERY_S: Final = 60.0
AT_ONCE: Final = 100
AGAIN_AFTER_S: Final = 60.0


class Assembly:
    """Makes turns of the spans that wait in ``store``."""

    def __init__(self, store: Store, limits: Limits, clock: Clock) -> None:
        self._store = store
        self._kept_s = limits.trace_kept_s
        self._clock = clock
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self._forget_at = 0

    def start(self) -> None:
        """Begin."""
        self._thread = threading.Thread(target=self._run, name="turnspan-traces", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Finish the trace at hand and end."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join()

    def once(self) -> int:
        """Put together what is due, and forget what was long ago; how many traces were due."""
        waiting = self._store.due_traces(limit=AT_ONCE)
        for trace in waiting:
            if self._stopping.is_set():
                break
            self._put_together(trace)
        if self._clock.monotonic_ns() >= self._forget_at:
            self._forget_at = self._clock.monotonic_ns() + int(FORGET_EVERY_S * 1e9)
            before = self._clock.now_ns() - int(self._kept_s * 1e9)
            while self._store.forget_traces(before) and not self._stopping.is_set():
                pass
        return len(waiting)

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                if self.once():
                    continue
            except Exception as error:  # noqa: BLE001  # border: the thread lives on
                say("server traces", "traces cannot be put together: %s", type(error).__qualname__)
                self._stopping.wait(1.0)
            self._stopping.wait(PAUSE_S)

    def _put_together(self, trace: WaitingTrace) -> None:
        try:
            self._make_turns(trace)
        except Exception as error:  # noqa: BLE001  # border: one trace is no reason to stop
            say(
                f"server trace {type(error).__qualname__}",
                "a trace cannot be put together, and is tried again in a minute: %s",
                type(error).__qualname__,
            )
            until = self._clock.now_ns() + int(AGAIN_AFTER_S * 1e9)
            self._store.postpone_trace(trace, until=until)

    def _make_turns(self, trace: WaitingTrace) -> None:
        store = self._store.of(trace.project)
        decoded = decode_spans(map(ReceivedSpan.load, store.spans(trace.trace_id)))
        outcomes = store.put_together(trace, [Incoming.of(turn) for turn in decoded.turns])
        if outcomes is None:
            return
        if decoded.feedback:
            store.add_feedback([_kept(each) for each in decoded.feedback])
        refused = sum(each.status == "refused" for each in outcomes)
        self._tell(len(decoded.homeless), "belong to no turn: nothing around them is an agent's")
        self._tell(len(decoded.unreadable), "contradict themselves, and make no turn")
        self._tell(refused, "made a turn that is there already, and started at another time")

    def _tell(self, count: int, what: str) -> None:
        if count:
            say(f"server spans {what}", "%d spans %s", count, what)


def _kept(said: Said) -> Feedback:
    return Feedback(
        id=said.id,
        turn_id=said.turn_id,
        author=said.user_id or "",
        rating=said.rating,
        score=said.score,
        comment=said.comment,
        created_at=said.at,
        updated_at=said.at,
    )
