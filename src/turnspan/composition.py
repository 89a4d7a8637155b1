"""The composition root: what one `configure` builds, and how it ends."""

from __future__ import annotations

import os
import threading
import time
import weakref
from collections.abc import Callable, Mapping, Sequence
from contextvars import Context
from typing import TYPE_CHECKING, Any

from turnspan.capture.context import current_draft
from turnspan.capture.options import Options
from turnspan.capture.policy import Policy
from turnspan.capture.recorder import Recorder
from turnspan.capture.sampling import recorder_of
from turnspan.capture.streams import end_open_streams
from turnspan.capture.values import Limits
from turnspan.clock import SystemClock
from turnspan.delivery.dead import DeadLetters
from turnspan.delivery.delivery import Delivery, Wait, at_once
from turnspan.delivery.health import FlushReport, Health
from turnspan.delivery.metering import MeasuredLog, Metering, metering_of
from turnspan.delivery.settlement import OnDelivered, unheard
from turnspan.exporters.observed import ObservedLog
from turnspan.journal import Directory, Journal, RingLog
from turnspan.journal.lock import HAS_LOCKS
from turnspan.notices import say
from turnspan.ports import Clock, Exporter, Ids, Observer, SpanSource, takes_feedback
from turnspan.schema import RandomIds
from turnspan.settings import Settings
from turnspan.telemetry import detect_resource, span_source
from turnspan.telemetry.baggage import reader_of

if TYPE_CHECKING:
    from turnspan.ports import Backlog

__all__ = ["Runtime", "seconds"]


class Runtime:
    """What one `configure` built: journal or ring, spans, recorder, exporters, delivery."""

    def __init__(
        self,
        settings: Settings,
        exporters: Sequence[Exporter],
        *,
        policy: Policy | None = None,
        environ: Mapping[str, str] = os.environ,
        clock: Clock | None = None,
        ids: Ids | None = None,
        ring: RingLog | None = None,
        on_delivered: OnDelivered = unheard,
    ) -> None:
        self.settings = settings
        self.exporters: tuple[Exporter, ...] = tuple(exporters)
        self._clock = clock or SystemClock()
        self._ids = ids or RandomIds()
        self._policy = policy or Policy.of(settings)
        self._on_delivered = on_delivered
        self._observers = [one for one in self.exporters if isinstance(one, Observer)]
        self._carriers = [one for one in self.exporters if not isinstance(one, Observer)]
        self._resource = detect_resource(settings, environ)
        otlp = any(exporter.name.startswith("otlp+") for exporter in self._carriers)
        self._spans: SpanSource = span_source(settings, environ, ids=self._ids, otlp=otlp)
        names = [exporter.name for exporter in self._carriers]
        self.journal: Journal | None = _journal(settings, self._resource, names, self._clock)
        self._ring = None if self.journal else ring or RingLog(settings.ring_bytes, exporters=names)
        self._environ = environ
        self._build()
        self.adopt()

    def flush(self, timeout_s: float = 5.0) -> FlushReport:
        """Deliver what was recorded by now, within ``timeout_s``; what became of it.

        Raises:
            TypeError: ``timeout_s`` is no number.
        """
        timeout_s = seconds(timeout_s)
        until_s = time.monotonic() + timeout_s
        report = self.delivery.flush(timeout_s, first=self._adopted)
        if self.journal is not None:
            self.journal.sync(timeout_s)
        if self._metering is not None:
            self._metering.flush(until_s - time.monotonic())
        return report

    def close(self, timeout_s: float = 5.0) -> FlushReport:
        """Deliver what can be delivered within ``timeout_s`` and end. Idempotent.

        A turn that is still open may end later: it is journalled, and a later process
        delivers it.

        Raises:
            TypeError: ``timeout_s`` is no number; nothing was closed.
        """
        report = self._end_delivery(seconds(timeout_s))
        _close_all(self.exporters)
        is_needed = _while_busy(self.recorder)
        if not is_needed():
            if self.journal is not None:
                self.journal.close()
        elif self.journal is not None:
            self.journal.retire(is_needed)
        return report

    def leave(self) -> None:
        """Deliver what can be delivered before the process ends, within `exit_s`.

        Recording goes on: other exit handlers may still have turns, which the next process
        delivers.
        """
        end_open_streams()
        self._end_delivery(self.settings.exit_s)
        _close_all(self._carriers)
        self._rest()

    def health(self) -> Health:
        """How recording and delivery are doing."""
        counts = self.journal.counts() if self.journal else None
        dropped = dict(counts.dropped if counts else self._ring.dropped if self._ring else {})
        if self.recorder.failures:
            dropped["capture"] = self.recorder.failures
        if self.recorder.late_steps:
            dropped["late_step"] = self.recorder.late_steps
        if self.recorder.redaction is not None and self.recorder.redaction.withheld:
            dropped["withheld"] = self.recorder.redaction.withheld
        return Health.gathered(
            self.delivery.health(),
            recorded=self.recorder.recorded,
            journalled=counts.journalled if counts else 0,
            dropped=dropped,
            sampled_out=self.recorder.sampled_out,
            feedback=self.recorder.noted,
            parked=counts.parked if counts else None,
        )

    def adopt(self) -> None:
        """Have a look for what others have left, beside the caller; `flush` waits for it."""
        if self.journal is not None and self._carriers and self.journal.adopt_aside(self._deliver):
            # Not only when something is found: by then the interpreter may be on its way out,
            # and no thread starts any more.
            Context().run(self._deliver)

    @property
    def _adopted(self) -> Wait:
        """Waits until what dead processes left is there to be delivered."""
        return self.journal.wait_adopted if self.journal else at_once

    def _end_delivery(self, timeout_s: float) -> FlushReport:
        until_s = time.monotonic() + timeout_s
        report = self.delivery.close(timeout_s, first=self._adopted)
        if self._metering is not None:
            self._metering.close(until_s - time.monotonic())
        return report

    def _rest(self) -> None:
        if self.journal is not None:
            self.journal.rest()

    def start_over(self) -> None:
        """In a forked child: no thread is alive, and what was open is the parent's."""
        current_draft.set(None)
        if isinstance(self._ids, RandomIds):
            self._ids.reseed()
        self.recorder.detach()
        self._build()

    def _build(self) -> None:
        log = self.journal.log if self.journal else self._ring
        assert log is not None  # noqa: S101  # one of the two is there
        backlog: Callable[..., Backlog] = (self.journal or self._ring).backlog  # type: ignore[union-attr]
        self.delivery: Delivery = Delivery(
            [
                (exporter, backlog(exporter.name, feedback=takes_feedback(exporter)))
                for exporter in self._carriers
            ],
            settings=self.settings,
            clock=self._clock,
            dead=DeadLetters(self.journal.directory.path) if self.journal else None,
            durable=self.journal is not None,
            on_delivered=self._on_delivered,
        )
        self._metering: Metering | None = None
        self._log = MeasuredLog(ObservedLog(log, self._observers) if self._observers else log)
        self.recorder: Recorder = recorder_of(
            self._log,
            self._spans,
            self._clock,
            self._ids,
            Options(
                resource=self._resource,
                policy=self._policy,
                limits=Limits(max_bytes=self.settings.max_value_bytes, media=self.settings.media),
                max_turn_bytes=self.settings.max_turn_bytes,
                orphans=self.settings.orphans == "turn",
                sample=self.settings.sample,
                keep_errors=self.settings.keep_errors,
                baggage=reader_of(self.settings.baggage_keys),
                on_first=self._start,
                directory=self.journal.directory.path if self.journal else None,
            ),
        )

    def _deliver(self) -> None:
        self.delivery.start()  # a forked child has one of its own

    def _start(self) -> None:
        # In a context of their own: some have threads inherit that of whoever starts them, which
        # is a turn here.
        Context().run(self._start_threads)

    def _start_threads(self) -> None:
        self._deliver()
        self._measure()
        if self.journal is not None:
            self.journal.start()

    def _measure(self) -> None:
        """With the first turn, for by then the application has a meter provider, or has none."""
        try:
            self._metering = metering_of(self._carriers, self._resource, self._environ)
        except Exception as exc:  # noqa: BLE001  # border: the meter provider is foreign code
            say("measuring", "turns are not measured: %s", exc, error=exc)
            return
        if self._metering is not None:
            self._log.show(self._metering.keep)
            self._metering.start()


