"""One exporter's thread: what is settled is committed, what is not waits, nothing is lost."""

import logging
import sys
import threading
import time

import pytest

from turnspan.delivery.dead import DeadLetters
from turnspan.ports import Outcome

DOWN = Outcome.all_unsent(1, "connection refused")


def down(ids, **changes):
    return Outcome.all_unsent(len(ids), "connection refused", **changes)


def threads_of(name):
    return [thread for thread in threading.enumerate() if thread.name == f"turnspan {name}"]


def test_the_thread_starts_when_asked_once_and_is_a_daemon(
    deliver, backlog, exporter, settings, clock
):
    """Building starts nothing; starting twice starts one."""
    from turnspan.delivery.delivery import Delivery

    delivery = Delivery(
        [(exporter(name="lazy:"), backlog)], settings=settings, clock=clock, dead=None
    )
    before = threads_of("lazy:")
    delivery.start()
    delivery.start()
    running = threads_of("lazy:")
    delivery.close(1.0)

    assert before == []
    assert [thread.daemon for thread in running] == [True]
    assert threads_of("lazy:") == []


def test_all_turns_arrive_in_order_and_are_committed(
    deliver, backlog, exporter, line, ids, eventually
):
    """Batches of at most `batch_turns`, oldest first."""
    taking = exporter()
    backlog.add(*map(line, range(200)))
    deliver((taking, backlog))
    eventually(lambda: backlog.done == 200)

    assert taking.delivered == ids(*range(200))
    assert [len(call) for call in taking.calls] == [64, 64, 64, 8]
    assert set(taking.timeouts_s) == {2.0}


def test_an_idle_thread_sleeps_without_polling(deliver, backlog, exporter, line, eventually):
    """It waits without a time limit, once, until something is appended."""
    deliver((exporter(), backlog))
    eventually(lambda: backlog.waits)
    time.sleep(0.1)
    slept = list(backlog.waits)
    backlog.add(line(1))
    eventually(lambda: backlog.done == 1)

    assert slept == [(None, 1)]
    assert (0.01, 2 * 2**20) in backlog.waits


def test_turns_wait_for_company(deliver, backlog, exporter, line, ids, eventually):
    """Turns recorded within the delay leave in one request."""
    taking = exporter()
    deliver((taking, backlog), batch_delay_s=1.0)  # the three take a fiftieth of it
    eventually(lambda: backlog.waits)
    for number in range(3):
        backlog.add(line(number))
        time.sleep(0.01)
    eventually(lambda: backlog.done == 3)

    assert taking.calls == [ids(0, 1, 2)]


def test_enough_bytes_end_the_wait_for_company(deliver, backlog, exporter, line, eventually):
    """`batch_bytes` appended are a batch, delay or not."""
    deliver((exporter(), backlog), batch_delay_s=120.0, batch_bytes=1000)
    eventually(lambda: backlog.waits)
    backlog.add(*(line(number) for number in range(6)))

    eventually(lambda: backlog.done == 6)


def test_a_down_destination_gets_everything_when_it_is_back(
    deliver, backlog, exporter, line, ids, eventually, caplog
):
    """Nothing is halved, nothing lost; the fault is said once and visible in health."""
    is_down = True
    taking = exporter(lambda ids: down(ids) if is_down else Outcome())
    backlog.add(*map(line, range(10)))
    with caplog.at_level(logging.INFO, "turnspan"):
        delivery = deliver((taking, backlog))
        eventually(lambda: len(taking.calls) >= 4)
        health = delivery.health()["x:"]
        is_down = False
        eventually(lambda: backlog.done == 10)
        eventually(lambda: not delivery.health()["x:"].failing)

    assert {tuple(call) for call in taking.calls} == {tuple(ids(*range(10)))}
    assert (health.failing, health.last_error, health.unsent) == (True, "connection refused", 10)
    assert health.retries >= 2
    assert health.oldest_unsent_age_s == 3.0
    messages = [record.getMessage() for record in caplog.records]
    assert len([m for m in messages if "turns wait for x:: connection refused" in m]) == 1
    assert "x: takes turns again" in messages


def test_what_the_destination_asks_for_is_waited(deliver, backlog, exporter, line, eventually):
    """`retry_after_s` is the floor of the next try."""
    answers = iter([Outcome.all_unsent(1, "slow down", status=429, retry_after_s=0.25)])
    taking = exporter(lambda ids: next(answers, Outcome()))
    backlog.add(line(0))
    deliver((taking, backlog))
    eventually(lambda: backlog.done == 1)

    assert 0.25 <= taking.times_s[1] - taking.times_s[0] < 5.0


