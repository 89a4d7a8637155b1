"""Turns kept in memory, for tests and notebooks."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from turnspan.errors import ExporterError, WireError
from turnspan.exporters.identity import is_interrupted, record_id
from turnspan.ports import Journalled, JournalledFeedback, JournalledTurn, Outcome
from turnspan.settings import Settings

if TYPE_CHECKING:
    from turnspan.schema import Feedback, Turn

__all__ = ["MemoryExporter", "from_url"]


class MemoryExporter:
    """Keeps every turn and all feedback it is shown, until `clear`. Thread-safe.

    It is an `Observer`: a turn is here as soon as the agent's call has returned. A turn
    that comes again is kept once, in its first place. It can serve several calls of
    `configure()` in turn: `close` ends `export`, not `observe`.
    """

    takes_feedback = True

    def __init__(self, *, name: str = "memory") -> None:
        self._name = name
        # Only single operations of a dict, which are atomic: a lock would bind a forked
        # child to a thread it has not got.
        self._turns: dict[str | bytes, JournalledTurn] = {}
        self._feedback: dict[str | bytes, JournalledFeedback] = {}
        self._closed = False

    @property
    def name(self) -> str:
        """What the exporter is called: `memory`, unless given."""
        return self._name

    @property
    def turns(self) -> "list[Turn]":
        """The turns kept so far, oldest first: a new list, of turns decoded once.

        Raises:
            WireError: what was observed is no turn.
        """
        return [kept.turn for kept in self._turns.copy().values()]

    @property
    def feedback(self) -> "list[Feedback]":
        """The feedback kept so far, oldest first: a new list.

        Raises:
            WireError: what was observed is no feedback.
        """
        return [kept.feedback for kept in self._feedback.copy().values()]

    @property
    def raw(self) -> list[bytes]:
        """The same turns as the journal wrote them: one JSON line each."""
        return [kept.raw for kept in self._turns.copy().values()]

    def clear(self) -> None:
        """Forget every turn and all feedback."""
        self._turns.clear()
        self._feedback.clear()

    def observe(self, turn: Journalled, /) -> None:
        """Keep ``turn``, or feedback, in the caller's thread."""
        key = record_id(turn.raw) or turn.raw
        if isinstance(turn, JournalledFeedback):
            self._feedback.setdefault(key, turn)
            return
        kept = self._turns.setdefault(key, turn)
        if kept is not turn and is_interrupted(kept.raw) and not is_interrupted(turn.raw):
            self._turns[key] = turn

    def export(self, batch: Sequence[Journalled], *, timeout_s: float) -> Outcome:
        """Keep all of ``batch``; a line that cannot be read is refused."""
        if self._closed:
            return Outcome.all_unsent(len(batch), f"{self._name} is closed")
        refused = {}
        for index, turn in enumerate(batch):
            try:  # decoded here, so that `turns` never meets a bad line
                turn.resource  # noqa: B018
            except WireError as exc:
                refused[index] = exc.what
            else:
                self.observe(turn)
        return Outcome(refused=refused)

    def close(self, *, timeout_s: float) -> None:
        """Take no more batches. What is kept stays readable."""
        self._closed = True


def from_url(url: str, *, settings: Settings) -> MemoryExporter:  # noqa: ARG001  # as the registry calls it
    """The exporter that `memory:` names."""
    if url.partition(":")[2].strip("/"):
        raise ExporterError("memory: takes nothing after the colon", fix="write memory:")
    return MemoryExporter()
