"""`drain`: what ended processes left arrives, and what does not is told."""

import os
import signal
import time

import pytest

from turnspan.testing import make_turn

PRODUCER = """
    import os, sys
    import turnspan

    @turnspan.agent
    def echo(text):
        if text == "last":
            os.kill(os.getpid(), 9)
        return text

    turnspan.configure(exporters=[sys.argv[1]])
    for number in range(int(sys.argv[2])):
        echo(str(number))
    echo("last")
"""


def test_what_a_killed_process_recorded_arrives_once_and_whole(start, ran, turns_api):
    """SIGKILL in the middle of the last turn: all that ended arrive, and it, as interrupted."""
    turns_api.be("status", status=503)
    producer = start(PRODUCER, turns_api.url, "300")
    assert producer.wait(timeout=240) == -signal.SIGKILL
    turns_api.be("ok")
    turns_api.reset()
    said = ran("drain", "--json", TURNSPAN_EXPORTERS=turns_api.url)
    again = ran("drain", "--to", turns_api.url)
    statuses = [line.count(b'"status":"interrupted"') for line in turns_api.state.stored.values()]

    assert said.json == {
        "exporters": {turns_api.url: {"delivered": 301, "refused": 0, "unsent": 0, "error": None}},
        "adopted": 1,
        "held": [],
    }
    assert (said.status, again.status) == (0, 0)
    assert again.out == f"{turns_api.url}: 0 turns delivered\n"
    assert (len(turns_api.ids), turns_api.state.duplicates, sum(statuses)) == (301, 0, 1)


def test_what_is_unsent_is_counted_and_stays(call, record, turns_api):
    """A destination that is down: exit status 3, the cause, and a second try that succeeds."""
    record([make_turn(n) for n in range(1, 4)], exporters=[turns_api.url])
    turns_api.be("status", status=503)
    failed = call("drain", "--to", turns_api.url, "--timeout", "0.3")
    turns_api.be("ok")
    done = call("drain", "--to", turns_api.url)

    assert failed.status == 3
    assert failed.out.startswith(f"{turns_api.url}: 0 turns delivered, 3 left unsent: ")
    assert "503" in failed.out
    assert (done.status, done.out) == (0, f"{turns_api.url}: 3 turns delivered\n")
    assert len(turns_api.ids) == 3


def test_what_a_running_process_holds_is_told_and_left_to_it(start, ran, turns_api):
    """It delivers that itself; but what is owed has not arrived, and the exit status says so."""
    turns_api.be("status", status=503)
    producer = start(
        """
        import sys, time
        import turnspan
        turnspan.configure(exporters=[sys.argv[1]])
        turnspan.agent(lambda text: text, name="echo")("hello")
        print("ready", flush=True)
        time.sleep(300)
        """,
        turns_api.url,
    )
    assert producer.stdout.readline() == "ready\n"
    turns_api.be("silent")
    said = ran("drain", "--to", turns_api.url)
    found = ran("drain", "--to", turns_api.url, "--json")

    assert producer.poll() is None
    assert (said.status, said.out) == (3, f"{turns_api.url}: 0 turns delivered\n")
    held = f"{turns_api.url}: 1 turn left with process {producer.pid}, which runs and delivers"
    assert held in said.err
    [told] = found.json["held"]
    assert f"-{producer.pid}-" in told.pop("owner")
    assert (found.status, told) == (3, {"exporter": turns_api.url, "state": "live", "turns": 1})


def test_what_nobody_can_judge_is_told_until_it_is_taken(call, record, turns_api):
    """Without its lock file a process may live: `--all-hosts` takes its turns all the same."""
    directory = record([make_turn(1), make_turn(2)], exporters=[turns_api.url])
    [owner] = directory.locked()
    directory.lock(owner).unlink()
    left = call("drain", "--to", turns_api.url)
    taken = call("drain", "--to", turns_api.url, "--all-hosts")

    assert (left.status, left.out) == (3, f"{turns_api.url}: 0 turns delivered\n")
    assert f"{turns_api.url}: 2 turns left with process {os.getpid()}, which has no" in left.err
    assert "--all-hosts takes them" in left.err
    assert (taken.status, taken.out) == (0, f"{turns_api.url}: 2 turns delivered\n")


def test_without_an_exporter_it_says_who_is_waiting(call, record):
    """The fix names an exporter that is owed turns."""
    record([make_turn(1)], exporters=["http://127.0.0.1:9"])
    said = call("drain")

    assert said.status == 2
    assert "turns are waiting for http://127.0.0.1:9" in said.err
    assert "--to http://127.0.0.1:9" in said.err


def test_an_exporter_that_only_holds_turns_in_memory_is_no_destination(call, record, monkeypatch):
    """They would be gone with this process."""
    record([make_turn(1)])
    monkeypatch.setenv("TURNSPAN_EXPORTERS", "memory:")

    assert call("drain").status == 2


