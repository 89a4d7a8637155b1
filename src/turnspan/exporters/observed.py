"""A log that observers look into."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from turnspan.interrupts import is_anothers
from turnspan.notices import say
from turnspan.ports import Observer, TurnLog, journalled, takes_feedback
from turnspan.schema.records import FEEDBACK, TURN

__all__ = ["ObservedLog"]


class ObservedLog:
    """A `turnspan.ports.TurnLog` that also shows ended turns, and feedback, to ``observers``."""

    def __init__(self, log: TurnLog, observers: Sequence[Observer]) -> None:
        self._log = log
        self._observers = {
            TURN: tuple(observers),
            FEEDBACK: tuple(filter(takes_feedback, observers)),
        }

    def next_number(self, session_id: str, /) -> int:
        """The number of the next turn of ``session_id``."""
        return self._log.next_number(session_id)

    def append(self, line: bytes, /) -> None:
        """Keep ``line``, and show it to those that want its kind."""
        self._log.append(line)
        kind = FEEDBACK if line.startswith(FEEDBACK) else TURN
        if line.startswith(kind):
            shown: Any = journalled(line)  # feedback only for those that take it
            for observer in self._observers[kind]:
                try:
                    observer.observe(shown)
                except Exception as exc:  # a border: foreign exporters
                    if is_anothers(exc):
                        raise
                    say("observer", "an exporter in this process failed: %s", exc, error=exc)
