"""A span as a backend gets it, whoever made it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

__all__ = ["SeenSpan"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenSpan:
    """``kind`` is `internal` or `client`, ``status`` `unset`, `ok` or `error`."""

    name: str
    kind: str = "internal"
    attributes: Mapping[str, Any] = field(default_factory=dict)
    status: str = "unset"
    description: str = ""
    trace_id: str = ""
    span_id: str = ""
    parent_id: str = ""
    links: tuple[tuple[str, str], ...] = ()
    scope: str = ""
    schema_url: str = ""
    resource: Mapping[str, Any] = field(default_factory=dict)