def test_refused_turns_become_dead_letters_and_hold_up_nobody(
    deliver, backlog, exporter, line, ids, eventually, tmp_path, clock
):
    """Each with the reason; the others are delivered by the same request."""
    taking = exporter(
        lambda ids: Outcome(refused={1: "too strange"}) if len(ids) == 3 else Outcome()
    )
    dead = DeadLetters(tmp_path)
    backlog.add(*map(line, range(3)))
    delivery = deliver((taking, backlog), dead=dead)
    eventually(lambda: backlog.done == 3)
    (letter,) = dead.list("x:")

    assert taking.calls == [ids(0, 1, 2)]
    assert (letter.id, letter.reason, letter.raw) == (ids(1)[0], "too strange", line(1))
    assert letter.at == clock.now_ns()
    assert delivery.health()["x:"].refused == 1
    assert delivery.health()["x:"].delivered == 2


def test_a_batch_refused_as_one_is_halved(
    deliver, backlog, exporter, line, ids, eventually, tmp_path
):
    """The culprit becomes a dead letter; its neighbours arrive in order."""
    (culprit,) = ids(11)
    taking = exporter(lambda ids: Outcome(refused_whole="422") if culprit in ids else Outcome())
    dead = DeadLetters(tmp_path)
    backlog.add(*map(line, range(20)))
    deliver((taking, backlog), dead=dead)
    eventually(lambda: backlog.done == 20)

    assert taking.delivered == [turn for turn in ids(*range(20)) if turn != culprit]
    assert [(letter.id, letter.reason) for letter in dead.list()] == [(culprit, "422")]


def test_poison_that_meets_5xx_is_isolated_after_four_tries(
    deliver, backlog, exporter, line, ids, eventually, tmp_path
):
    """While the destination takes others, the one at fault becomes a dead letter."""
    (poison,) = ids(5)
    taking = exporter(lambda ids: down(ids, status=500) if poison in ids else Outcome())
    dead = DeadLetters(tmp_path)
    backlog.add(*map(line, range(16)))
    deliver((taking, backlog), dead=dead)
    eventually(lambda: backlog.done == 16)

    assert [len(call) for call in taking.calls[:5]] == [16, 16, 16, 16, 8]
    assert taking.delivered == [turn for turn in ids(*range(16)) if turn != poison]
    assert [letter.id for letter in dead.list()] == [poison]


def test_poison_alone_waits_until_another_turn_is_taken(
    deliver, backlog, exporter, line, ids, eventually, tmp_path
):
    """A lone turn and a sick destination look alike; the next turn tells them apart."""
    (poison,) = ids(0)
    taking = exporter(lambda ids: down(ids, status=500) if poison in ids else Outcome())
    dead = DeadLetters(tmp_path)
    backlog.add(line(0))
    delivery = deliver((taking, backlog), dead=dead)
    eventually(lambda: len(taking.calls) > 6)
    alone = dead.list()
    backlog.add(line(1))
    delivery.flush(0.1)
    eventually(lambda: backlog.done == 2)

    assert alone == ()
    assert [letter.id for letter in dead.list()] == [poison]
    assert taking.delivered == ids(1)


def test_5xx_for_everything_condemns_nobody(
    deliver, backlog, exporter, line, ids, eventually, tmp_path
):
    """Probing a destination that takes nothing leaves every turn for later."""
    is_down = True
    taking = exporter(lambda ids: down(ids, status=503) if is_down else Outcome())
    dead = DeadLetters(tmp_path)
    backlog.add(*map(line, range(64)))
    deliver((taking, backlog), dead=dead)
    eventually(lambda: len(taking.calls) > 40)
    is_down = False
    eventually(lambda: backlog.done == 64)

    assert taking.delivered == ids(*range(64))
    assert dead.list() == ()


def test_turns_left_unsent_in_the_middle_are_offered_again_alone(
    deliver, backlog, exporter, line, ids, eventually
):
    """What was taken is not sent twice, and what follows is not held up."""
    outcomes = iter([Outcome(unsent=frozenset({1, 3}), cause="busy")])
    taking = exporter(lambda ids: next(outcomes, Outcome()))
    backlog.add(*map(line, range(5)))
    deliver((taking, backlog))
    eventually(lambda: backlog.done == 5)

    assert taking.calls == [ids(*range(5)), ids(1, 3)]


