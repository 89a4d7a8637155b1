"""What a test can ask of the turns it captured."""

from __future__ import annotations

import asyncio
import re
import threading

import pytest

import turnspan
from turnspan.testing import CapturedTurns


@pytest.fixture
def slow():
    """An agent that waits to be let go."""
    go = threading.Event()

    @turnspan.agent
    def slow(text: str) -> str:
        assert go.wait(10)
        return text

    slow.go = go
    return slow


def until_open(turns, count):
    for _ in range(5000):
        if len(turns.open) == count:
            return
        threading.Event().wait(0.002)
    raise AssertionError(turns)


def test_it_is_a_sequence_of_the_turns_that_ended(concierge, turns):
    """Length, index, slice, iteration and membership, in the order they ended."""
    for question in ("One", "Two", "Three"):
        concierge(question)
    said = [turn.output.content for turn in turns]

    assert said == ["One? Yes.", "Two? Yes.", "Three? Yes."]
    assert isinstance(turns, CapturedTurns)
    assert (len(turns), turns[0], turns[-1], turns[1:]) == (
        3,
        turns.all[0],
        turns.last(),
        turns.all[1:],
    )
    assert turns[1] in turns
    assert bool(turns)


def test_nothing_recorded_is_an_empty_sequence(turns):
    """And false."""
    assert (len(turns), list(turns), turns.all, turns.open, turns.feedback) == (0, [], [], [], [])
    assert not turns


def test_what_was_handed_out_does_not_grow(concierge, turns):
    """The sequence does."""
    before = turns.all
    concierge("One")

    assert (before, len(turns)) == ([], 1)


def test_only_is_the_one_turn(concierge, turns):
    """Where there is one."""
    concierge("One")

    assert turns.only() is turns[0]


def test_only_of_none_says_so(turns):
    """There is nothing to list."""
    with pytest.raises(AssertionError, match=r"^expected exactly one turn; there are no turns$"):
        turns.only()


def test_only_of_several_lists_them(concierge, turns):
    """Who, how it stands, what went in and came out; long texts are shortened."""
    turns.deterministic()
    concierge("One")
    with pytest.raises(LookupError):
        concierge("Two" * 20, "Atlantis")
    with pytest.raises(AssertionError) as raised:
        turns.only()

    assert str(raised.value).splitlines() == [
        "expected exactly one turn; there are 2 turns",
        "  concierge · ok · turn_000000000001 · 'One' → 'One? Yes.'",
        """  concierge · error · turn_000000000002 · '{"question":"TwoTwoTwoTwoTwoTwoTwoTwoTw…'""",
    ]


def test_many_turns_are_not_all_listed(concierge, turns):
    """The number says how many there are."""
    for _ in range(30):
        concierge("Again")
    with pytest.raises(AssertionError, match=r"there are 30 turns\n(.*\n){20}  … and 10 more$"):
        turns.only()


def test_a_turn_that_is_still_open_is_seen(slow, turns):
    """With its input; it makes `only` fail rather than pass by chance."""
    thread = threading.Thread(target=slow, args=("hello",))
    thread.start()
    until_open(turns, 1)
    (still,) = turns.open
    with pytest.raises(AssertionError) as raised:
        turns.only()
    slow.go.set()
    thread.join()

    assert (still.agent.name, still.status, still.input.content) == ("slow", "open", "hello")
    assert still.ended_at == still.started_at
    assert str(raised.value).splitlines() == [
        "expected exactly one turn; there are no turns, 1 still open",
        f"  slow · open · {still.id} · 'hello'",
    ]
    assert (turns.open, turns.only().id) == ([], still.id)


def test_steps_of_a_long_open_turn_are_seen(concierge, turns):
    """Those that ended, once the turn is open for more than a second."""
    turns.deterministic()
    with turnspan.turn(agent="long"):
        turns.advance(2.0)
        concierge("Coat")
        (still,) = turns.open

    assert [(step.kind, step.name) for step in still.steps] == [("agent", "concierge")]


def test_last_is_the_latest(concierge, turns):
    """And says so where there is none."""
    with pytest.raises(AssertionError, match="expected a turn; there are no turns"):
        turns.last()
    concierge("One")
    concierge("Two")

    assert turns.last().output.content == "Two? Yes."


def test_of_picks_an_agents_turns(concierge, turns):
    """In their order."""
    concierge("One")
    with turnspan.turn(agent="other"):
        pass
    concierge("Two")

    assert [turn.output.content for turn in turns.of("concierge")] == ["One? Yes.", "Two? Yes."]
    assert turns.of("nobody") == []


def test_wait_is_for_other_threads(slow, turns):
    """It comes back with all turns once they have ended."""
    threads = [threading.Thread(target=slow, args=(text,)) for text in ("a", "b")]
    for thread in threads:
        thread.start()
    threading.Timer(0.05, slow.go.set).start()
    waited = turns.wait(2)
    for thread in threads:
        thread.join()

    assert sorted(turn.input.content for turn in waited) == ["a", "b"]


def test_wait_is_for_what_is_open_beyond_its_number(slow, concierge, turns):
    """One has ended, one is under way: both are meant."""
    concierge("One")
    thread = threading.Thread(target=slow, args=("a",))
    thread.start()
    until_open(turns, 1)
    threading.Timer(0.05, slow.go.set).start()
    waited = turns.wait()
    thread.join()

    assert [turn.agent.name for turn in waited] == ["concierge", "slow"]


def test_wait_in_vain_says_what_there_was(concierge, turns):
    """Within its time."""
    turns.deterministic()
    concierge("One")
    with pytest.raises(AssertionError) as raised:
        turns.wait(2, timeout_s=0.05)

    assert str(raised.value).splitlines() == [
        "waited 0.05 s for 2 turns to end; there is 1 turn",
        "  concierge · ok · turn_000000000001 · 'One' → 'One? Yes.'",
    ]


@pytest.mark.asyncio
async def test_awaited_lets_tasks_go_on(turns):
    """A task of this very loop ends meanwhile."""

    @turnspan.agent
    async def later(text: str) -> str:
        await asyncio.sleep(0.02)
        return text

    task = asyncio.ensure_future(later("soon"))
    (turn,) = await turns.awaited()

    assert turn.output.content == "soon"
    assert task.done()


@pytest.mark.asyncio
async def test_awaited_in_vain_says_what_there_was(turns):
    """Within its time."""
    with pytest.raises(AssertionError, match=r"waited 0.02 s for 1 turn to end; there are no"):
        await turns.awaited(timeout_s=0.02)


def test_clear_forgets_and_counts_on(concierge, turns):
    """What comes after is as if nothing had been; ids are not used twice."""
    turns.deterministic()
    concierge("One")
    turns.clear()
    concierge("Two")

    assert turns.only().id == "turn_000000000002"


def test_feedback_is_captured(concierge, turns):
    """As the journal would hold it."""
    turns.deterministic()
    concierge("One")
    turnspan.feedback(turns.only().id, rating="good")
    (said,) = turns.feedback

    assert said["turn_id"] == "turn_000000000001"
    assert said["rating"] == "good"


def test_its_repr_counts(concierge, turns):
    """A failing assertion shows it."""
    shown = [repr(turns)]
    concierge("One")
    with turnspan.turn(agent="open"):
        shown.append(repr(turns))

    assert shown == ["<no turns>", "<1 turn, 1 still open>"]
    assert re.fullmatch(r"<2 turns>", repr(turns))
