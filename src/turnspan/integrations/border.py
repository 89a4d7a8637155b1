"""The border between a framework and us: what fails on our side stays there."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import ParamSpec

from turnspan.capture.active import active
from turnspan.notices import say

__all__ = ["contained"]

P = ParamSpec("P")


def contained(callback: Callable[P, None]) -> Callable[P, None]:
    """``callback``, which never raises: a failure of ours is counted and said.

    `KeyboardInterrupt` and its like pass through, for they are the program's.
    """

    @functools.wraps(callback)
    def call(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            callback(*args, **kwargs)
        except Exception as exc:  # noqa: BLE001  # this is the border
            name = callback.__qualname__
            if active.recorder is not None:
                active.recorder.failures += 1
            say(
                f"integration: {name}",
                "turnspan: %s could not be recorded; your program is not affected",
                name,
                error=exc,
            )

    return call
