"""Turns for the exporters in this process, as they end."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from turnspan.notices import say
from turnspan.ports import JournalledTurn, Observer, TurnLog
from turnspan.schema.wire import TURN

__all__ = ["ObservedLog"]


class ObservedLog:
    """A log that also shows each ended turn to ``observers``."""

    def __init__(self, log: TurnLog, observers: Sequence[Observer]) -> None:
        self._log = log
        self._observers = tuple(observers)
        self.next_number: Callable[[str], int] = log.next_number

    def append(self, line: bytes, /) -> None:
        """Keep ``line``, and show it where it is a turn."""
        self._log.append(line)
        if line.startswith(TURN):
            turn = JournalledTurn(line)
            for observer in self._observers:
                try:
                    observer.observe(turn)
                except Exception as exc:  # noqa: BLE001  # a border: foreign exporters
                    say("observer", "an exporter in this process failed: %s", exc, error=exc)
