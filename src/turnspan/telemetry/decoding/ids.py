"""Ids for what came without one: the same for the same spans, whenever and wherever read."""

from __future__ import annotations

from hashlib import blake2b
from typing import Final

__all__ = ["derived"]

_BASE62: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_CHARS: Final = 12


def derived(kind: str, key: str) -> str:
    """``kind``, an underscore and 12 characters of base62 that follow from ``key``."""
    number, text = int.from_bytes(blake2b(key.encode(), digest_size=12).digest(), "big"), ""
    for _ in range(_CHARS):
        number, digit = divmod(number, len(_BASE62))
        text += _BASE62[digit]
    return f"{kind}_{text}"
