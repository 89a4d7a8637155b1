"""Erasing turns: their lines are overwritten with blanks, so that all offsets hold."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson

from turnspan.journal.directory import Directory
from turnspan.journal.reader import lines_of
from turnspan.schema.wire import FEEDBACK, OPEN, STEP, TURN

__all__ = ["purge"]

Wanted = Callable[[dict[str, Any]], bool]


def purge(
    directory: Directory, *, session_id: str | None = None, before_ns: int | None = None
) -> int:
    """Erase the turns of a session, or those that ended before a time; how many.

    They go from every segment, those of running processes included, delivered or not, and from
    the dead letters; with them goes the feedback on them. Only whole lines are overwritten, in
    place, so it is safe beside writers and readers; an exporter that has read a turn already may
    still deliver it. What is yet to be written of a turn that is still open is not caught.

    Raises:
        ValueError: neither or both were given.
        OSError: a file cannot be written to.
    """
    if (session_id is None) == (before_ns is None):
        raise ValueError("purge takes either session_id or before_ns")

    def is_wanted(turn: dict[str, Any]) -> bool:
        if before_ns is None:
            return bool(turn.get("session_id") == session_id)
        return bool(turn.get("ended_at", before_ns) < before_ns)

    erased: set[str] = set()
    segments = [directory.journal / name for names in directory.owners().values() for name in names]
    for path in segments:
        erased |= _erase(path, _turn_in, is_wanted)
    dead = sorted(directory.dead.glob("*/*.ndjson"))
    for path in dead:
        erased |= _erase(path, _dead_in, is_wanted)
    _erase_rest(segments, dead, erased, session_id, before_ns)
    return len(erased)


def _erase_rest(
    segments: list[Path],
    dead: list[Path],
    turn_ids: set[str],
    session_id: str | None,
    before_ns: int | None,
) -> None:
    """Erase openings, steps and feedback of the turns that went, and feedback given with them."""
    gone = set(turn_ids)

    def is_wanted(each: dict[str, Any]) -> bool:
        is_of_session = session_id is not None and each.get("session_id") == session_id
        return is_of_session or each["id"] in gone

    for path in segments:
        gone.update(_erase(path, _open_in, is_wanted))

    def is_part(each: dict[str, Any]) -> bool:
        is_old = before_ns is not None and each.get("at", before_ns) < before_ns
        return is_old or is_wanted(each)

    for path in segments:
        _erase(path, _part_in, is_part)
    for path in dead:
        _erase(path, _dead_feedback_in, is_part)


def _erase(
    path: Path, turn_in: Callable[[bytes], dict[str, Any] | None], is_wanted: Wanted
) -> set[str]:
    """Blank the lines of ``path`` that hold what is wanted; the ids of their turns."""
    ids = set()
    fd = -1
    try:
        for end, line in lines_of(path):
            turn = turn_in(line)
            if turn is None or not is_wanted(turn):
                continue
            fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC) if fd < 0 else fd
            os.pwrite(fd, b" " * (len(line) - 1), end - len(line))
            ids.add(str(turn.get("id")))
    finally:
        if fd >= 0:
            os.fsync(fd)
            os.close(fd)
    return ids


def _turn_in(line: bytes) -> dict[str, Any] | None:
    return _decoded(line) if line.startswith(TURN) else None


def _open_in(line: bytes) -> dict[str, Any] | None:
    record = _decoded(line) if line.startswith(OPEN) else None
    return record if record and "id" in record else None


def _part_in(line: bytes) -> dict[str, Any] | None:
    record = _decoded(line) if line.startswith((STEP, FEEDBACK)) else None
    return {**record, "id": record.get("turn_id")} if record else None


def _dead_in(line: bytes) -> dict[str, Any] | None:
    record = _decoded(line) if line.startswith(b"{") else None
    turn = record.get("turn") if record else None
    return turn if isinstance(turn, dict) else None


def _dead_feedback_in(line: bytes) -> dict[str, Any] | None:
    record = _decoded(line) if line.startswith(b"{") else None
    said = record.get("feedback") if record else None
    return {**said, "id": said.get("turn_id")} if isinstance(said, dict) else None


def _decoded(line: bytes) -> dict[str, Any] | None:
    try:
        record = orjson.loads(line)
    except orjson.JSONDecodeError:
        return None
    return record if isinstance(record, dict) else None
