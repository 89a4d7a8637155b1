"""What a recorder is told when it is made."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from turnspan.capture.policy import Policy
from turnspan.capture.values import Limits

__all__ = ["Options"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How to record. ``on_first`` is called once, before the first record is written."""

    resource: Mapping[str, Any] = field(default_factory=dict)
    policy: Policy = field(default_factory=Policy)
    limits: Limits = field(default_factory=Limits)
    max_turn_bytes: int = 8 * 2**20
    orphans: bool = False
    """Whether a tool, model or step outside a turn opens one."""
    sample: float = 1.0
    """The share of sessions that is recorded."""
    keep_errors: bool = False
    """Whether turns that end in an error are recorded though sampling leaves them out."""
    baggage: Callable[[], Mapping[str, str]] | None = None
    """Reads what of the W3C baggage goes onto a turn's metadata."""
    on_first: Callable[[], None] | None = None
    directory: Path | None = None
    """Where the journal is, if there is one: paused turns are remembered beside it."""

    def __post_init__(self) -> None:
        if self.policy.reads_text and not self.limits.words:
            object.__setattr__(self, "limits", replace(self.limits, words=True))
