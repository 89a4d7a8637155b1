"""Which spans of a trace make a turn.

A span of ours that is a turn's is one. Of other spans, the outermost that is an agent's is a turn.
What else there is of models and tools, outside any agent, belongs to the outermost span above it.
Where parents are missing, the spans that name the same one belong together.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from turnspan.telemetry import semconv as names
from turnspan.telemetry.decoding.forest import Forest
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
        self._forest = Forest(readings)
        self._groups: dict[str, Group] = {}
        self._of_id: dict[str, Group] = {}
        self._around: dict[str, Group] = {}
        """Of an outermost span whose parent is missing: the turn during which it began."""

    def grouped(self) -> tuple[list[Group], list[Reading]]:
        for each in self._readings:
            if _is_own_turn(each):
                self._root(each)
        outermost = [each for each in self._outermost() if each.span.span_id not in self._groups]
        for each in outermost:
            if each.kind == "agent" and not _is_own_step(each):
                self._root(each)
        self._place([each for each in outermost if each.span.span_id not in self._groups])
        return list(self._groups.values()), list(self._distribute())

    def _root(self, reading: Reading) -> None:
        group = Group(reading, reading.span.span_id)
        self._groups[group.root_id] = group
        if isinstance(turn_id := reading.fields.get("id"), str):
            self._of_id.setdefault(turn_id, group)

    def _outermost(self) -> Iterable[Reading]:
        """What has to do with an agent, and nothing above it has."""
        below: set[str] = set()
        outermost: set[str] = set()
        for each in self._forest.downwards:
            above = self._forest.above(each)
            if above is not None and (above.kind is not None or above.span.span_id in below):
                below.add(each.span.span_id)
            elif each.kind is not None:
                outermost.add(each.span.span_id)
        return (each for each in self._readings if each.span.span_id in outermost)

    def _place(self, readings: Sequence[Reading]) -> None:
        """Find turns for what stands under no agent."""
        orphans: list[tuple[Reading, str]] = []
        for each in readings:
            top = self._forest.top(each)
            if (missing := self._forest.missing(top)) is not None:
                orphans.append((each, missing))
            elif self._own(each) is None:
                key = top.span.span_id
                self._groups.setdefault(key, Group(top, key, is_step=top.kind is not None))
        self._around = self._surrounding()
        for each, missing in orphans:
            is_within = self._forest.top(each).span.span_id in self._around
            if not is_within and self._own(each) is None:
                self._groups.setdefault(missing, Group(None, missing))

    def _distribute(self) -> Iterator[Reading]:
        nearest: dict[str, Group | None] = {}
        for each in self._forest.downwards:
            above = self._forest.above(each)
            around = None if above is None else nearest[above.span.span_id]
            nearest[each.span.span_id] = self._groups.get(each.span.span_id, around)
        for each in self._readings:
            group = nearest[each.span.span_id] or self._elsewhere(each)
            if group is None:
                yield each
            elif group.root is not each or group.is_step:
                group.steps.append(each)

    def _elsewhere(self, reading: Reading) -> Group | None:
        """The turn of a span that stands under none."""
        if (own := self._own(reading)) is not None:
            return own
        top = self._forest.top(reading)
        of_missing = self._groups.get(self._forest.missing(top) or "")
        return of_missing or self._around.get(top.span.span_id)

    def _own(self, reading: Reading) -> Group | None:
        """The turn of ours that it names, whatever is missing in between."""
        return self._of_id.get(reading.about.get("turn_id", ""))

    def _surrounding(self) -> dict[str, Group]:
        """For each span whose parent is missing, the innermost turn during which it began."""
        orphans = [each for each in self._readings if self._forest.missing(each) is not None]
        waiting = [(each.root, each) for each in self._groups.values() if each.root is not None]
        waiting.sort(key=lambda pair: _start(pair[0]), reverse=True)
        found: dict[str, Group] = {}
        begun: list[tuple[Reading, Group]] = []
        for each in sorted(orphans, key=_start):
            while waiting and _start(waiting[-1][0]) <= _start(each):
                begun.append(waiting.pop())
            while begun and begun[-1][0].span.ended_at < _start(each):
                begun.pop()
            if begun:
                found[each.span.span_id] = begun[-1][1]
        return found


def _start(reading: Reading) -> int:
    return reading.span.started_at


def _is_own_turn(reading: Reading) -> bool:
    return names.TURN_STATUS in reading.attributes and "id" in reading.fields


def _is_own_step(reading: Reading) -> bool:
    return reading.is_own and not _is_own_turn(reading)
