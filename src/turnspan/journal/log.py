"""The log: where each record becomes one write.

The descriptor is the switch. The log writes to one descriptor number for life; what it leads
to is replaced under it by `dup2`: the open segment, the next one, or, where there is nothing to
write to (before the first record, after a fork, when the disk is full, after `close`), a
read-only descriptor of the null device. A write to that fails, and the slow path decides what
to do. So the fast path needs neither a lock nor a flag, and a write under way in another
thread goes to the old file or the new, never to one that was closed.

The number is a high one (see `descriptor.raised`): where somebody closes it, a write fails and
the slow path takes another. Only a program that puts a file of its own at that very number,
and has it there before upkeep looks (30 s), would find our lines in it.
"""

from __future__ import annotations

import os
import threading
from collections import Counter
from collections.abc import Callable
from errno import EBADF, ENOSPC
from pathlib import Path

from turnspan.errors import SettingsError
from turnspan.journal.bell import NEVER, Bells
from turnspan.journal.chain import Chain
from turnspan.journal.descriptor import identity, null, raised
from turnspan.journal.numbers import Numbers
from turnspan.journal.orphans import Orphans
from turnspan.journal.ring import Ring
from turnspan.notices import say
from turnspan.schema.wire import TURN

__all__ = ["JournalLog"]

OVER_BUDGET = "directory budget"
_TORN_END = b" \n"  # after it a torn line ends in a space, and no reader takes it for a record
OPENING_S = 1.0
_write = os.write


