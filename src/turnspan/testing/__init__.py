"""What tests stand on: captured turns, made-up turns, rules that exporters keep.

With pytest installed the fixture `turns` is there, see `docs/testing.md`. The rules themselves
are in `turnspan.testing.exporter_rules`.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from turnspan.lazy import lazy_names

if TYPE_CHECKING:
    from turnspan.testing.calls import Call, InAnyOrder, call, in_any_order
    from turnspan.testing.captured import CapturedTurns
    from turnspan.testing.comparison import VOLATILE, assert_same_turn, comparable
    from turnspan.testing.expectation import assert_turn
    from turnspan.testing.exporter_rules import ExporterMaker
    from turnspan.testing.recording import recording
    from turnspan.testing.repeatable import CountedIds, TickingClock
    from turnspan.testing.turns import (
        make_feedback,
        make_step,
        make_turn,
        raw_feedback,
        raw_turn,
        sample_turns,
    )

__all__ = [
    "VOLATILE",
    "Call",
    "CapturedTurns",
    "CountedIds",
    "ExporterMaker",
    "InAnyOrder",
    "TickingClock",
    "assert_same_turn",
    "assert_turn",
    "call",
    "comparable",
    "in_any_order",
    "make_feedback",
    "make_step",
    "make_turn",
    "raw_feedback",
    "raw_turn",
    "recording",
    "sample_turns",
]

_HOMES = {
    "Call": "turnspan.testing.calls",
    "CapturedTurns": "turnspan.testing.captured",
    "CountedIds": "turnspan.testing.repeatable",
    "ExporterMaker": "turnspan.testing.exporter_rules",
    "InAnyOrder": "turnspan.testing.calls",
    "TickingClock": "turnspan.testing.repeatable",
    "VOLATILE": "turnspan.testing.comparison",
    "assert_same_turn": "turnspan.testing.comparison",
    "assert_turn": "turnspan.testing.expectation",
    "call": "turnspan.testing.calls",
    "comparable": "turnspan.testing.comparison",
    "in_any_order": "turnspan.testing.calls",
    "make_feedback": "turnspan.testing.turns",
    "make_step": "turnspan.testing.turns",
    "make_turn": "turnspan.testing.turns",
    "raw_feedback": "turnspan.testing.turns",
    "raw_turn": "turnspan.testing.turns",
    "recording": "turnspan.testing.recording",
    "sample_turns": "turnspan.testing.turns",
}

__getattr__: Callable[[str], Any] = lazy_names(__name__, _HOMES)
