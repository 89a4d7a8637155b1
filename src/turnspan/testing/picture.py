"""A turn as a tree in plain text, for messages of tests."""

from __future__ import annotations

from typing import Final

from rich.console import Console

from turnspan.exporters.tree import turn_tree
from turnspan.schema import Turn

__all__ = ["picture"]

_WIDTH: Final = 88  # beside pytest's own margin


def picture(turn: Turn) -> str:
    """``turn`` and its steps as a person can read them, without colour."""
    console = Console(width=_WIDTH, color_system=None, force_terminal=False, legacy_windows=False)
    with console.capture() as captured:
        console.print(turn_tree(turn))
    return captured.get().rstrip("\n")
