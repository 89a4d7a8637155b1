"""Turns and feedback appended to a file of JSON lines, which processes may share.

    file:PATH[?rotate=SIZE[&keep=COUNT]]        file:turns.jsonl?rotate=64MiB&keep=5

Each is the line that the journal wrote, byte for byte. With `rotate` a file that is full goes
by the name `PATH.000001`, the next `PATH.000002` and so on, so that `cat PATH.* PATH` shows the
turns in order. Nothing is ever deleted unless `keep` says how many of those should stay.
In PATH, `%20` is a space and `%3F` a question mark; `~` is the home directory.
"""

import os
import re
import stat
import time
from collections.abc import Iterable, Sequence
from typing import Final
from urllib.parse import parse_qsl, unquote

from turnspan.errors import ExporterError
from turnspan.exporters._locked_file import LockedFile, Place, place_of
from turnspan.exporters.identity import is_interrupted, record_id
from turnspan.ports import Journalled, Outcome
from turnspan.schema.records import FEEDBACK
from turnspan.settings import Settings, size_of

__all__ = ["FileExporter", "from_url"]

_BACK_BYTES: Final = 64 * 2**20  # looked through for turns that recovery sends again
_MAX_IDS: Final = 16_384
_MAX_RECOVERY_IDS: Final = 262_144  # so many turns of 256 bytes stand in there
_ENDED_AT: Final = re.compile(rb'"ended_at":(\d+)')  # inside a text the quote is escaped
_GIVEN_AT: Final = re.compile(rb'"at":(\d+)')
_WHOLE: Final = re.compile(
    rb'{"record":"(?:turn|feedback)","id":"[\w-]+",.*"schema_version":\d+}\n', re.DOTALL
)


class FileExporter:
    """Appends turns, and feedback, to the file at ``path``.

    It is made (0600, missing parents 0700) with the first turn; a relative path is made
    absolute. With ``rotate_bytes`` a file is closed before it outgrows that size, and of the
    closed ones the youngest ``keep`` stay, or all. ``fsync`` waits for the disk after each
    batch. A turn that is already there is not written again, save that the final version of
    an interrupted turn follows it. It is found whoever wrote it since the exporter was made;
    one that ended before (recovery sends it) is looked for in the last 64 MiB, closed files
    included. So a turn can be there twice where its process was killed between writing it and
    remembering that, and others wrote more than 64 MiB before it was sent again.

    Raises:
        ExporterError: ``path`` cannot be a file, or the numbers make no sense.
    """

    takes_feedback = True

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        rotate_bytes: int | None = None,
        keep: int | None = None,
        fsync: bool = False,
    ) -> None:
        _check_numbers(rotate_bytes, keep)
        self._path = _checked_path(os.fspath(path))
        self._target = os.path.realpath(self._path)  # a link stays one when files are closed
        self._rotate_bytes = rotate_bytes
        self._keep = keep
        self._fsync = fsync
        self._seen: dict[str, int] = {}  # id → when it ended, in order of writing
        self._interrupted: set[str] = set()  # those of them that were
        self._seen_to: Place | None = place_of(self._target)
        self._sure_ns = time.time_ns()  # what ended later is in `_seen`, if it is in the file
        self._recovering = False
        self._closed = False

    @property
    def name(self) -> str:
        """`file:` and the absolute path."""
        return f"file:{self._path}"

    def export(self, batch: Sequence[Journalled], *, timeout_s: float) -> Outcome:
        """Append ``batch``; from a fault of the disk or the lock on, its turns are unsent."""
        if self._closed:
            return Outcome.all_unsent(len(batch), f"{self.name} is closed")
        if len(batch) == 0:
            return Outcome()
        deadline_s = time.monotonic() + timeout_s
        refused: dict[int, str] = {}
        done = 0
        try:
            with LockedFile(self._target, deadline_s=deadline_s) as file:
                self._catch_up(file)
                recovering = self._look_back(file, batch)
                for turn in batch:
                    if not self._write(file, turn.raw):
                        refused[done] = "neither turn nor feedback"
                    done += 1
                if self._fsync:
                    file.sync()
                self._recovering = recovering
                self._forget()
        except OSError as exc:
            done = 0 if self._fsync else done  # the disk has not said that it has any
            refused = {index: why for index, why in refused.items() if index < done}
            left = frozenset(range(done, len(batch)))
            cause = f"cannot write {self._path}: {exc.strerror or exc}"
            return Outcome(refused=refused, unsent=left, cause=cause)
        return Outcome(refused=refused)

    def close(self, *, timeout_s: float) -> None:
        """Append no more. No file is open between batches."""
        self._closed = True

    def _write(self, file: LockedFile, line: bytes) -> bool:
        drawn = record_id(line)
        if drawn is None or not line.endswith(b"}\n") or line.find(b"\n") != len(line) - 1:
            return False
        interrupted = is_interrupted(line)
        if drawn not in self._seen or (drawn in self._interrupted and not interrupted):
            self._rotate_if_full(file, len(line))
            file.append(line)
            self._remember(drawn, line, interrupted=interrupted)
            self._seen_to = file.end
        return True

    def _rotate_if_full(self, file: LockedFile, more_bytes: int) -> None:
        most = self._rotate_bytes
        while most is not None and file.size and file.size + more_bytes > most:
            file.close_and_replace(keep=self._keep)
            self._catch_up(file)  # another process may have filled it before we had the lock

    def _catch_up(self, file: LockedFile) -> None:
        """Learn what others wrote since we looked."""
        if self._seen_to == (end := file.end):
            return
        tail = file.tail(_BACK_BYTES, after=self._seen_to)
        if not tail.is_whole:
            self._sure_ns = time.time_ns()
        self._learn(tail)
        self._seen_to = end

    def _look_back(self, file: LockedFile, batch: Sequence[Journalled]) -> bool:
        """Learn what stands further back, if ``batch`` holds a turn that could; does it?"""
        wanted = any(self._may_stand(turn.raw) for turn in batch)
        if wanted and not self._recovering:
            self._recovering = True
            try:
                self._learn(file.tail(_BACK_BYTES))
            except OSError:
                self._recovering = False  # it was not seen to the end
                raise
        return wanted

    def _may_stand(self, line: bytes) -> bool:
        return _ended_ns(line) <= self._sure_ns and record_id(line) not in self._seen

    def _learn(self, lines: Iterable[bytes]) -> None:
        for number, line in enumerate(lines):
            if number % 64 == 0:
                time.sleep(0)  # lets the caller's threads go first
            if _WHOLE.fullmatch(line) or _is_record(line):
                drawn = record_id(line)
                if drawn is not None:
                    self._remember(drawn, line, interrupted=is_interrupted(line))
                    self._forget()

    def _remember(self, drawn: str, line: bytes, *, interrupted: bool) -> None:
        if not interrupted:
            self._interrupted.discard(drawn)
        elif drawn not in self._seen:
            self._interrupted.add(drawn)
        self._seen.pop(drawn, None)
        self._seen[drawn] = _ended_ns(line)

    def _forget(self) -> None:
        most = _MAX_RECOVERY_IDS if self._recovering else _MAX_IDS
        while len(self._seen) > most:
            oldest = next(iter(self._seen))
            self._sure_ns = max(self._sure_ns, self._seen.pop(oldest))
            self._interrupted.discard(oldest)


