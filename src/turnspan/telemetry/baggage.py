"""W3C baggage that is copied onto turns."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

__all__ = ["reader_of"]


def reader_of(keys: Sequence[str]) -> Callable[[], Mapping[str, str]] | None:
    """Reads the entries ``keys`` of the current baggage; None where there are none to read."""
    if not keys:
        return None
    from opentelemetry import baggage

    def read() -> Mapping[str, str]:
        there = baggage.get_all()
        return {key: str(there[key]) for key in keys if key in there}

    return read
