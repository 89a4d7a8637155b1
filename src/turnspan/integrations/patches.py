"""Patches that know the way back."""

from __future__ import annotations

import functools
import inspect
import threading
from collections.abc import Callable
from typing import Any

from turnspan.errors import IntegrationError
from turnspan.notices import say

__all__ = ["Patches"]

Around = Callable[..., Any]


class Patches:
    """What was replaced in other people's classes, and how it is put back. Thread-safe.

    What somebody else has patched after us is left alone by `undo`, and said: ours stays
    below theirs and does nothing any more.
    """

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._undo: list[Callable[[], None]] = []

    @property
    def are_on(self) -> bool:
        """Whether anything is patched."""
        return bool(self._undo)

    def wrap(self, owner: type, name: str, around: Around) -> None:
        """Have ``around(original, *args, **kwargs)`` answer calls of the method ``name``.

        Raises:
            IntegrationError: ``owner`` has no such method.
        """
        original = getattr(owner, name, None)
        if not callable(original):
            raise IntegrationError(
                f"{owner.__qualname__}.{name} is {original!r}, not a method",
                fix="use a version of it that turnspan was tested with",
            )
        inherited = name not in vars(owner)
        stored = inspect.getattr_static(owner, name)  # a class method is no function there
        is_on = True

        @functools.wraps(original)
        def replacement(*args: Any, **kwargs: Any) -> Any:
            answer = original
            if isinstance(stored, classmethod):
                answer, args = stored.__get__(None, args[0]), args[1:]
            return around(answer, *args, **kwargs) if is_on else answer(*args, **kwargs)

        placed: Any = replacement
        if isinstance(stored, classmethod | staticmethod):
            placed = type(stored)(replacement)

        def undo() -> None:
            nonlocal is_on
            is_on = False
            if vars(owner).get(name) is not placed:
                where = f"{owner.__module__}.{owner.__qualname__}.{name}"
                say(f"patch {where}", "%s was patched again after turnspan: left alone", where)
            elif inherited:
                delattr(owner, name)
            else:
                setattr(owner, name, stored)

        with self._lock:
            setattr(owner, name, placed)
            self._undo.append(undo)

    def undo(self) -> None:
        """Put everything back, the last first. Again, it does nothing."""
        with self._lock:
            while self._undo:
                self._undo.pop()()
