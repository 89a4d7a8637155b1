"""The clock and the ids that are the same in every run."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from turnspan.testing import CountedIds, TickingClock
from turnspan.testing.turns import START_NS


def test_the_clock_moves_by_a_tick_a_measurement_and_when_told():
    """Looking at the time of day moves nothing."""
    clock = TickingClock()
    seen = [clock.now_ns(), clock.monotonic_ns(), clock.monotonic_ns(), clock.now_ns()]
    clock.advance(1.5)

    assert seen == [START_NS, 1_000_000, 2_000_000, START_NS + 2_000_000]
    assert clock.now_ns() == START_NS + 1_502_000_000


def test_turns_traces_and_spans_are_counted_apart():
    """Each begins at 1, for 0 is no id of a trace."""
    ids = CountedIds()
    drawn = [ids.turn_id(), ids.turn_id(), ids.trace_id(), ids.span_id(), ids.span_id()]

    assert drawn == ["turn_000000000001", "turn_000000000002", 1, 1, 2]


def test_threads_never_draw_the_same():
    """No id twice and no moment twice, whoever asks."""
    ids, clock = CountedIds(), TickingClock()
    with ThreadPoolExecutor(8) as pool:
        spans = list(pool.map(lambda _: ids.span_id(), range(4000)))
        moments = list(pool.map(lambda _: clock.monotonic_ns(), range(4000)))

    assert sorted(spans) == list(range(1, 4001))
    assert sorted(moments) == [1_000_000 * tick for tick in range(1, 4001)]
