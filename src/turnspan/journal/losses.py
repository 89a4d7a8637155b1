"""What processes dropped, written down so that it can be seen from outside, and afterwards."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import orjson

from turnspan.journal.directory import UNFINISHED_SUFFIX, Directory
from turnspan.journal.owner import Owner
from turnspan.notices import say

__all__ = ["Loss", "Losses", "written"]

SUFFIX = ".dropped"


@dataclass(frozen=True, slots=True)
class Loss:
    """Turns that one process dropped, by reason; ``at`` in nanoseconds since the epoch."""

    pid: int
    at: int
    dropped: Mapping[str, int]


class Losses:
    """The counts of this process, as `dropped/<owner>.dropped`. Used by upkeep and at the end."""

    def __init__(self, directory: Directory) -> None:
        self._directory = directory
        self._path: Path | None = None
        self._written: dict[str, int] = {}

    def write(self, dropped: Mapping[str, int], now_ns: int) -> None:
        """Replace what was written, if it has changed. Never raises."""
        counts = dict(dropped)
        if counts == self._written:
            return
        path = self._path or self._directory.dropped / f"{Owner.here()}{SUFFIX}"
        unfinished = path.with_name(path.name + UNFINISHED_SUFFIX)
        text = orjson.dumps({"pid": os.getpid(), "at": now_ns, "dropped": counts})
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with open(unfinished, "wb", opener=_private) as file:
                file.write(text + b"\n")
            os.replace(unfinished, path)
        except OSError as error:
            say("losses", "what was dropped cannot be written down: %s", error)
            return
        self._path, self._written = path, counts

    def forget(self, before_ns: int) -> None:
        """Remove what other processes wrote before a time."""
        for path in self._directory.dropped.glob("*" + SUFFIX):
            loss = _read(path)
            if path != self._path and (loss is None or loss.at < before_ns):
                path.unlink(missing_ok=True)


def written(directory: Directory) -> list[Loss]:
    """What processes wrote down, the last one last."""
    found = map(_read, directory.dropped.glob("*" + SUFFIX))
    return sorted(filter(None, found), key=lambda loss: loss.at)


def _read(path: Path) -> Loss | None:
    try:
        told = orjson.loads(path.read_bytes())
        return Loss(told["pid"], told["at"], told["dropped"])
    except (OSError, orjson.JSONDecodeError, KeyError, TypeError):
        return None


def _private(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_CLOEXEC, 0o600)
