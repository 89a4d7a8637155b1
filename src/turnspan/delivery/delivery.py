"""Delivery as a whole: a worker for each exporter, flushed and closed together."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Final, TypeAlias

from turnspan.delivery.dead import DeadLetters
from turnspan.delivery.health import ExporterHealth, FlushReport
from turnspan.delivery.settlement import OnDelivered, unheard
from turnspan.delivery.worker import Worker
from turnspan.ports import Backlog, Clock, Exporter
from turnspan.settings import Settings

__all__ = ["Delivery", "Wait", "at_once"]

Wait: TypeAlias = Callable[[float], object]
"""Waits for something, so many seconds at the most."""

log: Final = logging.getLogger("turnspan")


def at_once(_timeout_s: float) -> None:
    """Where there is nothing to wait for."""


class Delivery:
    """Owns the workers. Every method may be called from any thread.

    ``routes`` pairs each exporter with its backlog. Without ``dead`` a refused turn is
    counted, logged and gone. ``durable`` says that what `close` leaves in the backlogs
    survives the process.
    """

    def __init__(
        self,
        routes: Sequence[tuple[Exporter, Backlog]],
        *,
        settings: Settings,
        clock: Clock,
        dead: DeadLetters | None,
        durable: bool = True,
        on_delivered: OnDelivered = unheard,
    ) -> None:
        self._durable = durable
        self._closed: FlushReport | None = None
        self._closing = threading.Lock()
        self._workers = tuple(
            Worker(
                exporter,
                backlog,
                settings=settings,
                clock=clock,
                dead=dead,
                durable=durable,
                on_delivered=on_delivered,
            )
            for exporter, backlog in routes
        )

    def start(self) -> None:
        """Start the threads that do not run yet; in a forked child, all of them anew."""
        for worker in self._workers:
            worker.start()

    def wake(self) -> None:
        """Have every worker look at its backlog, as after an adoption."""
        for worker in self._workers:
            worker.wake()

    def flush(self, timeout_s: float, *, first: Wait = at_once) -> FlushReport:
        """Deliver what is recorded by now: no delay, one immediate try, then as they come.

        Waits ``timeout_s`` at the most, and within it for ``first``, which may add to what is
        to be delivered. A worker that never started is not waited for.
        """
        until_s = time.monotonic() + timeout_s
        since = [worker.settled for worker in self._workers]
        first(timeout_s)
        flushes = [(w, w.begin_flush(each)) for w, each in zip(self._workers, since, strict=True)]
        return FlushReport.total(w.end_flush(flush, until_s=until_s) for w, flush in flushes)

    def close(self, timeout_s: float, *, first: Wait = at_once) -> FlushReport:
        """Give the threads ``timeout_s`` to deliver what is left, and end them.

        What cannot be sent stays in the backlog, which one log line says. A thread that
        waits for a silent destination is left behind. Closing again answers the same.
        """
        with self._closing:
            if self._closed is None:
                until_s = time.monotonic() + timeout_s
                since = [worker.settled for worker in self._workers]
                first(timeout_s)
                self._closed = self._close(since, until_s)
            return self._closed

    def health(self) -> Mapping[str, ExporterHealth]:
        """How each exporter is doing, by its name."""
        return {worker.name: worker.health() for worker in self._workers}

    def _close(self, since: Sequence[tuple[int, int]], until_s: float) -> FlushReport:
        flushes = [
            (worker, worker.begin_close(each, until_s=until_s))
            for worker, each in zip(self._workers, since, strict=True)
        ]
        reports = [(worker, worker.end_close(flush)) for worker, flush in flushes]
        left = [
            f"{report.unsent} for {worker.name}" + (f" ({error})" if error else "")
            for worker, report in reports
            if report.unsent
            for error in (worker.last_error,)
        ]
        if left:
            fate = (
                "they stay in the journal and are sent by the next start or `turnspan drain`"
                if self._durable
                else "without a journal they are lost"
            )
            log.warning("turns are left unsent: %s; %s", ", ".join(left), fate)
        return FlushReport.total(report for _, report in reports)