def test_a_new_exporter_gets_what_was_before_it_only_when_asked(call, record, turns_api):
    """`--from-start` sends everything there is, without it a hint is all."""
    record([make_turn(1), make_turn(2)])
    hinted = call("drain", "--to", turns_api.url)
    asked = call("drain", "--to", turns_api.url, "--from-start")

    assert (hinted.status, hinted.out) == (0, f"{turns_api.url}: 0 turns delivered\n")
    assert "--from-start would send it everything" in hinted.err
    assert asked.out == f"{turns_api.url}: 2 turns delivered\n"
    assert len(turns_api.ids) == 2


def test_what_is_forgotten_is_never_sent(call, record, turns_api):
    """`--forget NAME` takes it all as delivered; an unknown name is a mistake."""
    record([make_turn(1)], exporters=[turns_api.url])
    unknown = call("drain", "--forget", "http://nobody.example")
    forgot = call("drain", "--forget", turns_api.url, "--json")
    drained = call("drain", "--to", turns_api.url)

    assert unknown.status == 2
    assert turns_api.url in unknown.err
    assert forgot.json == {"forgotten": 1}
    assert drained.out == f"{turns_api.url}: 0 turns delivered\n"


def test_refused_turns_are_no_reason_to_come_again(call, record, turns_api):
    """They are dead letters now, and nothing is left unsent."""
    record([make_turn(1), make_turn(2)], exporters=[turns_api.url])
    turns_api.be("refuse", ids=("turn_000000000002",))
    said = call("drain", "--to", turns_api.url)
    dead = call("dead", "list", "--json")

    assert said.status == 0
    assert said.out == (
        f"{turns_api.url}: 1 turn delivered, 1 refused (see `turnspan dead list`)\n"
    )
    assert [each["id"] for each in dead.lines] == ["turn_000000000002"]


def test_others_that_are_owed_turns_are_named(call, record, turns_api):
    """What this run was not asked to deliver is not forgotten either."""
    record([make_turn(1)], exporters=[turns_api.url, "http://127.0.0.1:9"])
    said = call("drain", "--to", turns_api.url)

    assert "turns are waiting for http://127.0.0.1:9 too" in said.err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_cleanly(number, program, record, turns_api):
    """While it waits for a destination that is down: counts, exit status 3, no traceback."""
    record([make_turn(1)], exporters=[turns_api.url])
    turns_api.be("status", status=503)
    with program("drain", "--to", turns_api.url) as process:
        deadline_s = time.monotonic() + 120
        while not turns_api.state.requests and time.monotonic() < deadline_s:
            time.sleep(0.01)
        process.send_signal(number)
        out, err = process.communicate(timeout=240)

    assert process.returncode == 3
    assert "1 left unsent" in out
    assert "Traceback" not in err


def test_following_takes_over_from_processes_that_end_later(program, record, turns_api):
    """`--follow` goes on until a signal comes."""
    record([make_turn(1)], exporters=[turns_api.url])
    with program("drain", "--to", turns_api.url, "--follow") as process:
        deadline_s = time.monotonic() + 120
        while not turns_api.ids and time.monotonic() < deadline_s:
            time.sleep(0.01)
        record([make_turn(2)], exporters=[turns_api.url])
        while len(turns_api.ids) < 2 and time.monotonic() < deadline_s:
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=240)

    assert turns_api.ids == ["turn_000000000001", "turn_000000000002"]
    assert (process.returncode, out) == (0, f"{turns_api.url}: 2 turns delivered\n")


def test_an_application_without_exporters_can_leave_delivery_to_another(
    program, start, turns_api, tmp_path
):
    """`--follow --from-start` carries what a running process records, while it runs."""
    producer = start(
        """
        import os, time
        import turnspan
        echo = turnspan.agent(lambda text: text)
        echo("first")
        print("ready", flush=True)
        while not os.path.exists("go"):
            time.sleep(0.02)
        echo("second")
        time.sleep(300)
        """
    )
    assert producer.stdout.readline() == "ready\n"
    with program("drain", "--to", turns_api.url, "--follow", "--from-start") as process:
        deadline_s = time.monotonic() + 120
        while not turns_api.ids and time.monotonic() < deadline_s:
            time.sleep(0.01)
        first = len(turns_api.ids)
        (tmp_path / "go").touch()
        while len(turns_api.ids) < 2 and time.monotonic() < deadline_s:
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=240)

    assert producer.poll() is None
    assert (first, len(turns_api.ids), turns_api.state.duplicates) == (1, 2, 0)
    assert (process.returncode, out) == (0, f"{turns_api.url}: 2 turns delivered\n")
