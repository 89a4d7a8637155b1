"""How recording and delivery are doing, as metrics on the application's meter provider.

Source: https://opentelemetry.io/docs/specs/otel/metrics/api/ v1.48 (instruments), and the
manner of https://opentelemetry.io/docs/specs/semconv/otel/sdk-metrics/ v1.44.0.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final, Protocol

from turnspan.notices import say
from turnspan.telemetry import semconv as names

if TYPE_CHECKING:
    from opentelemetry.metrics import CallbackOptions, Histogram, Meter, Observation

__all__ = ["ExporterFigures", "Figures", "SelfMetrics"]

FRESH_S: Final = 0.1  # the instruments of one collection share one reading
DURATIONS_S: Final = (0.01, 0.05, 0.1, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 1800.0, 3600.0)
_TURN: Final = "{turn}"
_SAID: Final = {
    "recorded": "Turns that ended.",
    "dropped": "Turns that were lost or left out, by reason.",
    "delivered": "Turns that the destination has acknowledged.",
    "refused": "Turns that the destination will never take; they are among the dead letters.",
    "unsent": "Turns that the destination has yet to be given.",
    "age": "Time since the oldest of them ended.",
    "size": "What the directory takes up.",
    "duration": "From the end of a batch's oldest turn to the destination's answer.",
}


class ExporterFigures(Protocol):
    """What is told of one exporter."""

    @property
    def delivered(self) -> int:
        """Acknowledged by its destination."""
        ...

    @property
    def refused(self) -> int:
        """Never to be taken."""
        ...

    @property
    def unsent(self) -> int:
        """Yet to be given."""
        ...

    @property
    def oldest_unsent_age_s(self) -> float | None:
        """Seconds since the oldest of those ended."""
        ...


class Figures(Protocol):
    """What is told of the process; `turnspan.health()` is one."""

    @property
    def recorded(self) -> int:
        """Turns that ended."""
        ...

    @property
    def dropped(self) -> Mapping[str, int]:
        """By reason."""
        ...

    @property
    def exporters(self) -> Mapping[str, ExporterFigures]:
        """By name."""
        ...


class SelfMetrics:
    """The instruments of this process, made once: OpenTelemetry takes none back.

    All but one are observable: they are read when somebody collects, and cost nothing
    otherwise. While the application has no provider they are the API's placeholders, which
    turn real when it sets one, before or after. None is ever set here.

    ``figures`` says how things stand, None while nothing is configured; ``journal_bytes`` what
    the directory takes up, None without one.
    """

    def __init__(
        self, figures: Callable[[], Figures | None], journal_bytes: Callable[[], int | None]
    ) -> None:
        self._figures = figures
        self._journal_bytes = journal_bytes
        self._duration: Histogram | None = None
        self._is_made = False
        self._read: Figures | None = None
        self._read_at_s = float("-inf")

    def make(self, environ: Mapping[str, str]) -> None:
        """Make the instruments, unless they are there or `OTEL_SDK_DISABLED`. Never raises."""
        if self._is_made or environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
            return
        self._is_made = True
        try:
            from opentelemetry import metrics  # here: a fifth of what all else of it costs

            from turnspan import __version__

            self._make(metrics.get_meter(names.SCOPE_NAME, __version__))
        except Exception as exc:  # noqa: BLE001  # a border: the provider is foreign code
            say("metrics", "there will be no metrics of turnspan: %s", exc, error=exc)

    def delivered(self, exporter: str, latency_s: float) -> None:
        """A destination has acknowledged a batch, whose oldest turn ended ``latency_s`` ago."""
        if self._duration is None:
            return
        try:
            self._duration.record(latency_s, {names.EXPORTER_NAME: exporter})
        except Exception as exc:  # noqa: BLE001  # a border: the provider is foreign code
            say("metrics", "a metric could not be recorded: %s", exc, error=exc)

    def _make(self, meter: Meter) -> None:
        counter = meter.create_observable_counter
        up_down = meter.create_observable_up_down_counter
        gauge = meter.create_observable_gauge
        of = self._of_exporters
        counter(names.TURNS_RECORDED, [_guarded(self._recorded)], _TURN, _SAID["recorded"])
        counter(names.TURNS_DROPPED, [_guarded(self._dropped)], _TURN, _SAID["dropped"])
        counter(names.TURNS_DELIVERED, [of("delivered")], _TURN, _SAID["delivered"])
        counter(names.TURNS_REFUSED, [of("refused")], _TURN, _SAID["refused"])
        up_down(names.TURNS_UNSENT, [of("unsent")], _TURN, _SAID["unsent"])
        gauge(names.UNSENT_AGE, [of("oldest_unsent_age_s")], "s", _SAID["age"])
        up_down(names.JOURNAL_SIZE, [_guarded(self._size)], "By", _SAID["size"])
        self._duration = meter.create_histogram(
            names.DELIVERY_DURATION,
            "s",
            _SAID["duration"],
            explicit_bucket_boundaries_advisory=DURATIONS_S,
        )

    def _now(self) -> Figures | None:
        now_s = time.monotonic()
        if now_s - self._read_at_s > FRESH_S:
            self._read, self._read_at_s = self._figures(), now_s
        return self._read

    def _recorded(self) -> Iterable[Observation]:
        figures = self._now()
        return [_observation(figures.recorded)] if figures else []

    def _dropped(self) -> Iterable[Observation]:
        figures = self._now()
        dropped = figures.dropped if figures else {}
        return [_observation(n, {names.ERROR_TYPE: reason}) for reason, n in dropped.items()]

    def _size(self) -> Iterable[Observation]:
        size_bytes = self._journal_bytes()
        return [] if size_bytes is None else [_observation(size_bytes)]

    def _of_exporters(self, figure: str) -> Callable[[CallbackOptions], Iterable[Observation]]:
        def observe() -> Iterable[Observation]:
            figures = self._now()
            exporters = figures.exporters if figures else {}
            found = [(name, getattr(each, figure)) for name, each in exporters.items()]
            return [
                _observation(value, {names.EXPORTER_NAME: name})
                for name, value in found
                if value is not None
            ]

        return _guarded(observe)


def _observation(value: float, attributes: dict[str, Any] | None = None) -> Observation:
    from opentelemetry.metrics import Observation

    return Observation(value, attributes)


def _guarded(
    observe: Callable[[], Iterable[Observation]],
) -> Callable[[CallbackOptions], Iterable[Observation]]:
    """``observe`` as a callback that answers nothing where it fails."""

    def callback(_: CallbackOptions) -> Iterable[Observation]:
        try:
            return observe()
        except Exception as exc:  # noqa: BLE001  # a border: it must not reach the collection
            say("metrics", "a metric could not be read: %s", exc, error=exc)
            return []

    return callback
