"""Standing aside: long work in a thread of ours, in short slices."""

from __future__ import annotations

import time
from typing import Final

__all__ = ["Pace", "breathe"]

SLICE_S: Final = 0.0005
BREATH_S: Final = 0.000001  # the kernel makes 60 to 70 microseconds of it


class Pace:
    """Has its thread give up the interpreter lock every half millisecond of work.

    A thread that computes keeps the lock for a switch interval, 5 ms, however urgently others
    wait for it. Giving it up is not enough: whoever takes it back at once leaves the others
    no time to wake.
    """

    __slots__ = ("_due_s",)

    def __init__(self) -> None:
        self._due_s = time.monotonic() + SLICE_S

    def step(self) -> None:
        """A small part is done: pause, if it is time to."""
        if time.monotonic() >= self._due_s:
            self._due_s = breathe() + SLICE_S


def breathe() -> float:
    """Pause for long enough that a waiting thread takes over; when that was over."""
    time.sleep(BREATH_S)
    return time.monotonic()
