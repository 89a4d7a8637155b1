"""What tests stand on: turns to send, and the rules that an exporter keeps.

The rules themselves are in `turnspan.testing.exporter_rules`.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from turnspan.lazy import lazy_names

if TYPE_CHECKING:
    from turnspan.testing.exporter_rules import ExporterMaker
    from turnspan.testing.turns import make_step, make_turn, raw_turn, sample_turns

__all__ = ["ExporterMaker", "make_step", "make_turn", "raw_turn", "sample_turns"]

_HOMES = {
    "ExporterMaker": "turnspan.testing.exporter_rules",
    "make_step": "turnspan.testing.turns",
    "make_turn": "turnspan.testing.turns",
    "raw_turn": "turnspan.testing.turns",
    "sample_turns": "turnspan.testing.turns",
}

__getattr__: Callable[[str], Any] = lazy_names(__name__, _HOMES)
