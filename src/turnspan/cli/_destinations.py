"""The exporters that a command was told to use."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from turnspan.ports import Exporter
    from turnspan.settings import Settings

__all__ = ["destinations"]


def destinations(named: Sequence[str], settings: Settings) -> tuple[Exporter, ...]:
    """Those ``named`` by URL, else those configured.

    None that keeps turns in this process only: they would be gone with it.

    Raises:
        ExporterError: one cannot be built.
    """
    from turnspan.exporters.registry import build_all
    from turnspan.ports import Observer

    built = build_all(list(named) or settings.exporters, settings=settings)
    return tuple(each for each in built if not isinstance(each, Observer))
