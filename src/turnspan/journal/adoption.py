"""Taking over what dead owners left, one exporter at a time."""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

from turnspan.journal.backlog import JournalBacklog
from turnspan.journal.cursors import Cursors
from turnspan.journal.directory import Directory
from turnspan.journal.lock import LIFE, OwnerLock, delivery_of
from turnspan.journal.numbers import rebuild
from turnspan.journal.owner import Owner
from turnspan.journal.reader import CorruptLines
from turnspan.journal.recovery import RecoveryStoppedError, recover
from turnspan.journal.segment import Header, read_header
from turnspan.journal.tail import Tail
from turnspan.notices import say

__all__ = ["Adoption", "Headers"]

AT_ONCE = 16
"""Owners an exporter delivers for at a time: each costs two descriptors, which the application
may need more. A backend that is down for a day leaves thousands behind a program that cron runs."""


class Headers:
    """Headers of segments, read once each."""

    def __init__(self, directory: Directory) -> None:
        self._directory = directory
        self._known: dict[str, Header | None] = {}

    def of(self, segment: str) -> Header | None:
        """The header of ``segment``; None where it cannot be read."""
        if segment not in self._known:
            self._known[segment] = read_header(self._directory.journal / segment)
        return self._known[segment]

    def exporters(self, segment: str) -> tuple[str, ...]:
        """Whom ``segment`` is owed to."""
        header = self.of(segment)
        return header.exporters if header else ()

    def forget(self, segment: str) -> None:
        """The segment is gone."""
        self._known.pop(segment, None)


