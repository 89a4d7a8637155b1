"""A share of the sessions is recorded, and the others leave no trace."""

from __future__ import annotations

import asyncio
import subprocess
import sys

import pytest

import turnspan
from turnspan.capture.sampling import is_sampled

IN, OUT = "session-6", "session-1"  # among the first half of all ids, and not
SHARE = 0.5


@turnspan.tool
def look_up(word):
    return word.upper()


@turnspan.agent
def helper(question):
    return look_up(question)


@turnspan.agent
def ask(question):
    """An agent with a tool, and with an agent of its own."""
    return look_up(question) + helper(question)


@turnspan.agent
def fail(question):
    look_up(question)
    raise ValueError(question)


def asked(session, question="q"):
    with turnspan.session(session):
        return ask(question)


@pytest.fixture
def sampled(record):
    """The tape of a recorder that keeps half of the sessions."""

    def sampled(**options):
        return record(sample=SHARE, **options)

    return sampled


@pytest.mark.parametrize("share", [0.0, 0.01, 0.1, 0.5, 0.9, 1.0])
def test_the_share_of_sessions_that_is_kept_is_the_share_asked_for(share):
    """Of 10,000 ids as programs make them, within four standard deviations."""
    kept = sum(is_sampled(f"session-{n}", share) for n in range(10_000))
    spread = 4 * (10_000 * share * (1 - share)) ** 0.5

    assert abs(kept - 10_000 * share) <= spread


def test_what_is_among_a_smaller_share_is_among_a_larger_one():
    """Raising `sample` never loses a session that was kept."""
    shares = [0.05, 0.1, 0.3, 0.7]
    decided = [[is_sampled(f"s{n}", share) for share in shares] for n in range(500)]

    assert all(each == sorted(each) for each in decided)
    assert is_sampled("\ud800", 1.0)  # any text has a place