def from_url(url: str, *, settings: Settings) -> FileExporter:
    """The exporter that `file:PATH` names."""
    path, _, query = url.partition(":")[2].partition("?")
    if path.startswith("//"):
        host, slash, path = path[2:].partition("/")
        path = slash + path
        if host not in {"", "localhost"}:
            raise ExporterError(
                f"file://{host}/... names the host {host!r}, not a file",
                fix=f"write file:{host}{path} for a relative path, file:/{host}{path} otherwise",
            )
    return FileExporter(unquote(path), **_options(url, query), fsync=settings.durability == "disk")


def _options(url: str, query: str) -> dict[str, int]:
    names = {"rotate": "rotate_bytes", "keep": "keep"}
    try:
        given = dict(parse_qsl(query, keep_blank_values=True, strict_parsing=bool(query)))
        return {names[name]: size_of(value) for name, value in given.items()}
    except (KeyError, ValueError):
        raise ExporterError(
            f"the options of {url!r} cannot be read",
            fix="write file:PATH?rotate=64MiB&keep=5, or file:PATH alone",
        ) from None


def _check_numbers(rotate_bytes: int | None, keep: int | None) -> None:
    if rotate_bytes is not None and rotate_bytes < 1:
        raise ExporterError(f"rotate={rotate_bytes} is no size", fix="give a size such as 64MiB")
    if keep is not None and keep < 1:
        raise ExporterError(f"keep={keep} keeps nothing", fix="give 1 or more, or leave it out")
    if keep is not None and rotate_bytes is None:
        raise ExporterError(
            f"keep={keep} counts closed files, but without rotate none is closed",
            fix="give rotate too, as in file:PATH?rotate=64MiB&keep=5",
        )


def _checked_path(given: str) -> str:
    path = os.path.abspath(os.path.expanduser(given))
    if not given or "\0" in given:
        raise ExporterError("file: names no file", fix="write file:PATH, as in file:turns.jsonl")
    if given.endswith(os.sep) or os.path.isdir(path):
        raise ExporterError(f"{path} is a directory", fix=f"name a file: {path}/turns.jsonl")
    if os.path.exists(path) and not stat.S_ISREG(os.stat(path).st_mode):
        raise ExporterError(f"{path} is not a regular file", fix="name a file that can grow")
    parent = os.path.dirname(path)
    while not os.path.lexists(parent):
        parent = os.path.dirname(parent)
    if not os.path.isdir(parent):
        raise ExporterError(
            f"{parent} is a file, so that {path} cannot be one", fix="name a file in a directory"
        )
    return path


def _ended_ns(line: bytes) -> int:
    found = (_GIVEN_AT if line.startswith(FEEDBACK) else _ENDED_AT).search(line)
    return int(found[1]) if found and len(found[1]) < 20 else 0


def _is_record(line: bytes) -> bool:
    """Can ``line`` be read? One torn by a crash, or cut by where we began, cannot."""
    from turnspan.errors import WireError
    from turnspan.schema.wire import decode_record  # here: brings pydantic

    try:
        decode_record(line)
    except WireError:
        return False
    return True
