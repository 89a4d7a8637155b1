"""Cursors: how far one exporter has got in each segment."""

from __future__ import annotations

import os
import re
from pathlib import Path
from threading import get_ident

from turnspan.journal.directory import UNFINISHED_SUFFIX, Directory
from turnspan.notices import say

__all__ = ["Cursors"]

_CURSOR = re.compile(rb"(\d{1,18})\n")


class Cursors:
    """The cursors of one exporter. A cursor in doubt counts as 0: rather twice than never."""

    __slots__ = ("_directory", "_room", "exporter")

    def __init__(self, directory: Directory, exporter: str) -> None:
        self.exporter: str = exporter
        self._directory = directory
        self._room = directory.cursor(exporter, "x").parent

    def position(self, segment: str) -> int:
        """The offset up to which ``segment`` was delivered; 0 where that can't be told."""
        try:
            text = (self._room / segment).read_bytes()
        except FileNotFoundError:
            return 0
        except OSError as error:
            return self._doubt(segment, str(error))
        match = _CURSOR.fullmatch(text)
        if match is None:
            return self._doubt(segment, "it is corrupt")
        position = int(match[1])
        if not _ends_a_line(self._directory.journal / segment, position):
            return self._doubt(segment, "it points at no end of a line")
        return position

    def commit(self, segment: str, position: int) -> bool:
        """Remember ``position`` across a crash; was it possible? A repeat does less harm."""
        path = self._room / segment
        unfinished = self._room / f"{segment}.{os.getpid()}-{get_ident()}{UNFINISHED_SUFFIX}"
        try:
            try:
                _write(unfinished, position)
            except FileNotFoundError:
                self._room.mkdir(mode=0o700, parents=True, exist_ok=True)
                _write(unfinished, position)
            os.replace(unfinished, path)
        except OSError as error:
            say(
                f"cursor {self.exporter}",
                "%s: what was delivered cannot be noted, and may be sent again: %s",
                self.exporter,
                error,
            )
            return False
        return True

    def forget(self, segment: str) -> None:
        """The segment is gone."""
        (self._room / segment).unlink(missing_ok=True)

    def _doubt(self, segment: str, why: str) -> int:
        say(
            f"cursor {self.exporter} doubt",
            "%s: the cursor of %s is not believed (%s): it is delivered from its start",
            self.exporter,
            segment,
            why,
        )
        return 0


def _write(path: Path, position: int) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        os.write(fd, b"%d\n" % position)
    finally:
        os.close(fd)


def _ends_a_line(segment: Path, position: int) -> bool:
    if position == 0:
        return True
    try:
        with open(segment, "rb") as file:
            file.seek(position - 1)
            return file.read(1) == b"\n"
    except OSError:
        return False
