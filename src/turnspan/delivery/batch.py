"""A batch that lets the caller go first while it is worked on."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from typing import Final, overload

from turnspan.ports import Journalled

__all__ = ["Batch", "Courtesy"]

SLICE_TURNS: Final = 16
NAP_S: Final = 0.0007
BREATH_S: Final = 0.00005
PATIENCE_S: Final = 0.05


class Courtesy:
    """Stands back while the caller records, for ``patience_s`` of each batch at most.

    A write of the caller gives up the interpreter lock, and a thread busy encoding would keep
    it for a switch interval. So between slices we sleep: until the journal has stopped
    growing, and once patience is used up only for a breath, enough for a waiting thread to
    take the lock.
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
        while (now := self._appended()) != self._seen:
            self._seen = now
            if self._hurried() or self.stood_back_s >= self._patience_s:
                time.sleep(BREATH_S)
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
        for start in range(0, len(self._turns), SLICE_TURNS):
            self._courtesy.stand_back()
            yield from self._turns[start : start + SLICE_TURNS]

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
