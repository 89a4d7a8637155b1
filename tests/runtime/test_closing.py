"""`flush`, `aflush`, `close` and `health`: within their time, and with honest counts."""

import asyncio
import threading
import time

import pytest

import turnspan
from turnspan.delivery.health import ExporterHealth, FlushReport, Health
from turnspan.exporters.memory import MemoryExporter
from turnspan.journal import Directory, History
from turnspan.ports import Outcome

TIMEOUT_S = 30.0
SHORT_S = 0.3
GRACE_S = 5.0  # a busy machine is no broken promise; a request alone may take 10


def test_flush_delivers_what_was_recorded_by_now(ask, turns_api):
    """It doesn't wait for company, and counts since it began."""
    turnspan.configure(exporters=[turns_api.url], directory="journal", batch_delay_s=60.0)
    ask("one")
    ask("two")
    reports = [turnspan.flush(TIMEOUT_S), turnspan.flush(TIMEOUT_S)]

    assert reports == [FlushReport(delivered=2), FlushReport()]
    assert all(reports)
    assert len(turns_api.ids) == 2


def test_unconfigured_there_is_nothing_to_flush_or_close():
    """Both answer at once, and truthfully."""
    assert turnspan.flush() == turnspan.close() == FlushReport()


def test_flush_keeps_its_timeout_with_a_silent_destination(ask, turns_api):
    """What is unsent is counted, and still there."""
    turns_api.be("silent")
    turnspan.configure(exporters=[turns_api.url], directory="journal")
    ask("anyone?")
    began_s = time.monotonic()
    report = turnspan.flush(SHORT_S)
    took_s = time.monotonic() - began_s

    assert report == FlushReport(unsent=1, timed_out=True)
    assert SHORT_S <= took_s < SHORT_S + GRACE_S
    assert not report


def test_aflush_leaves_the_event_loop_free(ask, turns_api):
    """Other tasks go on while it waits."""
    turns_api.be("slow", delay_s=1.0)
    turnspan.configure(exporters=[turns_api.url], directory="journal")

    async def main():
        ask("slowly")
        waiting, ticks = asyncio.create_task(turnspan.aflush(TIMEOUT_S)), 0
        while not waiting.done():
            await asyncio.sleep(0.01)
            ticks += 1
        return waiting.result(), ticks

    report, ticks = asyncio.run(main())

    assert report == FlushReport(delivered=1)
    assert ticks > 5


def test_close_delivers_and_ends_recording(ask, turns_api):
    """Decorated functions go on working, unrecorded; a second close says nothing new."""
    turnspan.configure(exporters=[turns_api.url], directory="journal")
    ask("one")
    report = turnspan.close(TIMEOUT_S)
    answer = ask("two")

    assert report == FlushReport(delivered=1)
    assert answer == "two"
    assert len(turns_api.ids) == 1
    assert turnspan.close() == FlushReport()
    assert turnspan.health() == Health()


def test_close_keeps_its_timeout_and_the_next_runtime_delivers(ask, turns_api):
    """What a silent destination didn't take is in the journal."""
    turns_api.be("silent")
    turnspan.configure(exporters=[turns_api.url], directory="journal")
    ask("one")
    began_s = time.monotonic()
    report = turnspan.close(SHORT_S)
    took_s = time.monotonic() - began_s
    turns_api.be("ok")
    turnspan.configure(exporters=[turns_api.url], directory="journal")
    later = turnspan.flush(TIMEOUT_S)

    assert report.unsent == 1
    assert took_s < SHORT_S + GRACE_S
    assert later == FlushReport(delivered=1)
    assert len(turns_api.ids) == 1


def test_health_counts_from_the_callers_hands_to_the_destination(ask, turns_api):
    """Recorded, journalled and delivered agree where all is well."""
    memory = MemoryExporter()
    turnspan.configure(exporters=[turns_api.url, memory], directory="journal")
    for number in range(3):
        ask(number)
    turnspan.flush(TIMEOUT_S)

    assert turnspan.health() == Health(
        recorded=3,
        journalled=3,
        delivered=3,
        exporters={turns_api.url: ExporterHealth(delivered=3)},
    )


def test_health_says_what_is_wrong_with_a_destination(ask, turns_api):
    """Which error, how many turns wait, and for how long."""
    turns_api.be("status", status=503)
    turnspan.configure(exporters=[turns_api.url], directory="journal")
    ask("one")
    turnspan.flush(SHORT_S)
    health = turnspan.health()
    one = health.exporters[turns_api.url]

    assert (health.recorded, health.delivered, health.unsent) == (1, 0, 1)
    assert (one.failing, one.unsent, one.delivered) == (True, 1, 0)
    assert "503" in one.last_error
    assert 0 < health.oldest_unsent_age_s < 60


