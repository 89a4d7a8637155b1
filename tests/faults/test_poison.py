"""A turn that a destination cannot digest: its neighbours do not wait for it."""

import json

import pytest


@pytest.fixture
def dead(tmp_path):
    """The ids in the dead letters of each exporter."""

    def dead():
        return [
            [json.loads(line)["turn"]["id"] for line in path.read_text().splitlines()]
            for path in sorted(tmp_path.glob("turns/dead/*/*.ndjson"))
        ]

    return dead


def recorded_while_down(both, produce, turns, **options):
    """The ids of what a program left undelivered."""
    both.be("down")
    done = produce(both.to, turns=turns, end="kill", **options)
    both.be("ok")
    return done.recorded


@pytest.mark.parametrize("status", [400, 409, 413, 415, 422])
def test_a_refused_turn_is_put_aside_and_its_neighbours_arrive(
    both, produce, start_again, dead, status
):
    """Whatever refuses it: it is in the dead letters of both, the other 39 arrive at once."""
    ids = recorded_while_down(both, produce, 40)
    both.be("poison", ids=(ids[17],), status=status)
    start_again(both.to)

    assert both.whole == [[number for number in range(40) if number != 17]] * 2
    assert dead() == [[ids[17]]] * 2
    assert both.resent == [0, 0]


def test_a_turn_that_is_answered_500_time_and_again_is_put_aside(
    both, produce, program, dead, wait_for
):
    """In a program that lives: the others arrive, those recorded meanwhile too."""
    ids = recorded_while_down(both, produce, 40)
    both.be("poison", ids=(ids[17],), status=500)
    process = program(
        """
        import sys
        from producer import ask, question
        import turnspan

        turnspan.configure(exporters=sys.argv[1:], directory="turns")
        ask(question(1000))
        while not turnspan.flush(1):
            pass
        """,
        *both.to,
    )
    process.communicate(timeout=240)

    assert process.returncode == 0
    assert both.whole == [[*(number for number in range(40) if number != 17), 1000]] * 2
    assert dead() == [[ids[17]]] * 2
    assert both.resent == [0, 0]


def test_a_poison_turn_does_not_starve_the_programs_that_come_after(both, produce, dead):
    """Each lives too short to see it fail again and again: their own turns arrive all the same."""
    ids = recorded_while_down(both, produce, 5)
    both.be("poison", ids=(ids[2],), status=500)
    for number in range(3):
        produce(both.to, first=1000 + number, turns=1, end="exit")

    assert both.whole == [[0, 1, 3, 4, 1000, 1001, 1002]] * 2
    assert dead() == [[ids[2]]] * 2


def test_the_newest_turn_may_be_the_poison(both, produce, dead):
    """With nothing behind it to show that it is at fault, it waits; the next turn shows it."""
    done = produce(both.to, turns=1, end="kill")
    both.be("poison", ids=(done.recorded[0],), status=500)
    produce(both.to, turns=0, end="exit")
    waits = dead()
    produce(both.to, first=1, turns=3, end="exit")

    assert waits == []
    assert both.whole == [[1, 2, 3]] * 2
    assert dead() == [done.recorded] * 2


@pytest.mark.parametrize("status", [500, 503])
def test_a_destination_that_fails_for_all_loses_no_turn(both, produce, start_again, dead, status):
    """Then it is the destination that is at fault: nothing is put aside, however often."""
    both.be("status", status=status)
    for number in range(3):
        produce(both.to, first=10 * number, turns=10, end="flush", patience=1)
    both.be("ok")
    start_again(both.to)

    assert dead() == []
    assert both.whole == [list(range(30))] * 2
