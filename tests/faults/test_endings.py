"""However a program ends, what it recorded arrives: by itself, or with the next start."""

import json
import time

import pytest

EXIT_S = 15.0  # with patience for a busy machine; benchmarks/delivery.py holds it to 2.5
WAITING = '{"timeout_s": 60}'  # so long a request that nobody answers would take
ENDS = {
    "exit": 0, "sys_exit": 0, "raise": 1,
    "os_exit": 0, "kill": -9, "term": -15,
}  # fmt: skip


@pytest.mark.parametrize("end", ENDS)
def test_however_a_program_ends_its_turns_arrive(both, produce, start_again, end):
    """An orderly end delivers; after any other, the next start does."""
    done = produce(both.to, turns=50, end=end)
    by_itself = both.whole
    start_again(both.to)

    assert done.status == ENDS[end]
    assert ("Traceback" in done.err) == (end == "raise")
    if end in {"exit", "sys_exit", "raise"}:
        assert by_itself == [list(range(50))] * 2
    assert both.whole == [list(range(50))] * 2
    assert both.duplicates == [0, 0]


@pytest.mark.parametrize("end", ["exit", "sys_exit", "raise"])
@pytest.mark.parametrize("mode", ["down", "silent", "half_closing", "trickle"])
def test_no_destination_holds_up_an_exit(both, produce, drain, mode, end):
    """Gone soon after the last line, whatever the destination does, and nothing is lost."""
    both.be(mode)
    done = produce(both.to, turns=50, end=end, settings=WAITING, hurried=True)
    both.be("ok")
    drain(both.to)

    assert done.status == ENDS[end]
    assert done.exit_s < EXIT_S
    assert "turns are left unsent: 50 for" in done.err
    assert both.whole == [list(range(50))] * 2
    assert both.duplicates == [0, 0]


def test_an_agent_that_ends_the_program_is_recorded(ended, turns_api):
    """`sys.exit` and `os._exit` in the middle of a turn: it arrives, as what it was."""
    program = """
        import os, sys
        import turnspan

        turnspan.configure(exporters=[sys.argv[1]], directory="turns")
        with turnspan.turn(agent="leaver", input=sys.argv[2]):
            os._exit(3) if sys.argv[2] == "rude" else sys.exit(3)
        """
    statuses = [ended(program, turns_api.url, how)[0] for how in ("polite", "rude")]
    ended("import sys, turnspan; turnspan.configure(exporters=[sys.argv[1]], directory='turns'); "
          "turnspan.flush(60)", turns_api.url)  # fmt: skip
    turns = [json.loads(line) for line in turns_api.state.stored.values()]

    assert statuses == [3, 3]
    assert {turn["input"]["content"]: turn["status"] for turn in turns} == {
        "polite": "cancelled",
        "rude": "interrupted",
    }


def test_turns_of_exit_handlers_arrive(ended, both, start_again):
    """Those registered before and after configuration: with this end or the next start."""
    program = """
        import atexit, sys
        from producer import ask, question
        import turnspan

        atexit.register(ask, question(0))
        turnspan.configure(exporters=sys.argv[1:], directory="turns")
        atexit.register(ask, question(1))
        ask(question(2))
        """
    status, _, err = ended(program, *both.to)
    start_again(both.to)

    assert (status, err) == (0, "")
    assert both.whole == [[0, 1, 2]] * 2
    assert both.duplicates == [0, 0]


def test_a_thread_that_records_on_while_the_program_ends_loses_nothing(
    ended, both, start_again, tmp_path
):
    """A daemon thread in the middle of its work: what it counted as recorded arrives."""
    program = """
        import os, sys, threading, time
        from producer import ask, question
        import turnspan

        def work():
            known = os.open("known", os.O_CREAT | os.O_WRONLY)
            number = 0
            while True:
                ask(question(number))
                number += 1
                os.write(known, f"{number} ".encode())
                if number == 20:
                    under_way.set()

        under_way = threading.Event()
        turnspan.configure(exporters=sys.argv[1:], directory="turns")
        threading.Thread(target=work, daemon=True).start()
        under_way.wait()
        time.sleep(0.1)
        """
    status, _, err = ended(program, *both.to, hurried=True)
    start_again(both.to)
    known = int((tmp_path / "known").read_text().split()[-1])
    [arrived, spans] = both.whole
    turns = [json.loads(line) for line in both.http.state.stored.values()]
    cut_off = [turn for turn in turns if turn["status"] == "interrupted"]

    assert (status, err) == (0, "")
    assert arrived == spans == list(range(len(arrived)))
    assert len(arrived) >= known >= 20
    assert both.duplicates == [len(cut_off)] * 2
    assert len(cut_off) <= 1  # the one it was at


def test_a_kill_at_any_moment_loses_no_turn_whose_call_returned(
    program, both, start_again, tmp_path, wait_for
):
    """Ten times, each a little later: all that the program knows of arrives, once."""
    text = """
        import sys
        from producer import ask, question
        import turnspan

        turnspan.configure(exporters=sys.argv[2:], directory="turns")
        number = int(sys.argv[1])
        with open(f"known{number}", "wb", buffering=0) as known:
            while True:
                ask(question(number))
                number += 1
                known.write(f"{number} ".encode())
        """
    first = 0
    known = []
    for attempt in range(10):
        process = program(text, str(first), *both.to)
        said = tmp_path / f"known{first}"
        wait_for(lambda said=said: said.exists() and said.stat().st_size)
        time.sleep(0.02 * attempt)
        process.kill()
        process.communicate()
        known += range(first, int(said.read_text().split()[-1]))
        first += 1_000_000
    start_again(both.to)

    for arrived in both.whole:
        assert set(known) <= set(arrived)
        assert len(arrived) <= len(known) + 10  # a call may have returned unsaid
    assert both.whole[0] == both.whole[1]
