"""turnspan as the rules see it: the adapter of our own, and a pattern for others."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import turnspan
from turnspan.exporters.memory import MemoryExporter
from turnspan.ports import Journalled
from turnspan.schema import Step, Turn
from turnspan.testing.decorator_rules.adapter import KINDS, Adapter, Record

__all__ = ["own_adapter"]

_TELLS: Final = frozenset({"parent", "input", "output", "status", "first_chunk", "cut"})
_STATUSES: Final = frozenset({"ok", "error", "cancelled", "abandoned"})


def own_adapter() -> Adapter:
    """Configure turnspan to keep its turns in memory, and answer with its adapter."""
    memory = _FailingExporter()
    turnspan.configure(exporters=[memory], directory=None)
    decorators = {kind: getattr(turnspan, kind) for kind in KINDS}
    return Adapter(
        decorate=lambda kind, target: decorators[kind](target),
        collect=lambda: [record for turn in memory.turns for record in _records(turn)],
        tells=_TELLS,
        statuses=_STATUSES,
        carry=turnspan.carry,
        trouble=memory.trouble,
    )


class _FailingExporter(MemoryExporter):
    """Keeps turns, but for a while in which it fails at every one."""

    def __init__(self) -> None:
        super().__init__()
        self._fails = False

    def observe(self, turn: Journalled, /) -> None:
        if self._fails:
            raise OSError("no space left")
        super().observe(turn)

    @contextmanager
    def trouble(self) -> Iterator[None]:
        """Fail inside this."""
        self._fails = True
        try:
            yield
        finally:
            self._fails = False


def _records(turn: Turn) -> Iterator[Record]:
    yield _record(turn, turn.agent.name, None, is_cut=bool(turn.truncated))
    for step in turn.steps:
        is_cut = any(step.id in cut.where for cut in turn.truncated)
        yield _record(step, step.name, step.parent_id or turn.id, is_cut=is_cut)


def _record(one: Turn | Step, name: str, parent_id: str | None, *, is_cut: bool) -> Record:
    return Record(
        id=one.id,
        name=name,
        parent_id=parent_id,
        status=one.status,
        input=None if one.input is None else one.input.content,
        output=None if one.output is None else one.output.content,
        ended=one.status != "open",
        has_first_chunk=one.first_chunk_at is not None,
        is_cut=is_cut,
    )
