"""The cells of `benchmarks/delivery.py` in short: every turn arrives, and none of them twice."""

import importlib
from dataclasses import replace
from pathlib import Path

import pytest

PROGRAMS = Path(__file__).parents[2] / "benchmarks"
NAMES = (
    "burst/exit", "burst/flush", "burst/kill", "paced/exit", "paced/kill", "burst/down5s",
    "paced/down5s", "paced/down30s", "burst/429", "paced/429", "burst/503", "paced/503",
    "down/exit",
)  # fmt: skip


@pytest.fixture
def delivery(monkeypatch):
    """The benchmark; here an exit may wait longer, for there may be other work beside it."""
    monkeypatch.syspath_prepend(str(PROGRAMS))
    delivery = importlib.import_module("delivery")
    monkeypatch.setattr(delivery, "FOREIGN", ("OTEL_", "PYTHON"))
    monkeypatch.setenv("TURNSPAN_EXIT_S", "30")
    return delivery


def short(delivery, name):
    """The cell ``name`` with a tenth of the turns, and faults that are soon over."""
    [cell] = [cell for cell in delivery.CELLS if cell.name == name]
    fault = cell.fault
    for long, brief in (("for_s=30", "for_s=2"), ("for_s=5", "for_s=1"), ("for_s=3", "for_s=1")):
        fault = fault.replace(long, brief)
    linger_s = min(cell.linger_s, 2.5)
    return replace(cell, turns=cell.turns // 10, rate=cell.rate, fault=fault, linger_s=linger_s)


def test_every_cell_has_its_short_form(delivery):
    """None is forgotten."""
    assert tuple(cell.name for cell in delivery.CELLS) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_every_turn_arrives_and_none_twice(delivery, at_once, name):
    """With either exporter; where the program was killed, its next start delivers the rest."""
    cell = short(delivery, name)
    arrivals = at_once(lambda exporter: delivery.deliver(cell, exporter), delivery.EXPORTERS)

    assert [(each.exporter, each.whole, each.duplicates) for each in arrivals] == [
        ("http", cell.turns, 0),
        ("otlp", cell.turns, 0),
    ]
