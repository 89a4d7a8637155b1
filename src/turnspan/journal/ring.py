"""The ring: turns in memory, where there is no disk to write to."""

from __future__ import annotations

import os
import threading
import weakref
from collections import Counter, deque
from collections.abc import Sequence
from itertools import islice

from turnspan.journal.bell import Bells, Sleep
from turnspan.journal.numbers import Numbers
from turnspan.journal.reader import TURNS, TURNS_AND_FEEDBACK, Kinds, ended_at
from turnspan.journal.tail import Room
from turnspan.notices import say
from turnspan.ports import Journalled, Unsent, journalled
from turnspan.schema.wire import TURN

__all__ = ["Ring", "RingBacklog", "RingLog", "RingReader"]

_logs: weakref.WeakSet[RingLog] = weakref.WeakSet()


class Ring:
    """Lines in memory within a bound; the oldest goes first. Thread-safe and re-entrant.

    A line is let go when every reader has passed it. One that is dropped before is counted
    as `ring_full`, where it is ``owed`` to anybody.
    """

    def __init__(self, limit_bytes: int, *, owed: bool, dropped: Counter[str]) -> None:
        self.limit_bytes = limit_bytes
        self.dropped = dropped
        self.size_bytes: int = 0
        self._owed = owed
        self._first = 0  # the number of the oldest line there is
        self._lines: deque[bytes] = deque()
        self._readers: list[RingReader] = []
        self._lock = threading.RLock()  # a finaliser may come back in the same thread

    def __len__(self) -> int:
        return len(self._lines)

    def keep(self, line: bytes) -> None:
        """Take ``line`` if it is a turn or feedback."""
        if not self._owed or not line.startswith(TURNS_AND_FEEDBACK):
            return
        line = bytes(memoryview(line))  # the encoder's lines have twice their size reserved
        with self._lock:
            self._lines.append(line)
            self.size_bytes += len(line)
            while self.size_bytes > self.limit_bytes and self._lines:
                self._drop_oldest()

    def reader(self, kinds: Kinds = TURNS) -> RingReader:
        """A reader of ``kinds`` from the oldest line on."""
        with self._lock:
            reader = RingReader(self, self._first, kinds)
            self._readers.append(reader)
            return reader

    def forget(self, reader: RingReader) -> None:
        """Nothing is kept for ``reader`` any more."""
        with self._lock:
            if reader in self._readers:
                self._readers.remove(reader)

    def from_number(self, position: int) -> tuple[int, list[bytes]]:
        """The number of the first line at or after ``position``, and the lines from it on."""
        with self._lock:
            first = max(position, self._first)
            return first, list(islice(self._lines, first - self._first, None))

    def release(self) -> None:
        """Let go of what every reader has passed."""
        with self._lock:
            if not self._readers:
                return
            done = min(reader.position for reader in self._readers)
            while self._first < done and self._lines:
                self._shift()

    def oldest(self) -> tuple[int, bytes] | None:
        """The oldest line and its number."""
        with self._lock:
            return (self._first, self._lines[0]) if self._lines else None

    def shift(self, number: int) -> None:
        """Let go of the oldest line, if it is still the one with ``number``."""
        with self._lock:
            if self._lines and self._first == number:
                self._shift()

    def _shift(self) -> bytes:
        line = self._lines.popleft()
        self._first += 1
        self.size_bytes -= len(line)
        return line

    def _drop_oldest(self) -> None:
        unread = not self._readers or any(r.position <= self._first for r in self._readers)
        self._shift()
        if unread:
            self.dropped["ring_full"] += 1
            say("ring_full", "turns are dropped: %d bytes of memory are full", self.limit_bytes)


