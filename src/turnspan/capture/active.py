"""The recorder in force, and how one comes to be on the first captured call.

Capture stands below the composition root, so it cannot import it: the front door leaves a
callable here that does.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

from turnspan.notices import say

if TYPE_CHECKING:
    from turnspan.capture.recorder import Recorder

__all__ = ["Active", "active"]


class Active:
    """Which recorder the decorators use; None until something is configured."""

    __slots__ = ("_configure", "_decided", "_lock", "recorder")

    def __init__(self) -> None:
        self.recorder: Recorder | None = None
        self._configure: Callable[[], None] | None = None
        self._decided = False
        self._lock = threading.RLock()

    def on_first_use(self, configure: Callable[[], None]) -> None:
        """Call ``configure`` once, when something is captured before `configure()`."""
        if not self._decided:
            self._configure = configure

    def awaken(self) -> Recorder | None:
        """The recorder, configured now if it has to be; None where recording is off."""
        if self._configure is None:
            return self.recorder
        with self._lock:
            configure, self._configure, self._decided = self._configure, None, True
            if configure is not None and self.recorder is None:
                self._try(configure)
        return self.recorder

    def use(self, recorder: Recorder | None) -> None:
        """Record with ``recorder`` from now on; None switches recording off."""
        with self._lock:
            self._configure, self._decided = None, True
            self.recorder = recorder

    def _try(self, configure: Callable[[], None]) -> None:
        try:
            configure()
        except Exception as exc:
            say("configure", "turnspan records nothing: %s", exc, level=40)


active = Active()
