"""The messages a framework shows for one turn, each read once."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from hashlib import blake2b
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import orjson

if TYPE_CHECKING:
    from turnspan.capture.drafts import TurnDraft

__all__ = ["Transcript", "transcript_of"]

Form = dict[str, Any]

SHORT_BYTES = 1024  # what is no longer is its own key
HELD_PER_FORM = 2  # the message as the model gave it, and as the framework's state keeps it


class Transcript:
    """Which message of a framework has which form; equal messages share one.

    Frameworks copy messages on their way: a tuple becomes a message anew at each call, a
    stream's chunks become another object than the model returned. So a message is known by
    its object first and by what it says after that. Hold ``lock`` while using it: several
    threads may work on one turn.
    """

    __slots__ = (
        "_by_object",
        "_by_text",
        "_held",
        "_last",
        "_last_forms",
        "_last_ids",
        "lock",
    )

    def __init__(self) -> None:
        self.lock: AbstractContextManager[bool] = threading.RLock()
        self._by_object: dict[int, tuple[object, Form]] = {}
        self._by_text: dict[bytes, Form] = {}
        self._held: dict[int, int] = {}
        self._last: list[Any] = []  # alive, so that their identities are theirs
        self._last_ids: list[int] = []
        self._last_forms: list[Form] = []

    def forms(self, messages: Sequence[Any], read: Callable[[Any], Form]) -> list[Form]:
        """The form of each message; ``read`` makes those that were not seen before."""
        ids, known = list(map(id, messages)), len(self._last_ids)
        if known and ids[:known] == self._last_ids:  # the usual case: the history grew at its end
            forms = self._last_forms + [self.form(each, read) for each in messages[known:]]
        else:
            forms = [self.form(each, read) for each in messages]
        self._last, self._last_ids, self._last_forms = list(messages), ids, forms
        return forms

    def answered(self, message: object, form: Form) -> None:
        """Know ``message``, whose form is ``form``, when it comes back in the history."""
        if (key := _key(form)) is not None:
            self._by_text[key] = form
        if message is not None:
            self._hold(message, form)

    def form(self, message: Any, read: Callable[[Any], Form]) -> Form:
        """The form of one message."""
        known = self._by_object.get(id(message))
        if known is not None:
            return known[1]
        form = read(message)
        if (key := _key(form)) is not None:
            form = self._by_text.setdefault(key, form)
        self._hold(message, form)
        return form

    def _hold(self, message: object, form: Form) -> None:
        """Keep the object alive, so that nothing else gets its identity."""
        held = self._held.get(id(form), 0)
        if held < HELD_PER_FORM:
            self._held[id(form)] = held + 1
            self._by_object[id(message)] = (message, form)


# One operation of a dict at a time: there is no lock here that a fork could leave shut.
_transcripts: WeakKeyDictionary[TurnDraft, Transcript] = WeakKeyDictionary()


def transcript_of(turn: TurnDraft) -> Transcript:
    """The transcript of ``turn``, whichever plugin or handler asks."""
    return _transcripts.get(turn) or _transcripts.setdefault(turn, Transcript())


def _key(form: Form) -> bytes | None:
    """What makes two messages the same; None for what can only be known by its object."""
    try:
        told = orjson.dumps(form)
        return told if len(told) < SHORT_BYTES else blake2b(told, digest_size=16).digest()
    except (TypeError, RecursionError):
        return None
