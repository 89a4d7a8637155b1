"""What processes had to drop, written down where `doctor` finds it."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import orjson

from turnspan.journal.directory import UNFINISHED_SUFFIX, Directory
from turnspan.notices import say

__all__ = ["Losses", "Lost"]

SUFFIX = ".json"


@dataclass(frozen=True, slots=True)
class Lost:
    """What was dropped, by reason, and when that was last written down."""

    counts: Mapping[str, int] = field(default_factory=dict)
    last_at_ns: int = 0


class Losses:
    """One file a process, `dropped/<owner>.json`, written by upkeep and at the end."""

    def __init__(self, directory: Directory) -> None:
        self._room = directory.path / "dropped"
        self._written: dict[str, int] = {}

    def write(self, owner: str, counts: Mapping[str, int], at_ns: int) -> None:
        """Write down what ``owner`` has dropped so far, if that is news. Never raises."""
        now = {reason: count for reason, count in counts.items() if count}
        if now == self._written:
            return
        path = self._room / (owner + SUFFIX)
        unfinished = path.with_name(path.name + UNFINISHED_SUFFIX)
        try:
            self._room.mkdir(mode=0o700, parents=True, exist_ok=True)
            fd = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
            with open(fd, "wb") as file:
                file.write(orjson.dumps({"dropped": now, "at": at_ns}))
            os.replace(unfinished, path)
        except OSError as error:
            say("losses", "what was dropped cannot be written down: %s", error)
        else:
            self._written = now

    def read(self) -> Lost:
        """What all processes dropped, as far as it is not forgotten."""
        total: Counter[str] = Counter()
        last_at_ns = 0
        for path in self._files():
            try:
                record = orjson.loads(path.read_bytes())
                total.update({str(reason): int(n) for reason, n in record["dropped"].items()})
                last_at_ns = max(last_at_ns, int(record["at"]))
            except (OSError, KeyError, TypeError, ValueError, AttributeError):
                continue  # torn, or gone since it was listed
        return Lost(dict(total), last_at_ns)

    def forget(self, before_ns: int) -> None:
        """Delete what was written down before ``before_ns``."""
        for path in self._files():
            try:
                if os.stat(path).st_mtime_ns < before_ns:
                    path.unlink(missing_ok=True)
            except OSError:
                continue  # gone since it was listed

    def _files(self) -> Iterator[Path]:
        return self._room.glob(f"*{SUFFIX}")
