"""One exporter's place in one segment."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from turnspan.journal.cursors import Cursors
from turnspan.journal.descriptor import identity, raised, shut
from turnspan.journal.reader import (
    TURNS,
    CorruptLines,
    Kinds,
    ended_at,
    is_blank,
    is_whole,
    lines,
    turn_lines,
)
from turnspan.notices import say
from turnspan.pace import Pace

__all__ = ["Room", "Tail", "Waiting"]

EXACT_BYTES = 2**16


class Room:
    """What still fits into a batch. The first turn always does."""

    __slots__ = ("_is_empty", "bytes", "turns")

    def __init__(self, turns: int, size_bytes: int) -> None:
        self.turns: int = turns
        self.bytes: int = size_bytes
        self._is_empty = True

    def takes(self, line: bytes) -> bool:
        """Make room for ``line``; False where there is none left, and then for no other."""
        if not self._is_empty and (self.turns < 1 or self.bytes < len(line)):
            self.turns = 0
            return False
        self._is_empty = False
        self.turns -= 1
        self.bytes -= len(line)
        return True

    @property
    def is_full(self) -> bool:
        """Is there no point in offering more?"""
        return self.turns < 1 and not self._is_empty


@dataclass(frozen=True, slots=True)
class Waiting:
    """Turns that an exporter has yet to deliver."""

    turns: int = 0
    size_bytes: int = 0
    oldest_at_ns: int | None = None

    def __add__(self, other: Waiting) -> Waiting:
        oldest = [at for at in (self.oldest_at_ns, other.oldest_at_ns) if at is not None]
        return Waiting(
            self.turns + other.turns,
            self.size_bytes + other.size_bytes,
            min(oldest, default=None),
        )


class Tail:
    """Reads the turns of a segment that an exporter has yet to deliver.

    The exporter's thread reads and commits; `waiting` may be asked anywhere.
    """

    def __init__(
        self,
        path: Path,
        cursors: Cursors,
        corrupt: CorruptLines,
        *,
        position: int,
        kinds: Kinds = TURNS,
        deleted: Callable[[Path], int] = lambda _: -1,
    ) -> None:
        self.path = path
        self.position: int = position
        self.is_gone: bool = False
        self._cursors = cursors
        self._corrupt = corrupt
        self._kinds = kinds
        self._saved = position
        self._last_end = position  # of the last turn that was read
        self._scanned = position
        self._fd = -1
        self._file: tuple[int, int] | None = None
        self._deleted = deleted  # a descriptor of a file that has lost its name, or -1
        self._closing = threading.Lock()

    def open(self) -> bool:
        """Open the file, which is then to be read though it be deleted; False where it is gone."""
        return self._is_opened()

    def read(self, room: Room) -> list[tuple[int, bytes]]:
        """Turns after what was committed, as far as there is ``room``, each with its end.

        Where there is none before the end of the file, that counts as done.
        """
        self._scanned = self._last_end = self.position
        kinds = self._kinds
        read: list[tuple[int, bytes]] = []
        if not self._is_opened():
            return read
        pace = Pace()
        for end, line in lines(self._fd, self.position):
            if line.startswith(kinds) and line.endswith(b"}\n"):
                if not room.takes(line):
                    break
                read.append((end, line))
                self._last_end = end
                pace.step()
            elif not is_whole(line) and not is_blank(line):
                self._skip(end)
            self._scanned = end
        if not read:
            self.position = self._scanned
        return read

    def commit(self, end: int) -> None:
        """Done up to ``end``; after the last turn read, with what is no turn behind it too."""
        if end >= self._last_end:
            end = self._scanned
        self.position = max(self.position, end)
        self.save()

    def save(self) -> bool:
        """Write the cursor down, if it has moved; False where that must be tried again."""
        position = self.position
        if position != self._saved and self._cursors.commit(self.path.name, position):
            self._saved = position
        return position == self._saved

    @property
    def is_at_end(self) -> bool:
        """Is everything that is in the file done?"""
        return self.is_gone or not self.left_bytes()

    def waiting(self, *, count: bool) -> Waiting:
        """What is left; without ``count`` its size is rounded up where that saves reading."""
        left_bytes = self.left_bytes()
        turns = size_bytes = 0
        oldest_at_ns = None
        for line in self._left_lines():
            if not turns:
                oldest_at_ns = ended_at(line)
                if not count and left_bytes > EXACT_BYTES:
                    return Waiting(1, left_bytes, oldest_at_ns)
            turns += 1
            size_bytes += len(line)
        return Waiting(turns, size_bytes, oldest_at_ns)

    def close(self) -> None:
        """Close the file."""
        with self._closing:
            self.abandon()

    def abandon(self) -> None:
        """Close the file in a forked child, where a lock may be held by nobody."""
        if self._fd >= 0:
            shut(self._fd, self._file)
            self._fd = -1

    def _left_lines(self) -> Iterator[bytes]:
        """The turns that are left, for any thread: the reader's own descriptor may be closed."""
        with self._closing:
            fd = self._copied()
        if fd < 0:
            yield from (line for _, line in turn_lines(self.path, self.position, kinds=self._kinds))
            return
        try:
            for _, line in lines(fd, self.position):
                if line.startswith(self._kinds) and is_whole(line):
                    yield line
        finally:
            os.close(fd)

    def left_bytes(self) -> int:
        """Bytes that are left to read, records of every kind."""
        try:  # an open file is still to be read after it was deleted
            stat = os.fstat(self._fd) if self._fd >= 0 else os.stat(self.path)
        except OSError:
            return 0
        return max(stat.st_size - self.position, 0)  # somebody may have cut the file short

    def _copied(self) -> int:
        try:
            return os.dup(self._fd) if self._fd >= 0 and self._is_ours() else -1
        except OSError:  # the application has used up its descriptors
            return -1

    def _is_opened(self) -> bool:
        if self._fd >= 0 and not self._is_ours():
            self._fd = -1  # somebody closed it, and its number may lead elsewhere by now
        if self._fd < 0 and not self.is_gone:
            try:
                self._fd = raised(os.open(self.path, os.O_RDONLY | os.O_CLOEXEC))
            except OSError as error:
                self._fd = self._deleted(self.path)
                if self._fd < 0:
                    # Without a descriptor to spare, or the right to read, it is still there.
                    self.is_gone = isinstance(error, FileNotFoundError)
                    say("segment gone", "a segment cannot be read: %s", error)
            self._file = identity(self._fd) if self._fd >= 0 else None
        return self._fd >= 0

    def _is_ours(self) -> bool:
        try:
            return identity(self._fd) == self._file
        except OSError:
            return False

    def _skip(self, end: int) -> None:
        if self._corrupt.note(self.path.name, end):
            say("corrupt", "%s: a line that is no record was skipped", self.path.name)
