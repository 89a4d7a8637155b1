"""What a destination answered over HTTP, and what that means for a batch."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Final

from turnspan.ports import Outcome

__all__ = ["Answer", "parse_retry_after"]

TURNS_AT_FAULT: Final = frozenset({400, 409, 413, 415, 422})
SHOWN_CHARS: Final = 200


@dataclass(frozen=True, slots=True)
class Answer:
    """A status with its body, or the cause why there is none."""

    status: int | None = None
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    """By lower-case name."""
    cause: str = ""
    """Why no whole answer came; where it is set, nothing can be said of the turns."""

    @property
    def accepted(self) -> bool:
        """Whether the destination took the request: a whole answer of 2xx."""
        return not self.cause and self.status is not None and 200 <= self.status < 300

    @property
    def is_of_turns(self) -> bool:
        """Whether it finds fault with what was sent, not with who sent it, or where to."""
        return not self.cause and self.status in TURNS_AT_FAULT

    def outcome(self, count: int) -> Outcome:
        """What it means for a batch of ``count`` turns, seen by status alone.

        Faults of the destination leave all unsent; faults of turns refuse the batch whole,
        or its only turn.
        """
        if self.accepted:
            return Outcome()
        if self.is_of_turns:
            reason = self.told()
            return Outcome(refused={0: reason}) if count == 1 else Outcome(refused_whole=reason)
        return Outcome.all_unsent(
            count,
            self.cause or self.told(),
            status=self.status,
            retry_after_s=parse_retry_after(self.headers.get("retry-after", "")),
        )

    def told(self) -> str:
        """The status and the beginning of the body, in one printable line."""
        text = self.body[: 4 * SHOWN_CHARS].decode("utf-8", "replace")
        words = " ".join("".join(c if c.isprintable() else " " for c in text).split())
        said = f"{self.status} {_phrase(self.status)}".strip()
        return f"{said}: {words[:SHOWN_CHARS]}" if words else said


def parse_retry_after(text: str) -> float | None:
    """Seconds to wait, from either form of `Retry-After`; None where it says nothing usable.

    Source: https://www.rfc-editor.org/rfc/rfc9110#field.retry-after
    """
    text = text.strip()
    if text.isascii() and text.isdigit():
        return float(text)
    from datetime import UTC  # here: only a troubled destination sends it
    from email.utils import parsedate_to_datetime

    try:
        until = parsedate_to_datetime(text)
        if until.tzinfo is None:  # `-0000`: the time is that of Greenwich, the place is not told
            until = until.replace(tzinfo=UTC)
        return max(0.0, until.timestamp() - time.time())
    except (ValueError, TypeError, IndexError, OverflowError):
        return None


def _phrase(status: int | None) -> str:
    try:
        return HTTPStatus(status or 0).phrase
    except ValueError:
        return ""
