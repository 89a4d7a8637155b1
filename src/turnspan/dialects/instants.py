"""Times as vendors write them: ISO 8601 in UTC."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any, Final

__all__ = ["iso_of", "ns_of"]

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_FRACTION: Final = re.compile(r"[.,](\d+)")


def iso_of(at: int) -> str:
    """Nanoseconds since the epoch, such as `2026-01-31T04:15:00.250Z`: as exact as ``at``.

    It has 0, 3, 6 or 9 digits after the second: as few as lose nothing.
    """
    seconds, ns = divmod(at, 10**9)
    whole = (_EPOCH + timedelta(seconds=seconds)).isoformat()[:19]
    digits = f"{ns:09d}"
    while digits.endswith("000"):
        digits = digits[:-3]
    return f"{whole}.{digits}Z" if digits else f"{whole}Z"


def ns_of(text: Any) -> int:
    """The other way; a time without an offset is UTC.

    Raises:
        ValueError: it is no time of ISO 8601.
    """
    text = str(text).strip()
    found = _FRACTION.search(text)
    whole = datetime.fromisoformat(text.replace(found[0], "", 1) if found else text)
    since = (whole if whole.tzinfo else whole.replace(tzinfo=UTC)) - _EPOCH
    ns = int(found[1][:9].ljust(9, "0")) if found else 0
    return (since.days * 86_400 + since.seconds) * 10**9 + ns
