"""Turns that end at the worst of moments: in a finaliser, in a signal handler, as clocks jump."""

import json
import signal

import pytest

REENTRY = """
    import contextvars, gc, signal, sys
    from producer import ask, question, say
    import turnspan

    turnspan.configure(exporters=sys.argv[2:], directory="turns", segment_bytes=65536)
    numbers = iter(range(10_000, 10_400))  # taken in one step: a handler may be interrupted too

    def end_another(*_):
        number = next(numbers, None)
        if number is not None:
            # In a context of its own, or it would be a step of the turn it interrupts.
            contextvars.Context().run(ask, question(number))

    class Finalised:
        def __init__(self):
            self.itself = self  # a cycle: the collector ends it, wherever it happens to run

        def __del__(self):
            end_another()

    if sys.argv[1] == "finaliser":
        gc.set_threshold(20)
    else:
        signal.signal(signal.SIGALRM, end_another)
        signal.setitimer(signal.ITIMER_REAL, 0.0005, 0.0005)
    for number in range(2000):
        if sys.argv[1] == "finaliser" and not number % 10:
            Finalised()
        ask(question(number))
    signal.setitimer(signal.ITIMER_REAL, 0)
    gc.set_threshold(700)
    gc.collect()
    ended = next(numbers, 10_400) - 10_000
    flushed = bool(turnspan.flush(60))
    say(ended=ended, flushed=flushed, dropped=dict(turnspan.health().dropped))
"""

IN_AN_APPEND = """
    import contextvars, signal, sys, threading
    from producer import ask, question, say
    import turnspan
    from turnspan.journal import log

    # The write of a record is where the interpreter looks for signals: one arrives there.
    write, waiting = log._write, [0]
    asked = []

    def write_and_be_interrupted(descriptor, line):
        written = write(descriptor, line)
        # Two that other threads raise at once would be one, and a turn nobody asks for.
        if waiting[0] and threading.current_thread() is threading.main_thread():
            waiting[0] -= 1
            signal.raise_signal(signal.SIGUSR1)
        return written

    def handler(*_):
        waiting[0], left = 0, waiting[0]
        asked.append(1000 + left)
        contextvars.Context().run(ask, question(1000 + left))
        waiting[0] = left

    turnspan.configure(exporters=sys.argv[1:], directory="turns", segment_bytes=8192)
    signal.signal(signal.SIGUSR1, handler)
    log._write = write_and_be_interrupted
    waiting[0] = 50
    for number in range(100):
        ask(question(number))
    assert len(asked) == 50, sorted(set(range(1000, 1050)) - set(asked))
    say(flushed=bool(turnspan.flush(60)), dropped=dict(turnspan.health().dropped))
"""

CLOCK = """
    import sys
    from producer import ask, question, say
    import turnspan
    from turnspan import runtime
    from turnspan.exporters.registry import build_all
    from turnspan.settings import Settings

    class Jumping:
        '''A wall clock that is set forth by ten years and back by ten, every few calls.'''

        calls = 0

        def now_ns(self):
            self.calls += 1
            years = (0, 10, -10, 0.001, -30)[self.calls // 3 % 5]
            return int(1.8e18 + self.calls * 1e6 + years * 31_536_000e9)

        def monotonic_ns(self):
            return self.calls * 1_000_000

    settings = Settings.read({}, {"directory": "turns", "segment_bytes": 65536})
    chosen = runtime.Runtime(settings, build_all(sys.argv[2:], settings=settings), clock=Jumping())
    runtime._install(chosen)
    for number in range(200):
        ask(question(number))
        if not number % 20:
            chosen.journal.maintain()
    health = turnspan.health()
    say(recorded=health.recorded, dropped=dict(health.dropped))
    if sys.argv[1] == "flush":
        say(flushed=bool(turnspan.flush(60)), age=turnspan.health().oldest_unsent_age_s)
    else:
        import os
        os.kill(os.getpid(), 9)
"""


def said(out):
    return [{k: v for k, v in json.loads(line).items() if k != "at_s"} for line in out.splitlines()]


@pytest.mark.parametrize("how", ["finaliser", "signal"])
def test_turns_that_end_anywhere_in_anothers_recording_arrive(ended, both, how):
    """The collector and a timer strike where they like, rotations included."""
    status, out, err = ended(REENTRY, how, *both.to)
    assert err == ""
    assert status == 0
    [told] = said(out)
    others = list(range(10_000, 10_000 + told["ended"]))

    assert told["ended"] > 20
    assert (told["flushed"], told["dropped"]) == (True, {})
    assert both.whole == [[*range(2000), *others]] * 2
    assert both.duplicates == [0, 0]


@pytest.mark.skipif(not hasattr(signal, "raise_signal"), reason="no signals here")
def test_a_turn_that_ends_inside_the_write_of_another_arrives(ended, both):
    """Fifty times, each in the middle of an append."""
    status, out, err = ended(IN_AN_APPEND, *both.to)

    assert (status, err) == (0, "")
    assert said(out) == [{"flushed": True, "dropped": {}}]
    assert both.whole == [[*range(100), *range(1000, 1050)]] * 2
    assert both.duplicates == [0, 0]


@pytest.mark.parametrize("end", ["flush", "kill"])
def test_a_clock_that_is_set_back_and_forth_costs_nothing(ended, both, start_again, end):
    """Ten years at a time, with upkeep in between: nothing is deleted, forgotten or repeated."""
    both.be("down" if end == "kill" else "ok")
    status, out, _ = ended(CLOCK, end, *both.to)
    both.be("ok")
    start_again(both.to)

    assert status == (0 if end == "flush" else -9)
    assert said(out)[0] == {"recorded": 200, "dropped": {}}
    assert both.whole == [list(range(200))] * 2
    assert both.duplicates == [0, 0]
