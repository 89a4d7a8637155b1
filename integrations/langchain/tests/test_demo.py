"""The conversation that `turnspan demo` shows."""

from __future__ import annotations

from importlib.metadata import entry_points

import pytest

import turnspan
from turnspan.exporters.memory import MemoryExporter


@pytest.fixture
def configured():
    memory = MemoryExporter()
    turnspan.configure(exporters=[memory], directory=None, spans="own")
    yield memory
    turnspan.close(timeout_s=1.0)


def test_the_demo_is_a_session_of_three_turns_one_of_which_fails(configured, lc):
    """It needs no network and no key, and its tools really compute."""
    (point,) = [each for each in entry_points(group="turnspan.demos") if each.name == "langchain"]
    point.load()()

    model = ("model", "scripted-1", "ok")
    convert = ("tool", "convert", "ok")
    assert [lc.brief(turn) for turn in configured.turns] == [
        (
            "ok",
            "How much flour goes into a pound cake, in grams?",
            "A pound cake takes 454 g of flour.",
            [model, ("tool", "look_up", "ok"), model, convert, model],
        ),
        (
            "ok",
            "And how hot should the oven be, in Celsius?",
            "Bake it at 163 degrees Celsius.",
            [model, convert, model],
        ),
        (
            "error",
            "How many cups of patience does it take?",
            None,
            [model, ("tool", "convert", "error")],
        ),
    ]
    assert [(t.session_id, t.number, t.user_id) for t in configured.turns] == [
        ("demo", n, "you") for n in (1, 2, 3)
    ]
    assert all(turn.usage.input_tokens > 0 for turn in configured.turns)
