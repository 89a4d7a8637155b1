"""A file held under a lock while lines are appended to it, closed and replaced when full."""

import errno
import os
import re
import time
from collections.abc import Iterator, Sequence
from types import TracebackType
from typing import Final, Self, TypeAlias

from turnspan.notices import say

try:
    import fcntl
except ImportError:  # pragma: no cover
    fcntl = None  # type: ignore[assignment]  # Windows: no locks, one process a file

__all__ = ["LockedFile", "Place", "Tail", "place_of"]

_NO_LOCKS: Final = frozenset({errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS, errno.EINVAL})
_LONGEST_PAUSE_S: Final = 0.05
_PIECE_BYTES: Final = 2**20
# O_BINARY: Windows would write two characters for a newline.
_FLAGS: Final = os.O_RDWR | os.O_APPEND | os.O_CREAT | getattr(os, "O_BINARY", 0)

Place: TypeAlias = tuple[tuple[int, int], int]
"""A file, by device and inode, and an offset in it."""


class Tail:
    """Lines of some files, oldest first; ``is_whole``: none of those asked for is left out.

    The first and the last line may be halves.
    """

    def __init__(self, pieces: Sequence[tuple[str, int]], *, is_whole: bool) -> None:
        self._pieces = pieces
        self.is_whole: bool = is_whole

    def __iter__(self) -> Iterator[bytes]:
        for path, start in self._pieces:
            try:
                file = open(path, "rb", buffering=_PIECE_BYTES)  # noqa: SIM115  # closed below
            except FileNotFoundError:  # deleted by another process
                continue
            with file:
                file.seek(start)
                yield from file


class LockedFile:
    """The file at ``path``, ours alone from `__enter__` to `__exit__`.

    It is opened anew each time: a `flock` belongs to the open file, so that a forked child
    that inherited one would share its parent's lock. Missing directories are made (0700).

    Raises:
        TimeoutError: the lock was not to be had, or a line was not written, in time.
        OSError: the disk is full, the path is not ours to write, and so on.
    """

    def __init__(self, path: str, *, deadline_s: float) -> None:
        self._path = path
        self._deadline_s = deadline_s  # of `time.monotonic`
        self._fd = -1
        self.size: int = 0

    def __enter__(self) -> Self:
        _make_parents(self._path)
        self._open()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._release()

    @property
    def end(self) -> Place:
        """Where the next line will stand."""
        status = os.fstat(self._fd)
        return (status.st_dev, status.st_ino), self.size

    def append(self, line: bytes) -> None:
        """Write ``line`` by one call to the kernel: whole, or not at all."""
        if time.monotonic() >= self._deadline_s:
            raise TimeoutError("the time was over")
        written = os.write(self._fd, line)
        if written != len(line):
            os.ftruncate(self._fd, self.size)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self.size += written

    def tail(self, most_bytes: int, *, after: Place | None = None) -> Tail:
        """The last ``most_bytes``, those of closed files before included.

        With ``after`` no more than follows it, whatever its file is called by now.
        """
        pieces: list[tuple[str, int]] = []
        for path in (self._path, *reversed(closed_files(self._path))):
            try:
                status = os.stat(path)
            except FileNotFoundError:  # deleted by another process
                continue
            start = max(status.st_size - most_bytes, 0)
            file = status.st_dev, status.st_ino
            if after and after[0] == file and after[1] <= status.st_size:  # else it was emptied
                pieces.append((path, max(start, after[1])))
                return Tail(pieces[::-1], is_whole=start <= after[1])
            pieces.append((path, start))
            most_bytes -= status.st_size - start
            if most_bytes <= 0:
                return Tail(pieces[::-1], is_whole=False)
        return Tail(pieces[::-1], is_whole=True)

    def close_and_replace(self, *, keep: int | None) -> None:
        """Let the file go by the next number, delete all but ``keep`` such, and begin a new one."""
        closed = closed_files(self._path)
        number = int(closed[-1].rpartition(".")[2]) + 1 if closed else 1
        closed.append(f"{self._path}.{number:06d}")
        os.rename(self._path, closed[-1])
        for old in closed[:-keep] if keep is not None else ():
            try:
                os.unlink(old)
            except FileNotFoundError:  # another process was quicker
                pass
        self._release()
        self._open()

    def sync(self) -> None:
        """Wait until the disk has it all, the file's name too."""
        os.fsync(self._fd)
        directory = os.open(os.path.dirname(self._path), os.O_RDONLY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)

    def _open(self) -> None:
        while True:
            self._fd = os.open(self._path, _FLAGS, 0o600)
            try:
                self._lock()
                found = self._is_current()
            except BaseException:
                self._release()
                raise
            if found:
                break
            self._release()  # it was closed by another process while we waited
        self.size = os.fstat(self._fd).st_size
        if self.size and _last_byte(self._fd, self.size) != b"\n":
            self.append(b"\n")  # somebody died in the middle of a line

    def _is_current(self) -> bool:
        try:
            return os.path.samestat(os.fstat(self._fd), os.stat(self._path))
        except FileNotFoundError:
            return False

    def _lock(self) -> None:
        pause_s = 0.001
        while fcntl is not None:
            try:
                fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                left_s = self._deadline_s - time.monotonic()
                if left_s <= 0:
                    raise TimeoutError("another process holds its lock") from None
                time.sleep(min(pause_s, left_s))
                pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)
            except OSError as exc:
                if exc.errno not in _NO_LOCKS:
                    raise
                said = "%s: no locks here (%s); let one process write to it"
                say(f"no locks {self._path}", said, self._path, exc)
                return
            else:
                return

    def _release(self) -> None:
        fd, self._fd = self._fd, -1
        if fd < 0:  # the file that was to follow could not be opened
            return
        try:
            if fcntl is not None:  # a child forked meanwhile would keep the lock
                fcntl.flock(fd, fcntl.LOCK_UN)
        except OSError:  # no locks here, as `_lock` has said
            pass
        finally:
            os.close(fd)


def place_of(path: str) -> Place | None:
    """The end of the file at ``path``, or None where none can be seen."""
    try:
        status = os.stat(path)
    except OSError:
        return None
    return (status.st_dev, status.st_ino), status.st_size


def closed_files(path: str) -> list[str]:
    """The files that once were at ``path``, oldest first."""
    parent, name = os.path.split(path)
    numbered = re.compile(re.escape(name) + r"\.(\d{6,})")
    found = [match for entry in os.listdir(parent) if (match := numbered.fullmatch(entry))]
    return [os.path.join(parent, m[0]) for m in sorted(found, key=lambda m: int(m[1]))]


def _last_byte(fd: int, size: int) -> bytes:
    os.lseek(fd, size - 1, os.SEEK_SET)  # appending does not mind
    return os.read(fd, 1)


def _make_parents(path: str) -> None:
    missing = []
    parent = os.path.dirname(path)
    while not os.path.isdir(parent) and parent != os.path.dirname(parent):
        missing.append(parent)
        parent = os.path.dirname(parent)
    for directory in reversed(missing):
        try:
            os.mkdir(directory, 0o700)
        except FileExistsError:  # another process was quicker
            if not os.path.isdir(directory):
                raise
