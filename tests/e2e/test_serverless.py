"""Functions as a service: a process that is frozen after each call, and thawed or killed."""

import json
import os
import signal
import time

import pytest

HANDLER = """
    import json, sys, tempfile
    import turnspan

    @turnspan.agent(name="answer")
    def answer(question):
        return question.upper()

    turnspan.configure(exporters=[sys.argv[1]], directory=tempfile.gettempdir() + "/turnspan")

    def handler(event):
        try:
            with turnspan.session(event["session"]):
                return answer(event["question"])
        finally:
            turnspan.flush(timeout_s=float(sys.argv[2]))

    for line in sys.stdin:
        print(handler(json.loads(line)), flush=True)
"""


@pytest.fixture
def invoke():
    """Calls the handler in a process, and freezes that the moment its answer is there."""

    def invoke(process, number):
        os.kill(process.pid, signal.SIGCONT)
        event = {"session": "s", "question": f"question {number}"}
        process.stdin.write(json.dumps(event) + "\n")
        process.stdin.flush()
        answer = process.stdout.readline()
        os.kill(process.pid, signal.SIGSTOP)
        return answer

    return invoke


@pytest.fixture
def instance(start, tmp_path, turns_api):
    """Starts a process that waits for events on its standard input."""

    def instance(patience_s=30.0):
        return start(HANDLER, turns_api.url, str(patience_s), told=True, TMPDIR=str(tmp_path))

    return instance


def numbered(server):
    """Number and input of what arrived, in that order."""
    turns = [json.loads(line) for line in server.state.stored.values()]
    return [(turn["number"], turn["input"]["content"]) for turn in turns]


def test_what_a_handler_flushed_is_there_though_the_process_is_frozen(instance, invoke, turns_api):
    """Each call's turn has arrived before the process is frozen; thawed, it goes on."""
    process = instance()
    arrived = []
    for number in range(1, 4):
        assert invoke(process, number) == f"QUESTION {number}\n"
        arrived.append(numbered(turns_api))
        time.sleep(0.2)

    assert arrived == [[(n, f"question {n}") for n in range(1, last + 1)] for last in range(1, 4)]
    assert turns_api.state.duplicates == 0


def test_a_frozen_process_may_be_killed(instance, invoke, turns_api):
    """Nothing that was flushed is missing; the next instance on the same disk goes on counting."""
    first = instance()
    invoke(first, 1)
    first.kill()
    first.wait(60)
    second = instance()
    invoke(second, 2)

    assert numbered(turns_api) == [(1, "question 1"), (2, "question 2")]
    assert turns_api.state.duplicates == 0


def test_a_connection_that_died_in_the_ice_costs_no_turn(instance, invoke, turns_api):
    """The destination has hung up meanwhile: the flush connects anew, within its time."""
    process = instance()
    invoke(process, 1)
    turns_api.be("down")
    turns_api.be("ok")
    invoke(process, 2)

    assert numbered(turns_api) == [(1, "question 1"), (2, "question 2")]


def test_what_a_flush_could_not_deliver_waits_for_the_next_call(instance, invoke, turns_api):
    """A destination that is down holds a handler up for its timeout only, and loses nothing."""
    process = instance(patience_s=5.0)
    invoke(process, 1)
    turns_api.be("status", status=503)
    invoke(process, 2)
    turns_api.be("ok")
    invoke(process, 3)

    assert numbered(turns_api) == [(n, f"question {n}") for n in range(1, 4)]
