"""Where a journal lives on disk."""

from __future__ import annotations

import hashlib
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path

from turnspan.errors import JournalError, SettingsError

__all__ = ["Directory", "file_name"]

SEGMENT_SUFFIX = ".ndjson"
LOCK_SUFFIX = ".lock"
UNFINISHED_SUFFIX = ".new"  # a file becomes real by being renamed

_SEGMENT = re.compile(r"([^.]+)\.\d{6,}\.ndjson")


class Directory:
    """The layout of a journal's directory: paths, and nothing kept open.

    ```
    journal/<owner>.<seq>.ndjson   segments          journal/<owner>.lock   the owner's lock
    cursors/<exporter>/<segment>   what was shipped  dead/<exporter>/       what never will be
    numbers/<owner>.numbers        how far sessions have counted
    dropped/<owner>.json           what had to be dropped
    paused/<thread>.json           which turns wait for a person; `turnspan.integrations` writes it
    ```
    """

    __slots__ = ("cursors", "dead", "journal", "numbers", "path")

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path: Path = Path(os.path.abspath(os.path.expanduser(path)))
        self.journal: Path = self.path / "journal"
        self.cursors: Path = self.path / "cursors"
        self.dead: Path = self.path / "dead"
        self.numbers: Path = self.path / "numbers"

    @classmethod
    def existing(cls, path: str | os.PathLike[str]) -> Directory:
        """A directory that is to be read, not made.

        Raises:
            JournalError: there is no journal at ``path``.
        """
        directory = cls(path)
        if not directory.journal.is_dir():
            raise JournalError(
                f"{directory.path} holds no journal",
                fix="name the directory the application was given as `directory` or TURNSPAN_DIR",
            )
        return directory

    def prepare(self) -> None:
        """Make what is missing, for its owner's eyes only.

        Raises:
            SettingsError: the path is a file.
            OSError: it cannot be made or written to.
        """
        if self.path.exists() and not self.path.is_dir():
            raise SettingsError(
                f"directory={str(self.path)!r} is a file where a directory is meant",
                fix="name a directory, or None to keep turns in memory",
            )
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.path.mkdir(mode=0o700, exist_ok=True)
        for room in (self.journal, self.cursors, self.dead, self.numbers):
            room.mkdir(mode=0o700, exist_ok=True)
        ignore = self.path / ".gitignore"
        if not ignore.exists():
            ignore.write_text("*\n")

    def lock(self, owner: str) -> Path:
        """The lock file of ``owner``."""
        return self.journal / (owner + LOCK_SUFFIX)

    def cursor(self, exporter: str, segment: str) -> Path:
        """The cursor of ``exporter`` in the segment file ``segment``."""
        return self.cursors / file_name(exporter) / segment

    def owners(self) -> dict[str, list[str]]:
        """Segment file names by owner, in the order they were written."""
        owners: dict[str, list[str]] = {}
        for name in _names(self.journal):
            match = _SEGMENT.fullmatch(name)
            if match:
                owners.setdefault(match[1], []).append(name)
        for names in owners.values():
            names.sort()
        return owners

    def locked(self) -> list[str]:
        """Owners that have a lock file, with or without segments."""
        names = _names(self.journal)
        return [n.removesuffix(LOCK_SUFFIX) for n in names if n.endswith(LOCK_SUFFIX)]

    def size_bytes(self) -> int:
        """What the directory takes up, as far as it is ours."""
        return sum(_sizes(self.path))

    def free_bytes(self) -> int:
        """What its file system has room for; more than there is of anything, where it won't say."""
        import shutil  # here: seldom needed

        try:
            return shutil.disk_usage(self.path).free
        except OSError:
            return sys.maxsize


def file_name(name: str) -> str:
    """A file name for ``name``: readable, safe on every file system, different for each."""
    slug = re.sub(r"[^A-Za-z0-9_-]+", "-", name).strip("-")[:48]
    return f"{slug}-{hashlib.sha256(name.encode(errors='surrogatepass')).hexdigest()[:10]}"


def _names(room: Path) -> list[str]:
    try:
        return os.listdir(room)
    except OSError:
        return []


def _sizes(path: Path) -> Iterator[int]:
    for folder, _, names in os.walk(path):
        for name in names:
            try:
                yield os.stat(os.path.join(folder, name)).st_size
            except OSError:
                continue  # gone since it was listed
