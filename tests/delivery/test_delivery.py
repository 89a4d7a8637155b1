"""Flush and close keep their time and say what became of the turns."""

import logging
import os
import subprocess
import sys
import textwrap
import threading
import time

import pytest

from turnspan.delivery import worker
from turnspan.delivery.health import ExporterHealth, FlushReport, Health
from turnspan.ports import Outcome

PATIENCE_S = 20.0  # for what is waited for: a busy machine needs its time
AT_ONCE_S = 5.0  # the same, far below what would else be waited for


def down(ids):
    return Outcome.all_unsent(len(ids), "connection refused")


class Silent:
    """Answers to nothing until it is let go."""

    def __init__(self, name="silent:"):
        self.name = name
        self.asked = threading.Event()
        self.go = threading.Event()

    def export(self, batch, *, timeout_s):
        self.asked.set()
        self.go.wait(60)
        return Outcome.all_unsent(len(batch), "timeout")

    def close(self, *, timeout_s):
        """Nothing is held."""


@pytest.fixture
def silent():
    exporter = Silent()
    yield exporter
    exporter.go.set()


def test_a_flush_delivers_at_once_and_counts(deliver, backlog, exporter, line):
    """The batch delay is cut short; the report has the counts since the flush began."""
    taking = exporter(lambda ids: Outcome(refused={0: "no"}))
    delivery = deliver((taking, backlog), batch_delay_s=30.0)
    first = delivery.flush(PATIENCE_S)
    backlog.add(*map(line, range(10)))
    began_s = time.monotonic()
    second = delivery.flush(PATIENCE_S)

    assert time.monotonic() - began_s < AT_ONCE_S
    assert first == FlushReport()
    assert second == FlushReport(delivered=9, refused=1)
    assert bool(second) is True


def test_a_flush_keeps_its_timeout_with_a_silent_destination(deliver, backlog, silent, line):
    """It comes back in time and says how many are unsent."""
    backlog.add(*map(line, range(3)))
    delivery = deliver((silent, backlog))
    began_s = time.monotonic()
    report = delivery.flush(0.2)

    assert 0.2 <= time.monotonic() - began_s < AT_ONCE_S
    assert report == FlushReport(unsent=3, timed_out=True)
    assert bool(report) is False


def test_a_flush_cuts_a_backoff_short(deliver, backlog, exporter, line):
    """A destination that is back is tried at once, whatever it had asked for."""
    answers = iter([Outcome.all_unsent(1, "later", status=503, retry_after_s=600.0)])
    taking = exporter(lambda ids: next(answers, Outcome()))
    backlog.add(line(0))
    delivery = deliver((taking, backlog))
    while not taking.calls:
        time.sleep(0.001)

    assert delivery.flush(PATIENCE_S) == FlushReport(delivered=1)


def test_one_flush_is_one_immediate_try(deliver, backlog, exporter, line):
    """A destination that asked to be left alone is not hammered while a flush waits."""
    taking = exporter(
        lambda ids: Outcome.all_unsent(len(ids), "later", status=429, retry_after_s=600.0)
    )
    backlog.add(line(0))
    delivery = deliver((taking, backlog))
    while not delivery.health()["x:"].failing:
        time.sleep(0.001)
    before = len(taking.calls)
    report = delivery.flush(0.2)

    assert report == FlushReport(unsent=1, timed_out=True)
    assert len(taking.calls) - before == 1


@pytest.mark.parametrize("batch_turns", [64, 1])
def test_a_flush_ends_although_the_caller_goes_on_recording(
    deliver, backlog, exporter, line, batch_turns
):
    """What was recorded after it began is not waited for."""
    numbers = iter(range(10, 1_000_000))

    def answer(ids):
        backlog.add(line(next(numbers)))
        return Outcome()

    backlog.add(*map(line, range(10)))
    delivery = deliver((exporter(answer), backlog), batch_turns=batch_turns)
    report = delivery.flush(PATIENCE_S)

    assert (report.unsent, report.timed_out) == (0, False)
    assert report.delivered >= 10 or backlog.done >= 10


def test_a_long_backlog_is_flushed_by_its_size(deliver, backlog, exporter, line, monkeypatch):
    """Too much to count: as many bytes must go as were waiting."""
    monkeypatch.setattr(worker, "COUNTED_BYTES", 100)
    backlog.add(*map(line, range(500)))
    delivery = deliver((exporter(), backlog))
    report = delivery.flush(PATIENCE_S)

    assert (backlog.done, report.unsent, report.timed_out) == (500, 0, False)


