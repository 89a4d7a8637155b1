"""One exporter's thread: reads its backlog, exports, settles what became of each turn."""

from __future__ import annotations

import logging
import math
import os
import threading
import time
from collections.abc import Sequence
from typing import Final

from turnspan.delivery.attempts import Attempts, shown
from turnspan.delivery.batch import Courtesy
from turnspan.delivery.dead import DeadLetters
from turnspan.delivery.flushing import Flush
from turnspan.delivery.health import ExporterHealth, FlushReport
from turnspan.delivery.retry import Backoff
from turnspan.delivery.settlement import OnDelivered, Settlement, unheard
from turnspan.delivery.tally import Tally
from turnspan.notices import say
from turnspan.ports import Backlog, Clock, Exporter, Journalled, Outcome, Unsent
from turnspan.settings import Settings
from turnspan.telemetry.suppression import suppressed

__all__ = ["Worker"]

HURRY_AFTER_S: Final = 2.0  # behind for this long, we no longer stand back for the caller
CLOSING_PAUSE_S: Final = 0.25
COUNTED_BYTES: Final = 8 * 2**20  # a longer backlog is estimated, not counted
CAUSE_CHARS: Final = 500
LONGEST_AHEAD: Final = 10_000  # turns that are settled behind one that is not, kept in memory
LONGEST_AHEAD_BYTES: Final = 16 * 2**20


