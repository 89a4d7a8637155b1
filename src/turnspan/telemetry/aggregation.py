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
from turnspan.telemetry.measurements import Attributes, measurements

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

    def add(self, value: float, boundaries: tuple[float, ...]) -> int:
        """Add ``value``; which bucket it fell into."""
        self.count += 1
        self.total += value
        if not boundaries:
            return 0
        bucket = bisect_left(boundaries, value)
        self.buckets[bucket] += 1
        if value < self.least:  # noqa: PLR1730  # `min` takes four times as long
            self.least = value
        if value > self.most:  # noqa: PLR1730  # the same
            self.most = value
        return bucket


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
        for instrument, value, attributes, span_id in measurements(turn):
            try:
                point = self.points[instrument][attributes]
            except KeyError:
                point = self._new_point(instrument, attributes)
            bucket = point.add(value, instrument.boundaries)
            if trace_id:
                point.exemplars[bucket] = (value, at_ns, trace_id, span_id)

    def restart(self, now_ns: int) -> None:
        """Begin anew: what was added so far has been told."""
        self.points = {}
        self.started_ns = now_ns

    def _is_shown(self, flags: int) -> bool:
        return self._exemplars == "always_on" or (
            self._exemplars == "trace_based" and flags & 1 == 1
        )

    def _new_point(self, instrument: Instrument, attributes: Attributes) -> Point:
        points = self.points.setdefault(instrument, {})
        key: tuple[tuple[str, Any], ...] = attributes
        if len(points) >= MOST_POINTS - 1:
            key = OVERFLOW
        buckets = [0] * (len(instrument.boundaries) + 1)
        return points.setdefault(key, Point(dict(key), buckets))
