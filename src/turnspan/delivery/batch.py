"""A batch that lets the caller go first while it is worked on."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from typing import Final, overload

from turnspan.pace import Pace, breathe
from turnspan.ports import Journalled

__all__ = ["Batch", "Courtesy"]

SLICE_S: Final = 0.00006  # what a recording caller may have to wait for: four of its calls
NAP_S: Final = 0.0007
PATIENCE_S: Final = 0.05
SLICE_PATIENCE_S: Final = 0.002
LONGEST_S: Final = 0.35


class Courtesy:
    """Stands back while the caller records, for a bounded part of each batch.

    A write of the caller gives up the interpreter lock, and a thread busy encoding would keep
    it for a switch interval. So between slices we sleep until the journal has stopped growing:
    for ``patience_s`` at the beginning of a batch, then for two milliseconds a slice, so that
    not one call in a hundred meets us. Where somebody waits for us, or the batch has taken
    too long, we only breathe between slices.
    """

    def __init__(
        self,
        appended: Callable[[], int],
        *,
        hurried: Callable[[], bool] = lambda: False,
        patience_s: float = PATIENCE_S,
    ) -> None:
        self._appended = appended
        self._hurried = hurried
        self._patience_s = patience_s
        self._seen = appended()
        self.stood_back_s: float = 0.0
        """How long it has stood back for the current batch."""

    def begin(self) -> None:
        """A new batch: patience is whole again."""
        self.stood_back_s = 0.0

    def stand_back(self) -> None:
        """Let the caller go first, if it is recording."""
        patience_s = SLICE_PATIENCE_S if self.stood_back_s else self._patience_s
        until_s = min(self.stood_back_s + patience_s, LONGEST_S)
        while (now := self._appended()) != self._seen:
            self._seen = now
            if self._hurried() or self.stood_back_s >= until_s:
                breathe()
                return
            began_s = time.monotonic()
            time.sleep(NAP_S)
            self.stood_back_s += time.monotonic() - began_s


class Batch(Sequence[Journalled]):
    """Turns for one `export`; iterating over them pauses for the caller now and then."""

    __slots__ = ("_courtesy", "_turns")

    def __init__(self, turns: Sequence[Journalled], courtesy: Courtesy) -> None:
        self._turns = turns
        self._courtesy = courtesy

    def __iter__(self) -> Iterator[Journalled]:
        pace, due_s = Pace(), 0.0
        for turn in self._turns:
            if time.monotonic() >= due_s:
                self._courtesy.stand_back()
                pace.step()
                due_s = time.monotonic() + SLICE_S
            yield turn

    def __len__(self) -> int:
        return len(self._turns)

    @overload
    def __getitem__(self, index: int) -> Journalled: ...

    @overload
    def __getitem__(self, index: slice) -> Batch: ...

    def __getitem__(self, index: int | slice) -> Journalled | Batch:
        if isinstance(index, slice):
            return Batch(self._turns[index], self._courtesy)
        return self._turns[index]

    def __repr__(self) -> str:
        return f"Batch({len(self._turns)} turns)"
