"""Descriptor numbers that a program does not come across by itself."""

from __future__ import annotations

import os
from pathlib import Path

try:
    import fcntl
    import resource
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]  # checked before every use

__all__ = ["identity", "null", "raised", "shut"]

LOWEST = 4096
SPARE = 64


def identity(file: int | Path) -> tuple[int, int]:
    """What a descriptor or path leads to.

    Raises:
        OSError: nothing.
    """
    stat = os.stat(file)
    return stat.st_dev, stat.st_ino


def null() -> int:
    """A descriptor that can be read to no avail, and not written to."""
    return os.open(os.devnull, os.O_RDONLY | getattr(os, "O_CLOEXEC", 0))


def shut(fd: int, expected: tuple[int, int] | None) -> None:
    """Close ``fd`` if it still leads to the file ``expected``; else it is somebody else's."""
    try:
        if expected == identity(fd):
            os.close(fd)
    except OSError:
        return  # it was closed already


def raised(fd: int) -> int:
    """Move ``fd`` to a high number, 4096 or just below the limit; the new number.

    A program may close descriptors that are not its own (`os.closerange`, as daemonisers
    do), and its next files get the lowest free numbers. Ours would then mean one of its
    files. A high number is given out again only when thousands of files are open, or by a
    program that asks for it (`dup2`). Stays where it is when no high number is to be had.
    """
    if fcntl is None:
        return fd
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    lowest = LOWEST if limit < 0 else min(LOWEST, max(limit - SPARE, limit // 2))
    try:
        high = fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, lowest)
    except OSError:
        return fd
    os.close(fd)
    return high
