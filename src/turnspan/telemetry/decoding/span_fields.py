"""What both formats of OTLP ask of a span's fields."""

from __future__ import annotations

from math import isfinite
from typing import Final

__all__ = ["MAX_DEPTH", "checked_id", "checked_int", "checked_time", "number"]

MAX_DEPTH: Final = 64
"""Of nested attribute values; deeper ones are refused before they exhaust the stack."""
_BEYOND: Final = 2**63


def checked_id(text: str, chars: int, what: str) -> str:
    """``text`` as an id.

    Raises:
        ValueError: it is none, or all zeros.
    """
    try:
        is_id = len(text) == chars and int(text, 16) != 0 and text.isascii() and text.isalnum()
    except ValueError:
        is_id = False
    if not is_id:
        raise ValueError(f"a span has no valid {what}")
    return text.lower()


def checked_int(value: int) -> int:
    """``value`` as one of OTLP's whole numbers, which no text in JSON is too long for.

    Raises:
        ValueError: it has more than 64 bits.
    """
    if not -_BEYOND <= value < _BEYOND:
        raise ValueError("a whole number has more than 64 bits")
    return value


def checked_time(value: int, what: str) -> int:
    """``value`` as nanoseconds.

    Raises:
        ValueError: it lies beyond what can be stored.
    """
    if not 0 <= value < _BEYOND:
        raise ValueError(f"a span's {what} is out of range")
    return value


def number(value: float) -> float | str:
    """``value``, or its name where JSON has no number for it."""
    return value if isfinite(value) else repr(value)
