"""What `doctor` asks of the journal's directory."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final

from turnspan.cli._finding import BROKEN, OK, WARNING, Finding
from turnspan.cli._output import shown_size

if TYPE_CHECKING:
    from turnspan.journal import Directory

__all__ = ["appendable", "room", "to_be_made", "writable"]

MIN_FREE_BYTES: Final = 256 * 2**20


def to_be_made(path: Path) -> Finding:
    """Can the directory, which is not there yet, be made?"""
    above = next(each for each in path.parents if each.exists())
    if os.access(above, os.W_OK | os.X_OK):
        return Finding("directory", OK, f"{path} will be made with the first turn")
    return Finding(
        "directory",
        BROKEN,
        f"{path} cannot be made: {above} cannot be written to",
        "name another one with TURNSPAN_DIR; until then turns are kept in memory only",
    )


def writable(directory: Directory) -> Finding:
    """Can it be written to, and locked? Tried with a file that is gone at once."""
    try:
        with tempfile.TemporaryFile(dir=directory.path) as file:
            locked = _can_lock(file.fileno())
    except OSError as error:
        return Finding(
            "directory",
            BROKEN,
            f"{directory.path} cannot be written to: {error.strerror}",
            "give the process the right to, or name another one with TURNSPAN_DIR",
        )
    if not locked:
        return Finding(
            "directory",
            WARNING,
            f"{directory.path} is on a file system without locks: nobody delivers what a process "
            "leaves when it dies",
            "name a directory on a local disk with TURNSPAN_DIR",
        )
    return Finding("directory", OK, f"{directory.path} can be written to and locked")


def appendable(path: str) -> Finding:
    """Can turns be appended to the file at ``path``? It is not made where it is not there."""
    try:
        if os.path.exists(path):
            os.close(os.open(path, os.O_WRONLY | os.O_APPEND))
        else:
            above = next(each for each in Path(path).parents if each.is_dir())
            with tempfile.TemporaryFile(dir=above):
                pass
    except OSError as error:
        return Finding(
            "exporters",
            BROKEN,
            f"file:{path} cannot be written to: {error.strerror or error}",
            "give the process the right to, or name another file; turns are kept until it can be",
        )
    return Finding("exporters", OK, f"file:{path} can be written to")


def _can_lock(descriptor: int) -> bool:
    try:
        import fcntl

        fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (ImportError, OSError):
        return False
    return True


def room(directory: Directory, budget_bytes: int) -> Iterator[Finding]:
    """Is there room left, within the budget and on the disk?"""
    import shutil

    size_bytes = directory.size_bytes()
    said = f"{shown_size(size_bytes)} of the {shown_size(budget_bytes)} it may take"
    if size_bytes > budget_bytes:
        yield Finding(
            "room",
            WARNING,
            f"{said}: new turns are kept in memory",
            "let `turnspan drain` deliver what is waiting, or raise TURNSPAN_DIRECTORY_BYTES",
        )
    else:
        yield Finding("room", OK, said)
    free_bytes = shutil.disk_usage(directory.path).free
    if free_bytes < MIN_FREE_BYTES:
        yield Finding(
            "room", WARNING, f"the disk has {shown_size(free_bytes)} left", "make room on it"
        )
