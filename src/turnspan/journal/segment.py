"""Segments: the files of a journal, and the record each begins with."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from turnspan.journal.directory import SEGMENT_SUFFIX
from turnspan.schema.wire import SEGMENT

__all__ = ["Header", "read_header", "segment_name", "split_name"]

MAX_HEADER_BYTES = 2**20
_RESOURCE = re.compile(rb'"resource":(\{.*?\}),"exporters":')
_EXPORTERS = re.compile(rb'"exporters":(\[.*?\]),"turnspan":')


@dataclass(frozen=True, slots=True)
class Header:
    """What a segment says of itself, so that another process can deliver it."""

    owner: str
    seq: int
    started_at: int
    """Nanoseconds since the Unix epoch."""
    service: str | None = None
    resource: Mapping[str, Any] = field(default_factory=dict)
    exporters: tuple[str, ...] = ()
    """Names of the exporters that are owed its turns."""
    version: str = ""
    """The turnspan that wrote it."""

    def encode(self) -> bytes:
        """The header as a line, newline included."""
        return orjson.dumps(
            {
                "record": "segment",
                "owner": self.owner,
                "seq": self.seq,
                "started_at": self.started_at,
                **({"service": self.service} if self.service else {}),
                "resource": dict(self.resource),
                "exporters": [{"name": name} for name in self.exporters],
                "turnspan": self.version,
            },
            default=str,  # a resource may hold what JSON does not know
            option=orjson.OPT_APPEND_NEWLINE | orjson.OPT_NON_STR_KEYS,
        )

    @classmethod
    def decode(cls, line: bytes) -> Header | None:
        """Read a header; None where ``line`` is none."""
        if not line.startswith(SEGMENT):
            return None
        try:
            record = orjson.loads(line)
            return cls(
                owner=record["owner"],
                seq=record["seq"],
                started_at=record["started_at"],
                service=record.get("service"),
                resource=record.get("resource", {}),
                exporters=tuple(each["name"] for each in record.get("exporters", ())),
                version=record.get("turnspan", ""),
            )
        except (orjson.JSONDecodeError, KeyError, TypeError, AttributeError):
            return None


def read_header(path: Path) -> Header | None:
    """The header of the segment at ``path``; None where it has none that can be read."""
    try:
        with open(path, "rb") as file:
            line = file.readline(MAX_HEADER_BYTES)
    except OSError:
        return None
    return Header.decode(line) or _salvaged(path, line)


def _salvaged(path: Path, line: bytes) -> Header | None:
    """What a damaged header still says; None where that is not whom the segment is owed to."""
    try:
        exporters = _part(_EXPORTERS, line)
        owner, seq = split_name(path.name)
        names = tuple(str(each["name"]) for each in exporters)
        return Header(owner, seq, 0, resource=_part(_RESOURCE, line) or {}, exporters=names)
    except (KeyError, TypeError, ValueError):
        return None


def _part(pattern: re.Pattern[bytes], line: bytes) -> Any:
    match = pattern.search(line)
    try:
        return orjson.loads(match[1]) if match else None
    except orjson.JSONDecodeError:
        return None


def segment_name(owner: str, seq: int) -> str:
    """The file name of segment ``seq`` of ``owner``."""
    return f"{owner}.{seq:06d}{SEGMENT_SUFFIX}"


def split_name(name: str) -> tuple[str, int]:
    """The owner and sequence number in a segment's file name.

    Raises:
        ValueError: it isn't one.
    """
    owner, seq, _ = os.path.basename(name).split(".")
    return owner, int(seq)
