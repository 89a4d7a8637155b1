"""What `install` of an integration answers: the way back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Self

__all__ = ["Installed"]


class Installed:
    """`undo` takes back what was installed, once; so does leaving a `with` block.

    Without ``uninstall`` somebody else had installed it before, whose it stays.
    """

    __slots__ = ("_uninstall",)

    def __init__(self, uninstall: Callable[[], None] | None) -> None:
        self._uninstall = uninstall

    def undo(self) -> None:
        """Uninstall, unless it had been installed before. Again, it does nothing."""
        uninstall, self._uninstall = self._uninstall, None
        if uninstall is not None:
            uninstall()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *raised: object) -> None:
        self.undo()
