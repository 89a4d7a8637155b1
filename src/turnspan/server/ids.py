"""Ids the server gives: sortable ones for requests, random ones for what it makes."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from turnspan.ports import Clock

__all__ = ["BASE62", "ServerIds", "bits_of"]

BASE62: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_CROCKFORD: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


class ServerIds:
    """Draws ids from the system's entropy. Thread-safe.

    Source: https://github.com/ulid/spec (48 bits of milliseconds, 80 random ones).
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def ulid(self) -> str:
        """26 characters that sort by time: the id of a request."""
        bits = (self._clock.now_ns() // 1_000_000) << 80 | secrets.randbits(80)
        return "".join(_CROCKFORD[bits >> shift & 31] for shift in range(125, -1, -5))

    def id(self, prefix: str) -> str:
        """``prefix``, an underscore and 12 characters of base62, such as `sess_…`."""
        return f"{prefix}_{self.secret(12)}"

    def secret(self, chars: int) -> str:
        """``chars`` characters of base62."""
        return "".join(secrets.choice(BASE62) for _ in range(chars))


def bits_of(ulid: str) -> int:
    """The 128 bits of a ULID."""
    bits = 0
    for character in ulid:
        bits = bits << 5 | _CROCKFORD.index(character)
    return bits
