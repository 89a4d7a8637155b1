"""How spans of different makers are read: a module each, found by itself.

A module has `ORDER` (who reads first has the last word), `claims(span)` and `read(reading)`. A span
may be read by several: what one of them leaves open, the next may know.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from importlib import import_module
from pkgutil import iter_modules
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from turnspan.telemetry.decoding.reading import Reading
    from turnspan.telemetry.decoding.received import ReceivedSpan

__all__ = ["SpanDialect", "span_dialects"]


class SpanDialect(Protocol):
    """One module of this package."""

    ORDER: int
    ALONE: bool
    """Whether nobody else reads a span that it claims."""

    def claims(self, span: ReceivedSpan) -> bool:
        """Whether there is anything on ``span`` that it knows."""
        ...

    def read(self, reading: Reading) -> None:
        """Fill in what the span says."""
        ...


@cache
def span_dialects() -> Sequence[SpanDialect]:
    """All there are, in the order in which they read."""
    modules = [import_module(f"{__name__}.{module.name}") for module in iter_modules(__path__)]
    return sorted(modules, key=lambda module: module.ORDER)
