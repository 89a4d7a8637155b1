"""The rules for metrics."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from conventions.model import GENAI, level_of, type_fault

__all__ = ["SeenMetric", "SeenPoint", "metric_violations"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenPoint:
    """One data point; ``bounds`` and ``counts`` are of histograms."""

    attributes: Mapping[str, Any] = field(default_factory=dict)
    value: float = 0
    bounds: Sequence[float] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenMetric:
    """``instrument`` is `histogram` or `counter`."""

    name: str
    instrument: str
    unit: str
    points: tuple[SeenPoint, ...] = ()
    is_monotonic: bool = True

    @classmethod
    def of_sdk(cls, metric: Any) -> SeenMetric:
        """From a `Metric` of the SDK's reader."""
        data = metric.data
        is_histogram = hasattr(data.data_points[0], "explicit_bounds")
        return cls(
            name=metric.name,
            instrument="histogram" if is_histogram else "counter",
            unit=metric.unit,
            is_monotonic=getattr(data, "is_monotonic", True),
            points=tuple(
                SeenPoint(
                    attributes=dict(point.attributes or {}),
                    value=point.sum if is_histogram else point.value,
                    bounds=tuple(point.explicit_bounds) if is_histogram else (),
                )
                for point in data.data_points
            ),
        )


def metric_violations(metric: SeenMetric) -> list[str]:
    """What of ``metric`` the conventions forbid, or miss."""
    if metric.name in GENAI["deprecated"]["metrics"]:
        return [f"deprecated: {metric.name}"]
    known = GENAI["metrics"].get(metric.name)
    if known is None:
        return [f"unknown: there is no metric {metric.name}"]
    return [*_of_instrument(metric, known), *_of_points(metric, known)]


def _of_instrument(metric: SeenMetric, known: Mapping[str, Any]) -> Iterator[str]:
    if metric.instrument != known["instrument"]:
        yield f"instrument: {metric.name} is a {known['instrument']}, not a {metric.instrument}"
    if metric.instrument == "counter" and not metric.is_monotonic:
        yield f"instrument: {metric.name} goes up and down"
    if metric.unit != known["unit"]:
        yield f"unit: {metric.name} is in {known['unit']}, not in {metric.unit!r}"
    bounds = known.get("bucket_boundaries")
    for point in metric.points:
        if bounds is not None and list(point.bounds) != bounds:
            yield f"buckets: those of {metric.name} are {list(point.bounds)}"
        if known.get("value_type") == "int" and type(point.value) is not int:
            yield f"type: {metric.name} counts {point.value!r}"


def _of_points(metric: SeenMetric, known: Mapping[str, Any]) -> Iterator[str]:
    declared = known["attributes"]
    for point in metric.points:
        for name, said in declared.items():
            if level_of(said) == "required" and name not in point.attributes:
                yield f"required: {name} is missing on {metric.name}"
        if "server.address" in point.attributes and "server.port" not in point.attributes:
            yield f"required: server.port goes with server.address on {metric.name}"
        for name, value in point.attributes.items():
            if name not in declared:
                yield f"undeclared: {name} is nothing that {metric.name} carries"
            elif fault := type_fault(name, value):
                yield fault
