"""Processes that fork, spawn, detach and come back: each records, nothing comes twice."""

import fcntl
import json

import pytest

LONGEST_S = 240

FORK = """
    import os, sys, warnings
    from producer import ask, question
    import turnspan

    warnings.simplefilter("ignore", DeprecationWarning)  # newer Pythons warn of forks with threads
    turnspan.configure(exporters=sys.argv[1:], directory="turns")
    ask(question(0))
    with turnspan.turn(agent="parent", input="forks"):
        children = []
        for number in (1, 2):
            pid = os.fork()
            if not pid:
                ask(question(number))
                os._exit(0)
            children.append(pid)
        for pid in children:
            assert os.waitpid(pid, 0)[1] == 0
    ask(question(3))
"""

POOL = """
    import multiprocessing, sys, warnings
    from producer import ask, question
    import turnspan

    warnings.simplefilter("ignore", DeprecationWarning)

    def work(number):
        turnspan.configure(exporters=sys.argv[2:], directory="turns")
        for each in range(number, number + 10):
            ask(question(each))

    if __name__ == "__main__":
        context = multiprocessing.get_context(sys.argv[1])
        turnspan.configure(exporters=sys.argv[2:], directory="turns")
        with turnspan.turn(agent="parent", input="starts processes"):
            ask(question(0))
            several = [context.Process(target=work, args=(n * 10,)) for n in (1, 2, 3)]
            for each in several:
                each.start()
            for each in several:
                each.join()
        assert [each.exitcode for each in several] == [0, 0, 0]
"""

PREFORK = """
    import os, signal, sys, time, warnings
    from producer import ask, question
    import turnspan

    warnings.simplefilter("ignore", DeprecationWarning)
    TURNS, WORKERS = 40, 3

    def work(slot):
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
        for number in range(slot * 1000, slot * 1000 + TURNS):
            ask(question(number))
        os.mkdir(f"ready{slot}")
        while True:  # a signal that comes just before one long sleep would not end it
            time.sleep(0.05)

    def fork(slot):
        pid = os.fork()
        if not pid:
            try:
                work(slot)
            finally:
                os._exit(0) if sys.exc_info()[0] is not SystemExit else None
        return pid

    def ready(slot):
        while not os.path.exists(f"ready{slot}"):
            time.sleep(0.01)

    turnspan.configure(exporters=sys.argv[1:], directory="turns")
    ask(question(0))
    workers = [fork(slot) for slot in range(1, WORKERS + 1)]
    for slot in range(1, WORKERS + 1):
        ready(slot)
    os.kill(workers[0], signal.SIGKILL)
    os.waitpid(workers[0], 0)
    workers[0] = fork(WORKERS + 1)
    ready(WORKERS + 1)
    for pid in workers:
        os.kill(pid, signal.SIGTERM)
    for pid in workers:
        assert os.waitpid(pid, 0)[1] == 0
    ask(question(1))
"""

DAEMON = """
    import fcntl, os, sys, time, warnings
    from producer import ask, question
    import turnspan

    warnings.simplefilter("ignore", DeprecationWarning)

    def detach():
        if os.fork():
            os._exit(0)
        os.setsid()
        if os.fork():
            os._exit(0)
        os.chdir("/")
        os.closerange(0, 65536)
        for _ in range(3):
            os.open(os.devnull, os.O_RDWR)

    here = os.getcwd()
    turnspan.configure(exporters=sys.argv[2:], directory="turns")
    if sys.argv[1] == "early":
        detach()
    ask(question(0))
    if sys.argv[1] == "between":
        detach()
    if sys.argv[1] == "closes":
        os.closerange(3, 65536)
    alive = os.open(f"{here}/alive", os.O_CREAT | os.O_RDWR)
    fcntl.flock(alive, fcntl.LOCK_EX)
    others = [open(f"{here}/other{number}", "w") for number in range(20)]
    for number in range(1, 50):
        ask(question(number))
    turnspan.flush(60)
    for number in range(50, 60):
        ask(question(number))
    [other.close() for other in others]
    os.mkdir(f"{here}/over")
    os.kill(os.getpid(), 9) if sys.argv[1] != "closes" else None
"""


