"""How delivery is doing, as values."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

__all__ = ["ExporterHealth", "FlushReport", "Health"]


@dataclass(frozen=True, slots=True)
class FlushReport:
    """What became of the turns since the flush began, summed over the exporters.

    Feedback counts among them for exporters that take it. True where nothing is left unsent.
    """

    delivered: int = 0
    refused: int = 0
    unsent: int = 0
    timed_out: bool = False

    def __bool__(self) -> bool:
        return self.unsent == 0 and not self.timed_out

    @classmethod
    def total(cls, reports: Iterable[FlushReport]) -> FlushReport:
        """The sum of ``reports``."""
        every = tuple(reports)
        return cls(
            delivered=sum(report.delivered for report in every),
            refused=sum(report.refused for report in every),
            unsent=sum(report.unsent for report in every),
            timed_out=any(report.timed_out for report in every),
        )


@dataclass(frozen=True, slots=True)
class ExporterHealth:
    """One exporter since its start in this process; feedback counts where it takes that."""

    delivered: int = 0
    refused: int = 0
    unsent: int = 0
    """Estimated from their size where there are too many to count."""
    retries: int = 0
    failing: bool = False
    """Whether the last try left turns unsent."""
    last_error: str | None = None
    last_error_at_ns: int | None = None
    oldest_unsent_age_s: float | None = None


@dataclass(frozen=True, slots=True)
class Health:
    """The whole of it, from the caller's hands to the destinations."""

    recorded: int = 0
    journalled: int = 0
    delivered: int = 0
    refused: int = 0
    unsent: int = 0
    dropped: Mapping[str, int] = field(default_factory=dict)
    """By reason: docs/delivery.md lists them."""
    sampled_out: int = 0
    """Turns that ended and were left out by `sample`: nobody lost them."""
    parked: str | None = None
    """Why turns are kept in memory at the moment, although there is a journal."""
    oldest_unsent_age_s: float | None = None
    feedback: int = 0
    """Judgements recorded; `recorded` and `journalled` count turns alone."""
    exporters: Mapping[str, ExporterHealth] = field(default_factory=dict)
    problem: str | None = None
    """Why recording is off, where configuration from the environment failed."""

    @classmethod
    def gathered(
        cls,
        exporters: Mapping[str, ExporterHealth],
        *,
        recorded: int,
        journalled: int,
        dropped: Mapping[str, int],
        sampled_out: int = 0,
        feedback: int = 0,
        parked: str | None = None,
    ) -> Health:
        """Counts of capture and journal with those of ``exporters`` summed up."""
        each = tuple(exporters.values())
        ages = [one.oldest_unsent_age_s for one in each if one.oldest_unsent_age_s is not None]
        return cls(
            recorded=recorded,
            journalled=journalled,
            delivered=sum(one.delivered for one in each),
            refused=sum(one.refused for one in each),
            unsent=sum(one.unsent for one in each),
            dropped=dropped,
            sampled_out=sampled_out,
            parked=parked,
            oldest_unsent_age_s=max(ages, default=None),
            feedback=feedback,
            exporters=exporters,
        )
