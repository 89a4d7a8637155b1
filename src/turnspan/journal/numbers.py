"""How many turns each session has had."""

from __future__ import annotations

import os
import re
import threading
import time
from collections import OrderedDict
from collections.abc import Iterator
from pathlib import Path

import orjson

from turnspan.journal.directory import SEGMENT_SUFFIX, UNFINISHED_SUFFIX, Directory
from turnspan.journal.reader import lines_of
from turnspan.journal.segment import split_name
from turnspan.notices import say

__all__ = ["Numbers", "write_numbers"]

MAX_SESSIONS = 20_000
BLOOM_BITS = 2**23
SPILL_AGE_S = 86_400.0
SPILL_SUFFIX = ".spilled" + SEGMENT_SUFFIX
# Start of a turn or open line; the session id is JSON, quotes included.
_NUMBERED = re.compile(
    rb'\{"record":"(?:turn|open)","id":"[^"]*","session_id":("(?:[^"\\]|\\.)*"),"number":(\d+)'
)


class Numbers:
    """Counts the turns of each session in a directory, from 1. Thread-safe and re-entrant.

    The 20,000 sessions that were active last are kept in memory. Those pushed out are written
    down, and looked up when a Bloom filter says that a session may be one of them. What a
    directory already holds is read when the first session is seen; without a directory
    counting starts at 1 and a session pushed out starts anew.
    """

    def __init__(self, directory: Directory | None, *, max_sessions: int = MAX_SESSIONS) -> None:
        self._directory = directory
        self._max_sessions = max_sessions
        self._last: OrderedDict[str, int] = OrderedDict()
        self._spilled: bytearray | None = None
        self._loaded = directory is None
        self._lock = threading.RLock()

    def next(self, session_id: str) -> int:
        """The number of the next turn of ``session_id``. Never raises."""
        with self._lock:
            if not self._loaded and self._directory is not None:
                self._loaded = True  # before: what fails once would fail at every turn
                self._load(self._directory)
            last = self._last.get(session_id)
            if last is None:
                last = self._from_disk(session_id)
            self._last[session_id] = last + 1
            self._last.move_to_end(session_id)
            if len(self._last) > self._max_sessions:
                self._spill()
            return last + 1

    def write(self, owner: str, seq: int | None) -> None:
        """Write down what is known, as the file of ``owner``.

        It holds for the owner's segments before ``seq``; None: for all of them.
        """
        if self._directory is None or not self._last:
            return
        with self._lock:
            known = list(self._last.items())
        write_numbers(self._directory, owner, known, seq)

    def after_fork(self) -> None:
        """Make the child's copy its own."""
        self._lock = threading.RLock()

    def _load(self, directory: Directory) -> None:
        try:
            self._load_from(directory)
        except OSError as error:
            say("numbers", "numbers of sessions cannot be read: %s", error)

    def _load_from(self, directory: Directory) -> None:
        for session_id, number in _all_known(directory):
            if number > self._last.get(session_id, 0):
                self._last[session_id] = number
                self._last.move_to_end(session_id)
            if len(self._last) > 2 * self._max_sessions:
                self._forget(self._max_sessions)
        self._forget(self._max_sessions)

    def _from_disk(self, session_id: str) -> int:
        if self._directory is None or not self._spilled or not self._may_be_spilled(session_id):
            return 0
        try:
            numbers = [n for other, n in _all_known(self._directory) if other == session_id]
        except OSError:
            return 0
        return max(numbers, default=0)

    def _spill(self) -> None:
        """Write down the half of the sessions that was active longest ago, and let go of it."""
        gone = self._forget(self._max_sessions // 2)
        if self._directory is None:
            return
        path = self._directory.numbers / f"spill-{os.getpid()}{SPILL_SUFFIX}"
        try:
            with open(path, "ab") as file:
                file.writelines(map(_line, gone))
        except OSError as error:
            say("numbers", "numbers of sessions cannot be written: %s", error)

    def _forget(self, keep: int) -> list[tuple[str, int]]:
        gone = [self._last.popitem(last=False) for _ in range(len(self._last) - keep)]
        if gone and self._spilled is None:
            self._spilled = bytearray(BLOOM_BITS // 8)
        for session_id, _ in gone:
            for bit in _bits(session_id):
                self._spilled[bit >> 3] |= 1 << (bit & 7)  # type: ignore[index]  # made above
        return gone

    def _may_be_spilled(self, session_id: str) -> bool:
        bits = self._spilled or b""
        return all(bits[bit >> 3] & (1 << (bit & 7)) for bit in _bits(session_id))


def write_numbers(
    directory: Directory, owner: str, known: list[tuple[str, int]], seq: int | None
) -> None:
    """Replace the numbers file of ``owner``; see `Numbers.write`. Never raises."""
    path = directory.numbers / (owner + SEGMENT_SUFFIX)
    unfinished = path.with_name(path.name + UNFINISHED_SUFFIX)
    head = orjson.dumps({"record": "numbers", "before": seq}, option=orjson.OPT_APPEND_NEWLINE)
    try:
        with open(unfinished, "wb", opener=_private) as file:
            file.write(head)
            file.writelines(_line(each) for each in known)
        os.replace(unfinished, path)
    except OSError as error:
        say("numbers", "numbers of sessions cannot be written: %s", error)


def numbers_in(path: Path) -> Iterator[tuple[str, int]]:
    """Session and number of each numbered line of the segment at ``path``."""
    for _, line in lines_of(path):
        match = _NUMBERED.match(line)
        if match:
            try:
                yield orjson.loads(match[1]), int(match[2])
            except orjson.JSONDecodeError:
                continue


def rebuild(directory: Directory, owner: str, segments: list[str]) -> None:
    """Write the numbers file that ``owner`` died without."""
    before = _before(directory.numbers / (owner + SEGMENT_SUFFIX))
    if before is None:
        return
    known: dict[str, int] = {}
    for session_id, number in _known_of(directory, owner, segments):
        known[session_id] = max(number, known.get(session_id, 0))
    if known:
        write_numbers(directory, owner, list(known.items()), None)


def compact(directory: Directory, living: set[str]) -> None:
    """Put the files of owners that are not ``living`` and have no segment left into one."""
    owners = directory.owners()
    old = [
        path
        for path in sorted(directory.numbers.glob("*" + SEGMENT_SUFFIX))
        if (owner := path.name.split(".", 1)[0]) not in owners
        and owner not in living
        and not (path.name.endswith(SPILL_SUFFIX) and _is_fresh(path))
    ]
    if len(old) < 20:
        return
    known: dict[str, int] = {}
    for path in sorted(old, key=lambda path: path.stat().st_mtime):
        for session_id, number in _file(path):
            known[session_id] = max(number, known.pop(session_id, 0))
    newest = list(known.items())[-MAX_SESSIONS:]
    write_numbers(directory, f"merged-{os.urandom(6).hex()}", newest, None)
    for path in old:
        path.unlink(missing_ok=True)


def _all_known(directory: Directory) -> Iterator[tuple[str, int]]:
    owners = directory.owners()
    files = {p.name.split(".", 1)[0] for p in directory.numbers.glob("*" + SEGMENT_SUFFIX)}
    for owner in sorted(files - owners.keys()):
        for path in directory.numbers.glob(owner + ".*"):
            yield from _file(path)
    for owner, segments in owners.items():
        yield from _known_of(directory, owner, segments)


def _known_of(directory: Directory, owner: str, segments: list[str]) -> Iterator[tuple[str, int]]:
    path = directory.numbers / (owner + SEGMENT_SUFFIX)
    yield from _file(path)
    before = _before(path)
    for name in segments:
        if before is not None and split_name(name)[1] >= before:
            yield from numbers_in(directory.journal / name)


def _before(path: Path) -> int | None:
    """From which segment on the file at ``path`` knows nothing; None: it knows all."""
    for _, line in lines_of(path):
        try:
            before = orjson.loads(line)["before"]
        except (orjson.JSONDecodeError, KeyError, TypeError):
            return 0
        return before if isinstance(before, int) else None
    return 0


def _file(path: Path) -> Iterator[tuple[str, int]]:
    for _, line in lines_of(path):
        try:
            session_id, number = orjson.loads(line)
        except (orjson.JSONDecodeError, ValueError):
            continue  # the head, or a torn line of a spill
        if isinstance(session_id, str) and isinstance(number, int):
            yield session_id, number


def _line(each: tuple[str, int]) -> bytes:
    try:
        return orjson.dumps(each, option=orjson.OPT_APPEND_NEWLINE)
    except TypeError:
        return b""  # an id with a lone surrogate has no JSON


def _is_fresh(path: Path) -> bool:
    return time.time() - path.stat().st_mtime < SPILL_AGE_S


def _bits(session_id: str) -> tuple[int, int, int]:
    drawn = hash(session_id)
    return drawn % BLOOM_BITS, (drawn >> 20) % BLOOM_BITS, (drawn >> 40) % BLOOM_BITS


def _private(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_CLOEXEC, 0o600)
