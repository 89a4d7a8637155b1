"""Forks that wait until another thread has finished an import.

A child inherits what was in the middle of things as it was: a module that a thread of ours
was importing stays half loaded there for good, and whoever needs it in the child fails.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

__all__ = ["held_off"]

LONGEST_S: Final = 2.0  # a fork that waited for us for ever would be worse

_importing = threading.RLock()  # the importing thread itself may fork
_forking = threading.local()


@contextmanager
def held_off() -> Iterator[None]:
    """While the block imports, forks of other threads wait, two seconds at the most."""
    with _importing:
        yield


def _before() -> None:
    _forking.waited = _importing.acquire(timeout=LONGEST_S)


def _after_in_parent() -> None:
    if _forking.waited:
        _importing.release()


def _after_in_child() -> None:
    global _importing  # noqa: PLW0603  # an importing thread of the parent may hold it for good
    _importing = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_before, after_in_parent=_after_in_parent, after_in_child=_after_in_child
    )
