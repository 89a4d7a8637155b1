"""Dead letters: turns and feedback that a destination will never take, with the reason."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from turnspan.ports import Journalled, JournalledFeedback, journalled

__all__ = ["DeadLetter", "DeadLetters"]

_TURN: Final = b',"turn":'
_FEEDBACK: Final = b',"feedback":'
SUFFIX: Final = ".ndjson"


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """One refused turn, or feedback. ``at`` is when, in nanoseconds since the epoch."""

    exporter: str
    reason: str
    at: int
    raw: bytes
    """The journalled line, newline included."""
    id: str | None = None
    """The turn's id, or the feedback's own."""
    session_id: str | None = None

    @property
    def refused(self) -> Journalled:
        """The turn or feedback, to be offered again."""
        return journalled(self.raw)

    @property
    def is_feedback(self) -> bool:
        """Is it feedback that was refused?"""
        return isinstance(self.refused, JournalledFeedback)


class DeadLetters:
    """The dead letters below ``root``, in `dead/<exporter>/<owner>.ndjson`.

    Safe between threads and processes: each file is appended to in one write and rewritten
    by rename, both under one lock a folder. Files are 0600, folders 0700.
    """

    def __init__(self, root: Path, *, owner: str | None = None) -> None:
        self._root = Path(root) / "dead"
        self._owner = owner

    def append(self, exporter: str, turn: Journalled, *, reason: str, at: int) -> None:
        """Keep ``turn``.

        Raises:
            OSError: it could not be written; nothing was.
        """
        folder = self._root / _folder_name(exporter)
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        line = _encoded(exporter, turn.raw, reason, at)
        with _locked(folder):
            _append(folder / f"{self._owner or f'pid{os.getpid()}'}{SUFFIX}", line)

    def list(self, exporter: str | None = None) -> tuple[DeadLetter, ...]:
        """All of them, or those of one exporter, oldest first. Unreadable lines are skipped."""
        found = (
            letter
            for path in sorted(self._root.glob(f"*/*{SUFFIX}"))
            for line in _lines(path)
            if (letter := _decoded(line)) and exporter in {None, letter.exporter}
        )
        return tuple(sorted(found, key=lambda letter: letter.at))

    def retry(self, exporter: str, ids: Collection[str] | None = None) -> tuple[Journalled, ...]:
        """The turns to offer ``exporter`` once more, all or those in ``ids``.

        They stay here until `drop` is called for what was delivered, so a crash in
        between loses none.
        """
        wanted = self.list(exporter)
        return tuple(one.refused for one in wanted if ids is None or one.id in ids)

    def drop(self, exporter: str | None = None, ids: Collection[str] | None = None) -> int:
        """Delete all, or those of one exporter or with one of ``ids``; how many were."""

        def goes(letter: DeadLetter) -> bool:
            return exporter in {None, letter.exporter} and (ids is None or letter.id in ids)

        return sum(self._drop(folder, goes) for folder in sorted(self._root.glob("*/")))

    def _drop(self, folder: Path, goes: Callable[[DeadLetter], bool]) -> int:
        dropped = 0
        with _locked(folder):
            for path in sorted(folder.glob(f"*{SUFFIX}")):
                lines = _lines(path)
                kept = [line for line in lines if not ((one := _decoded(line)) and goes(one))]
                dropped += len(lines) - len(kept)
                if len(kept) < len(lines):
                    _rewrite(path, kept)
        return dropped


def _folder_name(exporter: str) -> str:
    """A name that any file system takes, and that no two exporters share."""
    readable = re.sub(r"[^A-Za-z0-9.-]+", "_", exporter).strip("._")[:60]
    return f"{readable}-{hashlib.blake2b(exporter.encode(), digest_size=4).hexdigest()}"


def _encoded(exporter: str, raw: bytes, reason: str, at: int) -> bytes:
    import orjson

    told = reason.encode("utf-8", "replace").decode()
    head = orjson.dumps({"reason": told, "at": at, "exporter": exporter})[:-1]
    try:
        orjson.loads(raw)
    except orjson.JSONDecodeError:  # such a line cannot stand inside a JSON line
        return head + b',"raw":' + orjson.dumps(raw.decode("latin-1")) + b"}\n"
    key = _FEEDBACK if isinstance(journalled(raw), JournalledFeedback) else _TURN
    return head + key + raw.strip() + b"}\n"


def _decoded(line: bytes) -> DeadLetter | None:
    import orjson

    try:
        letter: Any = orjson.loads(line)
        if "raw" in letter:
            raw = letter["raw"].encode("latin-1")
        else:
            key = _FEEDBACK if "feedback" in letter else _TURN
            raw = line.partition(key)[2].rstrip()[:-1] + b"\n"
        turn = letter.get("turn", letter.get("feedback"))
        turn = turn if isinstance(turn, dict) else {}
        return DeadLetter(
            exporter=letter["exporter"],
            reason=letter["reason"],
            at=letter["at"],
            raw=raw,
            id=turn.get("id"),
            session_id=turn.get("session_id"),
        )
    except (orjson.JSONDecodeError, AttributeError, KeyError, TypeError, UnicodeEncodeError):
        return None


def _lines(path: Path) -> list[bytes]:
    try:
        return [line for line in path.read_bytes().splitlines(keepends=True) if line.strip()]
    except FileNotFoundError:
        return []


def _append(path: Path, line: bytes) -> None:
    descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        end = os.fstat(descriptor).st_size
        torn = end > 0 and os.pread(descriptor, 1, end - 1) != b"\n"
        data = b"\n" + line if torn else line
        if os.write(descriptor, data) != len(data):
            os.ftruncate(descriptor, end)
            raise OSError(f"no room for a dead letter of {len(line)} bytes in {path}")
    finally:
        os.close(descriptor)


def _rewrite(path: Path, lines: list[bytes]) -> None:
    if not lines:
        path.unlink(missing_ok=True)
        return
    import tempfile

    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=".rewrite-")  # 0600
    with os.fdopen(descriptor, "wb") as new:
        new.writelines(lines)
    os.replace(name, path)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Hold the folder's lock; without lock support, go on without.

    `flock` and not `lockf`: it holds between threads too. It is released by name, so a
    copy of the descriptor in a child forked meanwhile does not keep it.
    """
    try:
        import fcntl
    except ImportError:  # pragma: no cover  # Windows
        yield
        return
    descriptor = os.open(folder / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        fcntl.flock(descriptor, fcntl.LOCK_UN)
        os.close(descriptor)
