"""Reading a segment: whole lines from an offset on, chosen by how they begin."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TypeAlias

import orjson

from turnspan.schema.wire import FEEDBACK, TURN

__all__ = [
    "TURNS",
    "TURNS_AND_FEEDBACK",
    "CorruptLines",
    "Kinds",
    "ended_at",
    "is_blank",
    "is_whole",
    "lines",
    "lines_of",
    "turn_lines",
]

Kinds: TypeAlias = tuple[bytes, ...]
"""How the lines begin that a reader wants."""

TURNS: Kinds = (TURN,)
TURNS_AND_FEEDBACK: Kinds = (TURN, FEEDBACK)

CHUNK_BYTES = 2**16  # a reader that stops early has not split much in vain
MAX_NOTED = 10_000
_RECORD = b'{"record":"'
_ENDED_AT = re.compile(rb'"ended_at":(\d+)')
_AT = re.compile(rb'"at":(\d+)')
_SAID = (b'"metadata":', b'"state_before":', b'"links":')  # may hold names of the caller's own


def lines(fd: int, offset: int, *, chunk_bytes: int = CHUNK_BYTES) -> Iterator[tuple[int, bytes]]:
    """The lines of ``fd`` from ``offset``, newline included, each with the offset of its end.

    What follows the last newline is still being written, and not given.
    """
    rest = b""
    while chunk := os.pread(fd, chunk_bytes, offset + len(rest)):
        *whole, rest = (rest + chunk).split(b"\n")
        for line in whole:
            offset += len(line) + 1
            yield offset, line + b"\n"
        if not whole:
            chunk_bytes = len(rest)  # a line longer than the chunk: double, don't creep


def lines_of(path: Path, offset: int = 0) -> Iterator[tuple[int, bytes]]:
    """`lines` of the file at ``path``; none where it is gone."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return
    try:
        yield from lines(fd, offset)
    finally:
        os.close(fd)


def is_whole(line: bytes) -> bool:
    """Does ``line`` look like a record? The JSON itself is checked where it is decoded."""
    return line.startswith(_RECORD) and line.endswith(b"}\n")


def is_blank(line: bytes) -> bool:
    """Was ``line`` erased?"""
    return line.isspace()


def ended_at(line: bytes) -> int | None:
    """When the turn in ``line`` ended, or the feedback was given; nanoseconds since the epoch.

    The turn's own time stands before those of its steps; inside a string the quotes of
    such a key are escaped.
    """
    match = (_AT if line.startswith(FEEDBACK) else _ENDED_AT).search(line)
    if match is None:
        return None
    before = line[: match.start()]
    return _decoded(line) if any(key in before for key in _SAID) else int(match[1])


def _decoded(line: bytes) -> int | None:
    try:
        at = orjson.loads(line).get("ended_at")
    except orjson.JSONDecodeError:
        return None
    return at if type(at) is int else None


def turn_lines(path: Path, offset: int = 0, *, kinds: Kinds = TURNS) -> Iterator[tuple[int, bytes]]:
    """The whole lines of ``kinds`` of the file at ``path``, each with the offset of its end."""
    for end, line in lines_of(path, offset):
        if line.startswith(kinds) and is_whole(line):
            yield end, line


class CorruptLines:
    """Where lines were skipped, so that each is counted once however often it is read."""

    __slots__ = ("_noted",)

    def __init__(self) -> None:
        self._noted: set[tuple[str, int]] = set()

    def note(self, segment: str, end: int) -> bool:
        """Remember the line of ``segment`` that ends at ``end``; is it news?"""
        if (segment, end) in self._noted or len(self._noted) >= MAX_NOTED:
            return False
        self._noted.add((segment, end))
        return True

    def __len__(self) -> int:
        return len(self._noted)
