"""Who is at fault is found by sending parts, and nobody else pays for it."""

import pytest

from turnspan.delivery.halving import checked, deliver, probe
from turnspan.ports import JournalledTurn, Outcome


class Destination:
    """Takes turns by number; ``bad`` ones spoil the request they are in."""

    def __init__(self, bad=(), *, status=None, dead_after=None):
        self.bad = set(bad)
        self.status = status
        self.dead_after = dead_after
        self.taken = []
        self.requests = 0

    def __call__(self, turns):
        self.requests += 1
        numbers = [int(turn.raw) for turn in turns]
        if self.dead_after is not None and self.requests > self.dead_after:
            return Outcome.all_unsent(len(turns), "gone", status=self.status)
        if self.bad & set(numbers):
            if self.status is None:
                return Outcome(refused_whole="unprocessable")
            return Outcome.all_unsent(len(turns), "oops", status=self.status)
        self.taken += numbers
        return Outcome()


def turns(count):
    return [JournalledTurn(b"%d" % number) for number in range(count)]


@pytest.mark.parametrize("bad", [(0,), (63,), (5, 6), (0, 31, 63), range(64)])
def test_a_refused_batch_is_halved_until_the_culprits_are_alone(bad):
    """Each culprit is refused with the reason; all others arrive once and in order."""
    destination = Destination(bad)

    outcome = deliver(turns(64), destination)

    assert outcome == Outcome(refused=dict.fromkeys(bad, "unprocessable"))
    assert destination.taken == [n for n in range(64) if n not in set(bad)]


def test_one_culprit_costs_two_requests_a_halving():
    """512 turns need 9 halvings."""
    destination = Destination((300,))
    deliver(turns(512), destination)

    assert destination.requests == 1 + 2 * 9


def test_a_destination_that_fails_while_halving_stops_it():
    """What was taken is delivered; the rest stays unsent, with the destination's cause."""
    destination = Destination((7,), dead_after=2)

    outcome = deliver(turns(8), destination)

    assert destination.taken == [0, 1, 2, 3]
    assert outcome == Outcome(unsent=frozenset({4, 5, 6, 7}), cause="gone")
    assert destination.requests == 3


@pytest.mark.parametrize("bad", [(0,), (40,), (0, 1), (10, 50), (3, 4, 5)])
def test_turns_that_meet_5xx_are_found_where_others_are_taken(bad):
    """Poison is refused once another turn is taken after it."""
    destination = Destination(bad, status=500)

    outcome = probe(turns(64), destination)

    assert outcome == Outcome(refused=dict.fromkeys(bad, "oops"))
    assert destination.taken == [n for n in range(64) if n not in bad]


def test_where_nothing_is_taken_it_is_the_destinations_fault():
    """All stay unsent, after no more requests than a way down to one turn."""
    destination = Destination(range(512), status=500)

    outcome = probe(turns(512), destination)

    assert outcome == Outcome.all_unsent(512, "oops", status=500)
    assert destination.requests <= 12


def test_the_last_turn_is_not_condemned_without_one_taken_after_it():
    """Nobody can tell whether the destination has just gone down."""
    destination = Destination((7,), status=500)

    outcome = probe(turns(8), destination)

    assert outcome == Outcome(unsent=frozenset({7}), cause="oops", status=500)
    assert destination.taken == [0, 1, 2, 3, 4, 5, 6]


def test_a_destination_that_dies_while_probed_condemns_nobody():
    """Turns that met 5xx after the last one taken stay unsent."""
    destination = Destination((), status=500, dead_after=1)

    outcome = probe(turns(64), destination)

    assert destination.taken == list(range(32))
    assert outcome == Outcome(unsent=frozenset(range(32, 64)), cause="gone", status=500)


def test_more_poison_at_the_head_takes_more_patience():
    """Each probe in vain lets the next one look a little further."""
    bad = range(12)
    in_vain = probe(turns(16), Destination(bad, status=500), patience=0)
    patient = probe(turns(16), Destination(bad, status=500), patience=20)

    assert in_vain.unsent == frozenset(range(16))
    assert patient == Outcome(refused=dict.fromkeys(bad, "oops"))


@pytest.mark.parametrize(
    "answer",
    [
        None,
        "ok",
        Outcome(unsent=frozenset({3})),
        Outcome(refused={-1: "no"}),
        Outcome(refused={"a": "no"}),
        Outcome(unsent=frozenset({True})),
        Outcome(refused=7),
        Outcome(unsent=None),
    ],
)
def test_an_outcome_that_cannot_be_right_loses_no_turn(answer):
    """All stay unsent, and the cause says so."""
    outcome = checked(answer, 3)

    assert outcome.unsent == frozenset(range(3))
    assert "exporter" in outcome.cause


def test_a_turn_both_refused_and_unsent_is_unsent():
    """A turn too many is better than one too few."""
    assert checked(Outcome({0: 5, 1: "no"}, unsent=frozenset({1})), 2) == Outcome(
        {0: "5"}, unsent=frozenset({1})
    )