class Grumpy(BaseException):
    def __str__(self):
        raise RuntimeError


@pytest.mark.parametrize(
    "raised", [ValueError("boom"), SystemExit(1), KeyboardInterrupt(), Grumpy()]
)
def test_an_exporter_that_raises_loses_nothing(
    deliver, backlog, exporter, line, eventually, caplog, raised
):
    """The turns stay unsent with the cause, and the thread goes on."""
    raising = [raised]

    def answer(ids):
        if raising:
            raise raising.pop()
        return Outcome()

    taking = exporter(answer)
    backlog.add(line(0))
    delivery = deliver((taking, backlog))
    eventually(lambda: backlog.done == 1)
    last = delivery.health()["x:"].last_error

    assert last is not None
    assert type(raised).__name__ in last
    assert "exporter x: raised" in [record.getMessage() for record in caplog.records]


def test_a_garbage_outcome_loses_nothing(deliver, backlog, exporter, line, ids, eventually):
    """An answer that cannot be right leaves all turns for the next try."""
    outcomes = iter([None, Outcome(unsent=frozenset({9})), Outcome(refused={-1: "no"})])
    taking = exporter(lambda ids: next(outcomes, Outcome()))
    backlog.add(line(0), line(1))
    deliver((taking, backlog))
    eventually(lambda: backlog.done == 2)

    assert taking.calls == [ids(0, 1)] * 4


def test_a_backlog_that_fails_for_a_while_does_not_end_the_thread(
    deliver, new_backlog, exporter, line, eventually, caplog
):
    """A disk that cannot be read is said, and read again later."""

    class Failing(new_backlog):
        failures = 3

        def read(self, **limits):
            if self.failures:
                self.failures -= 1
                raise OSError(5, "Input/output error")
            return super().read(**limits)

    backlog = Failing()
    backlog.add(line(0))
    delivery = deliver((exporter(), backlog))
    eventually(lambda: backlog.done == 1)

    assert "Input/output error" in (delivery.health()["x:"].last_error or "")


def test_a_refused_turn_that_cannot_be_buried_stays(
    deliver, backlog, exporter, line, ids, eventually, tmp_path
):
    """Where dead letters cannot be written, the turn is unsent, not gone."""
    taking = exporter(lambda ids_: Outcome(refused={0: "no"}) if ids(0)[0] in ids_ else Outcome())
    (tmp_path / "dead").write_text("in the way")
    dead = DeadLetters(tmp_path)
    backlog.add(line(0), line(1))
    delivery = deliver((taking, backlog), dead=dead)
    eventually(lambda: len(taking.calls) >= 3)
    health = delivery.health()["x:"]
    (tmp_path / "dead").unlink()
    eventually(lambda: backlog.done == 2)

    assert (health.refused, health.unsent, health.failing) == (0, 1, True)
    assert [letter.id for letter in dead.list()] == ids(0)
    assert taking.delivered == ids(1)


def test_a_refused_turn_that_cannot_be_buried_holds_up_nobody(
    deliver, backlog, exporter, line, ids, eventually, tmp_path
):
    """Further behind it than a batch is long, too."""
    taking = exporter(lambda ids_: Outcome(refused={0: "no"}) if ids(0)[0] in ids_ else Outcome())
    (tmp_path / "dead").write_text("in the way")
    backlog.add(*map(line, range(12)))
    deliver((taking, backlog), dead=DeadLetters(tmp_path), batch_turns=4)
    eventually(lambda: len(taking.delivered) == 11)

    assert taking.delivered == ids(*range(1, 12))
    assert backlog.done == 0


def test_a_busy_caller_neither_waits_nor_starves(deliver, backlog, exporter, line, eventually):
    """Turns flow while the caller appends without a rest."""
    deliver((exporter(), backlog))
    stop = threading.Event()

    def record():
        number = 0
        while not stop.is_set():
            backlog.add(line(number))
            number += 1

    caller = threading.Thread(target=record)
    caller.start()
    try:
        eventually(lambda: backlog.done > 2000)
    finally:
        stop.set()
        caller.join()

    assert sys.getswitchinterval() == pytest.approx(0.005)
