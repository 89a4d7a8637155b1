"""How long turns took, in buckets a tenth apart, whose counts add up to quantiles."""

from __future__ import annotations

from collections.abc import Mapping
from math import log
from typing import Final

__all__ = ["QUANTILES", "bucket_of", "quantiles_ms"]

QUANTILES: Final = (0.5, 0.9, 0.95, 0.99)
_SMALLEST_NS: Final = 1_000
_GROWTH: Final = 1.1  # a value is within 5 % of its bucket's middle
_LOG_GROWTH: Final = log(_GROWTH)


def bucket_of(duration_ns: int) -> int:
    """The bucket of a length; 0 below a microsecond."""
    if duration_ns <= _SMALLEST_NS:
        return 0
    return int(log(duration_ns / _SMALLEST_NS) / _LOG_GROWTH) + 1


def quantiles_ms(counts: Mapping[int, int]) -> dict[str, float]:
    """`p50`, `p90`, `p95` and `p99` of the lengths counted by bucket, to within 5 %."""
    total = sum(counts.values())
    if not total:
        return {}
    found: dict[str, float] = {}
    waiting = list(QUANTILES)
    seen = 0
    for bucket in sorted(counts):
        seen += counts[bucket]
        while waiting and seen >= waiting[0] * total:
            found[f"p{waiting.pop(0) * 100:g}"] = _middle_ms(bucket)
    return found


def _middle_ms(bucket: int) -> float:
    if bucket == 0:
        return 0.0
    return float(_SMALLEST_NS * _GROWTH ** (bucket - 0.5) / 1e6)
