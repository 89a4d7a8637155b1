"""How many turns each session has had."""

from __future__ import annotations

import os
import re
import struct
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from hashlib import blake2b
from heapq import merge
from itertools import islice
from pathlib import Path

import orjson

from turnspan.journal.directory import UNFINISHED_SUFFIX, Directory
from turnspan.journal.reader import lines_of
from turnspan.journal.segment import split_name
from turnspan.notices import say
from turnspan.pace import Pace

__all__ = ["Numbers", "write_numbers"]

MAX_SESSIONS = 200_000
MAX_RUNS = 16
SPILLED_PART = 32  # of the sessions in memory, at once: a dozen milliseconds in the caller
BLOOM_BITS = 2**23
RUN_AGE_S = 86_400.0
NUMBERS_SUFFIX = ".numbers"
RUN_SUFFIX = ".run" + NUMBERS_SUFFIX
_ENTRY = struct.Struct("<QI")  # the hash of a session's id, and its last number
_MAX_NUMBER = 2**32 - 1
# Start of a turn or open line; the session id is JSON, quotes included.
_NUMBERED = re.compile(
    rb'\{"record":"(?:turn|open)","id":"[^"]*","session_id":("(?:[^"\\]|\\.)*"),"number":(\d+)'
)


class Numbers:
    """Counts the turns of each session in a directory, from 1. Thread-safe and re-entrant.

    Sessions are told apart by 64 bits of a hash of their id. The 200,000 that came last are
    in memory; the others are in sorted files (runs), searched when a Bloom filter says that
    a session may be in one. What a directory already holds is read once, when the first
    session is seen; without a directory counting starts at 1 and a session pushed out starts
    anew. A call from a signal handler in the middle of another may leave a gap.
    """

    def __init__(self, directory: Directory | None, *, max_sessions: int = MAX_SESSIONS) -> None:
        self._directory = directory
        self._max_sessions = max_sessions
        self._last: dict[int, int] = {}  # below 0: loaded, and perhaps higher in a run
        self._nested: dict[int, int] = {}  # given while another call was under way
        self._runs: tuple[Path, ...] = ()
        self._spilled = bytearray()
        self._is_loading = False
        self._is_loaded = directory is None
        self._is_busy = False
        self._lock = threading.RLock()

    def next(self, session_id: str) -> int:
        """The number of the next turn of ``session_id``. Never raises."""
        key = _key(session_id)
        with self._lock:
            if self._is_busy:
                return self._next_nested(key)
            try:
                self._is_busy = True
                return self._next(key)
            finally:
                self._is_busy = False

    def load(self) -> None:
        """Read what the directory holds, so that the first session need not wait for it.

        For upkeep's thread: it lets others run meanwhile, but for those that want a number.
        """
        if self._is_loaded or self._directory is None:
            return
        with self._lock:
            if not self._is_loaded:
                self._load(self._directory, Pace().step)

    def write(self, owner: str, seq: int | None) -> None:
        """Write down what is known, as the file of ``owner``.

        It holds for the owner's segments before ``seq``; None: for all of them.
        """
        if self._directory is None or not self._last:
            return
        with self._lock:
            known = [(key, abs(number)) for key, number in self._last.items()]
        write_numbers(self._directory, owner, known, seq)

    def keep(self) -> None:
        """Look after the runs of this process: few, and not taken for a dead one's."""
        runs = self._runs
        try:
            if len(runs) >= MAX_RUNS and self._directory is not None:
                merged = _write_run(self._directory, _highest(merge(*map(_file, runs))))
                with self._lock:
                    self._runs = (merged, *(run for run in self._runs if run not in runs))
                for run in runs:  # all written here: a forked child starts without any
                    run.unlink(missing_ok=True)
            for run in self._runs:
                os.utime(run)
        except OSError as error:
            say("numbers", "numbers of sessions cannot be looked after: %s", error)

    def after_fork(self) -> None:
        """Make the child's copy its own; the parent's runs it reads like everybody's."""
        self._lock = threading.RLock()
        self._is_busy = False
        if self._is_loading or self._runs:
            self._is_loading = self._is_loaded = False
            self._runs = ()

    def _next(self, key: int) -> int:
        if not self._is_loaded and self._directory is not None:
            self._load(self._directory)
        last = self._last.get(key, 0)
        if last <= 0:
            last = max(-last, self._in_runs(key))
        if self._nested:
            last = max(last, self._nested.get(key, 0))
        self._last[key] = last + 1
        if len(self._last) > self._max_sessions:
            self._spill()
        return last + 1

    def _next_nested(self, key: int) -> int:
        """In a signal handler: the call it interrupted may be about to give the next number."""
        last = max(abs(self._last.get(key, 0)), self._nested.get(key, 0), self._in_runs(key))
        if self._is_loading and self._directory is not None:
            there = (number for other, number in _all_known(self._directory) if other == key)
            last = max(last, max(there, default=0))
        self._nested[key] = last + 2
        return last + 2

    def _load(self, directory: Directory, step: Callable[[], None] = lambda: None) -> None:
        self._is_loaded = self._is_loading = True  # before: what fails once would fail each time
        try:
            for key, number in _all_known(directory):
                step()
                last = self._last.get(key, 0)
                if number > abs(last):
                    # A run may have a higher one: to look for each session here takes minutes.
                    self._last[key] = number if last > 0 or not self._runs else -number
                if len(self._last) > self._max_sessions:
                    self._spill()
        except OSError as error:
            say("numbers", "numbers of sessions cannot be read: %s", error)
        finally:
            self._is_loading = False

    def _in_runs(self, key: int) -> int:
        if not self._runs or not all(self._spilled[b >> 3] & (1 << (b & 7)) for b in _bits(key)):
            return 0
        return max(_found(run, key) for run in self._runs)

    def _spill(self) -> None:
        """Write down some of the sessions that came first, and let go of them."""
        first = islice(self._last.items(), max(self._max_sessions // SPILLED_PART, 1))
        gone = [(key, abs(number)) for key, number in first]
        if self._directory is not None:
            self._spilled = self._spilled or bytearray(BLOOM_BITS // 8)
            for key, _ in gone:
                for bit in _bits(key):
                    self._spilled[bit >> 3] |= 1 << (bit & 7)
            try:
                self._runs = (*self._runs, _write_run(self._directory, sorted(gone)))
            except OSError as error:
                say("numbers", "numbers of sessions cannot be written: %s", error)
        for key, _ in gone:
            self._last.pop(key, None)


def write_numbers(
    directory: Directory, owner: str, known: Iterable[tuple[int, int]], seq: int | None
) -> None:
    """Replace the numbers file of ``owner``; see `Numbers.write`. Never raises."""
    try:
        _write(directory.numbers / (owner + NUMBERS_SUFFIX), known, seq)
    except OSError as error:
        say("numbers", "numbers of sessions cannot be written: %s", error)


def numbers_in(path: Path) -> Iterator[tuple[int, int]]:
    """Hash of the session, and number, of each numbered line of the segment at ``path``."""
    for _, line in lines_of(path):
        match = _NUMBERED.match(line)
        if match:
            try:
                yield _key(orjson.loads(match[1])), int(match[2])
            except orjson.JSONDecodeError:
                continue


def rebuild(directory: Directory, owner: str, segments: list[str]) -> None:
    """Write the numbers file that ``owner`` died without."""
    if _before(directory.numbers / (owner + NUMBERS_SUFFIX)) is None:
        return
    known: dict[int, int] = {}
    for key, number in _known_of(directory, owner, segments):
        known[key] = max(number, known.get(key, 0))
    if known:
        write_numbers(directory, owner, known.items(), None)


def compact(directory: Directory, living: set[str]) -> None:
    """Put the files of owners that are not ``living`` and have no segment left into one."""
    owners = directory.owners()
    old = [
        path
        for path in sorted(directory.numbers.glob("*" + NUMBERS_SUFFIX))
        if (owner := path.name.split(".", 1)[0]) not in owners
        and owner not in living
        and not (path.name.endswith(RUN_SUFFIX) and _is_fresh(path))
    ]
    if len(old) < 20:
        return
    known: dict[int, int] = {}
    for path in sorted(old, key=lambda path: path.stat().st_mtime):
        for key, number in _file(path):
            known[key] = max(number, known.pop(key, 0))
    newest = islice(known.items(), max(len(known) - MAX_SESSIONS, 0), None)
    write_numbers(directory, f"merged-{os.urandom(6).hex()}", newest, None)
    for path in old:
        path.unlink(missing_ok=True)


def _all_known(directory: Directory) -> Iterator[tuple[int, int]]:
    owners = directory.owners()
    files = {p.name.split(".", 1)[0] for p in directory.numbers.glob("*" + NUMBERS_SUFFIX)}
    for owner in sorted(files - owners.keys()):
        for path in directory.numbers.glob(f"{owner}.*{NUMBERS_SUFFIX[1:]}"):
            yield from _file(path)
    for owner, segments in owners.items():
        yield from _known_of(directory, owner, segments)


def _known_of(directory: Directory, owner: str, segments: list[str]) -> Iterator[tuple[int, int]]:
    path = directory.numbers / (owner + NUMBERS_SUFFIX)
    yield from _file(path)
    before = _before(path)
    for name in segments:
        if before is not None and split_name(name)[1] >= before:
            yield from numbers_in(directory.journal / name)


def _before(path: Path) -> int | None:
    """From which segment on the file at ``path`` knows nothing; None: it knows all."""
    try:
        with open(path, "rb") as file:
            before = orjson.loads(file.readline(200))["before"]
    except (OSError, orjson.JSONDecodeError, KeyError, TypeError):
        return 0
    return before if isinstance(before, int) else None


def _file(path: Path) -> Iterator[tuple[int, int]]:
    """The entries of the file at ``path``; none where it is gone."""
    try:
        with open(path, "rb") as file:
            file.readline(200)  # the head
            while chunk := file.read(_ENTRY.size * 4096):
                yield from _ENTRY.iter_unpack(chunk[: len(chunk) // _ENTRY.size * _ENTRY.size])
    except OSError:
        return


def _found(run: Path, key: int) -> int:
    """The number of ``key`` in a sorted file; 0 where it isn't there. A dozen short reads."""
    try:
        fd = os.open(run, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return 0
    try:
        head = len(_head(None))
        low, high = 0, (os.fstat(fd).st_size - head) // _ENTRY.size
        while low < high:
            middle = (low + high) // 2
            at, number = _ENTRY.unpack(os.pread(fd, _ENTRY.size, head + middle * _ENTRY.size))
            if at == key:
                return int(number)
            low, high = (middle + 1, high) if at < key else (low, middle)
        return 0
    except (OSError, struct.error):
        return 0
    finally:
        os.close(fd)


def _highest(known: Iterable[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """Of sorted entries, the last of each key."""
    entries = iter(known)
    held = next(entries, None)
    for entry in entries:
        if held is not None and entry[0] != held[0]:
            yield held
        held = entry
    if held is not None:
        yield held


def _write_run(directory: Directory, known: Iterable[tuple[int, int]]) -> Path:
    path = directory.numbers / f"run-{os.getpid()}-{os.urandom(6).hex()}{RUN_SUFFIX}"
    _write(path, known, None)
    return path


def _write(path: Path, known: Iterable[tuple[int, int]], seq: int | None) -> None:
    unfinished = path.with_name(path.name + UNFINISHED_SUFFIX)
    with open(unfinished, "wb", opener=_private) as file:
        file.write(_head(seq))
        file.writelines(_ENTRY.pack(key, min(number, _MAX_NUMBER)) for key, number in known)
    os.replace(unfinished, path)


def _head(seq: int | None) -> bytes:
    return orjson.dumps({"record": "numbers", "before": seq}, option=orjson.OPT_APPEND_NEWLINE)


def _key(session_id: str) -> int:
    digest = blake2b(session_id.encode(errors="surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "little")


def _is_fresh(path: Path) -> bool:
    try:
        return time.time() - path.stat().st_mtime < RUN_AGE_S
    except OSError:
        return True


def _bits(key: int) -> tuple[int, int, int]:
    return key % BLOOM_BITS, (key >> 20) % BLOOM_BITS, (key >> 40) % BLOOM_BITS


def _private(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_CLOEXEC, 0o600)
