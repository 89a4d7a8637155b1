"""What turns measure, added up: points of counters and histograms, by attributes.

Source: https://opentelemetry.io/docs/specs/otel/metrics/sdk/ v1.48 (explicit bucket histogram,
whose upper bounds are inclusive; exemplars; cardinality limit 2000).
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

from turnspan.telemetry.instruments import Instrument
from turnspan.telemetry.measurements import Attributes, Measurement, measurements

__all__ = ["Aggregation", "Exemplar", "Point"]

MOST_POINTS: Final = 2000
OVERFLOW: Final = (("otel.metric.overflow", True),)


Exemplar: TypeAlias = tuple[float, int, str, str]
"""One value as it was measured, when, and the ids of its trace and span."""


@dataclass(slots=True)
class Point:
    """Everything measured under one set of attributes."""

    attributes: dict[str, Any]
    buckets: list[int]
    count: int = 0
    total: float = 0
    least: float = float("inf")
    most: float = float("-inf")
    exemplars: dict[int, Exemplar] = field(default_factory=dict)
    """The last of each bucket."""


class Aggregation:
    """Adds up the measurements of turns since ``started_ns``. Not thread-safe.

    Exemplars are kept of spans that are sampled, of all with ``exemplars="always_on"`` and of
    none with `always_off`.
    """

    def __init__(self, started_ns: int, *, exemplars: str = "trace_based") -> None:
        self.started_ns: int = started_ns
        self.points: dict[Instrument, dict[tuple[Any, ...], Point]] = {}
        self._exemplars = exemplars

    def record(self, turn: Mapping[str, Any]) -> None:
        """Add ``turn``, a decoded `turn` line.

        Raises:
            KeyError, TypeError, AttributeError: it is no turn.
        """
        trace, at_ns = turn["trace"], turn["ended_at"]
        trace_id = trace["trace_id"] if self._is_shown(trace.get("flags", 1)) else ""
        for measured in measurements(turn):
            self._add(measured, at_ns, trace_id)

    def restart(self, now_ns: int) -> None:
        """Begin anew: what was added so far has been told."""
        self.points = {}
        self.started_ns = now_ns

    def _is_shown(self, flags: int) -> bool:
        return self._exemplars == "always_on" or (
            self._exemplars == "trace_based" and flags & 1 == 1
        )

    def _add(self, measured: Measurement, at_ns: int, trace_id: str) -> None:
        instrument, value, attributes, span_id = measured
        point = self._point(instrument, attributes)
        point.count += 1
        point.total += value
        bucket = 0
        if boundaries := instrument.boundaries:
            bucket = bisect_left(boundaries, value)
            point.buckets[bucket] += 1
            point.least = min(point.least, value)
            point.most = max(point.most, value)
        if trace_id:
            point.exemplars[bucket] = (value, at_ns, trace_id, span_id)

    def _point(self, instrument: Instrument, attributes: Attributes) -> Point:
        points = self.points.setdefault(instrument, {})
        key: tuple[Any, ...] = tuple(attributes.items())
        if (found := points.get(key)) is not None:
            return found
        if len(points) >= MOST_POINTS - 1:
            key = OVERFLOW
        buckets = [0] * (len(instrument.boundaries) + 1)
        return points.setdefault(key, Point(dict(key), buckets))
