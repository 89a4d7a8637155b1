"""What a tool makes of turns of every kind, and of those it is sent again."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

from backends.shown import when_whole

from turnspan.exporters.otlp import OtlpExporter
from turnspan.ports import JournalledTurn, Outcome
from turnspan.schema import encode_turn
from turnspan.testing.turns import sample_turns

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
COUNT = 18


def test_turns_of_every_kind_arrive_and_arrive_once_if_they_are_sent_twice(tool):
    """Spans keep their ids, and a tool keeps one span of an id: as many turns and steps as sent."""
    there = {"session_id": "twice", "resource": tool.resource}
    sent = [turn.model_copy(update=there) for turn in sample_turns(COUNT, seed=3)]
    batch = [JournalledTurn(encode_turn(turn)) for turn in sent]
    exporter = OtlpExporter(f"otlp+{tool.server.url}", headers=tool.headers)
    outcomes = [exporter.export(batch, timeout_s=120) for _ in range(2)]
    exporter.close(timeout_s=5)

    steps = sum(len(turn.steps) for turn in sent)
    shown = when_whole(tool, "twice", steps=steps)

    assert outcomes == [Outcome(), Outcome()]
    assert (len(shown), sum(len(turn.steps) for turn in shown)) == (COUNT, steps)
    assert {turn.failed for turn in shown} == {False, True}


def test_what_taking_turns_costs_a_tool_is_measured(tool, monkeypatch):
    """`benchmarks/ingest.py` compares with it: the clock runs until the last turn is there."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    rivals = importlib.import_module("rivals")
    monkeypatch.setattr(rivals, "BATCH", 10)
    before = tool.count()
    turns = sample_turns(COUNT + 30, seed=3)[COUNT:]  # others, with other ids
    seconds = rivals.stored(tool, turns)

    assert 0 < seconds < 10
    assert tool.count() == before + 30
    assert rivals.installed()[tool.name] is not None
    for name in ("rivals", "posting"):
        sys.modules.pop(name)
