"""The end of a process: quick, whatever the destination does, and nothing is lost by it."""

import json
import time

import pytest

EXIT_S = 2.0
GRACE_S = 10.0  # with patience for a busy machine; benchmarks/delivery.py holds it to 0.5

PATIENTLY_S = "60"  # for exits that only a busy machine makes long

# The clock is the machine's: the test goes on measuring where the program stops.
PROGRAM = """
    import logging, sys, time
    import turnspan

    @turnspan.agent
    def ask(question):
        return question

    turnspan.configure(exporters=[sys.argv[1]], directory="journal")
    for number in range(int(sys.argv[2])):
        ask(str(number))
    print(time.monotonic())
"""


@pytest.mark.parametrize("mode", ["down", "silent"])
def test_an_exit_is_quick_and_loses_nothing(run, turns_api, mode):
    """A refusing and a silent destination: the exit says so, the next process delivers."""
    turns_api.be(mode)
    done = run(PROGRAM, turns_api.url, "50", TURNSPAN_TIMEOUT_S="60")
    took_s = time.monotonic() - float(done.stdout)
    turns_api.be("ok")
    later = run(PROGRAM, turns_api.url, "1", TURNSPAN_EXIT_S=PATIENTLY_S)

    assert took_s < EXIT_S + GRACE_S
    assert done.stderr.count("turns are left unsent: 50 for") == 1
    assert later.stderr == ""
    assert len(turns_api.ids) == 51
    assert turns_api.state.duplicates == 0


def test_an_exit_waits_for_a_destination_that_answers(run, turns_api):
    """Turns that were recorded a moment ago are delivered before the process is gone."""
    turns_api.be("slow", delay_s=0.3)
    done = run(PROGRAM, turns_api.url, "50", TURNSPAN_EXIT_S=PATIENTLY_S)

    assert done.stderr == ""
    assert len(turns_api.ids) == 50


def test_an_unhandled_exception_ends_in_a_delivered_turn(start, turns_api):
    """The traceback is the program's own, and so is the exit status."""
    program = """
    import sys
    import turnspan

    @turnspan.agent
    def ask(question):
        raise ValueError(question)

    turnspan.configure(exporters=[sys.argv[1]], directory="journal")
    ask("why?")
    """
    process = start(program, turns_api.url, TURNSPAN_EXIT_S=PATIENTLY_S)
    _, err = process.communicate(timeout=240)
    [line] = turns_api.state.stored.values()

    assert process.returncode == 1
    assert err.endswith("ValueError: why?\n")
    assert b'"status":"error"' in line


def test_a_turn_recorded_while_exiting_is_delivered_next_time(run, turns_api):
    """Exit handlers that were there before turnspan run after it has closed."""
    program = """
    import atexit, sys

    def say_goodbye():
        with turnspan.turn(agent="a", input="goodbye"):
            pass

    atexit.register(say_goodbye)
    import turnspan

    turnspan.configure(exporters=[sys.argv[1]], directory="journal")
    with turnspan.turn(agent="a", input="hello"):
        pass
    """
    run(program, turns_api.url, TURNSPAN_EXIT_S=PATIENTLY_S)
    run(PROGRAM, turns_api.url, "1", TURNSPAN_EXIT_S=PATIENTLY_S)
    inputs = [json.loads(line)["input"]["content"] for line in turns_api.state.stored.values()]

    assert sorted(inputs) == ["0", "goodbye", "hello"]