def test_every_process_decides_alike():
    """Whatever seeds its hashes: half a session would be worse than none."""
    program = (
        "from turnspan.capture.sampling import is_sampled\n"
        "print(''.join('01'[is_sampled(f's{n}', 0.3)] for n in range(1000)))"
    )
    told = [
        subprocess.run(
            [sys.executable, "-c", program],
            env={"PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    ]
    here = "".join("01"[is_sampled(f"s{n}", 0.3)] for n in range(1000))

    assert told == [f"{here}\n"] * 2


def test_a_session_is_whole_or_absent(sampled):
    """And the functions do what they do."""
    tape = sampled()
    answers = [asked(session, question) for session in (IN, OUT) for question in "ab"]

    assert answers == ["AA", "BB", "AA", "BB"]
    assert [(turn.session_id, turn.number) for turn in tape.turns] == [(IN, 1), (IN, 2)]
    assert (tape.recorder.recorded, tape.recorder.sampled_out) == (2, 2)
    assert not tape.recorder.is_busy


def test_a_turn_without_a_session_is_decided_by_its_own_id(sampled):
    """Each for itself, and so that anybody can tell from the id."""
    tape = sampled()
    for _ in range(40):
        ask("q")
    drawn = [f"turn_{n:012d}" for n in range(1, 41)]

    assert [turn.id for turn in tape.turns] == [each for each in drawn if is_sampled(each, SHARE)]
    assert tape.recorder.sampled_out == 40 - len(tape.turns)


@pytest.mark.parametrize("orphans", [False, True])
def test_a_left_out_turn_shields_what_is_inside(sampled, orphans):
    """A nested agent is no turn of its own, nor a tool where orphans would be turns."""
    tape = sampled(orphans=orphans)
    asked(OUT)
    with turnspan.session(OUT), turnspan.turn(agent="block", input="x"), turnspan.turn():
        look_up("word")

    assert tape.log.lines == []
    assert tape.spans.open == []
    assert tape.recorder.sampled_out == 2


def test_the_handles_in_a_left_out_turn_are_of_nothing(sampled):
    """False, without ids, and silent."""
    sampled()
    seen = []

    @turnspan.agent
    def look(question):
        turn = turnspan.current_turn()
        turn.set_metadata(a=1)
        turn.set_output("other")
        turn.set_usage(input_tokens=1)
        seen.append((bool(turn), turn.id, bool(turnspan.current_step())))
        return question

    with turnspan.session(OUT):
        look("q")
        with turnspan.turn() as turn:
            seen.append((bool(turn), turn.id, bool(turnspan.current_step())))

    assert seen == [(False, "", False)] * 2


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
def test_what_is_raised_in_a_left_out_turn_passes_through(sampled, error):
    """And leaves nothing behind."""
    tape = sampled()
    raised = error("mine")

    @turnspan.agent
    def broken():
        raise raised

    with pytest.raises(error) as caught, turnspan.session(OUT):
        broken()

    assert caught.value is raised
    assert (tape.log.lines, tape.recorder.sampled_out) == ([], 1)
    assert not tape.recorder.is_busy


@pytest.mark.asyncio
async def test_coroutines_are_left_out_like_functions(sampled):
    """With the tasks they start."""
    tape = sampled()

    @turnspan.agent
    async def gather(question):
        return await asyncio.gather(*(asyncio.to_thread(helper, question) for _ in range(3)))

    with turnspan.session(OUT):
        answers = await gather("q")

    assert answers == ["Q"] * 3
    assert (tape.log.lines, tape.recorder.sampled_out) == ([], 1)


def test_what_a_left_out_turn_was_given_is_never_looked_at(sampled):
    """Its input is not encoded, its state not read."""
    sampled()
    read = []

    @turnspan.agent(state=lambda: read.append(1))
    def with_state(question):
        return question

    with turnspan.session(OUT):
        with_state("q")

    assert read == []


def test_an_error_is_kept_where_errors_are_asked_for(sampled):
    """Whole, at its place in the session; the turns around it are not."""
    tape = sampled(keep_errors=True)
    asked(OUT)
    with pytest.raises(ValueError), turnspan.session(OUT):
        fail("why?")
    asked(OUT)
    turn = tape.turn

    assert (turn.session_id, turn.number, turn.status) == (OUT, 2, "error")
    assert (turn.input.content, turn.error.message) == ("why?", "why?")
    assert [step.name for step in turn.steps] == ["look_up"]
    assert [record["record"] for record in tape.records] == ["turn"]
    assert (tape.recorder.recorded, tape.recorder.sampled_out) == (1, 2)
    assert not tape.recorder.is_busy


@pytest.mark.parametrize("error", [KeyboardInterrupt, asyncio.CancelledError])
def test_only_the_status_error_counts_as_one(sampled, error):
    """What was cancelled is left out with the rest."""
    tape = sampled(keep_errors=True)

    @turnspan.agent
    def cut_off():
        raise error

    with pytest.raises(error), turnspan.session(OUT):
        cut_off()

    assert (tape.log.lines, tape.recorder.sampled_out) == ([], 1)


def test_a_long_turn_that_is_held_back_journals_no_steps(sampled):
    """What it has done so far would tell of a turn that nobody will see."""
    tape = sampled(keep_errors=True)

    @turnspan.agent
    def slow(question):
        look_up(question)
        tape.clock.advance(2.0)
        look_up(question)

    with turnspan.session(OUT):
        slow("q")

    assert tape.log.lines == []


def test_a_turn_that_is_held_back_can_be_spoken_to(sampled):
    """It may yet be kept."""
    tape = sampled(keep_errors=True)
    with pytest.raises(ValueError), turnspan.session(OUT), turnspan.turn(agent="block") as turn:
        turn.set_metadata(tier="gold")
        raise ValueError

    assert turn.id == tape.turn.id
    assert tape.turn.metadata == {"tier": "gold"}


def test_a_turn_taken_out_of_its_trace_says_so_to_the_span_source(sampled):
    """Without notes where nobody will see it, with them where it may be kept."""
    plain = sampled()
    asked(OUT)
    keeping = sampled(keep_errors=True)
    asked(OUT)
    asked(IN)

    assert (plain.spans.left_out, keeping.spans.left_out) == ([False], [True])


def test_a_span_source_that_fails_in_a_left_out_turn_never_reaches_the_caller(record):
    """It is counted, and the function runs once."""

    class Broken:
        is_live = False

        def start(self, *_):
            raise OSError("no spans")

        end = leave_out = start

    tape = record(sample=0.0, spans=Broken())
    calls = []

    @turnspan.agent
    def count():
        calls.append(1)

    count()

    assert (calls, tape.recorder.failures) == ([1], 1)


def test_without_sampling_the_recorder_is_the_plain_one(record):
    """What is off costs nothing: not even a question."""
    from turnspan.capture.recorder import Recorder

    assert type(record().recorder) is Recorder
    assert type(record(sample=1.0, keep_errors=True).recorder) is Recorder
