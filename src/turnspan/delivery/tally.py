"""The counters of one worker."""

from __future__ import annotations

from collections.abc import Sequence

from turnspan.delivery.health import ExporterHealth
from turnspan.ports import Journalled

__all__ = ["Tally"]


class Tally:
    """Counters of one worker, written by its thread alone."""

    def __init__(self) -> None:
        self.delivered: int = 0
        self.refused: int = 0
        self.retries: int = 0
        self.failing: bool = False
        self.last_error: str | None = None
        self._last_error_at_ns: int | None = None
        self.committed_turns: int = 0
        self.committed_bytes: int = 0
        self._turns = self._size_bytes = 0

    @property
    def mean_bytes(self) -> float:
        """Bytes of a turn, as far as we have seen any."""
        return self._size_bytes / self._turns if self._turns else 2000.0

    def settled(self, *, delivered: int, refused: int, size_bytes: int, turns: int) -> None:
        """A batch was answered."""
        self.delivered += delivered
        self.refused += refused
        self._size_bytes += size_bytes
        self._turns += turns

    def committed(self, turns: Sequence[Journalled]) -> None:
        """``turns`` will not be read again."""
        self.committed_turns += len(turns)
        self.committed_bytes += sum(len(turn.raw) for turn in turns)

    def failed(self, cause: str, at_ns: int) -> None:
        """Turns stayed unsent."""
        self.failing = True
        self.last_error, self._last_error_at_ns = cause, at_ns

    def shown(self, unsent: int, oldest_unsent_age_s: float | None) -> ExporterHealth:
        """The counts as a value."""
        return ExporterHealth(
            delivered=self.delivered,
            refused=self.refused,
            unsent=unsent,
            retries=self.retries,
            failing=self.failing,
            last_error=self.last_error,
            last_error_at_ns=self._last_error_at_ns,
            oldest_unsent_age_s=oldest_unsent_age_s,
        )
