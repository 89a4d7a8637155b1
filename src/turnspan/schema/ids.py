"""Ids of turns, traces and spans, from a generator that nobody else can seed."""

import os
import random
from binascii import b2a_base64
from collections.abc import Callable

# base64 has two characters more than base62: they fold onto letters, which costs
# a hundredth of a bit an id and saves a division a character.
_BASE62 = bytes.maketrans(b"+/", b"Zz")


class RandomIds:
    """Draws ids; safe to share between threads. Call `reseed` in a forked child."""

    __slots__ = ("_bits",)

    _bits: Callable[[int], int]

    def __init__(self, seed: int | None = None) -> None:
        self._bits = random.Random(os.urandom(32) if seed is None else seed).getrandbits

    def reseed(self) -> None:
        """Start from fresh entropy, as a forked child must."""
        self._bits = random.Random(os.urandom(32)).getrandbits

    def turn_id(self) -> str:
        """`turn_` and 12 characters of base62."""
        drawn = self._bits(72).to_bytes(9, "big")
        return "turn_" + b2a_base64(drawn, newline=False).translate(_BASE62).decode()

    def trace_id(self) -> int:
        """128 random bits, never zero."""
        return self._bits(128) or self.trace_id()

    def span_id(self) -> int:
        """64 random bits, never zero."""
        return self._bits(64) or self.span_id()
