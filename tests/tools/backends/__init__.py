"""The tools that turns are looked at in, each in a module: how to start it, and what it shows.

A tool is here when it has a module, and installed when `make test-tools` made its environment.
"""

from __future__ import annotations

import importlib
import pkgutil
from pathlib import Path
from typing import Any

__all__ = ["ENVIRONMENTS", "backends", "python_of"]

ENVIRONMENTS = Path(__file__).parents[3] / ".tools"
_PARTS = {"server", "shown"}


def backends() -> dict[str, type[Any]]:
    """Every tool's class, by its name."""
    names = sorted({found.name for found in pkgutil.iter_modules(__path__)} - _PARTS)
    return {name: importlib.import_module(f"{__name__}.{name}").Backend for name in names}


def python_of(name: str) -> Path | None:
    """The Python of the tool's environment; None where it has none."""
    directory = ENVIRONMENTS / name
    return directory / "bin" / "python" if (directory / ".installed").exists() else None