def seconds(timeout_s: float) -> float:
    """``timeout_s`` as a number that threads can wait for."""
    if isinstance(timeout_s, bool) or not isinstance(timeout_s, int | float):
        raise TypeError(f"timeout_s is a number of seconds, not {timeout_s!r}")
    return min(timeout_s, threading.TIMEOUT_MAX / 2)


def _while_busy(recorder: Recorder) -> Callable[[], bool]:
    """Is a turn of ``recorder`` still open? If none is, it records nothing any more."""
    known = weakref.ref(recorder)  # a turn that nobody will end is gone before long

    def is_busy() -> bool:
        recorder = known()
        if recorder is None or recorder.is_busy:
            return recorder is not None
        recorder.detach()
        return False

    return is_busy


def _close_all(exporters: Sequence[Exporter]) -> None:
    for exporter in exporters:
        try:
            exporter.close(timeout_s=0.0)
        except (Exception, SystemExit) as exc:  # noqa: BLE001  # a border: foreign exporters
            name = exporter.name
            say(f"close {name}", "%s did not close", name, error=exc)


def _journal(
    settings: Settings, resource: Mapping[str, Any], exporters: Sequence[str], clock: Clock
) -> Journal | None:
    """The journal in the directory asked for; None where a ring has to do."""
    if settings.directory is None or settings.disabled:
        return None
    if not HAS_LOCKS:
        say(
            "directory",
            "this system has no POSIX file locks: turns are kept in memory only, until they are "
            "delivered",
        )
        return None
    directory = Directory(os.path.abspath(settings.directory))
    try:
        return Journal.open(
            directory,
            settings=settings,
            resource=resource,
            service=settings.service_name,
            exporters=exporters,
            clock=clock,
        )
    except OSError as exc:
        say(
            "directory",
            "turnspan cannot write to %s (%s): turns are kept in memory only; name a directory "
            "that can be written with TURNSPAN_DIR",
            settings.directory,
            exc.strerror or exc,
        )
        return None
