"""An event loop goes on, whatever delivery waits for."""

import asyncio
import threading
import time
from pathlib import Path

import turnspan
from turnspan.journal import Directory
from turnspan.journal.recovery import recover

LAG_S = 1.0  # far above what a busy machine needs, far below what is waited for


async def longest_lag_s(until):
    """How late the loop woke at worst, until ``until`` is done."""
    worst_s = 0.0
    while not until.done():
        before_s = time.monotonic()
        await asyncio.sleep(0.005)
        worst_s = max(worst_s, time.monotonic() - before_s - 0.005)
    return worst_s


def test_the_loop_runs_on_while_a_flush_waits(ask, turns_api):
    """A silent destination is waited for beside the loop, for as long as was said."""
    turns_api.be("silent")
    turnspan.configure(exporters=[turns_api.url], directory="journal", exit_s=0.1)

    async def main():
        ask("why?")
        flush = asyncio.ensure_future(turnspan.aflush(timeout_s=3.0))
        lag_s = await longest_lag_s(flush)
        return lag_s, await flush

    began_s = time.monotonic()
    lag_s, report = asyncio.run(main())

    assert lag_s < LAG_S
    assert (report.unsent, report.timed_out) == (1, True)
    assert 3.0 <= time.monotonic() - began_s < 9.0


def test_a_flush_needs_no_thread_of_the_loops_executor(ask, turns_api):
    """The application may have filled that with work of its own."""
    turnspan.configure(exporters=[turns_api.url], directory="journal")
    over = threading.Event()

    async def main():
        ask("why?")
        loop = asyncio.get_running_loop()
        blocked = [loop.run_in_executor(None, over.wait, 60) for _ in range(64)]
        report = await turnspan.aflush(30.0)
        over.set()
        await asyncio.gather(*blocked)
        return report

    assert asyncio.run(main())
    assert len(turns_api.ids) == 1


def test_a_flush_that_is_cancelled_holds_nobody(ask, turns_api):
    """Neither the task nor the end of the loop waits for it."""
    turns_api.be("silent")
    turnspan.configure(exporters=[turns_api.url], directory="journal", exit_s=0.1)

    async def main():
        ask("why?")
        try:
            await asyncio.wait_for(turnspan.aflush(timeout_s=60.0), 0.2)
        except TimeoutError:
            return "timed out"

    began_s = time.monotonic()
    said = asyncio.run(main())

    assert said == "timed out"
    assert time.monotonic() - began_s < 20.0


LEFT_BEHIND = """
    import os, sys, turnspan
    turnspan.configure(exporters=[sys.argv[1]], directory="journal", batch_delay_s=60.0)
    for number in range(int(sys.argv[2])):
        turnspan.agent(lambda: None)()
    os._exit(0)
"""


def test_configuring_does_not_wait_for_what_is_adopted(start, turns_api):
    """However long a journal is completed that a dead process left; a flush counts it."""
    start(LEFT_BEHIND, turns_api.url, "3").wait(240)
    [(_, [segment])] = Directory("journal").owners().items()
    with Path("journal", "journal", segment).open("ab") as file:
        file.write(b'{"record":"step","turn_id":"turn_unknown0000"}\n' * 300_000)
    began_s = time.monotonic()
    recover(Directory("journal"), [segment])
    completing_s = time.monotonic() - began_s

    async def main():
        began_s = time.monotonic()
        turnspan.configure(exporters=[turns_api.url], directory="journal")
        configuring_s = time.monotonic() - began_s
        return configuring_s, await turnspan.aflush(timeout_s=120.0)

    configuring_s, report = asyncio.run(main())

    assert configuring_s < completing_s / 2
    assert report == turnspan.FlushReport(delivered=3)
    assert turns_api.state.duplicates == 0


def test_an_exit_waits_for_adoption_too(start, run, turns_api):
    """A process that is over at once still delivers what the one before it left."""
    start(LEFT_BEHIND, turns_api.url, "3").wait(240)
    run(LEFT_BEHIND.replace("os._exit(0)", ""), turns_api.url, "0", TURNSPAN_EXIT_S="60")

    assert len(turns_api.ids) == 3
