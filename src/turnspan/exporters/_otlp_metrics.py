"""What turns measure, sent to an OTLP backend at intervals.

Source: https://opentelemetry.io/docs/specs/otel/metrics/sdk_exporters/otlp/ v1.48 and
…/configuration/sdk-environment-variables/ (variables).
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection, Mapping
from typing import Any, Final

from turnspan.exporters._otlp_signal import Signal
from turnspan.notices import say
from turnspan.telemetry.aggregation import Aggregation
from turnspan.telemetry.ignored import say_ignored
from turnspan.telemetry.otlp_metrics import metrics_request

__all__ = ["OtlpMetrics"]

_IS_DELTA: Final = {"cumulative": False, "delta": True, "lowmemory": True}
_FILTERS: Final = frozenset({"always_on", "always_off", "trace_based"})
_NOT_FOR_IT: Final = frozenset({404, 405, 410, 415, 501})


class OtlpMetrics:
    """Adds up what turns measure, and posts it by ``signal``.

    Implements `turnspan.ports.MetricSink`. What could not be sent goes with the next request:
    sums are cumulative, or begin anew only when they were taken. A backend that has no place
    for metrics is told of none any more.
    """

    def __init__(
        self,
        signal: Signal,
        name: str,
        resource: Mapping[str, Any],
        environ: Mapping[str, str],
        *,
        now_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self._signal = signal
        self._name = name
        self._resource = resource
        self._now_ns = now_ns
        preference = "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE"
        self._delta = _IS_DELTA[_word(environ, preference, _IS_DELTA, "cumulative")]
        exemplars = _word(environ, "OTEL_METRICS_EXEMPLAR_FILTER", _FILTERS, "trace_based")
        self._found = Aggregation(now_ns(), exemplars=exemplars)
        self._has_news = False
        self._is_unwanted = False

    def record(self, turn: Mapping[str, Any], /) -> None:
        """Add what ``turn`` measures."""
        if not self._is_unwanted:
            self._has_news = True
            self._found.record(turn)

    def send(self, *, timeout_s: float) -> None:
        """Post all there is, where anything is new."""
        if not self._has_news or self._is_unwanted:
            return
        now_ns = self._now_ns()
        request = metrics_request(self._found, self._resource, now_ns, delta=self._delta)
        answer = self._signal.post(request, timeout_s=timeout_s, records="data points")
        if answer.accepted:
            self._has_news = False
            if self._delta:
                self._found.restart(now_ns)
        elif answer.status in _NOT_FOR_IT and not answer.cause:
            self._is_unwanted = True
            self._found.restart(now_ns)
            self._say("%s takes no metrics (%s): it is sent none", answer.told())
        else:
            self._say("metrics wait for %s: %s", answer.cause or answer.told())

    def close(self) -> None:
        """Close the connection."""
        self._signal.close()

    def _say(self, message: str, why: str) -> None:
        say(f"metrics {self._name}", message, self._name, why, level=logging.INFO)


def _word(environ: Mapping[str, str], variable: str, known: Collection[str], default: str) -> str:
    word = environ.get(variable, "").strip().lower() or default
    if word in known:
        return word
    say_ignored(
        f"{variable}={word!r} is none of {', '.join(sorted(known))}",
        f"it is {default}; set it to one of them",
    )
    return default