STORM = """
    import os, sys, threading, time, warnings
    from producer import ask, question
    import turnspan

    warnings.simplefilter("ignore", DeprecationWarning)
    turnspan.configure(exporters=sys.argv[1:], directory="turns", batch_delay_s=0.001)
    for number in range(40):
        ask(question(number))
        pid = os.fork()
        if not pid:
            ask(question(1000 + number))
            os._exit(0 if turnspan.flush(60) else 1)
        ask(question(2000 + number))
        assert os.waitpid(pid, 0)[1] == 0, number
        time.sleep(0.003 * (number % 5))
"""


def inputs(server):
    """What arrived besides the producer's turns, by input and status."""
    turns = [json.loads(line) for line in server.state.stored.values()]
    return sorted(
        (turn["input"]["content"], turn["status"])
        for turn in turns
        if not turn["input"]["content"].startswith("Q")
    )


def test_a_fork_in_the_middle_of_a_turn(ended, both, start_again):
    """Parent and children record; the open turn is the parent's alone and arrives once."""
    status, _, err = ended(FORK, *both.to)
    start_again(both.to)

    assert (status, err) == (0, "")
    assert both.whole == [[0, 1, 2, 3]] * 2
    assert inputs(both.http) == [("forks", "ok")]
    assert len(both.http.ids) == 5
    assert len(both.otlp.ids) == 9


def test_a_fork_at_any_moment_of_the_delivery(ended, both):
    """From the first import on: each child delivers what it recorded, and only that."""
    status, _, err = ended(STORM, *both.to)

    assert (status, err) == (0, "")
    assert both.whole == [[first + n for first in (0, 1000, 2000) for n in range(40)]] * 2
    assert both.duplicates == [0, 0]
    assert both.resent == [0, 0]


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_multiprocessing_in_the_middle_of_a_turn(ended, both, start_again, method):
    """Whichever way a process is started."""
    status, _, err = ended(POOL, method, *both.to)
    start_again(both.to)

    assert (status, err) == (0, "")
    assert both.whole == [[0, *range(10, 40)]] * 2
    assert inputs(both.http) == [("starts processes", "ok")]
    assert len(both.http.ids) == 31


def test_a_prefork_server_that_loses_a_worker(ended, both, start_again):
    """The master configures, workers record, one is killed and another takes its place."""
    status, _, err = ended(PREFORK, *both.to)
    start_again(both.to)
    wanted = [0, 1, *(slot * 1000 + n for slot in (1, 2, 3, 4) for n in range(40))]

    assert (status, err) == (0, "")
    assert both.whole == [wanted] * 2
    assert both.duplicates == [0, 0]


@pytest.mark.parametrize("when", ["early", "between", "closes"])
def test_a_program_that_closes_every_descriptor(
    program, both, start_again, tmp_path, wait_for, when
):
    """A daemoniser before and after the first turn, and a program that tidies up."""
    process = program(DAEMON, when, *both.to)
    process.communicate(timeout=LONGEST_S)
    wait_for((tmp_path / "over").exists)
    with open(tmp_path / "alive", "rb") as alive:
        fcntl.flock(alive, fcntl.LOCK_EX)  # had when the daemon is gone
    start_again(both.to)

    assert both.whole == [list(range(60))] * 2
    assert both.duplicates == [0, 0]
    assert [path.read_text() for path in tmp_path.glob("other*")] == [""] * 20


def test_two_programs_share_a_directory(both, produce, at_once, tmp_path):
    """Side by side, four at a time, one killed: each turn arrives once."""

    def one(number):
        end = "kill" if number == 2 else "exit"
        return produce(both.to, first=number * 1000, turns=200, rate=400, end=end).status

    statuses = at_once(one, range(4))
    produce(both.to, turns=0, end="flush")

    assert statuses == [0, 0, -9, 0]
    assert both.whole == [[first * 1000 + n for first in range(4) for n in range(200)]] * 2
    assert both.duplicates == [0, 0]
