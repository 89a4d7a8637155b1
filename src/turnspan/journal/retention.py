"""Deleting what was delivered, when it is old or the directory is full."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from turnspan.journal.adoption import Headers
from turnspan.journal.cursors import Cursors
from turnspan.journal.directory import Directory
from turnspan.journal.lock import LIFE, OwnerLock
from turnspan.journal.owner import Owner

__all__ = ["Retention"]


@dataclass(frozen=True, slots=True)
class Finished:
    """A segment nobody needs any more to deliver it."""

    name: str
    owner: str
    size_bytes: int
    started_at: int
    changed_at: int


class Retention:
    """Keeps the directory within its budget, and delivered turns for a time.

    A segment goes only when it is sealed, every exporter it is owed to has a cursor at its
    very end, and an earlier sweep saw it the same: a write that was under way at the
    rotation has landed by then. It goes early enough that ``reserve_bytes`` of the budget are
    free for what comes until the next sweep.
    """

    def __init__(
        self,
        directory: Directory,
        headers: Headers,
        *,
        retain_s: float,
        budget_bytes: int,
        reserve_bytes: int = 0,
        is_done: Callable[[str, str], bool] = lambda _exporter, _segment: False,
    ) -> None:
        self._is_done = is_done  # by this process, whether or not its cursor could be written
        self._directory = directory
        self._headers = headers
        self._retain_ns = int(retain_s * 1e9)
        self._budget_bytes = budget_bytes
        self._reserve_bytes = reserve_bytes
        self._kept_bytes = budget_bytes - reserve_bytes
        self._seen: set[tuple[str, int]] = set()
        self.deleted: int = 0

    def sweep(
        self, own: Mapping[str, bool], now_ns: int, *, wanted_bytes: int | None = None
    ) -> int:
        """Delete what may go; how many bytes of the directory's budget are left.

        ``own``: the segments of this process, and whether each is sealed. ``wanted_bytes`` are
        kept out of the directory for want of room, in the budget or on the disk.
        """
        size_bytes = self._directory.size_bytes()
        kept_bytes = self._kept_bytes
        if wanted_bytes is not None:
            short_bytes = wanted_bytes + self._reserve_bytes - self._directory.free_bytes()
            kept_bytes = min(kept_bytes - wanted_bytes, size_bytes - short_bytes)
        finished = sorted(self._finished(own), key=lambda each: (each.started_at, each.name))
        for each in finished:
            is_old = now_ns - each.changed_at > self._retain_ns
            if not is_old and size_bytes <= kept_bytes:
                continue
            if (each.name, each.size_bytes) in self._seen and self._delete(each, own):
                size_bytes -= each.size_bytes
        self._seen = {(each.name, each.size_bytes) for each in finished}
        self._clear_locks(own)
        return self._budget_bytes - size_bytes

    def _finished(self, own: Mapping[str, bool]) -> list[Finished]:
        found = []
        for owner, segments in self._directory.owners().items():
            is_own = any(name in own for name in segments)
            for name in segments:
                is_sealed = own.get(name, False) if is_own else self._may_be_dead(owner, name)
                each = self._is_finished(owner, name) if is_sealed else None
                if each is not None:
                    found.append(each)
        return found

    def _is_finished(self, owner: str, name: str) -> Finished | None:
        header = self._headers.of(name)
        try:
            stat = os.stat(self._directory.journal / name)
        except OSError:
            return None
        if header is None or not self._is_delivered(header.exporters, name, stat.st_size):
            return None
        return Finished(name, owner, stat.st_size, header.started_at, stat.st_mtime_ns)

    def _is_delivered(self, exporters: tuple[str, ...], name: str, size_bytes: int) -> bool:
        return all(
            self._is_done(each, name) or Cursors(self._directory, each).position(name) == size_bytes
            for each in exporters
        )

    def _may_be_dead(self, owner: str, name: str) -> bool:
        """Might ``owner`` be dead, as far as can be told without its lock?

        Before turns that were cut off have been added to it, nothing that is owed may go.
        """
        if _size(self._directory.lock(owner)) > 0:
            return True
        parsed = Owner.parse(owner)
        is_ours_to_judge = parsed is not None and parsed.is_of_this_host
        return is_ours_to_judge and not self._headers.exporters(name)

    def _delete(self, each: Finished, own: Mapping[str, bool]) -> bool:
        if each.name in own:
            return self._unlink(each)
        lock = _dead(self._directory.lock(each.owner))
        if lock is None:
            return False
        try:
            return self._unlink(each)
        finally:
            lock.drop(LIFE)
            lock.close()

    def _unlink(self, each: Finished) -> bool:
        path = self._directory.journal / each.name
        if _size(path) != each.size_bytes:
            return False
        path.unlink(missing_ok=True)
        for cursor in self._directory.cursors.glob(f"*/{each.name}"):
            cursor.unlink(missing_ok=True)
        self._headers.forget(each.name)
        self.deleted += 1
        return True

    def _clear_locks(self, own: Mapping[str, bool]) -> None:
        """Remove the lock files of dead owners without segments."""
        left = self._directory.owners().keys() | {name.split(".", 1)[0] for name in own}
        for owner in self._directory.locked():
            lock = _dead(self._directory.lock(owner)) if owner not in left else None
            if lock is not None:
                lock.path.unlink(missing_ok=True)
                lock.drop(LIFE)
                lock.close()


def _dead(path: Path) -> OwnerLock | None:
    """The lock at ``path``, its life taken; None while its owner lives."""
    try:
        lock = OwnerLock.open(path)
    except OSError:
        return None
    if lock.take(LIFE):
        return lock
    lock.close()
    return None


def _size(path: Path) -> int:
    try:
        return os.stat(path).st_size
    except OSError:
        return 0
