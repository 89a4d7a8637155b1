"""Settling a batch: what became of each turn, counted, buried and committed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import TypeAlias

from turnspan.delivery.dead import DeadLetters
from turnspan.delivery.tally import Tally
from turnspan.journal.reader import ended_at
from turnspan.notices import say
from turnspan.ports import Backlog, Clock, Journalled, Outcome

__all__ = ["OnDelivered", "Settlement", "unheard"]

OnDelivered: TypeAlias = Callable[[str, float], object]
"""Is told the exporter's name, and how many seconds ago the oldest turn ended that arrived."""


def unheard(_exporter: str, _latency_s: float) -> None:
    """Where nobody measures."""


class Settlement:
    """Books outcomes of one exporter. Used by its thread alone.

    A turn that is settled behind one that is not stays in the backlog and is remembered
    here, so that it is not offered again.
    """

    def __init__(
        self,
        name: str,
        backlog: Backlog,
        tally: Tally,
        *,
        dead: DeadLetters | None,
        clock: Clock,
        on_delivered: OnDelivered,
        counting: Callable[[], AbstractContextManager[object]] = nullcontext,
    ) -> None:
        self._name = name
        self._backlog = backlog
        self._tally = tally
        self._dead = dead
        self._clock = clock
        self._on_delivered = on_delivered
        self._counting = counting
        self._ahead: set[bytes] = set()

    @property
    def ahead(self) -> int:
        """How many turns are settled, but behind one that is not."""
        return len(self._ahead)

    @property
    def ahead_bytes(self) -> int:
        """How large they are."""
        return sum(map(len, self._ahead))

    def unsettled(self, batch: Sequence[Journalled]) -> Sequence[Journalled]:
        """Those of ``batch`` that are to be offered."""
        return [t for t in batch if t.raw not in self._ahead] if self._ahead else batch

    def nothing_waits(self) -> None:
        """The backlog is empty: there is nothing to be ahead of."""
        self._ahead.clear()

    def settle(
        self, batch: Sequence[Journalled], todo: Sequence[Journalled], outcome: Outcome
    ) -> Outcome:
        """Count, bury the refused, commit what is done; the outcome that is left."""
        unburied = self._bury(todo, outcome)
        unsent = outcome.unsent | unburied
        refused = len(outcome.refused) - len(unburied)
        delivered = len(todo) - refused - len(unsent)
        if delivered:
            self._tell_latency(todo, outcome)
        self._tally.settled(
            delivered=delivered,
            refused=refused,
            size_bytes=sum(len(turn.raw) for turn in todo),
            turns=len(todo),
        )
        done = len(batch)
        self._ahead.clear()
        if unsent:
            waiting = {todo[index].raw for index in unsent}
            done = next(i for i, turn in enumerate(batch) if turn.raw in waiting)
            self._ahead = {turn.raw for turn in batch[done:] if turn.raw not in waiting}
        if done:
            with self._counting():  # a flush that begins between the two would count one twice
                self._backlog.commit(done)
                self._tally.committed(batch[:done])
        cause = outcome.cause or ("dead letters cannot be written" if unburied else "")
        return Outcome({}, None, unsent, cause, outcome.status, outcome.retry_after_s)

    def _tell_latency(self, todo: Sequence[Journalled], outcome: Outcome) -> None:
        """Say how long ago the oldest turn ended of those that have arrived."""
        gone = outcome.unsent | outcome.refused.keys()
        oldest = next(turn for index, turn in enumerate(todo) if index not in gone)
        at_ns = ended_at(oldest.raw)
        if at_ns is not None:
            self._on_delivered(self._name, max(self._clock.now_ns() - at_ns, 0) / 1e9)

    def _bury(self, todo: Sequence[Journalled], outcome: Outcome) -> frozenset[int]:
        """Write the refused to the dead letters; those that could not be written."""
        unburied = set()
        for index, reason in outcome.refused.items():
            try:
                self._bury_one(todo[index], reason)
            except OSError as exc:
                unburied.add(index)
                say(f"dead {self._name}", "a refused turn cannot be kept: %s", exc)
        return frozenset(unburied)

    def _bury_one(self, turn: Journalled, reason: str) -> None:
        name = self._name
        if self._dead is not None:
            self._dead.append(name, turn, reason=reason, at=self._clock.now_ns())
        kept = "see `turnspan dead`" if self._dead is not None else "it is gone"
        say(f"refused {name}", "%s refused a turn (%s); %s", name, reason, kept)
