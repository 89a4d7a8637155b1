"""The segments that one process writes, one after another, and the lock it holds for them."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from turnspan.journal.directory import UNFINISHED_SUFFIX, Directory
from turnspan.journal.lock import OwnerLock
from turnspan.journal.owner import Owner
from turnspan.journal.segment import Header, segment_name
from turnspan.notices import say
from turnspan.ports import Clock

__all__ = ["Chain", "OwnSegment", "Source"]

_FLAGS = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_EXCL | getattr(os, "O_CLOEXEC", 0)


@dataclass(frozen=True, slots=True)
class Source:
    """What a journal says of the process that writes it."""

    service: str | None = None
    resource: Mapping[str, Any] | None = None
    exporters: tuple[str, ...] = ()
    version: str = ""


@dataclass(frozen=True, slots=True)
class OwnSegment:
    """A segment of this process; ``sealed_at_s`` on the monotonic clock, None while open."""

    path: Path
    owner: str
    seq: int
    sealed_at_s: float | None = None


class Chain:
    """Opens segments. Not thread-safe: the log opens one at a time."""

    def __init__(self, directory: Directory, source: Source, clock: Clock) -> None:
        self.directory = directory
        self.segments: tuple[OwnSegment, ...] = ()
        self.owner: str | None = None
        self._lock: OwnerLock | None = None
        self._former: list[OwnerLock] = []
        self._source = source
        self._clock = clock
        self._seq = 0

    @property
    def next_seq(self) -> int:
        """The number that the next segment will have."""
        return self._seq

    @property
    def active(self) -> OwnSegment | None:
        """The segment that is open."""
        last = self.segments[-1:]
        return last[0] if last and last[0].sealed_at_s is None else None

    def open_next(self) -> int:
        """Seal the open segment, if any, and open the next; its descriptor.

        Raises:
            OSError: it cannot be made; nothing has changed.
            TypeError: its header has no JSON, as with a lone surrogate in a name.
        """
        owner = self._living_owner()
        path = self.directory.journal / segment_name(owner, self._seq)
        unfinished = path.with_name(path.name + UNFINISHED_SUFFIX)
        line = self._header(owner).encode()
        fd = os.open(unfinished, _FLAGS, 0o600)
        try:
            if os.write(fd, line) != len(line):
                raise OSError(f"no room for a segment in {self.directory.journal}")
            os.rename(unfinished, path)
        except OSError:
            os.close(fd)
            unfinished.unlink(missing_ok=True)
            raise
        self.seal()
        self._seq += 1
        self.segments = (*self.segments, OwnSegment(path, owner, self._seq - 1))
        return fd

    def seal(self) -> None:
        """Nothing new is written to the open segment; a write under way may still land."""
        active = self.active
        if active is not None:
            sealed = replace(active, sealed_at_s=time.monotonic())
            self.segments = (*self.segments[:-1], sealed)

    def forget(self, path: Path) -> None:
        """The segment at ``path`` is gone."""
        self.segments = tuple(each for each in self.segments if each.path != path)

    def close(self) -> None:
        """Seal, and let go of the locks: what is left may be adopted."""
        self.seal()
        for lock in (*self._former, self._lock):
            if lock is not None:
                lock.close()
        self._former.clear()
        self._lock = None
        self.owner = None

    def after_fork(self) -> None:
        """Forget the parent's segments; the child's first record opens its own."""
        self.segments = ()
        self.owner = None
        self._lock = None
        self._former.clear()
        self._seq = 0

    def _living_owner(self) -> str:
        if self.owner is not None and (self._lock is None or self._lock.is_current()):
            return self.owner
        if self._lock is not None:  # the directory was deleted under us
            self._former.append(self._lock)
        owner = str(Owner.here())
        self.directory.prepare()
        self._lock = self._created(owner)
        self.owner = owner
        self._seq = 0
        return owner

    def _created(self, owner: str) -> OwnerLock | None:
        try:
            return OwnerLock.create(self.directory.lock(owner))
        except OSError as error:
            if not os.access(self.directory.journal, os.W_OK):
                raise
            say("lock", "no lock file in %s: %s", self.directory.journal, error)
            return None

    def _header(self, owner: str) -> Header:
        return Header(
            owner=owner,
            seq=self._seq,
            started_at=self._clock.now_ns(),
            service=self._source.service,
            resource=self._source.resource or {},
            exporters=self._source.exporters,
            version=self._source.version,
        )
