"""A flush under way: what it waits for."""

from __future__ import annotations

from dataclasses import dataclass

from turnspan.delivery.tally import Tally
from turnspan.ports import Unsent

__all__ = ["Flush"]


@dataclass(frozen=True, slots=True)
class Flush:
    """What waited as a flush began, and where the worker stood."""

    waiting: Unsent
    reads: int
    committed_turns: int
    committed_bytes: int
    delivered: int
    refused: int

    def is_done(self, tally: Tally, empty_read: int) -> bool:
        """Is all that waited settled? ``empty_read`` is the last read that found nothing."""
        if empty_read > self.reads:
            return True
        # Under a caller that never rests no read is empty: then as much as waited must
        # have been committed since, for the oldest goes first.
        waiting = self.waiting
        if waiting.turns is not None:
            return waiting.turns <= tally.committed_turns - self.committed_turns
        return 0 < waiting.size_bytes <= tally.committed_bytes - self.committed_bytes
