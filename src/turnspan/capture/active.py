"""The recorder in force, and how one comes to be on the first captured call.

Capture stands below the composition root, so it cannot import it: the front door leaves a
callable here that does.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

from turnspan.interrupts import is_anothers
from turnspan.notices import say

if TYPE_CHECKING:
    from turnspan.capture.recorder import Recorder

__all__ = ["Active", "active"]


class Active:
    """Which recorder the decorators use; None until something is configured."""

    __slots__ = ("_configure", "_configuring", "_decided", "_lock", "recorder")

    def __init__(self) -> None:
        self.recorder: Recorder | None = None
        self._configure: Callable[[], None] | None = None
        self._configuring = False
        self._decided = False
        self._lock = threading.RLock()

    def __reduce__(self) -> str:
        return "active"  # by name: a function that is pickled by value may refer to it

    def on_first_use(self, configure: Callable[[], None]) -> None:
        """Call ``configure`` once, when something is captured before `configure()`."""
        if not self._decided:
            self._configure = configure

    def awaken(self) -> Recorder | None:
        """The recorder, configured now if it has to be; None where recording is off.

        Threads that come while one of them configures wait for it: nothing is lost.
        """
        if self._decided or self._configure is None:
            return self.recorder
        with self._lock:
            if not self._decided and not self._configuring:
                self._try(self._configure)
        return self.recorder

    def use(self, recorder: Recorder | None) -> None:
        """Record with ``recorder`` from now on; None switches recording off."""
        # Without the lock: whoever configures may hold one that a first call waits for.
        self.recorder = recorder
        self._decided = True

    def swap(self, state: tuple[Recorder | None, bool]) -> tuple[Recorder | None, bool]:
        """Put a recorder in force, and whether that is decided; what was, to be put back."""
        before = self.recorder, self._decided
        self.recorder, self._decided = state
        return before

    def start_over(self) -> None:
        """In a forked child: the thread that was configuring is not there any more."""
        self._lock = threading.RLock()
        self._configuring = False

    def _try(self, configure: Callable[[], None]) -> None:
        self._configuring = True  # what it calls may be decorated
        struck = False
        try:
            configure()
        except BaseException as exc:  # border: the runtime's door, in a caller's call
            struck = isinstance(exc, KeyboardInterrupt) or is_anothers(exc)
            if struck or not isinstance(exc, Exception):
                raise
            say("configure", "turnspan records nothing: %s", exc, level=40)
        finally:
            self._configuring = False
            self._decided = not struck  # else the next call tries again


active: Active = Active()

if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=active.start_over)