class JournalLog:
    """A `turnspan.ports.TurnLog` on disk; what the disk won't take goes to ``ring``."""

    def __init__(
        self,
        chain: Chain,
        *,
        segment_bytes: int,
        ring_bytes: int,
        durable: bool = False,
        on_segment: Callable[[], None] = lambda: None,
    ) -> None:
        self.appended: int = 0
        self.turns: int = 0
        self.bells: Bells = Bells()
        self.dropped: Counter[str] = Counter()
        self.diverted: int = 0  # turns the disk did not take
        self.ring: Ring = Ring(ring_bytes, owed=True, dropped=self.dropped)
        self.chain = chain
        self.numbers: Numbers = Numbers(chain.directory)
        self.unsynced: list[int] = []  # descriptors of sealed segments, for the syncer
        self._orphans = Orphans()
        self.parked: str | None = None
        """Why nothing is written to disk at the moment."""
        self._segment_bytes = segment_bytes
        self._rotation = NEVER  # the byte count at which the next segment begins
        self._poured = 0  # bytes of the open segment that memory held before
        self._durable = durable
        self._on_segment = on_segment
        self._why = ""  # no segment could be made
        self._ration = NEVER  # the byte count at which the directory's budget is used up
        self._is_open = False
        self._is_closed = False
        self._switching = False
        self._switch = threading.RLock()  # a signal handler may come back in the same thread
        self._fd = raised(null())
        self._is_ours = identity(self._fd)

    def append(self, line: bytes, /) -> None:
        """Write ``line``; see `turnspan.ports.TurnLog`."""
        try:
            written = _write(self._fd, line)
            if written != len(line):
                self._close_torn(line)
        except OSError as error:
            written = len(line)
            self._divert(line, error)
        if line.startswith(TURN):
            self.turns += 1
        self.appended = total = self.appended + written
        if total >= self.bells.mark:
            self._reached(total)

    def next_number(self, session_id: str, /) -> int:
        """The next number of ``session_id`` in the directory."""
        return self.numbers.next(session_id)

    @property
    def fd(self) -> int:
        """The descriptor that is written to."""
        return self._fd

    @property
    def is_open(self) -> bool:
        """Does the descriptor lead to a segment?"""
        return self._is_open

    def rotate(self) -> bool:
        """Go on in a new segment; False while a switch is under way or none can be made."""
        if not self._switch.acquire(blocking=False):
            return False
        try:
            return self._is_open and not self._switching and self._open_segment()
        finally:
            self._switch.release()

    def ration(self, size_bytes: int) -> None:
        """Write no more than ``size_bytes`` from now on, until there is another ration."""
        self._ration = self.appended + size_bytes
        if not self._is_open:
            return
        if size_bytes > 0:
            self._rise(self._rotation)
        else:
            self._use_up()

    def park(self, reason: str) -> None:
        """Send records to the ring, until `unpark`."""
        if not self._switch.acquire(timeout=OPENING_S):
            return
        try:
            if self._is_closed or self._switching or self.parked:
                return
            self.parked = reason
            self._seal_for_now()
        finally:
            self._switch.release()
        self._on_segment()  # upkeep tries again

    def unpark(self, room_bytes: int = NEVER) -> int:
        """Go on in new segments, if they can be made; how much of the ring was written to them.

        Where it is no more than ``room_bytes`` that may be, and the ring holds more, what
        comes goes there still.
        """
        written = 0
        with self._switch:
            if self._is_closed or self._switching or not self.parked:
                return 0
            while self._open_segment(room_bytes - written):
                written += self._poured
                if not len(self.ring):
                    self.parked = None
                    break
                if not self._poured or written >= room_bytes:
                    self._seal_for_now()
                    break
        return written

    def forget(self, path: Path) -> None:
        """The sealed segment at ``path`` was deleted."""
        with self._switch:
            if not self._switching:
                self._switching = True
                self.chain.forget(path)
                self._orphans.forget(path.name)
                self._switching = False

    def descriptor_of(self, path: Path) -> int:
        """A descriptor to read the segment at ``path`` that was deleted; -1 if it is lost."""
        with self._switch:
            fd = self._orphans.of(path.name)
            active = self.chain.active
            if fd < 0 and active is not None and active.path == path and self._is_open:
                fd = self._fd if self._owns_descriptor() else -1
            try:
                return raised(os.dup(fd)) if fd >= 0 else -1
            except OSError:
                return -1

    def check(self) -> None:
        """Notice a segment that was deleted, or is not the one we think; off the hot path."""
        if not self._switch.acquire(blocking=False):
            return  # in the middle of a switch the two differ
        try:
            if not self._is_right() and not self.rotate():
                self.park(self._why or "the journal was deleted")
        finally:
            self._switch.release()

    def _is_right(self) -> bool:
        active = self.chain.active
        if not self._is_open or active is None:
            return True
        try:
            return self._owns_descriptor() and identity(self._fd) == identity(active.path)
        except OSError:
            return False

    def rest(self) -> None:
        """Seal, and write down the numbers; a record that comes later opens a new segment."""
        with self._switch:
            if self._is_closed or self._switching:
                return
            if len(self.ring):
                self._save_ring()
            self._seal_for_now()
            if self.chain.owner is not None:
                self.numbers.write(self.chain.owner, self.chain.next_seq)

    def close(self) -> None:
        """Seal, write down the numbers, unlock. Later records are counted as dropped."""
        with self._switch:
            if self._is_closed:
                return
            if len(self.ring):
                self._save_ring()
            self._is_closed = True
            owner = self.chain.owner
            self._lead_nowhere()
            if owner is not None:
                self.numbers.write(owner, None)
            self.chain.close()
            self._orphans.close()

    def after_fork(self) -> None:
        """In a forked child: leave the parent's segment alone; the next record opens one."""
        self._switch = threading.RLock()
        self._switching = self._is_open = False
        self.bells = Bells()
        self.ring = Ring(self.ring.limit_bytes, owed=True, dropped=self.dropped)
        self.dropped.clear()
        self.unsynced = []
        self._orphans.close()
        self.appended = self.turns = self.diverted = 0
        self.parked = None
        self._ration = NEVER
        self.numbers.after_fork()
        self.chain.after_fork()
        self._lead_nowhere()

    def __del__(self) -> None:
        # Only now: a late append must never reach a descriptor that means something else.
        if getattr(self, "_fd", -1) >= 0 and self._owns_descriptor():
            os.close(self._fd)

    def _reached(self, total: int) -> None:
        if total >= self._ration:
            self._use_up()
        elif total >= self.bells.floor and not self.rotate():
            self._rise(total + self._segment_bytes // 8)
        self.bells.reached(total)

    def _use_up(self) -> None:
        """The directory's budget is used up: go on in memory."""
        self._ration = NEVER
        say("budget", "%s is full: turns are kept in memory", self.chain.directory.path)
        self.park(OVER_BUDGET)

    def _rise(self, rotation: int) -> None:
        """Have `_reached` called at the next ``rotation``, or when the ration is used up."""
        self._rotation = rotation
        self.bells.rise(min(rotation, self._ration))

    def _divert(self, line: bytes, error: OSError) -> None:
        """The disk did not take ``line``: write it to a new segment, or to the ring."""
        if self._is_closed:
            self.diverted += line.startswith(TURN)
            self.dropped["closed"] += 1
            return
        if error.errno == EBADF and not self.parked and self._opens():
            try:
                if _write(self._fd, line) == len(line):
                    return
                _end_torn_line(self._fd)
            except OSError as again:
                error = again
        self._to_ring(line)
        if not self.parked and not self._switching:
            say("disk", "turns are kept in memory: %s cannot be written: %s", self._where(), error)
            self.park(self._why or error.strerror or "cannot be written")

    def _to_ring(self, line: bytes) -> None:
        self.diverted += line.startswith(TURN)
        self.ring.keep(line)

    def _pour_ring(self, new: int, room_bytes: int) -> int:
        """Write down what memory holds before anything newer: the order is kept.

        As far as there is room, and how much it was. An exporter that has read it from memory
        already may get it again.
        """
        poured = 0
        while poured < room_bytes and (oldest := self.ring.oldest()) is not None:
            number, line = oldest
            try:
                if _write(new, line) != len(line):
                    _end_torn_line(new)
                    raise OSError(ENOSPC, os.strerror(ENOSPC))
            except OSError as error:
                say("disk", "turns stay in memory: %s is full: %s", self._where(), error)
                break
            # Only now: a reader must find it in one place or the other at any moment.
            self.ring.shift(number)
            self.diverted -= line.startswith(TURN)
            poured += len(line)
        return poured

    def _save_ring(self) -> None:
        """Before closing, a last try to get on disk what only memory holds."""
        if self.parked:
            self.unpark()
        elif self._is_open:
            self._pour_ring(self._fd, NEVER)
        left = len(self.ring)
        if left:
            self.dropped["closed"] += left
            say("closed", "%d turns in memory are lost: %s cannot be written", left, self._where())

    def _close_torn(self, line: bytes) -> None:
        self._to_ring(line)
        try:
            _end_torn_line(self._fd)
        except OSError as error:
            say("disk", "turns are kept in memory: %s is full: %s", self._where(), error)
            self.park("disk full")  # or the next record would be glued to the torn one

    def _opens(self) -> bool:
        """Open the first segment; True if there is one now, made here or in another thread."""
        if not self._switch.acquire(timeout=OPENING_S):
            return False
        try:
            if self._switching or self._is_closed:
                return False  # came back from a signal handler while opening
            if self._is_open and self._owns_descriptor():
                return True
            return self._open_segment()
        finally:
            self._switch.release()

    def _open_segment(self, room_bytes: int = NEVER) -> bool:
        self._switching = True
        try:
            self._keep_orphan()  # while the chain still says which it is
            new = self.chain.open_next()
        except (OSError, SettingsError, TypeError, ValueError) as error:
            say("disk", "turns are kept in memory: %s cannot be written: %s", self._where(), error)
            self._why = str(error)
            return False
        else:
            self._poured = self._pour_ring(new, min(room_bytes, self._segment_bytes))
            self._lead_to(new)
            self._is_open = True
            self._why = ""
            self._rise(self.appended + max(self._segment_bytes - self._poured, 1))
        finally:
            self._switching = False
        self._on_segment()
        return True

    def _seal_for_now(self) -> None:
        self._switching = True  # nobody may come back and rotate in between
        try:
            self._keep_orphan()
            self._lead_nowhere()
            self.chain.seal()
        finally:
            self._switching = False

    def _lead_nowhere(self) -> None:
        self._lead_to(null())
        self._is_open = False
        self._rotation = NEVER
        self.bells.rise(NEVER)

    def _lead_to(self, new: int) -> None:
        if not self._owns_descriptor():
            # Somebody closed ours; the number may belong to others by now.
            self._fd = raised(new)
        else:
            if self._durable and self._is_open:
                self.unsynced.append(raised(os.dup(self._fd)))
            os.dup2(new, self._fd, inheritable=False)
            os.close(new)
        self._is_ours = identity(self._fd)

    def _keep_orphan(self) -> None:
        """If the open segment was deleted, hold on to it: its readers may not have opened it."""
        active = self.chain.active
        if active is not None and self._is_open and self._owns_descriptor():
            self._orphans.keep(active.path.name, self._fd)

    def _owns_descriptor(self) -> bool:
        try:
            return identity(self._fd) == self._is_ours
        except OSError:
            return False

    def _where(self) -> str:
        return str(self.chain.directory.journal)


def _end_torn_line(fd: int) -> None:
    if _write(fd, _TORN_END) != len(_TORN_END):
        raise OSError(ENOSPC, os.strerror(ENOSPC))
