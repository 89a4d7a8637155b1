"""Paused turns and the turns that resume them, in other processes too.

Whoever resumes knows the framework's thread and checkpoint, not the turn that waits there. So a
paused turn is remembered by its thread: in memory, and in `paused/` beside the journal, where
any process that shares the directory finds it. A file holds ids only.
"""

from __future__ import annotations

import hashlib
import os
import threading
import time
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import orjson

from turnspan.notices import say
from turnspan.telemetry.semconv import TURN_RESUMES

if TYPE_CHECKING:
    from turnspan.capture.drafts import TurnDraft
    from turnspan.ports import OpenSpan

__all__ = ["Pauses", "Resumption", "Waiting", "link", "pauses"]

MAX_HELD: Final = 10_000  # threads remembered in memory
MAX_OF_THREAD: Final = 16  # paused turns remembered of one thread: it may have been forked
KEPT_DAYS: Final = 90
FOLDER: Final = "paused"

Entry = dict[str, str]


@dataclass(frozen=True, slots=True)
class Waiting:
    """For what a run waits, in the framework's own ids; ``checkpoint`` is empty if unknown."""

    thread: str
    checkpoint: str = ""
    namespace: str = ""
    interrupts: Sequence[str] = ()

    @property
    def key(self) -> str:
        """The `resume_key`: what both halves know, whichever process or machine they ran on.

        A checkpoint with a single interrupt determines its id, which whoever resumes need
        not name. Of several the ids are part of the key.
        """
        told = sorted(self.interrupts) if len(self.interrupts) > 1 or not self.checkpoint else []
        return _digest("resume", self.thread, self.namespace, self.checkpoint, *told)


@dataclass(frozen=True, slots=True)
class Resumption:
    """The turn that is resumed, and its span."""

    turn_id: str
    key: str
    trace_id: int
    span_id: int


class Pauses:
    """Which turns wait, by thread. Thread-safe; never raises."""

    def __init__(self) -> None:
        self.start_over()
        self._held: OrderedDict[str, list[Entry]] = OrderedDict()
        self._pruned: set[Path] = set()

    def start_over(self) -> None:
        """In a forked child: whoever held the lock is not there any more."""
        self._lock = threading.RLock()

    def remember(self, waiting: Waiting, turn: TurnDraft) -> None:
        """``turn`` waits, and has been recorded."""
        entry = {
            "key": waiting.key,
            "checkpoint": waiting.checkpoint,
            "turn_id": turn.id,
            "trace_id": f"{turn.span.trace_id:032x}",
            "span_id": f"{turn.span.span_id:016x}",
        }
        name = _digest("thread", waiting.thread)
        folder = _folder_of(turn.source.directory)
        with self._lock:
            known = _read(folder, name) or self._held.get(name, [])
            entries = [*known, entry][-MAX_OF_THREAD:]
            self._held[name] = entries
            self._held.move_to_end(name)
            if len(self._held) > MAX_HELD:
                self._held.popitem(last=False)
            if folder is not None:
                self._keep(folder, name, entries)

    def find(
        self, waiting: Waiting, directory: Path | None, *, certain: bool = True
    ) -> Resumption | None:
        """The turn that waited where a run goes on: at that checkpoint, or the thread's last.

        Unless it is ``certain`` that one waited, only one of that very checkpoint is meant.
        """
        checkpoints = {waiting.checkpoint, ""} if certain else {waiting.checkpoint}
        name = _digest("thread", waiting.thread)
        entries = _read(_folder_of(directory), name) or self._held.get(name, [])
        for entry in reversed(entries):
            if not waiting.checkpoint or entry["checkpoint"] in checkpoints:
                span = int(entry["trace_id"], 16), int(entry["span_id"], 16)
                return Resumption(entry["turn_id"], entry["key"], *span)
        return None

    def _keep(self, folder: Path, name: str, entries: list[Entry]) -> None:
        unfinished = folder / f"{name}.{os.getpid()}.{threading.get_ident()}.new"
        try:
            folder.mkdir(mode=0o700, exist_ok=True)
            if folder not in self._pruned:
                self._pruned.add(folder)
                _prune(folder)
            descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                file.write(orjson.dumps(entries))
            os.replace(unfinished, folder / f"{name}.json")
        except OSError as error:
            say(
                "pauses",
                "%s cannot be written to: a paused turn is not linked to what resumes it elsewhere",
                folder,
                error=error,
            )


pauses: Pauses = Pauses()
"""Of this process: whichever handler pauses a turn, any other may resume it."""

if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=pauses.start_over)


def link(span: OpenSpan, found: Resumption) -> None:
    """Have ``span`` link to the span of the turn that is resumed."""
    from opentelemetry.trace import SpanContext, TraceFlags  # here: resumptions are rare

    context = SpanContext(found.trace_id, found.span_id, True, TraceFlags(1))
    target: Any = getattr(span, "span", None) or span
    target.add_link(context, {TURN_RESUMES: found.turn_id})


def _folder_of(directory: Path | None) -> Path | None:
    return None if directory is None else directory / FOLDER


def _read(folder: Path | None, name: str) -> list[Entry] | None:
    """What a file says, if there is one that can be read."""
    if folder is None:
        return None
    try:
        found: Any = orjson.loads((folder / f"{name}.json").read_bytes())
        return [entry for entry in found if set(entry) >= _ENTRY]
    except (OSError, ValueError, TypeError):
        return None


def _prune(folder: Path) -> None:
    oldest_s = time.time() - KEPT_DAYS * 86_400
    for file in folder.iterdir():
        if file.stat().st_mtime < oldest_s:
            file.unlink(missing_ok=True)


def _digest(*parts: str) -> str:
    told = "\0".join(parts).encode("utf-8", "surrogatepass")
    return hashlib.sha256(told).hexdigest()[:32]


_ENTRY: Final = frozenset({"key", "checkpoint", "turn_id", "trace_id", "span_id"})
