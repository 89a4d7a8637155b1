"""Locks that say who lives and who delivers.

One file an owner, and POSIX record locks on single bytes of it: byte 0 is held for the
owner's life, one byte an exporter by the process that delivers a dead owner's turns to it.
Closing any descriptor of a file drops all the locks a process has on it, so a process keeps
at most one descriptor of each: the register below hands out the one that is there.
"""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import Final
from zlib import crc32

from turnspan.journal.descriptor import identity, raised, shut
from turnspan.journal.directory import UNFINISHED_SUFFIX
from turnspan.notices import say

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]  # checked before every use

__all__ = ["HAS_LOCKS", "LIFE", "OwnerLock", "delivery_of"]

HAS_LOCKS: Final = fcntl is not None
"""Whether this system has them at all; some of its file systems may not."""

LIFE = 0
RECOVERED = b"recovered\n"

_open: dict[tuple[int, int], OwnerLock] = {}
_register = threading.RLock()


def delivery_of(exporter: str) -> int:
    """The byte whoever delivers to ``exporter`` holds."""
    return 1 + crc32(exporter.encode(errors="surrogatepass"))


class OwnerLock:
    """The lock file of one owner. Bytes are taken one by one and fall with the process.

    Several parts of one process share the object; the last `close` drops every lock.
    """

    __slots__ = ("_fd", "_held", "_key", "_users", "path")

    def __init__(self, path: Path, fd: int) -> None:
        self.path: Path = path
        self._fd = fd
        self._held: set[int] = set()
        self._users = 1
        self._key = _key_of(os.fstat(fd))

    @classmethod
    def create(cls, path: Path) -> OwnerLock | None:
        """The lock of a new owner, `LIFE` taken; None where nothing can be locked.

        The file appears under its name only when it is locked: nobody ever sees a new
        owner that looks dead.

        Raises:
            OSError: the file cannot be made.
        """
        unfinished = path.with_name(path.name + UNFINISHED_SUFFIX)
        fd = raised(os.open(unfinished, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        lock = cls(path, fd)
        if not lock.take(LIFE):
            os.close(fd)
            os.unlink(unfinished)
            say("lock", "no file locks in %s: turns of dead processes wait", path.parent)
            return None
        # Known before it can be seen: whoever finds the file must not open it a second time.
        with _register:
            _open[lock._key] = lock
        try:
            os.rename(unfinished, path)
        except OSError:
            lock.close()
            raise
        return lock

    @classmethod
    def open(cls, path: Path) -> OwnerLock:
        """The lock file at ``path``, nothing of it taken yet.

        Raises:
            FileNotFoundError: it isn't there.
            OSError: it cannot be opened.
        """
        with _register:
            known = _open.get(_key_of(os.stat(path)))
            if known is not None:
                return known.shared()
            lock = cls(path, raised(os.open(path, os.O_RDWR | os.O_CLOEXEC)))
            _open[lock._key] = lock
            return lock

    def shared(self) -> OwnerLock:
        """The same lock for one more user, who closes it too."""
        with _register:
            self._users += 1
        return self

    def take(self, byte: int) -> bool:
        """Lock ``byte`` without waiting; False if anybody has it, this process included."""
        with _register:
            if fcntl is None or byte in self._held or self._fd < 0:
                return False
            try:
                fcntl.lockf(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, byte)
            except OSError:
                return False
            self._held.add(byte)
            return True

    def drop(self, byte: int) -> None:
        """Unlock ``byte``."""
        with _register:
            if byte in self._held:
                self._held.discard(byte)
                fcntl.lockf(self._fd, fcntl.LOCK_UN, 1, byte)

    @property
    def recovered(self) -> bool:
        """Were the owner's segments completed after its death?"""
        return os.fstat(self._fd).st_size > 0

    def mark_recovered(self) -> None:
        """Note that nothing more will be added to the owner's segments."""
        if not self.recovered:
            os.pwrite(self._fd, RECOVERED, 0)

    def is_current(self) -> bool:
        """Is this still the file that the path names, and our descriptor one of it?"""
        try:
            return _key_of(os.stat(self.path)) == self._key == identity(self._fd)
        except OSError:
            return False

    def abandon(self) -> None:
        """Close the descriptor, whoever still uses the lock: it is the parent's."""
        shut(self._fd, self._key)
        self._fd = -1
        self._held.clear()

    def close(self) -> None:
        """Let go; what this process holds falls when its last user does."""
        with _register:
            self._users -= 1
            if self._users or self._fd < 0:
                return
            if _open.get(self._key) is self:
                del _open[self._key]
            shut(self._fd, self._key)
            self._fd = -1
            self._held.clear()


def _key_of(stat: os.stat_result) -> tuple[int, int]:
    return stat.st_dev, stat.st_ino


def _after_fork() -> None:
    # The parent's locks are not the child's, and closing here drops none of the parent's.
    global _register  # noqa: PLW0603  # another thread of the parent may have held it
    _register = threading.RLock()
    for lock in _open.values():
        lock.abandon()
    _open.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
