"""The exporter that keeps turns in memory."""

import threading

import pytest

from turnspan.errors import WireError
from turnspan.exporters.memory import MemoryExporter
from turnspan.ports import JournalledTurn, Observer, Outcome
from turnspan.testing import make_turn, raw_turn


def test_a_turn_is_there_as_soon_as_it_was_observed():
    """Observing is all it takes; nothing is flushed or awaited."""
    memory = MemoryExporter()
    turn = raw_turn(1)

    memory.observe(turn)

    assert isinstance(memory, Observer)
    assert memory.turns == [make_turn(1)]
    assert memory.raw == [turn.raw]


def test_turns_are_decoded_once_and_listed_anew():
    """The list belongs to who asked; the turns in it are the same objects."""
    memory = MemoryExporter()
    memory.observe(raw_turn(1))
    first, second = memory.turns, memory.turns

    first.clear()

    assert second == [make_turn(1)]
    assert memory.turns[0] is second[0]


def test_a_turn_seen_twice_is_kept_once_in_its_first_place():
    """Observed or exported, an id stands for one turn, and the first version stays."""
    memory = MemoryExporter()
    memory.observe(raw_turn(1))
    memory.observe(raw_turn(2))
    memory.observe(raw_turn(1, tags=("later",)))
    memory.export([raw_turn(2), raw_turn(3)], timeout_s=1.0)

    assert memory.turns == [make_turn(1), make_turn(2), make_turn(3)]


def test_a_final_version_takes_the_place_of_an_interrupted_turn():
    """The one exception to first come, first kept; and never the other way round."""
    memory = MemoryExporter()
    memory.observe(raw_turn(1, status="interrupted"))
    memory.observe(raw_turn(2))

    memory.observe(raw_turn(1))
    memory.observe(raw_turn(2, status="interrupted"))

    assert memory.turns == [make_turn(1), make_turn(2)]


def test_clear_forgets_every_turn():
    """After `clear` a turn seen before is new again."""
    memory = MemoryExporter()
    memory.observe(raw_turn(1))

    memory.clear()
    emptied = memory.turns
    memory.observe(raw_turn(1))

    assert (emptied, memory.turns) == ([], [make_turn(1)])


def test_close_ends_export_but_not_observe():
    """One exporter can serve several calls of configure() in turn."""
    memory = MemoryExporter()
    memory.close(timeout_s=0.0)

    outcome = memory.export([raw_turn(1)], timeout_s=1.0)
    memory.observe(raw_turn(2))

    assert outcome == Outcome.all_unsent(1, "memory is closed")
    assert memory.turns == [make_turn(2)]


def test_a_line_that_is_no_turn_is_refused():
    """What could not be read later is not taken."""
    memory = MemoryExporter()
    torn = JournalledTurn(raw_turn(1).raw[:60] + b"\n")

    outcome = memory.export([torn, raw_turn(2)], timeout_s=1.0)

    assert list(outcome.refused) == [0]
    assert memory.turns == [make_turn(2)]


def test_an_observed_line_that_is_no_turn_is_said_when_turns_are_read():
    """The caller's thread is not where a line is decoded."""
    memory = MemoryExporter()

    memory.observe(JournalledTurn(b"nonsense\n"))

    with pytest.raises(WireError):
        _ = memory.turns


def test_threads_lose_nothing():
    """Eight threads observe, one reads and clears nothing: every turn is there once."""
    memory = MemoryExporter()
    turns = [raw_turn(index) for index in range(1, 401)]

    def observe(start):
        for turn in turns[start::8] + turns[:20]:
            memory.observe(turn)
            memory.raw  # noqa: B018  # reads while others write

    threads = [threading.Thread(target=observe, args=(start,)) for start in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(memory.raw) == sorted(turn.raw for turn in turns)
