"""Ids of turns, traces and spans, from a generator that nobody else can seed."""

import os
import random
from binascii import b2a_base64
from collections.abc import Callable
from struct import Struct

# base64 has two characters more than base62: they fold onto letters, which costs
# a hundredth of a bit an id and saves a division a character.
_BASE62 = bytes.maketrans(b"+/", b"Zz")


POOL = 256
_SPAN_IDS = Struct(f">{POOL}Q")


class RandomIds:
    """Draws ids; safe to share between threads. Call `reseed` in a forked child.

    Ids are drawn in batches: a batch costs what a few single ones would.
    """

    __slots__ = ("_bits", "_span_ids", "_trace_ids", "_turn_ids")

    def __init__(self, seed: int | None = None) -> None:
        self._bits: Callable[[int], int] = random.Random(
            os.urandom(32) if seed is None else seed
        ).getrandbits
        self._turn_ids: list[str] = []
        self._trace_ids: list[int] = []
        self._span_ids: list[int] = []

    def reseed(self) -> None:
        """Start from fresh entropy, as a forked child must."""
        self.__init__()  # type: ignore[misc]  # nothing of the parent's may be left

    def turn_id(self) -> str:
        """`turn_` and 12 characters of base62."""
        try:
            return self._turn_ids.pop()
        except IndexError:
            self._turn_ids += self._more_turn_ids()
            return self.turn_id()

    def trace_id(self) -> int:
        """128 random bits, never zero."""
        try:
            return self._trace_ids.pop()
        except IndexError:
            self._trace_ids += self._more_trace_ids()
            return self.trace_id()

    def span_id(self) -> int:
        """64 random bits, never zero."""
        try:
            return self._span_ids.pop()
        except IndexError:
            self._span_ids += self._more_span_ids()
            return self.span_id()

    def _more_turn_ids(self) -> list[str]:
        drawn = self._bits(72 * POOL).to_bytes(9 * POOL, "big")
        text = b2a_base64(drawn, newline=False).translate(_BASE62).decode()
        return ["turn_" + text[at : at + 12] for at in range(0, 12 * POOL, 12)]

    def _more_trace_ids(self) -> list[int]:
        return [one for one in map(self._bits, (128,) * POOL) if one]

    def _more_span_ids(self) -> list[int]:
        drawn = self._bits(64 * POOL).to_bytes(8 * POOL, "big")
        return [one for one in _SPAN_IDS.unpack(drawn) if one]
