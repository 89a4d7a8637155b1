"""The composition root: `configure` builds a runtime, `close` ends it."""

from __future__ import annotations

import atexit
import os
import threading
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import Context
from typing import TYPE_CHECKING, Any, Final

# The front door's names, loaded by now: a signal handler that asks for one first may have come
# in the middle of the import that brings it.
from turnspan.capture import block, feedback, handles  # noqa: F401
from turnspan.capture.active import active
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
from turnspan.delivery.sigterm import SigtermHook
from turnspan.exporters.observed import ObservedLog
from turnspan.exporters.registry import build_all
from turnspan.journal import Directory, Journal, RingLog
from turnspan.notices import hide_with, say
from turnspan.ports import Clock, Exporter, Ids, Observer, SpanSource, takes_feedback
from turnspan.schema import RandomIds
from turnspan.settings import Settings, unknown
from turnspan.telemetry import SelfMetrics, detect_resource, span_source
from turnspan.telemetry.baggage import reader_of

if TYPE_CHECKING:
    from turnspan.ports import Backlog

__all__ = [
    "Maker",
    "Runtime",
    "aflush",
    "close",
    "configure",
    "first_use",
    "flush",
    "health",
    "stand_in",
]


class _Unsaid(str):
    """A default, told apart from the same text given as an argument, which wins."""

    __slots__ = ()


_DIRECTORY: Final = _Unsaid(".turnspan")
_SPANS: Final = _Unsaid("auto")
_lock = threading.RLock()
_current: Runtime | None = None
_problem: str | None = None


