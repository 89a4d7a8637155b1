"""Backoff doubles, is drawn in full, is bounded, and honours what was asked."""

from turnspan.delivery import retry
from turnspan.delivery.retry import Backoff


def test_the_ceiling_doubles_up_to_a_minute(monkeypatch):
    """Full jitter draws between nothing and a doubling ceiling."""
    monkeypatch.setattr(retry, "FIRST_S", 1.0)
    drawn = []
    backoff = Backoff(lambda low, high: drawn.append((low, high)) or high)

    waits = [backoff.next_s() for _ in range(9)]

    assert waits == [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0, 60.0]
    assert {low for low, _ in drawn} == {0.0}


def test_a_success_starts_it_anew():
    """After `reset` the first ceiling holds again."""
    backoff = Backoff(lambda low, high: high)
    first = backoff.next_s()
    backoff.next_s()
    backoff.reset()

    assert backoff.next_s() == first


def test_what_the_destination_asked_for_is_the_floor():
    """A drawn delay shorter than `Retry-After` becomes it; more than an hour is not waited."""
    backoff = Backoff(lambda low, high: low)

    assert backoff.next_s(7.5) == 7.5
    assert backoff.next_s(10**9) == 3600.0
    assert backoff.next_s(-3.0) == 0.0


def test_a_thousand_failures_do_not_overflow():
    """The exponent is bounded."""
    backoff = Backoff(lambda low, high: high)
    for _ in range(5000):
        backoff.next_s()

    assert backoff.next_s() == 60.0
