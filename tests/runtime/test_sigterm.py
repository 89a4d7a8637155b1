"""SIGTERM on request: turns are delivered first, then the signal takes its usual course."""

import json
import signal
import time

import pytest

import turnspan

PROGRAM = """
    import asyncio, os, signal, sys, time
    import turnspan

    @turnspan.agent
    def ask(question):
        return question

    def configure(**settings):
        turnspan.configure(
            exporters=[sys.argv[1]], directory="journal", batch_delay_s=60.0, **settings
        )

    def record():
        for number in range(50):
            ask(str(number))
        os.write(1, b"ready\\n")  # in one call: a handler may print, and comes at any moment
"""
WAIT = """
    configure(on_sigterm=True)
    record()
    while True:
        time.sleep(0.05)  # a signal that comes just before a long sleep is seen after it
"""
PATIENT = {"TURNSPAN_EXIT_S": "60"}  # where the destination answers, late on a busy machine
GRACE_S = 10.0  # for what has a time of its own, on such a machine


def ended(process, *, again_when=None):
    """The exit status and what was said, after a SIGTERM or a second one, and how long it took."""
    assert process.stdout.readline() == "ready\n"
    began_s = time.monotonic()
    process.send_signal(signal.SIGTERM)
    if again_when is not None:
        while not again_when():
            time.sleep(0.01)
        process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=240)
    return process.returncode, out, err, time.monotonic() - began_s


def test_sigterm_delivers_and_then_ends_the_process(start, turns_api):
    """Whoever sent the signal sees that it killed, and every turn has arrived."""
    status, _, err, _ = ended(start(PROGRAM + WAIT, turns_api.url, **PATIENT))

    assert (status, err) == (-signal.SIGTERM, "")
    assert len(turns_api.ids) == 50


def test_by_default_sigterm_is_left_alone(start, turns_api):
    """Nothing is flushed and no handler is ours: the turns wait in the journal."""
    waiting = WAIT.replace("on_sigterm=True", "")
    status, _, err, _ = ended(start(PROGRAM + waiting, turns_api.url))

    assert (status, err) == (-signal.SIGTERM, "")
    assert turns_api.ids == []


def test_the_environment_can_ask_for_it(start, turns_api):
    """A deployment may set it without a change of the program."""
    waiting = WAIT.replace("on_sigterm=True", "")
    process = start(PROGRAM + waiting, turns_api.url, TURNSPAN_ON_SIGTERM="true", **PATIENT)

    assert ended(process)[0] == -signal.SIGTERM
    assert len(turns_api.ids) == 50


def test_a_silent_destination_holds_the_end_back_for_exit_s_only(start, turns_api):
    """Then the process ends; what was not acknowledged is in the journal."""
    turns_api.be("silent")
    waiting = WAIT.replace("on_sigterm=True", "on_sigterm=True, exit_s=3.0, timeout_s=60.0")
    status, _, _, took_s = ended(start(PROGRAM + waiting, turns_api.url))

    assert status == -signal.SIGTERM
    assert 3.0 <= took_s < 3.0 + GRACE_S


def test_a_second_sigterm_ends_at_once(start, turns_api):
    """Somebody is in a hurry: the turns are in the journal anyway."""
    turns_api.be("silent")
    waiting = WAIT.replace("on_sigterm=True", "on_sigterm=True, exit_s=60.0, timeout_s=60.0")
    process = start(PROGRAM + waiting, turns_api.url)
    status, _, _, took_s = ended(process, again_when=lambda: turns_api.state.requests)

    assert status == -signal.SIGTERM
    assert took_s < 2 * GRACE_S


def test_the_handler_that_was_there_runs_afterwards(start, turns_api):
    """It finds its turns delivered, and decides how the process ends."""
    program = """
    def bye(number, frame):
        print(signal.Signals(number).name, turnspan.health().delivered, flush=True)
        sys.exit(7)

    signal.signal(signal.SIGTERM, bye)
    """
    status, out, _, _ = ended(start(PROGRAM + program + WAIT, turns_api.url, **PATIENT))

    assert (status, out) == (7, "SIGTERM 50\n")


def test_a_loop_whose_handler_was_there_is_told_too(start, turns_api):
    """asyncio hears of the signal in its own way, after the flush."""
    program = """
    async def main():
        over = asyncio.Event()
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, over.set)
        configure(on_sigterm=True)
        record()
        await over.wait()
        print(turnspan.health().delivered)

    asyncio.run(main())
    """
    status, out, err, _ = ended(start(PROGRAM + program, turns_api.url, **PATIENT))

    assert (status, out, err) == (0, "50\n", "")


def test_a_signal_in_the_middle_of_a_flush_ends_in_time(start, turns_api):
    """Whatever lock the main thread holds as it is interrupted, it is not waited for for good."""
    program = """
    configure(on_sigterm=True, exit_s=0.5)
    record()
    while True:
        ask("again")
        turnspan.health()
        turnspan.flush(0.001)
    """
    status, _, _, took_s = ended(start(PROGRAM + program, turns_api.url))

    assert status == -signal.SIGTERM
    assert took_s < GRACE_S


def test_a_forked_child_delivers_its_own(start, turns_api):
    """`terminate()` of multiprocessing is a SIGTERM: what the child recorded is not lost to it."""
    program = """
    import multiprocessing, warnings

    warnings.simplefilter("ignore", DeprecationWarning)

    def work(ready):
        ask("child")
        ready.set()
        for _ in range(600):
            time.sleep(0.1)  # a signal just before a long sleep is answered after it

    configure(on_sigterm=True)
    context = multiprocessing.get_context("fork")
    ready = context.Event()
    child = context.Process(target=work, args=(ready,))
    child.start()
    ready.wait(120)
    child.terminate()
    child.join(120)
    print(child.exitcode)
    """
    process = start(PROGRAM + program, turns_api.url, **PATIENT)
    out, err = process.communicate(timeout=240)
    [line] = turns_api.state.stored.values()

    assert (out, err) == (f"{-signal.SIGTERM}\n", "")
    assert json.loads(line)["input"]["content"] == "child"


@pytest.mark.parametrize("before", [signal.SIG_DFL, signal.SIG_IGN, lambda *_: None])
def test_closing_puts_back_what_was_there(before):
    """And only where nobody put a handler of theirs over ours."""
    at_first = signal.signal(signal.SIGTERM, before)
    try:
        turnspan.configure(on_sigterm=True, directory=None)
        turnspan.configure(on_sigterm=True, directory=None)
        during = signal.getsignal(signal.SIGTERM)
        turnspan.close(0.1)
        after = signal.getsignal(signal.SIGTERM)
    finally:
        signal.signal(signal.SIGTERM, at_first)

    assert during != before
    assert after == before


def test_configured_in_another_thread_it_says_that_it_cannot(caplog):
    """Only the main thread may set handlers; recording goes on without."""
    import threading

    before = signal.getsignal(signal.SIGTERM)
    thread = threading.Thread(
        target=turnspan.configure, kwargs={"on_sigterm": True, "directory": None}
    )
    thread.start()
    thread.join()

    assert signal.getsignal(signal.SIGTERM) == before
    assert "SIGTERM will not wait for turns to be delivered" in caplog.text
