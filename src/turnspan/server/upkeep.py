"""What a server does for its store beside answering: old turns become numbers."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Final

from turnspan.clock import SystemClock
from turnspan.notices import say

if TYPE_CHECKING:
    from turnspan.ports import Clock
    from turnspan.server.store.port import Store

__all__ = ["Upkeep"]

EVERY_S: Final = 3_600.0


class Upkeep:
    """Retires turns older than ``retain_s``, now and every hour; never, where that is None."""

    def __init__(self, store: Store, *, retain_s: float | None, clock: Clock | None = None) -> None:
        self._store = store
        self._retain_s = retain_s
        self._clock = clock or SystemClock()
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin."""
        if self._retain_s is not None:
            self._thread = threading.Thread(target=self._run, name="turnspan-upkeep", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """End, when what is under way is done."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join()

    def once(self) -> int:
        """Retire what is due; how many turns that was."""
        if self._retain_s is None:
            return 0
        return self._store.retire(self._clock.now_ns() - int(self._retain_s * 1e9))

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                self.once()
            except Exception as error:  # noqa: BLE001  # border: the thread lives on
                say("server upkeep", "old turns were not retired: %s", type(error).__qualname__)
            self._stopping.wait(EVERY_S)