class Worker:
    """Delivers one exporter's backlog in a daemon thread of its own.

    One batch is settled before the next is sent, so the turns of a session keep their
    order. The thread owns ``exporter`` and ``backlog`` once it runs, and closes both as it
    ends. `start`, `wake`, `begin_flush`, `end_flush`, `begin_close`, `end_close` and
    `health` may be called from any thread.

    With ``durable`` what is left at the end survives in the journal, and closing gives up
    on the first failure; without, it goes on trying until its time is over.
    """

    def __init__(
        self,
        exporter: Exporter,
        backlog: Backlog,
        *,
        settings: Settings,
        clock: Clock,
        dead: DeadLetters | None,
        durable: bool = True,
        on_delivered: OnDelivered = unheard,
    ) -> None:
        self.name: str = exporter.name
        self._exporter = exporter
        self._backlog = backlog
        self._settings = settings
        self._clock = clock
        self._durable = durable
        self._backoff = Backoff()
        self._tally = Tally()
        self._settlement = Settlement(
            exporter.name,
            backlog,
            self._tally,
            dead=dead,
            clock=clock,
            on_delivered=on_delivered,
            counting=lambda: self._settled,
        )
        self._courtesy = Courtesy(lambda: backlog.appended, hurried=self._is_hurried)
        self._reset()

    def _reset(self) -> None:
        """State of the thread that is to run in this process."""
        self._pid = os.getpid()
        self._thread: threading.Thread | None = None
        self._settled = threading.Condition()
        self._urge = threading.Event()
        self._flushes = 0
        self._close_at_s: float | None = None
        self._close_reads = 0
        self._left: Unsent | None = None  # what waits, once the backlog is closed
        self._reads = self._empty_read = 0
        self._seen = 0
        self._more = True
        self._caught_up_s = time.monotonic()
        self._settlement.nothing_waits()
        self._attempts = Attempts(self._exporter, self._courtesy, self._tally, self._time_for_one)

    # ── from any thread ──────────────────────────────────────────────────────────────────

    def start(self) -> None:
        """Start the thread unless it runs; after a fork, anew."""
        if self._pid != os.getpid():
            self._reset()
        with self._settled:
            if self._thread is not None or self._close_at_s is not None:
                return
            name = f"turnspan {self.name}"
            self._thread = threading.Thread(target=self._run, name=name, daemon=True)
            try:
                self._thread.start()
            except RuntimeError as exc:  # the interpreter is on its way out, or out of threads
                self._thread = None
                say(f"start {self.name}", "no thread delivers to %s: %s", self.name, exc)

    def wake(self) -> None:
        """Have a look at the backlog: something was added to it by others than the caller."""
        self._backlog.wake()

    @property
    def settled(self) -> tuple[int, int]:
        """How many turns were delivered and refused by now."""
        return self._tally.delivered, self._tally.refused

    def begin_flush(self, since: tuple[int, int]) -> Flush:
        """Cut delay and backoff short; `end_flush` must follow, which counts from ``since`` on."""
        with self._settled:
            self._flushes += 1
            flush = self._stand(since)
        self._urge.set()
        self._backlog.wake()
        return flush

    def end_flush(self, flush: Flush, *, until_s: float) -> FlushReport:
        """Wait until all that was there as ``flush`` began is settled, or ``until_s``."""
        with self._settled:
            try:
                self._settled.wait_for(
                    lambda: self._is_flushed(flush) or not self._is_running(),
                    timeout=max(0.0, until_s - time.monotonic()),
                )
                done = self._is_flushed(flush)
            finally:
                self._flushes -= 1
        return self._report(flush, done=done, timed_out=not done and self._is_running())

    def begin_close(self, since: tuple[int, int], *, until_s: float) -> Flush:
        """Try what is left once more, then end, at ``until_s`` at the latest."""
        with self._settled:
            flush = self._stand(since)
            self._close_at_s, self._close_reads = until_s, flush.reads
        self._urge.set()
        self._backlog.wake()
        return flush

    def end_close(self, flush: Flush) -> FlushReport:
        """Wait for the thread until its time is over; a thread that is stuck is left behind."""
        until_s = self._close_at_s or 0.0
        thread = self._thread
        if thread is None:
            if self._pid == os.getpid():
                self._release()
        elif thread is not threading.current_thread():
            thread.join(max(0.0, until_s - time.monotonic()))
        return self._report(flush, done=self._is_flushed(flush), timed_out=self._is_running())

    def health(self) -> ExporterHealth:
        """Counts since the start, and what is waiting."""
        oldest_ns = self._waiting().oldest_at_ns
        age_s = None if oldest_ns is None else max(0.0, (self._clock.now_ns() - oldest_ns) / 1e9)
        return self._tally.shown(self._unsent(), age_s)

    @property
    def last_error(self) -> str | None:
        """The cause of the last fault, while it lasts."""
        return self._tally.last_error if self._tally.failing else None

    def _is_running(self) -> bool:
        thread = self._thread
        return thread is not None and thread.is_alive() and thread is not threading.current_thread()

    def _stand(self, since: tuple[int, int]) -> Flush:
        waiting = self._waiting()  # first: what is committed meanwhile must not count twice
        tally = self._tally
        return Flush(
            waiting,
            self._reads,
            tally.committed_turns,
            tally.committed_bytes,
            *since,
        )

    def _is_flushed(self, flush: Flush) -> bool:
        return flush.is_done(self._tally, self._empty_read)

    def _report(self, flush: Flush, *, done: bool, timed_out: bool) -> FlushReport:
        tally = self._tally
        return FlushReport(
            delivered=tally.delivered - flush.delivered,
            refused=tally.refused - flush.refused,
            unsent=0 if done else self._unsent(),
            timed_out=timed_out,
        )

    def _unsent(self) -> int:
        waiting = self._waiting()
        if waiting.turns is None:
            return math.ceil(waiting.size_bytes / self._tally.mean_bytes)
        # What is settled behind an unsettled turn waits in the backlog only.
        return max(0, waiting.turns - self._settlement.ahead)

    def _waiting(self) -> Unsent:
        """What is in the backlog, counted where that is quick."""
        if self._left is not None:
            return self._left
        try:
            waiting = self._backlog.unsent()
            if not waiting.turns and 0 < waiting.size_bytes <= COUNTED_BYTES:
                waiting = self._backlog.unsent(count=True)
        except Exception as exc:  # noqa: BLE001  # border: it must not reach a caller of `flush`
            say(f"count {self.name}", "the backlog of %s cannot be counted", self.name, error=exc)
            return Unsent()
        return waiting

    # ── the thread ───────────────────────────────────────────────────────────────────────

    def _run(self) -> None:
        with suppressed():  # an exporter's own requests are no part of the application
            self._deliver()

    def _deliver(self) -> None:
        while not self._is_over():
            try:
                self._round()
            except Exception as exc:  # noqa: BLE001  # border: the thread must outlive a bad disk
                self._fail(Outcome(cause=f"delivery stumbled over {shown(exc)}"), error=exc)
                self._pause()
            with self._settled:
                self._settled.notify_all()
        self._release()
        with self._settled:
            self._settled.notify_all()

    def _is_over(self) -> bool:
        if self._close_at_s is None:
            return False
        if self._is_out_of_time():
            return True
        if self._reads <= self._close_reads:
            return False  # one last look is owed
        return self._empty_read == self._reads or (self._durable and self._tally.failing)

    def _is_out_of_time(self) -> bool:
        close_at_s = self._close_at_s
        return close_at_s is not None and time.monotonic() >= close_at_s

    def _round(self) -> None:
        """Read a batch, offer it once, settle it, and rest if there is reason to."""
        self._gather()
        with self._settled:
            self._reads += 1
        batch = self._read()
        if not batch:
            self._idle()
            return
        todo = self._settlement.unsettled(batch)
        self._courtesy.begin()
        is_last = self._close_at_s is not None
        delivered = self._tally.delivered
        outcome = self._settlement.settle(batch, todo, self._attempts.offer(todo, last=is_last))
        if self._tally.delivered > delivered:
            self._backoff.reset()
        if outcome.unsent:
            self._fail(outcome)
            self._pause(outcome.retry_after_s)
        else:
            self._recover()

    def _gather(self) -> None:
        """Wait for company, unless there is enough to do or somebody waits for us."""
        alone = not self._more and self._backlog.appended != self._seen
        if alone and not self._is_urgent():
            settings = self._settings
            self._backlog.wait(settings.batch_delay_s, min_bytes=settings.batch_bytes)

    def _read(self) -> Sequence[Journalled]:
        settings = self._settings
        self._seen = self._backlog.appended
        # Beside what is settled already: a turn that nobody will have must not hold up the others.
        turns = settings.batch_turns + min(self._settlement.ahead, LONGEST_AHEAD)
        size = settings.batch_bytes + min(self._settlement.ahead_bytes, LONGEST_AHEAD_BYTES)
        batch = self._backlog.read(max_turns=turns, max_bytes=size)
        full = len(batch) >= turns
        self._more = full or self._backlog.unsent().size_bytes >= settings.batch_bytes
        return batch

    def _idle(self) -> None:
        with self._settled:
            self._empty_read = self._reads
            self._settled.notify_all()
        self._settlement.nothing_waits()
        self._recover()
        if self._close_at_s is None:
            self._backlog.wait(None)
            self._caught_up_s = time.monotonic()

    def _time_for_one(self) -> float:
        """Seconds that one export may take; none are left where this is not above 0."""
        if self._close_at_s is None:
            return self._settings.timeout_s
        return min(self._settings.timeout_s, self._close_at_s - time.monotonic())

    def _fail(self, outcome: Outcome, error: Exception | None = None) -> None:
        cause = outcome.cause[:CAUSE_CHARS] or "it took only a part, and did not say why"
        self._tally.failed(cause, self._clock.now_ns())
        if self._is_out_of_time():
            return  # `close` has said what is left, and closed what we were sending over
        say(
            f"unsent {self.name}",
            "turns wait for %s: %s (they are kept, and sent when it takes them)",
            self.name,
            cause,
            error=error,
        )

    def _recover(self) -> None:
        if self._tally.failing:
            say(f"again {self.name}", "%s takes turns again", self.name, level=logging.INFO)
            self._tally.failing = False
        self._backoff.reset()

    def _pause(self, asked_s: float | None = None) -> None:
        """Leave the destination alone for a while; a flush or the end cuts it short."""
        pause_s = self._backoff.next_s(asked_s)
        if self._close_at_s is not None:
            pause_s = min(pause_s, CLOSING_PAUSE_S, max(0.0, self._close_at_s - time.monotonic()))
            time.sleep(min(pause_s, 0.001) if self._durable else pause_s)
            return
        with self._settled:
            self._settled.notify_all()
        self._urge.wait(pause_s)
        self._urge.clear()

    def _is_urgent(self) -> bool:
        return self._flushes > 0 or self._close_at_s is not None

    def _is_hurried(self) -> bool:
        return self._is_urgent() or time.monotonic() - self._caught_up_s > HURRY_AFTER_S

    def _release(self) -> None:
        left_s = max(0.0, (self._close_at_s or 0.0) - time.monotonic())
        try:
            self._exporter.close(timeout_s=left_s)
        except (Exception, SystemExit) as exc:  # noqa: BLE001  # border: foreign code at the end
            say(f"close {self.name}", "%s did not close", self.name, error=exc)
        try:
            self._left = self._waiting()
            self._backlog.close()
        except Exception as exc:  # noqa: BLE001  # border: nobody is left to be told
            say(f"close {self.name}", "the backlog of %s did not close", self.name, error=exc)
