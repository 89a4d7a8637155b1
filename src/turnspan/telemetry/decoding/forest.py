"""The spans of a trace under their parents: each is walked once, however deep."""

from __future__ import annotations

from collections.abc import Sequence

from turnspan.telemetry.decoding.reading import Reading

__all__ = ["Forest"]


class Forest:
    """Spans and what is above them. A cycle of parents is cut above the span that began first."""

    def __init__(self, readings: Sequence[Reading]) -> None:
        self._by_id = {each.span.span_id: each for each in readings}
        self._cut: set[str] = set()
        self.downwards: list[Reading] = self._ordered(readings)
        """All of them, each behind the span above it."""
        self._tops: dict[str, Reading] = {}
        for each in self.downwards:
            above = self.above(each)
            self._tops[each.span.span_id] = each if above is None else self.top(above)

    def above(self, reading: Reading) -> Reading | None:
        """The span right above ``reading``, if it is there."""
        span = reading.span
        return None if span.span_id in self._cut else self._by_id.get(span.parent_id or "")

    def top(self, reading: Reading) -> Reading:
        """The outermost span above ``reading``, or itself."""
        return self._tops[reading.span.span_id]

    def missing(self, reading: Reading) -> str | None:
        """The id of a parent of ``reading`` that is not there."""
        parent_id = reading.span.parent_id
        return None if parent_id in self._by_id else parent_id

    def _ordered(self, readings: Sequence[Reading]) -> list[Reading]:
        known: set[str] = set()
        found: list[Reading] = []
        for each in readings:
            upwards = self._upwards(each, known)
            known.update(one.span.span_id for one in upwards)
            found += reversed(upwards)
        return found

    def _upwards(self, start: Reading, known: set[str]) -> list[Reading]:
        """``start`` and what is above it, up to what is ``known``."""
        path: dict[str, Reading] = {}
        at: Reading | None = start
        while at is not None and at.span.span_id not in known:
            if at.span.span_id in path:
                return self._cut_open(list(path.values()), at)
            path[at.span.span_id] = at
            at = self.above(at)
        return list(path.values())

    def _cut_open(self, path: list[Reading], closing: Reading) -> list[Reading]:
        """``path``, whose last span has ``closing`` for its parent, with its top at the end."""
        begins = path.index(closing)
        cycle = path[begins:]
        top = min(cycle, key=lambda each: (each.span.started_at, each.span.span_id))
        self._cut.add(top.span.span_id)
        behind = cycle.index(top) + 1
        return [*path[:begins], *cycle[behind:], *cycle[:behind]]
