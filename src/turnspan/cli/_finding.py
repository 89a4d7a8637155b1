"""What `doctor` finds."""

from dataclasses import dataclass
from typing import Final

__all__ = ["BROKEN", "OK", "WARNING", "Finding"]

OK: Final = "ok"
WARNING: Final = "warning"
BROKEN: Final = "broken"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at: `ok`, `warning` or `broken`, and how to mend it."""

    check: str
    state: str
    said: str
    fix: str | None = None