class RingReader:
    """How far one exporter has got in a ring."""

    __slots__ = ("_kinds", "_ring", "position")

    def __init__(self, ring: Ring, position: int, kinds: Kinds) -> None:
        self._ring = ring
        self._kinds = kinds
        self.position: int = position

    def read(self, room: Room) -> list[tuple[int, bytes]]:
        """Lines as far as there is ``room``, each with the position after it."""
        number, lines = self._ring.from_number(self.position)
        read: list[tuple[int, bytes]] = []
        for line in lines:
            number += 1
            if line.startswith(self._kinds):
                if not room.takes(line):
                    break
                read.append((number, line))
        return read

    def commit(self, position: int) -> None:
        """Everything before ``position`` is done."""
        if position > self.position:
            self.position = position
            self._ring.release()

    def unread(self) -> list[bytes]:
        """The lines that are waiting."""
        _, lines = self._ring.from_number(self.position)
        return [line for line in lines if line.startswith(self._kinds)]

    def close(self) -> None:
        """Have nothing kept any longer."""
        self._ring.forget(self)


class RingLog:
    """A `turnspan.ports.TurnLog` in memory, for a process without a directory.

    Without exporters nobody would ever read it, and it keeps nothing.
    """

    def __init__(self, limit_bytes: int, *, exporters: Sequence[str] = ()) -> None:
        self.dropped: Counter[str] = Counter()
        self.ring: Ring = Ring(limit_bytes, owed=bool(exporters), dropped=self.dropped)
        self.bells: Bells = Bells()
        self.appended: int = 0
        self.turns: int = 0
        self._numbers = Numbers(None)
        self._owed = bool(exporters)
        _logs.add(self)

    def append(self, line: bytes, /) -> None:
        """Keep ``line``; see `turnspan.ports.TurnLog`."""
        self.ring.keep(line)
        if line.startswith(TURN):
            self.turns += 1
        self.appended = total = self.appended + len(line)
        if total >= self.bells.mark:
            self.bells.reached(total)

    def next_number(self, session_id: str, /) -> int:
        """The next number of ``session_id`` in this process."""
        return self._numbers.next(session_id)

    def backlog(self, exporter: str, *, feedback: bool = False) -> RingBacklog:
        """What ``exporter`` has yet to deliver, ``feedback`` too; one reader at a time."""
        return RingBacklog(self, TURNS_AND_FEEDBACK if feedback else TURNS)

    def after_fork(self) -> None:
        """In a forked child: begin anew; lines, readers and held locks are the parent's."""
        self.bells = Bells()
        self.dropped.clear()
        self.ring = Ring(self.ring.limit_bytes, owed=self._owed, dropped=self.dropped)
        self.appended = self.turns = 0
        self._numbers.after_fork()


class RingBacklog:
    """A `turnspan.ports.Backlog` over a ring."""

    def __init__(self, log: RingLog, kinds: Kinds = TURNS) -> None:
        self._log = log
        self._reader = log.ring.reader(kinds)
        self._sleep = Sleep(log)
        self._last: list[tuple[int, bytes]] = []

    def read(self, *, max_turns: int, max_bytes: int) -> Sequence[Journalled]:
        """The next turns; see `turnspan.ports.Backlog`."""
        self._sleep.seen = self._log.appended
        self._last = self._reader.read(Room(max_turns, max_bytes))
        return [journalled(line) for _, line in self._last]

    def commit(self, turns: int) -> None:
        """The first ``turns`` of the last `read` are done."""
        if turns > 0:
            self._reader.commit(self._last[:turns][-1][0])

    def wait(self, timeout_s: float | None, *, min_bytes: int = 1) -> None:
        """Sleep until there is more to read, `wake`, or the time."""
        self._sleep.wait(timeout_s, min_bytes)

    def wake(self) -> None:
        """End the current or the next `wait`."""
        self._sleep.wake()

    @property
    def appended(self) -> int:
        """Bytes appended by this process so far."""
        return self._log.appended

    def unsent(self, *, count: bool = False) -> Unsent:
        """How much is waiting."""
        waiting = self._reader.unread()
        return Unsent(
            size_bytes=sum(map(len, waiting)),
            turns=len(waiting),
            oldest_at_ns=ended_at(waiting[0]) if waiting else None,
        )

    def close(self) -> None:
        """Keep nothing for this reader any longer."""
        self._reader.close()
        self._sleep.close()


def _after_fork() -> None:
    for log in list(_logs):
        log.after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
