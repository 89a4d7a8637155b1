"""Which spans of a trace make a turn.

A span of ours that is a turn's is one. Of other spans, the outermost that is an agent's is a turn.
What else there is of models and tools, outside any agent, belongs to the outermost span above it.
Where parents are missing, the spans that name the same one belong together.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from turnspan.telemetry import semconv as names
from turnspan.telemetry.decoding.reading import Reading

__all__ = ["Group", "group_spans"]


@dataclass(slots=True)
class Group:
    """The spans of one turn."""

    root: Reading | None
    """None where it is missing."""
    root_id: str
    """The id of its span, or of the one that is missing."""
    is_step: bool = False
    """Whether the root is a step of its own turn as well: a model called by no agent."""
    steps: list[Reading] = field(default_factory=list)
    """The spans below, in the order in which they came."""


def group_spans(readings: Sequence[Reading]) -> tuple[list[Group], list[Reading]]:
    """The turns of one trace, and the spans that belong to none."""
    return _Tree(readings).grouped()


class _Tree:
    def __init__(self, readings: Sequence[Reading]) -> None:
        self._readings = readings
        self._by_id = {each.span.span_id: each for each in readings}
        self._groups: dict[str, Group] = {}

    def grouped(self) -> tuple[list[Group], list[Reading]]:
        for each in self._readings:
            if _is_own_turn(each):
                self._groups[each.span.span_id] = Group(each, each.span.span_id)
        outermost = [each for each in self._readings if self._is_outermost(each)]
        for each in outermost:
            if each.kind == "agent" and not _is_own_step(each):
                self._groups[each.span.span_id] = Group(each, each.span.span_id)
        for each in outermost:
            if each.span.span_id not in self._groups:
                self._place(each)
        return list(self._groups.values()), list(self._distribute())

    def _is_outermost(self, reading: Reading) -> bool:
        """Whether nothing above it has to do with an agent."""
        if reading.kind is None or reading.span.span_id in self._groups:
            return False
        return all(above.kind is None for above in self._above(reading))

    def _place(self, reading: Reading) -> None:
        """Find a turn for what stands under no agent."""
        top = next(iter(reversed([reading, *self._above(reading)])))
        missing = top.span.parent_id
        own = self._of_id(reading.about.get("turn_id"))
        if own is not None:
            return
        if missing is None:
            key = top.span.span_id
            self._groups.setdefault(key, Group(top, key, is_step=top.kind is not None))
        elif self._around(top) is None:
            self._groups.setdefault(missing, Group(None, missing))

    def _distribute(self) -> Iterator[Reading]:
        for each in self._readings:
            group = self._group_of(each)
            if group is None:
                yield each
            elif group.root is not each or group.is_step:
                group.steps.append(each)

    def _group_of(self, reading: Reading) -> Group | None:
        top = reading
        for each in (reading, *self._above(reading)):
            top = each
            if each.span.span_id in self._groups:
                return self._groups[each.span.span_id]
        if (own := self._of_id(reading.about.get("turn_id"))) is not None:
            return own
        missing = top.span.parent_id
        if missing in self._groups:
            return self._groups[missing]
        return self._around(top) if missing is not None else None

    def _of_id(self, turn_id: str | None) -> Group | None:
        """The turn of ours with that id, whatever is missing in between."""
        if turn_id is None:
            return None
        for group in self._groups.values():
            if group.root is not None and group.root.fields.get("id") == turn_id:
                return group
        return None

    def _around(self, orphan: Reading) -> Group | None:
        """The innermost turn during which it began, for a span whose parent is missing."""
        at, found = orphan.span.started_at, None
        for group in self._groups.values():
            root = group.root
            if (
                root is None
                or root is orphan
                or not root.span.started_at <= at <= root.span.ended_at
            ):
                continue
            if found is None or root.span.started_at > found[0]:
                found = (root.span.started_at, group)
        return None if found is None else found[1]

    def _above(self, reading: Reading) -> Iterable[Reading]:
        """The spans above it that are there; a cycle ends where it closes."""
        seen = {reading.span.span_id}
        above = self._by_id.get(reading.span.parent_id or "")
        while above is not None and above.span.span_id not in seen:
            yield above
            seen.add(above.span.span_id)
            above = self._by_id.get(above.span.parent_id or "")


def _is_own_turn(reading: Reading) -> bool:
    return names.TURN_STATUS in reading.attributes and "id" in reading.fields


def _is_own_step(reading: Reading) -> bool:
    return reading.is_own and not _is_own_turn(reading)
