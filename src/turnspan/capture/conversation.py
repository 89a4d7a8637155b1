"""The messages of one turn, each kept once."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any, Final

import orjson

from turnspan.capture.parts import Fields, message_of
from turnspan.capture.values import Limits

__all__ = ["MAX_MESSAGES", "Conversation", "Ranges"]

Ranges = list[tuple[int, int]]

MAX_MESSAGES: Final = 10_000  # of one turn: each takes the caller some microseconds


class Conversation:
    """Messages in the order they were first seen, known by the identity of their objects.

    A message that is changed after it was seen keeps its first form. The objects are held
    until the turn ends, so that no identity is used twice. Thread-safe: steps of one turn may
    run in several threads.
    """

    __slots__ = (
        "_answers",
        "_held",
        "_instructions",
        "_last_ids",
        "_last_ranges",
        "_limits",
        "_lock",
        "_places",
        "is_full",
        "messages",
    )

    def __init__(self, limits: Limits) -> None:
        self.messages: list[Fields] = []
        self.is_full: bool = False
        self._limits = limits
        self._lock = threading.RLock()  # a finaliser may come by in the thread that holds it
        self._places: dict[int, int] = {}
        self._held: list[object] = []
        self._answers: dict[bytes, int] = {}
        self._instructions: dict[bytes, int] = {}
        self._last_ids: list[int] = []
        self._last_ranges: Ranges = []

    def given(self, messages: Sequence[object]) -> Ranges:
        """Where ``messages`` stand, as half-open ranges; new ones are added."""
        ids = list(map(id, messages))
        with self._lock:
            known = len(self._last_ids)
            if known and ids[:known] == self._last_ids:
                ranges = list(self._last_ranges)  # the usual case: the history grew at its end
            else:
                ranges, known = [], 0
            for message in messages[known:]:
                if len(self.messages) >= MAX_MESSAGES and id(message) not in self._places:
                    self.is_full = True
                else:
                    _extend(ranges, self._place(message))
            self._last_ids, self._last_ranges = ids, list(ranges)
        return ranges

    def instructed(self, message: Fields) -> Ranges:
        """Where the instructions ``message`` stand, known by what they say; added if new."""
        read = message_of(message, self._limits)
        with self._lock:
            key = _key(read)
            place = None if key is None else self._instructions.get(key)
            if place is None:
                place = self._add(read)
                if key is not None:
                    self._instructions[key] = place
        return [(place, place + 1)]

    def produced(self, message: Fields, *origin: object) -> Ranges:
        """Add an answer; ``origin`` are the objects it may come back as in the history."""
        with self._lock:
            place = self._add(message)
            if (key := _key(message)) is not None:
                self._answers[key] = place
            for item in origin:
                if item is not None:
                    self._hold(item, place)
        return [(place, place + 1)]

    def _place(self, message: object) -> int:
        place = self._places.get(id(message))
        if place is None:
            read = message_of(message, self._limits)
            place = self._answered(read)
            if place is None:
                place = self._add(read)
            self._hold(message, place)
        return place

    def _answered(self, message: Fields) -> int | None:
        """Where an earlier answer stands that says the same."""
        if message["role"] != "assistant" or (key := _key(message)) is None:
            return None
        return self._answers.get(key)

    def _add(self, message: Fields) -> int:
        self.messages.append(message)
        return len(self.messages) - 1

    def _hold(self, message: object, place: int) -> None:
        self._places[id(message)] = place
        self._held.append(message)


def _extend(ranges: Ranges, place: int) -> None:
    if ranges and ranges[-1][1] == place + 1:
        return  # an answer that comes back as several items is still one message
    if ranges and ranges[-1][1] == place:
        ranges[-1] = (ranges[-1][0], place + 1)
    else:
        ranges.append((place, place + 1))


def _key(message: Fields) -> bytes | None:
    """What makes an answer the same answer when it comes back as a dictionary."""
    parts: list[Any] = [part for part in message["parts"] if part["type"] != "reasoning"]
    try:
        return orjson.dumps(parts)
    except TypeError:  # a lone surrogate: then it is known by identity only
        return None