Maker = Callable[[Mapping[str, Any], Sequence["str | Exporter"] | None, Policy | None], "Runtime"]
"""From options, exporters and policy as `configure` was given them to a runtime."""


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
    ) -> None:
        self.settings = settings
        self.exporters: tuple[Exporter, ...] = tuple(exporters)
        self._clock = clock or SystemClock()
        self._ids = ids or RandomIds()
        self._policy = policy or Policy.of(settings)
        self._observers = [one for one in self.exporters if isinstance(one, Observer)]
        self._carriers = [one for one in self.exporters if not isinstance(one, Observer)]
        self._resource = detect_resource(settings, environ)
        otlp = any(exporter.name.startswith("otlp+") for exporter in self._carriers)
        self._spans: SpanSource = span_source(settings, environ, ids=self._ids, otlp=otlp)
        names = [exporter.name for exporter in self._carriers]
        self.journal: Journal | None = _journal(settings, self._resource, names, self._clock)
        self._ring = None if self.journal else ring or RingLog(settings.ring_bytes, exporters=names)
        self._build()
        self.adopt()

    def flush(self, timeout_s: float = 5.0) -> FlushReport:
        """Deliver what was recorded by now, within ``timeout_s``; what became of it."""
        report = self.delivery.flush(timeout_s, first=self._adopted)
        if self.journal is not None:
            self.journal.sync(timeout_s)
        return report

    def close(self, timeout_s: float = 5.0) -> FlushReport:
        """Deliver what can be delivered within ``timeout_s`` and end. Idempotent.

        A turn that is still open may end later: it is journalled, and a later process
        delivers it.

        Raises:
            TypeError: ``timeout_s`` is no number; nothing was closed.
        """
        report = self.delivery.close(_seconds(timeout_s), first=self._adopted)
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
        self.delivery.close(self.settings.exit_s, first=self._adopted)
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
        if self.journal is not None and self._carriers:
            self.journal.adopt_aside(self._deliver)

    @property
    def _adopted(self) -> Wait:
        """Waits until what dead processes left is there to be delivered."""
        return self.journal.wait_adopted if self.journal else at_once

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
            on_delivered=_metrics.delivered,
        )
        self.recorder: Recorder = recorder_of(
            ObservedLog(log, self._observers) if self._observers else log,
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
        if self.journal is not None:
            self.journal.start()


def configure(
    *,
    exporters: Sequence[str | Exporter] | None = None,
    directory: str | os.PathLike[str] | None = _DIRECTORY,
    service_name: str | None = None,
    spans: str = _SPANS,
    policy: Policy | None = None,
    **settings: Any,
) -> Runtime:
    """Say where turns go. Again: the runtime before it is closed within its timeout.

    ``exporters`` are URLs (`https://…`, `otlp+http://…`, `file:turns.jsonl`, `console:`) and
    exporter objects. ``directory=None`` keeps turns in a ring in memory. ``settings`` are the
    other options of `docs/settings.md`; what is left out comes from the environment.

    Raises:
        SettingsError: an option is unknown or its value unreadable, or options contradict.
        ExporterError: a destination cannot be built.
    """
    given = dict(settings)
    if not isinstance(directory, _Unsaid):
        given["directory"] = directory
    if service_name is not None:
        given["service_name"] = service_name
    if not isinstance(spans, _Unsaid):
        given["spans"] = spans
    return _install(_make(given, exporters, policy))


@contextmanager
def stand_in(make: Maker) -> Iterator[None]:
    """Let `configure` get its runtimes from ``make`` for a while, and begin unconfigured.

    The runtime that was in force is neither closed nor asked meanwhile, and comes back
    afterwards; the last one that ``make`` made is closed then.
    """
    global _make, _current, _problem  # there is one runtime a process
    with _lock:
        before = _make, _current, _problem
        recorder = active.swap((None, True))
        _make, _current, _problem = make, None, None
    try:
        yield
    finally:
        with _lock:
            made = _current
            _make, _current, _problem = before
            active.swap(recorder)
        if made is not None:
            made.close(0.0)


def first_use() -> None:
    """Configure from the environment alone, as the first captured call does."""
    global _problem  # noqa: PLW0603  # there is one runtime a process
    try:
        configure()
    except Exception as exc:
        _problem = str(exc)
        raise


def flush(timeout_s: float = 5.0) -> FlushReport:
    """Deliver what was recorded by now, within ``timeout_s``; what became of it."""
    return _current.flush(timeout_s) if _current else FlushReport()


async def aflush(timeout_s: float = 5.0) -> FlushReport:
    """`flush` without blocking the event loop; cancelled, it goes on without anybody waiting."""
    from turnspan.aside import run_aside  # here: brings asyncio

    return await run_aside(lambda: flush(timeout_s))


def close(timeout_s: float = 5.0) -> FlushReport:
    """Deliver what can be delivered within ``timeout_s``, and stop recording.

    Raises:
        TypeError: ``timeout_s`` is no number; nothing was closed.
    """
    global _current  # there is one runtime a process
    timeout_s = _seconds(timeout_s)
    with _lock:
        runtime, _current = _current, None
        active.use(None)
        _sigterm.remove()
    return runtime.close(timeout_s) if runtime else FlushReport()


_sigterm: Final = SigtermHook(flush)


def health() -> Health:
    """How recording and delivery are doing; why recording is off, where it is."""
    return _current.health() if _current else Health(problem=_problem)


def _from_environment(
    given: Mapping[str, Any], exporters: Sequence[str | Exporter] | None, policy: Policy | None
) -> Runtime:
    read = Settings.read(os.environ, given)
    policy = Policy.chosen(policy, read, given)
    for name, fix in unknown(os.environ).items():  # misspelt, one that hides would hide nothing
        say(f"variable {name}", "turnspan: %s is no variable of turnspan: %s", name, fix)
    targets = read.exporters if exporters is None else exporters
    return Runtime(read, build_all(targets, settings=read), policy=policy)


_make: Maker = _from_environment


def _journal_bytes() -> int | None:
    journal = _current.journal if _current else None
    return journal.directory.size_bytes() if journal else None


_metrics: Final = SelfMetrics(lambda: _current.health() if _current else None, _journal_bytes)


def _install(runtime: Runtime) -> Runtime:
    global _current, _problem  # there is one runtime a process
    with _lock:
        before, _current, _problem = _current, runtime, None
        active.use(None if runtime.settings.disabled else runtime.recorder)
        if runtime.settings.on_sigterm:
            _sigterm.install(runtime.settings.exit_s)
        else:
            _sigterm.remove()
    redaction = runtime.recorder.redaction
    hide_with(None if redaction is None else redaction.told)
    if not runtime.settings.disabled:
        _metrics.make(os.environ)
    if before is not None:
        before.close(before.settings.exit_s)
        runtime.adopt()  # what it could not deliver
    return runtime


def _seconds(timeout_s: float) -> float:
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


def _close_at_exit() -> None:
    with _lock:
        runtime = _current
    if runtime is not None:
        runtime.leave()


def _start_over_in_child() -> None:
    global _lock  # noqa: PLW0603  # another thread of the parent may have held it
    _lock = threading.RLock()
    if _current is not None:
        _current.start_over()
        if active.recorder is not None:
            active.use(_current.recorder)


atexit.register(_close_at_exit)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_start_over_in_child)
