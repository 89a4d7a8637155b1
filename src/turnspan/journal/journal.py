"""A journal: the log of this process, and everything that looks after the directory."""

from __future__ import annotations

import os
import threading
import time
import weakref
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from turnspan.journal.adoption import Adoption, Headers
from turnspan.journal.backlog import JournalBacklog
from turnspan.journal.chain import Chain, Source
from turnspan.journal.cursors import Cursors
from turnspan.journal.directory import Directory
from turnspan.journal.log import JournalLog
from turnspan.journal.losses import Losses
from turnspan.journal.numbers import compact
from turnspan.journal.reader import TURNS, TURNS_AND_FEEDBACK, CorruptLines
from turnspan.journal.retention import Retention
from turnspan.journal.syncer import Syncer
from turnspan.journal.upkeep import Upkeep
from turnspan.notices import say
from turnspan.ports import Clock
from turnspan.settings import Settings

__all__ = ["Journal", "JournalCounts"]

UPKEEP_S = 30.0
PARKED_UPKEEP_S = 1.0
RETIRED_UPKEEP_S = 1.0
MARGIN_BYTES = 2**20  # of the budget: for a last record, cursors, dead letters
_journals: weakref.WeakSet[Journal] = weakref.WeakSet()


@dataclass(frozen=True, slots=True)
class JournalCounts:
    """What became of the records of this process, and what its reading met."""

    appended_bytes: int
    turns: int
    """Ended turns that were handed to the log."""
    diverted: int
    """Turns the disk did not take: they are in memory, delivered, or counted in ``dropped``."""
    in_memory: int
    dropped: Mapping[str, int]
    corrupt_lines: int
    segments_deleted: int
    parked: str | None
    """Why nothing is written to disk at the moment."""

    @property
    def journalled(self) -> int:
        """Turns on disk, a torn write counted against it."""
        return max(self.turns - self.diverted, 0)