def test_several_flushes_at_once_all_come_back(deliver, backlog, exporter, line):
    """Any thread may flush; each sees its turns settled."""
    delivery = deliver((exporter(), backlog), batch_delay_s=30.0)
    reports = []

    def flush(number):
        backlog.add(line(number))
        reports.append(delivery.flush(PATIENCE_S))

    threads = [threading.Thread(target=flush, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert backlog.done == 8
    assert [bool(report) for report in reports] == [True] * 8


def test_a_flush_that_comes_amid_a_commit_waits_for_every_turn(
    deliver, new_backlog, exporter, line, ids, eventually
):
    """The turn that is being committed just then is not counted for one that still waits."""
    committing, goes_on, may_arrive = threading.Event(), threading.Event(), threading.Event()

    class Slow(new_backlog):
        def commit(self, turns):
            super().commit(turns)
            committing.set()
            assert goes_on.wait(PATIENCE_S)

    def answer(arriving):
        assert arriving == ids(0) or may_arrive.wait(PATIENCE_S)
        return Outcome()

    taking, backlog = exporter(answer), Slow()
    backlog.add(line(0), line(1))
    delivery = deliver((taking, backlog), batch_turns=1)
    assert committing.wait(PATIENCE_S)
    reports = []
    flush = threading.Thread(target=lambda: reports.append(delivery.flush(PATIENCE_S)))
    flush.start()
    time.sleep(0.1)  # it has looked at what waits, or waits to look
    goes_on.set()
    eventually(lambda: len(taking.calls) == 2)
    time.sleep(0.1)
    early = list(reports)
    may_arrive.set()
    flush.join()

    assert early == []
    assert reports == [FlushReport(delivered=1)]
    assert taking.delivered == ids(0, 1)


def test_a_silent_destination_delays_no_other(
    deliver, backlog, new_backlog, exporter, silent, line, eventually
):
    """Each exporter has a thread and a backlog of its own."""
    taking, other = exporter(), new_backlog()
    backlog.add(line(0))
    other.add(line(0))
    deliver((silent, backlog), (taking, other))
    eventually(lambda: other.done == 1)

    assert backlog.done == 0


def test_close_delivers_what_is_left_and_closes_everything(deliver, backlog, exporter, line):
    """The delay is not waited for; exporter and backlog are closed once."""
    taking = exporter()
    delivery = deliver((taking, backlog), batch_delay_s=30.0)
    delivery.flush(PATIENCE_S)  # the first look of its thread is over: from now on it waits
    backlog.add(*map(line, range(200)))
    report = delivery.close(PATIENCE_S)

    assert report == FlushReport(delivered=200)
    assert (taking.closed, backlog.closed) == (1, True)
    assert delivery.close(PATIENCE_S) == report


def test_close_takes_one_last_try_and_says_what_is_left(deliver, backlog, exporter, line, caplog):
    """A refusing destination ends it at once, in one log line."""
    taking = exporter(down)
    backlog.add(*map(line, range(3)))
    delivery = deliver((taking, backlog))
    while not taking.calls:
        time.sleep(0.001)
    caplog.clear()
    began_s = time.monotonic()
    report = delivery.close(PATIENCE_S)
    said = [record.getMessage() for record in caplog.records]
    fate = "they stay in the journal and are sent by the next start or `turnspan drain`"

    assert time.monotonic() - began_s < AT_ONCE_S
    assert report == FlushReport(unsent=3)
    assert [message for message in said if "left" in message] == [
        f"turns are left unsent: 3 for x: (connection refused); {fate}"
    ]


def test_the_last_try_comes_even_in_the_middle_of_a_backoff(deliver, backlog, exporter, line):
    """A destination that is back by the end of the process gets what waited for it."""
    answers = iter([Outcome.all_unsent(1, "later", status=503, retry_after_s=600.0)])
    taking = exporter(lambda ids: next(answers, Outcome()))
    backlog.add(line(0))
    delivery = deliver((taking, backlog))
    while not delivery.health()["x:"].failing:
        time.sleep(0.001)

    assert delivery.close(PATIENCE_S) == FlushReport(delivered=1)


def test_close_never_takes_longer_than_its_time(deliver, backlog, silent, line, caplog):
    """A thread that waits for a silent destination is left behind."""
    backlog.add(line(0))
    delivery = deliver((silent, backlog))
    silent.asked.wait(30)
    began_s = time.monotonic()
    report = delivery.close(0.2)

    assert 0.2 <= time.monotonic() - began_s < AT_ONCE_S
    assert report == FlushReport(unsent=1, timed_out=True)
    assert len([r for r in caplog.records if "left unsent" in r.getMessage()]) == 1


def test_a_thread_that_was_left_behind_says_no_more(
    deliver, backlog, silent, line, caplog, eventually
):
    """What is left has been said; that its connection was closed under it is news to nobody."""
    backlog.add(line(0))
    delivery = deliver((silent, backlog))
    assert silent.asked.wait(PATIENCE_S)
    delivery.close(0.1)
    silent.go.set()
    eventually(lambda: backlog.closed)

    assert [r.getMessage().partition(":")[0] for r in caplog.records] == ["turns are left unsent"]


def test_without_a_journal_close_tries_until_its_time_is_over(deliver, backlog, exporter, line):
    """What is left would be lost: a destination that comes back in time still gets it."""
    began_s = time.monotonic()
    taking = exporter(lambda ids: Outcome() if time.monotonic() > began_s + 0.3 else down(ids))
    backlog.add(line(0))
    delivery = deliver((taking, backlog), durable=False)
    time.sleep(0.05)

    assert delivery.close(PATIENCE_S) == FlushReport(delivered=1)


def test_close_of_a_delivery_that_never_started_leaves_no_thread(
    backlog, exporter, settings, clock
):
    """Nothing is sent, but everything is released."""
    from turnspan.delivery.delivery import Delivery

    taking = exporter()
    delivery = Delivery([(taking, backlog)], settings=settings, clock=clock, dead=None)

    assert delivery.flush(1.0) == FlushReport()
    assert delivery.close(1.0) == FlushReport()
    assert (taking.calls, taking.closed, backlog.closed) == ([], 1, True)


def test_a_woken_worker_finds_what_others_added(deliver, backlog, exporter, line, eventually):
    """Adopted turns are not appended by this process; `wake` tells of them."""
    delivery = deliver((exporter(), backlog))
    eventually(lambda: backlog.waits)
    backlog.lines.append(line(0))
    delivery.wake()

    eventually(lambda: backlog.done == 1)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_after_a_fork_start_starts_anew(deliver, backlog, exporter, line):
    """No thread lives on in a child; there `start` makes one."""
    taking = exporter()
    delivery = deliver((taking, backlog))
    delivery.flush(PATIENCE_S)
    backlog.add(line(0))
    delivery.flush(PATIENCE_S)
    child = os.fork()
    if child == 0:
        delivery.start()
        backlog.add(line(1))
        delivered = delivery.flush(PATIENCE_S) == FlushReport(delivered=1)
        os._exit(0 if delivered and backlog.done == 2 else 1)

    assert os.waitpid(child, 0)[1] == 0


EXIT = """
    import sys, time, threading
    sys.path.insert(0, {folder!r})
    import conftest
    from test_delivery import Silent
    from turnspan.delivery.delivery import Delivery
    from turnspan.settings import Settings
    backlog = conftest.ListBacklog()
    backlog.add(conftest.turn_line(0))
    silent = Silent()
    delivery = Delivery([(silent, backlog)], settings=Settings(), clock=conftest.FixedClock(),
                        dead=None)
    delivery.start()
    silent.asked.wait(30)
    began = time.monotonic()
    delivery.close(0.3)
    print(time.monotonic() - began)
"""


def test_a_process_with_a_silent_destination_exits_in_time():
    """The thread left behind does not hold the exit of the interpreter."""
    code = textwrap.dedent(EXIT.format(folder=os.path.dirname(__file__)))
    began_s = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False
    )

    assert done.returncode == 0, done.stderr
    assert 0.3 <= float(done.stdout) < AT_ONCE_S
    assert time.monotonic() - began_s < 30.0  # the destination would be silent for 60


def test_health_adds_up_over_the_exporters():
    """Counts are summed, the oldest age is the worst."""
    health = Health.gathered(
        {
            "a:": ExporterHealth(delivered=5, refused=1, unsent=2, oldest_unsent_age_s=3.0),
            "b:": ExporterHealth(delivered=8, oldest_unsent_age_s=None),
        },
        recorded=8,
        journalled=8,
        dropped={"ring_full": 1},
    )

    assert (health.delivered, health.refused, health.unsent) == (13, 1, 2)
    assert (health.recorded, health.journalled, health.dropped) == (8, 8, {"ring_full": 1})
    assert health.oldest_unsent_age_s == 3.0


def test_logging_is_the_librarys_own(deliver, backlog, exporter, line, eventually, caplog):
    """Everything is said by the logger `turnspan`."""
    backlog.add(line(0))
    deliver((exporter(down), backlog))
    eventually(lambda: caplog.records)

    assert {record.name for record in caplog.records} == {"turnspan"}
    assert {record.levelno for record in caplog.records} == {logging.WARNING}
