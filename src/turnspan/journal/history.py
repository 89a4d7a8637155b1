"""Looking into a directory: turns, sessions, owners, and who is owed what."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from heapq import merge
from pathlib import Path

from turnspan.errors import WireError
from turnspan.journal.adoption import Headers
from turnspan.journal.cursors import Cursors
from turnspan.journal.directory import Directory
from turnspan.journal.lock import LIFE, OwnerLock
from turnspan.journal.owner import Owner
from turnspan.journal.reader import (
    CorruptLines,
    ended_at,
    is_blank,
    is_whole,
    lines_of,
    turn_lines,
)
from turnspan.ports import JournalledTurn
from turnspan.schema import Feedback
from turnspan.schema.wire import FEEDBACK, TURN, decode_feedback

__all__ = ["Held", "History", "Owed", "OwnerState", "SessionSummary"]


@dataclass(slots=True)
class SessionSummary:
    """One session, as far as the directory knows it."""

    id: str | None
    """None gathers the turns without a session."""
    turns: int = 0
    first_at: int = 0
    last_at: int = 0
    agents: set[str] = field(default_factory=set)
    statuses: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class OwnerState:
    """One process that wrote, and whether it still lives."""

    name: str
    state: str
    """`live`, `dead`, or `foreign`: of another host, or without a lock to judge by."""
    service: str | None
    started_at: int
    segments: int
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Owed:
    """What one exporter has yet to be given, over all segments that name it."""

    exporter: str
    size_bytes: int
    segments: int
    is_served: bool
    """Does a running process have this exporter?"""
    oldest_at: int | None = None
    """When the oldest turn of it ended, nanoseconds since the Unix epoch."""


@dataclass(frozen=True, slots=True)
class Held:
    """Turns that one process holds for an exporter that has yet to be given them."""

    exporter: str
    owner: str
    state: str
    """`live`, `dead`, `foreign` (of another host), or, where there is no lock to judge by,
    `ended` (its process is gone) or `unknown`."""
    turns: int


class History:
    """Reads a directory without changing it, beside running processes."""

    def __init__(self, directory: Directory) -> None:
        self.directory = directory
        self.corrupt: CorruptLines = CorruptLines()
        self._headers = Headers(directory)

    def turns(self) -> Iterator[JournalledTurn]:
        """Every turn there is, all owners', in the order they ended."""
        streams = [self._of_owner(names) for names in self.directory.owners().values()]
        for _, line in merge(*streams, key=lambda each: each[0]):
            yield JournalledTurn(line)

    def find(self, turn_id: str) -> JournalledTurn | None:
        """The turn with ``turn_id``: the first version, or what replaced an interrupted one."""
        found: JournalledTurn | None = None
        start = b'{"record":"turn","id":"' + turn_id.encode(errors="replace") + b'"'
        for path in self._paths():
            for _, line in turn_lines(path):
                if line.startswith(start):
                    turn = JournalledTurn(line)
                    if _status_of(turn) != "interrupted":
                        return turn
                    found = found or turn
        return found

    def feedback(self, turn_ids: Collection[str]) -> list[Feedback]:
        """What was said of the turns with ``turn_ids``, oldest first."""
        said = (
            found
            for path in self._paths()
            for _, line in turn_lines(path, kinds=(FEEDBACK,))
            if (found := _feedback_in(line)) and found.turn_id in turn_ids
        )
        return sorted(said, key=lambda each: each.at)

    def sessions(self) -> list[SessionSummary]:
        """The sessions there are, the one last active last."""
        summaries: dict[str | None, SessionSummary] = {}
        for journalled in self.turns():
            try:
                turn = journalled.turn
            except WireError:
                continue
            each = summaries.setdefault(
                turn.session_id, SessionSummary(turn.session_id, first_at=turn.started_at)
            )
            each.turns += 1
            each.first_at = min(each.first_at, turn.started_at)
            each.last_at = max(each.last_at, turn.ended_at)
            each.agents.add(turn.agent.name)
            each.statuses[turn.status] = each.statuses.get(turn.status, 0) + 1
        return sorted(summaries.values(), key=lambda each: each.last_at)

    def follow(
        self, *, poll_s: float = 0.2, until: Callable[[], bool] = lambda: False
    ) -> Iterator[bytes]:
        """Records that are written from this call on, any kind, any owner, until ``until``.

        Looks every ``poll_s`` seconds: there is nothing to sleep on between processes.
        """
        return self._follow({path: _size(path) for path in self._paths()}, poll_s, until)

    def _follow(
        self, offsets: dict[Path, int], poll_s: float, until: Callable[[], bool]
    ) -> Iterator[bytes]:
        while not until():
            for path in self._paths():
                for end, line in lines_of(path, offsets.get(path, 0)):
                    offsets[path] = end
                    if is_whole(line):
                        yield line
            time.sleep(poll_s)

    def owners(self) -> list[OwnerState]:
        """Who has written here, oldest first."""
        states = [self._state(*each) for each in self.directory.owners().items()]
        return sorted(states, key=lambda each: each.started_at)

    def owed(self) -> list[Owed]:
        """What each exporter named by a segment has yet to be given."""
        sizes: dict[str, tuple[int, int]] = {}
        oldest: dict[str, int] = {}
        served: set[str] = set()
        for owner, names in self.directory.owners().items():
            is_live = self._judge(owner) == "live"
            for name in names:
                size = _size(self.directory.journal / name)
                for exporter in self._headers.exporters(name):
                    position = Cursors(self.directory, exporter).position(name)
                    left = max(size - position, 0)
                    if left and (at := self._oldest_at(name, position)):
                        oldest[exporter] = min(at, oldest.get(exporter, at))
                    bytes_left, segments = sizes.get(exporter, (0, 0))
                    sizes[exporter] = (bytes_left + left, segments + (left > 0))
                    if is_live:
                        served.add(exporter)
        return [
            Owed(exporter, *left, is_served=exporter in served, oldest_at=oldest.get(exporter))
            for exporter, left in sorted(sizes.items())
        ]

    def nameless(self) -> int:
        """Segments that do not say whom they are owed to, for they are damaged there."""
        names = [name for names in self.directory.owners().values() for name in names]
        return sum(1 for name in names if self._headers.of(name) is None)

    def held(self, exporters: Collection[str]) -> list[Held]:
        """Who holds turns that ``exporters`` are owed, the oldest process first; reads them."""
        found: list[Held] = []
        for each in self.owners():
            counts: Counter[str] = Counter()
            for name in self.directory.owners().get(each.name, ()):
                for exporter in set(self._headers.exporters(name)).intersection(exporters):
                    position = Cursors(self.directory, exporter).position(name)
                    path = self.directory.journal / name
                    counts[exporter] += sum(1 for _ in turn_lines(path, position))
            state = _holder(each)
            found += [Held(to, each.name, state, n) for to, n in sorted(counts.items()) if n]
        return found

    def count_corrupt(self) -> int:
        """Lines in all segments that are no records; reads everything."""
        for path in self._paths():
            for end, line in lines_of(path):
                if not is_whole(line) and not is_blank(line):
                    self.corrupt.note(path.name, end)
        return len(self.corrupt)

    def _oldest_at(self, name: str, position: int) -> int | None:
        """When the first turn of a segment ended that stands after ``position``."""
        first = next(turn_lines(self.directory.journal / name, position), None)
        return ended_at(first[1]) if first else None

    def _paths(self) -> list[Path]:
        owners = self.directory.owners().values()
        return [self.directory.journal / name for names in owners for name in names]

    def _of_owner(self, names: list[str]) -> Iterator[tuple[int, bytes]]:
        for name in names:
            for end, line in lines_of(self.directory.journal / name):
                if not is_whole(line):
                    if not is_blank(line):
                        self.corrupt.note(name, end)
                elif line.startswith(TURN):
                    yield ended_at(line) or 0, line

    def _state(self, owner: str, names: list[str]) -> OwnerState:
        header = next(filter(None, map(self._headers.of, names)), None)
        return OwnerState(
            name=owner,
            state=self._judge(owner),
            service=header.service if header else None,
            started_at=header.started_at if header else 0,
            segments=len(names),
            size_bytes=sum(_size(self.directory.journal / name) for name in names),
        )

    def _judge(self, owner: str) -> str:
        parsed = Owner.parse(owner)
        if parsed is None or not parsed.is_of_this_host:
            return "foreign"
        try:
            lock = OwnerLock.open(self.directory.lock(owner))
        except OSError:
            return "foreign"
        try:
            if not lock.take(LIFE):
                return "live"
            lock.drop(LIFE)
            return "dead"
        finally:
            lock.close()


def _holder(owner: OwnerState) -> str:
    parsed = Owner.parse(owner.name)
    if owner.state != "foreign" or parsed is None or not parsed.is_of_this_host:
        return owner.state
    return "ended" if parsed.is_gone else "unknown"


def _feedback_in(line: bytes) -> Feedback | None:
    try:
        return decode_feedback(line)
    except WireError:
        return None  # a torn line


def _status_of(turn: JournalledTurn) -> str:
    try:
        return turn.turn.status
    except WireError:
        return ""


def _size(path: Path) -> int:
    try:
        return os.stat(path).st_size
    except OSError:
        return 0
