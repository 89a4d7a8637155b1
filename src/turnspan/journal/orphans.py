"""Segments that were deleted while they were written: readers may still want them."""

from __future__ import annotations

import os

from turnspan.journal.descriptor import raised
from turnspan.notices import say

__all__ = ["Orphans"]


class Orphans:
    """Descriptors of deleted segments, by name. Used under the log's switch."""

    def __init__(self) -> None:
        self._fds: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self._fds)

    def of(self, name: str) -> int:
        """The descriptor of segment ``name``; -1 where it is not kept."""
        return self._fds.get(name, -1)

    def keep(self, name: str, fd: int) -> None:
        """Hold on to the segment that ``fd`` leads to, if it has been deleted."""
        if name in self._fds:
            return
        try:
            if os.fstat(fd).st_nlink == 0:
                self._fds[name] = raised(os.dup(fd))
        except OSError as error:
            say("disk", "turns of a deleted segment are lost: %s", error)

    def forget(self, name: str) -> None:
        """Nobody reads segment ``name`` any more."""
        if name in self._fds:
            os.close(self._fds.pop(name))

    def close(self) -> None:
        """Let go of all."""
        while self._fds:
            os.close(self._fds.popitem()[1])