class Adoption:
    """Finds dead owners whose turns our exporters are owed, and hands them to the backlogs.

    An owner is dead when its lock can be had. Each exporter's turns of one owner are
    delivered by one process at a time: it holds the exporter's byte of the owner's lock.
    """

    def __init__(self, directory: Directory, headers: Headers, corrupt: CorruptLines) -> None:
        self._directory = directory
        self._headers = headers
        self._corrupt = corrupt
        self._settled: set[tuple[str, str]] = set()
        self._postponed: dict[str, list[Tail]] = {}
        self._running: dict[tuple[str, str], tuple[OwnerLock, set[Tail]]] = {}
        self._lock = threading.Lock()
        self._is_closed = False

    def adopt(
        self,
        backlogs: Mapping[str, JournalBacklog],
        *,
        own: Sequence[str] = (),
        all_hosts: bool = False,
        from_start: bool = False,
    ) -> int:
        """Adopt what there is for ``backlogs``; the number of owners taken over.

        ``own``: owners to leave alone. With ``from_start`` segments count too whose header
        does not name the exporter, those of running processes included: to them nobody else
        delivers. What they write later is there for the next call.
        """
        adopted = 0
        postponed: dict[str, list[Tail]] = {}
        for owner, segments in sorted(self._directory.owners().items(), key=self._age):
            if owner in own or self._is_closed:
                continue
            wanted = self._wanted(owner, segments, list(backlogs), from_start=from_start)
            lock = self._lock_of(owner, all_hosts=all_hosts) if wanted else None
            if lock is None:
                continue
            is_dead = lock.take(LIFE)
            try:
                if not is_dead:
                    wanted = self._unserved(wanted) if from_start else {}
                for exporter in [each for each in wanted if not self._has_room(each)]:
                    owed = wanted.pop(exporter)
                    if lock.take(delivery_of(exporter)):  # nobody else is at it
                        lock.drop(delivery_of(exporter))
                        postponed.setdefault(exporter, []).extend(
                            self._tails(backlogs[exporter], owed)
                        )
                if is_dead and wanted:
                    self._recover(owner, segments, lock)
                for exporter, owed in wanted.items():
                    adopted += self._hand_over(owner, backlogs.get(exporter), owed, lock)
            finally:
                if is_dead:
                    lock.drop(LIFE)
                lock.close()
        self._postponed = postponed
        return adopted

    def postponed(self, exporter: str) -> Sequence[Tail]:
        """What dead owners left for ``exporter`` that waits until it is done with others'."""
        return self._postponed.get(exporter, ())

    def close(self) -> None:
        """Let go of every owner, one that is being adopted included: others may adopt them."""
        with self._lock:
            self._is_closed = True
            running, self._running = self._running, {}
        self._postponed = {}
        for (_, exporter), (lock, _) in running.items():
            lock.drop(delivery_of(exporter))
            lock.close()

    def after_fork(self) -> None:
        """Forget what the parent has taken over."""
        self._lock = threading.Lock()
        self._running = {}
        self._postponed = {}

    def done(self, exporter: str, tail: Tail) -> None:
        """``tail`` has been delivered."""
        owner = tail.path.name.split(".", 1)[0]
        with self._lock:
            lock, tails = self._running.get((owner, exporter), (None, set()))
            tails.discard(tail)
            if lock is None or tails:
                return
            del self._running[owner, exporter]
        lock.drop(delivery_of(exporter))
        lock.close()

    def _has_room(self, exporter: str) -> bool:
        with self._lock:
            return sum(1 for _, each in self._running if each == exporter) < AT_ONCE

    def _age(self, owner: tuple[str, list[str]]) -> int:
        header = self._headers.of(owner[1][0])
        return header.started_at if header else 0

    def _wanted(
        self, owner: str, segments: list[str], exporters: list[str], *, from_start: bool
    ) -> dict[str, list[str]]:
        """By exporter, the segments of ``owner`` that it is owed and has not finished.

        A journal without exporters wants those that nobody is owed, to complete them: its
        key is empty.
        """
        wanted = {}
        for exporter in exporters or [""]:
            if (owner, exporter) in self._settled or (owner, exporter) in self._running:
                continue
            owed = [s for s in segments if from_start or self._is_owed(s, exporter)]
            if not owed:
                continue
            is_left = exporter and not all(self._is_delivered(exporter, each) for each in owed)
            if is_left or not self._is_recovered(owner):
                wanted[exporter] = owed
            else:
                self._settled.add((owner, exporter))
        return wanted

    def _is_owed(self, segment: str, exporter: str) -> bool:
        exporters = self._headers.exporters(segment)
        return exporter in exporters if exporter else not exporters

    def _is_delivered(self, exporter: str, segment: str) -> bool:
        try:
            size = os.stat(self._directory.journal / segment).st_size
        except OSError:
            return True
        return Cursors(self._directory, exporter).position(segment) >= size

    def _is_recovered(self, owner: str) -> bool:
        try:
            return os.stat(self._directory.lock(owner)).st_size > 0
        except OSError:
            return False

    def _lock_of(self, owner: str, *, all_hosts: bool) -> OwnerLock | None:
        """The lock of ``owner``, to see whether it lives; None where nobody can tell."""
        parsed = Owner.parse(owner)
        if not all_hosts and not (parsed and parsed.is_of_this_host):
            return None
        path = self._directory.lock(owner)
        try:
            return OwnerLock.open(path)
        except FileNotFoundError:
            return _created(path) if all_hosts else None
        except OSError as error:
            say("lock", "%s cannot be opened: %s", path, error)
            return None

    def _unserved(self, wanted: Mapping[str, list[str]]) -> dict[str, list[str]]:
        """Of what is ``wanted`` of a running process, what it will not deliver itself."""
        left = {
            exporter: [
                name
                for name in names
                if not self._is_owed(name, exporter) and not self._is_delivered(exporter, name)
            ]
            for exporter, names in wanted.items()
            if exporter
        }
        return {exporter: names for exporter, names in left.items() if names}

    def _recover(self, owner: str, segments: list[str], lock: OwnerLock) -> None:
        if lock.recovered:
            return
        try:
            recover(self._directory, segments, is_over=lambda: self._is_closed)
            rebuild(self._directory, owner, segments)
            lock.mark_recovered()
        except RecoveryStoppedError:
            return  # `_hand_over` knows
        except OSError as error:  # its turns are delivered all the same
            say("recovery", "turns cut off in %s cannot be completed: %s", owner, error)

    def _hand_over(
        self, owner: str, backlog: JournalBacklog | None, owed: list[str], lock: OwnerLock
    ) -> int:
        if backlog is None or not lock.take(delivery_of(backlog.exporter)):
            return 0
        tails = self._tails(backlog, owed)
        with self._lock:
            is_ours = not self._is_closed
            if is_ours:
                self._running[owner, backlog.exporter] = (lock.shared(), set(tails))
        if is_ours:
            backlog.adopt(tails)
        else:
            lock.drop(delivery_of(backlog.exporter))
        return int(is_ours)

    def _tails(self, backlog: JournalBacklog, owed: Sequence[str]) -> list[Tail]:
        cursors = Cursors(self._directory, backlog.exporter)
        return [
            Tail(
                self._directory.journal / name,
                cursors,
                self._corrupt,
                position=cursors.position(name),
                kinds=backlog.kinds,
            )
            for name in owed
        ]


def _created(path: Path) -> OwnerLock | None:
    """A lock for an owner that has none, free to be taken."""
    lock = OwnerLock.create(path)
    if lock is not None:
        lock.drop(LIFE)
    return lock