class Journal:
    """The composition of this room; `open` it to record, `attach` to look after another's.

    `log` is what capture writes to, `backlog` what delivery reads from. A forked child may
    go on using the object: its next record opens a segment of its own, and it asks for
    backlogs of its own.
    """

    def __init__(
        self, directory: Directory, settings: Settings, source: Source, clock: Clock
    ) -> None:
        self.directory = directory
        self.corrupt: CorruptLines = CorruptLines()
        self._settings = settings
        self._clock = clock
        self._headers = Headers(directory)
        self._records = False  # this journal is recorded into, and has a past
        self._on_adopted: Callable[[], None] = lambda: None
        self._segment_bytes = min(settings.segment_bytes, max(settings.directory_bytes // 4, 4096))
        self.log: JournalLog = JournalLog(
            Chain(directory, source, clock),
            segment_bytes=self._segment_bytes,
            ring_bytes=settings.ring_bytes,
            durable=settings.durability == "disk",
            on_segment=self._start_threads,
        )
        self._start_over()
        _journals.add(self)

    @classmethod
    def open(
        cls,
        directory: Directory,
        *,
        settings: Settings,
        resource: Mapping[str, Any],
        service: str | None,
        exporters: Sequence[str],
        clock: Clock,
    ) -> Journal:
        """A journal to record into; its first record makes the first segment.

        Raises:
            SettingsError: the directory is a file.
            OSError: it cannot be made or written to; a ring will have to do.
        """
        from turnspan import __version__

        directory.prepare()
        source = Source(service, resource, tuple(exporters), __version__)
        return cls(directory, settings, source, clock)

    @classmethod
    def attach(cls, directory: Directory, *, settings: Settings, clock: Clock) -> Journal:
        """A journal to deliver and look after what other processes recorded."""
        return cls(directory, settings, Source(), clock)

    def backlog(self, exporter: str, *, feedback: bool = False) -> JournalBacklog:
        """What ``exporter`` has yet to deliver, ``feedback`` too; the same at every call."""
        known = self._backlogs.get(exporter)
        if known is None:
            adoption = self._adoption
            known = self._backlogs[exporter] = JournalBacklog(
                Cursors(self.directory, exporter),
                self.corrupt,
                self.log,
                kinds=TURNS_AND_FEEDBACK if feedback else TURNS,
                on_done=lambda tail: adoption.done(exporter, tail),
                postponed=lambda: adoption.postponed(exporter),
                adopt_more=lambda: self.adopt(**self._adopts) > 0,
            )
        return known

    def adopt(self, *, all_hosts: bool = False, from_start: bool = False) -> int:
        """Take over what dead owners left for the backlogs there are; how many it found.

        ``from_start``: also segments that do not name the exporter, running processes' too.
        """
        own = [segment.owner for segment in self.log.chain.segments]
        self._adopts.update(all_hosts=all_hosts, from_start=from_start)
        with self._adopting:
            found = self._adoption.adopt(dict(self._backlogs), own=own, **self._adopts)
            self.adopted += found
        return found

    def adopt_aside(self, on_adopted: Callable[[], None]) -> bool:
        """Have upkeep adopt what there may be, now; ``on_adopted`` runs there if it found any.

        Completing a long journal of a dead owner takes a while, which nobody is to wait for.
        False where there are no owners, and nothing to look for.
        """
        self._on_adopted = on_adopted
        if not self.directory.owners():
            return False
        self._records = True
        self._looks += 1
        self._adopted.clear()
        self.upkeep.start()
        if not self.upkeep.is_running:
            self._adopted.set()
        return True

    def wait_adopted(self, timeout_s: float) -> None:
        """Wait until the look of the last `adopt_aside` is over, ``timeout_s`` at the most."""
        self._adopted.wait(max(timeout_s, 0.0))

    def forget(self, exporter: str) -> int:
        """Take everything there is for ``exporter`` as delivered; in how many segments."""
        cursors = Cursors(self.directory, exporter)
        forgotten = 0
        for name in [name for names in self.directory.owners().values() for name in names]:
            size = os.stat(self.directory.journal / name).st_size
            if exporter in self._headers.exporters(name) and cursors.position(name) < size:
                cursors.commit(name, size)
                forgotten += 1
        return forgotten

    def sync(self, timeout_s: float) -> bool:
        """With ``durability="disk"``, wait for fsync; True where nothing is left to wait for."""
        return self._syncer.sync(timeout_s) if self._syncer else True

    def maintain(self) -> float:
        """One round of upkeep; after how many seconds the next is due."""
        self._adopt_for_backlogs()  # first: a flush may be waiting for it
        if self._records:
            self.log.numbers.load()
        self.log.check()
        self._write_numbers()
        self.log.numbers.keep()
        self._ration()
        self._write_losses(self.log.chain.owner)
        return PARKED_UPKEEP_S if self.log.parked else UPKEEP_S

    def counts(self) -> JournalCounts:
        """How things stand."""
        return JournalCounts(
            appended_bytes=self.log.appended,
            turns=self.log.turns,
            diverted=self.log.diverted,
            in_memory=len(self.log.ring),
            dropped=dict(self.log.dropped),
            corrupt_lines=len(self.corrupt),
            segments_deleted=self._retention.deleted,
            parked=self.log.parked,
        )

    def start(self) -> None:
        """Start upkeep now rather than with the first record."""
        self.upkeep.start()

    def close(self, timeout_s: float = 1.0) -> None:
        """Seal the segment and let go of all locks. What is undelivered stays. Idempotent."""
        deadline_s = time.monotonic() + timeout_s
        self._adoption.close()  # first: upkeep may be in the middle of a long one
        self.upkeep.close(timeout_s)
        if self._syncer:
            self._syncer.close(max(deadline_s - time.monotonic(), 0.0))
        for backlog in self._backlogs.values():
            backlog.close()
        self._backlogs.clear()
        owner = self.log.chain.owner
        self.log.close()
        self._write_losses(owner)
        _journals.discard(self)

    def rest(self, timeout_s: float = 0.2) -> None:
        """Leave everything in order, as the process is about to end, and go on taking records.

        Threads end; locks stay, and fall with the process.
        """
        self.upkeep.close(timeout_s)
        if self._syncer:
            self._syncer.close(timeout_s)
        self.log.rest()
        self._write_losses(self.log.chain.owner)

    def retire(self, is_needed: Callable[[], bool]) -> None:
        """Deliver no more, take records while they are ``is_needed``, then close.

        What was adopted may be taken over by others at once, our own when it is closed.
        """
        self._on_adopted = lambda: None  # which may know whoever has the turns that are open
        self._adoption.close()
        self.upkeep.close(0.2)
        self.log.rest()

        def look() -> float:
            if not is_needed():
                self.close()
                watch.close(0.0)
            return RETIRED_UPKEEP_S

        watch = Upkeep(look)
        watch.start()

    def _start_over(self) -> None:
        self._backlogs: dict[str, JournalBacklog] = {}
        self._adopting = threading.Lock()
        self.adopted: int = 0
        """Owners taken over so far, once for each exporter."""
        self._adopts: dict[str, bool] = {}
        self._adoption = Adoption(self.directory, self._headers, self.corrupt)
        self._retention = Retention(
            self.directory,
            self._headers,
            retain_s=self._settings.retain_s,
            budget_bytes=self._settings.directory_bytes,
            reserve_bytes=self._segment_bytes * 3 // 2,  # it is swept at each rotation
            is_done=self._is_done,
        )
        self._looks = 0  # that were asked for
        self._adopted = threading.Event()
        self._adopted.set()
        self._losses = Losses(self.directory)
        self._numbered: tuple[str, int] | None = None
        self.upkeep: Upkeep = Upkeep(self.maintain)
        self._syncer = Syncer(self.log) if self._settings.durability == "disk" else None

    def _adopt_for_backlogs(self) -> None:
        looks = self._looks
        try:
            if self._backlogs and self.adopt(**self._adopts):
                self._on_adopted()
        finally:
            if looks == self._looks:  # or the next one follows at once
                self._adopted.set()

    def _start_threads(self) -> None:
        self.upkeep.start()
        if self._syncer:
            self._syncer.start()

    def _write_numbers(self) -> None:
        """Once a segment: what was counted in those before it."""
        active = self.log.chain.active
        if active is None or active.seq == 0 or self._numbered == (active.owner, active.seq):
            return
        self.log.numbers.write(active.owner, active.seq)
        self._numbered = (active.owner, active.seq)

    def _write_losses(self, owner: str | None) -> None:
        if owner is not None:
            self._losses.write(owner, self.log.dropped, self._clock.now_ns())

    def _ration(self) -> None:
        """Let the log write what the directory has room for; what memory holds goes first."""
        budget_bytes = self._settings.directory_bytes
        before = self.log.appended
        room_bytes = self._sweep() - min(budget_bytes // 16, MARGIN_BYTES)
        room_bytes -= self.log.appended - before  # perhaps not in the size yet
        if self.log.parked:
            if room_bytes <= min(self.log.ring.size_bytes, self._segment_bytes):
                return
            room_bytes -= self.log.unpark(room_bytes)
        if not self.log.parked:
            self.log.ration(max(room_bytes, 0))

    def _is_done(self, exporter: str, segment: str) -> bool:
        backlog = self._backlogs.get(exporter)
        return backlog is not None and not backlog.owes(self.directory.journal / segment)

    def _sweep(self) -> int:
        own = {
            segment.path.name: segment.sealed_at_s is not None
            for segment in self.log.chain.segments
        }
        now_ns = self._clock.now_ns()
        waiting = self.log.ring.size_bytes if self.log.parked else None
        room_bytes = self._retention.sweep(own, now_ns, wanted_bytes=waiting)
        self._losses.forget(now_ns - int(self._settings.retain_s * 1e9))
        for segment in self.log.chain.segments:
            if segment.sealed_at_s is None or segment.path.exists():
                continue
            if not any(backlog.owes(segment.path) for backlog in tuple(self._backlogs.values())):
                self.log.forget(segment.path)
        if self.log.chain.owner:
            compact(self.directory, {self.log.chain.owner})
        return room_bytes

    def after_fork(self) -> None:
        """In a forked child: begin anew, in segments of its own."""
        for backlog in self._backlogs.values():
            backlog.leave()
        self._adoption.after_fork()
        self.log.after_fork()
        self._start_over()


def _after_fork() -> None:
    for journal in list(_journals):
        try:
            journal.after_fork()
        except Exception as error:  # noqa: BLE001  # a border: nothing may reach os.fork()
            say("fork", "a forked child cannot go on with its journal: %s", error, error=error)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
