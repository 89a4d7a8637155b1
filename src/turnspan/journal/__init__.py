"""The journal: turns on disk the moment they happen, until every exporter has them."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from turnspan.lazy import lazy_names

if TYPE_CHECKING:
    from turnspan.journal.directory import Directory
    from turnspan.journal.history import Held, History, Owed, OwnerState, SessionSummary
    from turnspan.journal.journal import Journal, JournalCounts
    from turnspan.journal.losses import Losses
    from turnspan.journal.purge import purge
    from turnspan.journal.ring import RingLog

__all__ = [
    "Directory",
    "Held",
    "History",
    "Journal",
    "JournalCounts",
    "Losses",
    "Owed",
    "OwnerState",
    "RingLog",
    "SessionSummary",
    "purge",
]

_HOMES = {
    "Directory": "turnspan.journal.directory",
    "Held": "turnspan.journal.history",
    "History": "turnspan.journal.history",
    "Journal": "turnspan.journal.journal",
    "JournalCounts": "turnspan.journal.journal",
    "Losses": "turnspan.journal.losses",
    "Owed": "turnspan.journal.history",
    "OwnerState": "turnspan.journal.history",
    "RingLog": "turnspan.journal.ring",
    "SessionSummary": "turnspan.journal.history",
    "purge": "turnspan.journal.purge",
}

__getattr__: Callable[[str], Any] = lazy_names(__name__, _HOMES)
