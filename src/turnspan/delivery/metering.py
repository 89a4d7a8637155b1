"""Metering: what turns that end here measure, worked out beside the caller.

Turns that were recovered from a journal never pass here: they ended in another process.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

import orjson

from turnspan.delivery.batch import Batch, Courtesy
from turnspan.journal.bell import Bell
from turnspan.notices import say
from turnspan.ports import Exporter, MetricSink, TurnLog, journalled
from turnspan.schema.records import TURN
from turnspan.telemetry.application_metrics import ApplicationMetrics, has_provider
from turnspan.telemetry.ignored import say_ignored
from turnspan.telemetry.suppression import suppressed

__all__ = ["MeasuredLog", "Metering", "metering_of"]

INTERVAL_S: Final = 60.0
MOST_BYTES: Final = 4 * 2**20
GATHER_S: Final = 0.5
SLICE: Final = 64


def metering_of(
    exporters: Sequence[Exporter], resource: Mapping[str, Any], environ: Mapping[str, str]
) -> Metering | None:
    """What measures turns from now on; None where nobody wants it measured.

    The application's meter provider goes before ``exporters`` that carry metrics, for whoever
    has one has said where its metrics go.
    """
    if environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return None
    if has_provider():
        return Metering([ApplicationMetrics()], interval_s=float("inf"))
    sinks: list[MetricSink] = []
    if "otlp" in (environ.get("OTEL_METRICS_EXPORTER", "").strip().lower() or "otlp"):
        offers = [getattr(exporter, "metric_sink", None) for exporter in exporters]
        sinks += [offer(resource) for offer in offers if offer is not None]
    return Metering(sinks, interval_s=_interval_s(environ)) if sinks else None


class MeasuredLog:
    """A `turnspan.ports.TurnLog` whose ended turns go to ``keep`` too, once there is one.

    Until then `append` is that of the log itself, and costs nothing.
    """

    __slots__ = ("_append", "append", "next_number")

    append: Callable[[bytes], None]
    next_number: Callable[[str], int]

    def __init__(self, log: TurnLog) -> None:
        self._append = self.append = log.append
        self.next_number = log.next_number

    def show(self, keep: Callable[[bytes], None]) -> None:
        """Have ``keep`` given each `turn` line from now on; whoever holds `append` looks again."""
        append = self._append

        def shown(line: bytes) -> None:
            append(line)
            if line.startswith(TURN):
                keep(line)

        self.append = shown


class Metering:
    """Measures the turns it is given, in a daemon thread of its own.

    ``sinks`` are told each turn within half a second, and have their news sent every
    ``interval_s``. Lines that wait are bounded; beyond that turns are not measured, which is
    said. Every method may be called from any thread.
    """

    def __init__(self, sinks: Sequence[MetricSink], *, interval_s: float) -> None:
        self._sinks = sinks
        self._interval_s = interval_s
        self._lines: deque[bytes] = deque()
        self._held_bytes = self._kept = 0
        self._is_awake = self._is_over = False
        self._bell = Bell()
        self._lock = threading.Lock()  # whoever records and sends has it
        self._flushes = 0
        self._courtesy = Courtesy(lambda: self._kept, hurried=lambda: self._flushes > 0)

    def start(self) -> None:
        """Start the thread."""
        thread = threading.Thread(target=self._run, name="turnspan metrics", daemon=True)
        try:
            thread.start()
        except RuntimeError as exc:  # the interpreter is on its way out, or out of threads
            say("start metrics", "no thread takes metrics: %s", exc)

    def keep(self, line: bytes) -> None:
        """Have the turn of ``line`` measured soon. Never waits: this is in the caller."""
        if self._held_bytes >= MOST_BYTES:
            say("metrics", "turns end faster than they are measured: some are not", level=20)
            return
        self._lines.append(line)
        self._held_bytes += len(line)
        self._kept += 1
        if not self._is_awake:
            self._is_awake = True
            self._bell.ring()

    def flush(self, timeout_s: float) -> None:
        """Measure all that ended by now and send it, within ``timeout_s``."""
        until_s = time.monotonic() + timeout_s
        self._flushes += 1
        has_lock = self._lock.acquire(timeout=max(timeout_s, 0.0))
        self._flushes -= 1
        if not has_lock:
            return
        try:
            while self._lines:
                self._record(self._taken())
            self._send(until_s)
        finally:
            self._lock.release()

    def close(self, timeout_s: float) -> None:
        """`flush`, and end the thread."""
        self.flush(timeout_s)
        self._is_over = True
        self._bell.ring()
        for sink in self._sinks:
            sink.close()

    def _run(self) -> None:
        due_s = time.monotonic() + self._interval_s
        while not self._is_over:
            self._is_awake = False
            if not self._lines:
                self._bell.sleep(max(due_s - time.monotonic(), 0.0))
            self._is_awake = True
            if self._lines:
                time.sleep(GATHER_S)
                self._catch_up()
            if time.monotonic() >= due_s:
                due_s = time.monotonic() + self._interval_s
                with self._lock:
                    self._send(due_s)

    def _catch_up(self) -> None:
        self._courtesy.begin()
        while self._lines:
            with self._lock:
                lines = self._taken()
                self._record(each.raw for each in Batch([*map(journalled, lines)], self._courtesy))

    def _taken(self) -> list[bytes]:
        lines = [self._lines.popleft() for _ in range(min(SLICE, len(self._lines)))]
        self._held_bytes = max(0, self._held_bytes - sum(map(len, lines)))
        return lines

    def _record(self, lines: Iterable[bytes]) -> None:
        for line in lines:
            turn = orjson.loads(line)
            if turn["trace"].get("mode") == "adopted":
                continue  # whoever made its spans measures them
            for sink in self._sinks:
                try:
                    sink.record(turn)
                except Exception as exc:  # noqa: BLE001  # border: the provider is foreign code
                    say("metrics", "a turn could not be measured: %s", exc, error=exc)

    def _send(self, until_s: float) -> None:
        for sink in self._sinks:
            left_s = until_s - time.monotonic()
            if left_s <= 0:
                return
            try:
                with suppressed():
                    sink.send(timeout_s=left_s)
            except Exception as exc:  # noqa: BLE001  # border: foreign exporters
                say("metrics", "metrics could not be sent: %s", exc, error=exc)


def _interval_s(environ: Mapping[str, str]) -> float:
    """Source: …/otel/configuration/sdk-environment-variables/ v1.48: milliseconds."""
    text = environ.get("OTEL_METRIC_EXPORT_INTERVAL", "").strip()
    try:
        interval_s = float(text) / 1000 if text else INTERVAL_S
    except ValueError:
        interval_s = 0.0
    if not 0.0 < interval_s < threading.TIMEOUT_MAX:
        what = f"OTEL_METRIC_EXPORT_INTERVAL={text!r} is no length of time"
        say_ignored(what, "set it to a number of milliseconds")
        return INTERVAL_S
    return interval_s
