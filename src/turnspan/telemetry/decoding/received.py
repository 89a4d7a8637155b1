"""A span as it came in, whatever format it came in."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Any

import orjson

__all__ = ["Received", "ReceivedSpan"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceivedSpan:
    """One finished span; ids in lower-case hex, times in nanoseconds since the Unix epoch."""

    trace_id: str
    span_id: str
    parent_id: str | None = None
    name: str = ""
    kind: int = 0
    started_at: int
    ended_at: int
    flags: int = 0
    state: str = ""
    attributes: dict[str, Any] = field(default_factory=dict)
    events: list[dict[str, Any]] = field(default_factory=list)
    """Each with `name`, `at` and perhaps `attributes`."""
    links: list[dict[str, Any]] = field(default_factory=list)
    """Each with `trace_id`, `span_id` and perhaps `attributes`."""
    status: int = 0
    description: str = ""
    resource: dict[str, Any] = field(default_factory=dict)
    scope: str = ""

    @classmethod
    def load(cls, kept: bytes) -> ReceivedSpan:
        """What `dump` wrote."""
        return cls(**orjson.loads(kept))

    def dump(self) -> bytes:
        """The span as one line of JSON, for whoever keeps it until its turn is whole."""
        return orjson.dumps({each.name: getattr(self, each.name) for each in fields(self)})


@dataclass(slots=True)
class Received:
    """The spans of one request or file, and how many could not be read."""

    spans: list[ReceivedSpan] = field(default_factory=list)
    rejected: int = 0
    reason: str = ""
    """Why the first of those was rejected."""

    def reject(self, reason: str) -> None:
        """Count one that cannot be read."""
        self.rejected += 1
        self.reason = self.reason or reason