def test_memory_is_filled_in_the_callers_thread_before_the_call_returns(ask):
    """An observer is shown each turn at once, wherever it was recorded."""
    seen = []

    class Witness(MemoryExporter):
        def observe(self, turn, /):
            seen.append((threading.get_ident(), turn.turn.input.content))
            super().observe(turn)

    memory = Witness()
    turnspan.configure(exporters=[memory], directory=None)

    def work():
        ask("there")
        seen.append((threading.get_ident(), len(memory.turns)))

    ask("here")
    count = len(memory.turns)
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()

    assert count == 1
    assert seen == [(threading.get_ident(), "here"), (thread.ident, "there"), (thread.ident, 2)]


def test_an_observer_that_fails_harms_neither_caller_nor_the_others(ask, caplog):
    """It is said once; the other observers are shown the turn all the same."""

    class Broken(MemoryExporter):
        def observe(self, turn, /):
            raise RuntimeError("full")

    memory = MemoryExporter()
    turnspan.configure(exporters=[Broken(name="broken"), memory], directory=None)
    answers = [ask("one"), ask("two")]

    assert answers == ["one", "two"]
    assert len(memory.turns) == 2
    assert [record.getMessage() for record in caplog.records] == [
        "an exporter in this process failed: full"
    ]


@pytest.mark.parametrize("ring_bytes", [16 * 2**20, 2048])
def test_without_a_directory_turns_wait_in_memory(ask, turns_api, ring_bytes):
    """A ring that is too small drops the oldest, and counts them."""
    turns_api.be("down")
    turnspan.configure(exporters=[turns_api.url], directory=None, ring_bytes=ring_bytes)
    for number in range(20):
        ask(number)
    turns_api.be("ok")
    report = turnspan.flush(TIMEOUT_S)
    health = turnspan.health()
    dropped = sum(health.dropped.values())

    assert report
    assert (dropped > 0) == (ring_bytes == 2048)
    assert (health.recorded, health.journalled, health.delivered) == (20, 0, 20 - dropped)
    assert len(turns_api.ids) == 20 - dropped


class Grumpy(MemoryExporter):
    """Raises what it was given as it is closed."""

    def __init__(self, error):
        super().__init__(name="grumpy")
        self._error = error

    def close(self, *, timeout_s):
        raise self._error


class Carrier:
    """Takes every turn, and says when it was closed; or raises then."""

    def __init__(self, name, error=None):
        self.name = name
        self.closed = 0
        self._error = error

    def export(self, batch, *, timeout_s):
        return Outcome()

    def close(self, *, timeout_s):
        self.closed += 1
        if self._error is not None:
            raise self._error


@pytest.mark.parametrize("error", [ValueError("no"), SystemExit(3)])
@pytest.mark.parametrize("kind", [Grumpy, lambda error: Carrier("grumpy", error)])
@pytest.mark.parametrize("end", ["close", "configure", "leave"])
def test_an_exporter_that_fails_to_close_keeps_nothing_else_open(ask, caplog, error, kind, end):
    """The others are closed, and the journal; it is said once."""
    after = Carrier("after")
    runtime = turnspan.configure(exporters=[kind(error), after], directory="journal")
    ask("one")
    if end == "configure":
        turnspan.configure(exporters=[], directory="another")
    else:
        (turnspan.close if end == "close" else runtime.leave)()
    said = [record.getMessage() for record in caplog.records]
    turnspan.close()

    assert after.closed > 0
    expected = [] if kind is Grumpy and end == "leave" else ["grumpy did not close"]
    assert said == expected
    assert runtime.delivery.health()["after"].unsent == 0


@pytest.mark.parametrize("timeout", [None, "5", True, [1]])
def test_a_timeout_that_is_no_number_closes_nothing(ask, timeout):
    """The mistake is raised while recording still goes on."""
    memory = MemoryExporter()
    runtime = turnspan.configure(exporters=[memory], directory=None)
    for close in (turnspan.flush, runtime.flush, turnspan.close, runtime.close):
        with pytest.raises(TypeError, match="timeout_s"):
            close(timeout)
    ask("still")

    assert len(memory.turns) == 1


def test_close_may_wait_as_long_as_it_takes(ask, turns_api):
    """Infinity is a number of seconds."""
    turnspan.configure(exporters=[turns_api.url], directory="journal")
    ask("one")

    assert turnspan.flush(float("inf")) == FlushReport(delivered=1)
    assert turnspan.close(float("inf")) == FlushReport()


def test_a_turn_open_while_another_runtime_is_configured_is_journalled_whole(tmp_path):
    """It ends in the journal it began in."""
    began, may_end = threading.Event(), threading.Event()

    @turnspan.agent
    def slow(question):
        began.set()
        may_end.wait(TIMEOUT_S)
        return "answer"

    turnspan.configure(directory=tmp_path / "first")
    thread = threading.Thread(target=slow, args=("q",))
    thread.start()
    began.wait(TIMEOUT_S)
    turnspan.configure(directory=tmp_path / "second")
    may_end.set()
    thread.join()
    (found,) = History(Directory(tmp_path / "first")).turns()

    assert (found.turn.status, found.turn.output.content) == ("ok", "answer")
