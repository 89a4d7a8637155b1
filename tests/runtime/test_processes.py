"""Forks, pools and neighbours: every process records, and every turn is delivered once."""

import json

import pytest

PATIENT = {"TURNSPAN_EXIT_S": "60"}  # for exits that only a busy machine makes long

FORK = """
    import os, sys, warnings
    import turnspan

    warnings.simplefilter("ignore", DeprecationWarning)  # newer Pythons warn of forks with threads

    @turnspan.agent
    def ask(question):
        return question

    @turnspan.agent
    def parent(question):
        pid = os.fork()
        if pid == 0:
            found = turnspan.current_turn().id
            ask(f"child, in {found or 'no turn'}")
            os._exit(0 if turnspan.flush(60.0) else 1)
        assert os.waitpid(pid, 0)[1] == 0
        return question

    turnspan.configure(exporters=[sys.argv[1]], directory="journal")
    ask("before")
    parent("parent")
    ask("after")
"""

POOL = """
    import multiprocessing, os, sys
    from concurrent.futures import ProcessPoolExecutor
    import turnspan

    @turnspan.agent
    def ask(question):
        return f"{question} by {os.getpid()}"

    if __name__ == "__main__":
        context = multiprocessing.get_context(sys.argv[1])
        with ProcessPoolExecutor(2, mp_context=context) as pool:
            answers = list(pool.map(ask, ["a", "b", "c", "d"]))
        print(len(answers), ask("parent").split()[0])
"""

NEIGHBOUR = """
    import sys
    import turnspan

    @turnspan.agent
    def ask(question):
        return question

    turnspan.configure(exporters=[sys.argv[1]], directory="journal")
    for number in range(100):
        ask(f"{sys.argv[2]} {number}")
"""


def stored(server):
    """What arrived, by the input of each turn."""
    turns = [json.loads(line) for line in server.state.stored.values()]
    return {turn["input"]["content"]: turn for turn in turns}


def test_a_forked_child_records_beside_its_parent(run, turns_api):
    """Both deliver; the open turn stays the parent's, and the child's hangs on its span."""
    done = run(FORK, turns_api.url, **PATIENT)
    turns = stored(turns_api)
    parent, child = turns["parent"], turns["child, in no turn"]

    assert done.stderr == ""
    assert turns.keys() == {"before", "parent", "after", "child, in no turn"}
    assert {turn["status"] for turn in turns.values()} == {"ok"}
    assert turns_api.state.duplicates == 0
    assert child["trace"]["trace_id"] == parent["trace"]["trace_id"]
    assert child["trace"]["parent_span_id"] == parent["trace"]["span_id"]
    assert len({turn["trace"]["span_id"] for turn in turns.values()}) == 4


def test_children_of_one_parent_draw_different_ids(run, tmp_path):
    """None of them goes on where the parent's generator stood."""
    program = """
    import os, warnings
    import turnspan

    warnings.simplefilter("ignore", DeprecationWarning)
    turnspan.configure(exporters=["file:turns.jsonl"])
    with turnspan.turn(agent="parent"):
        pass
    turnspan.flush(60.0)
    for _ in range(4):
        if (pid := os.fork()) == 0:
            for _ in range(5):
                with turnspan.turn(agent="child"):
                    pass
            os._exit(0 if turnspan.flush(60.0) else 1)
        assert os.waitpid(pid, 0)[1] == 0
    """
    run(program)
    turns = [json.loads(line) for line in (tmp_path / "turns.jsonl").read_text().splitlines()]

    assert len(turns) == 21
    assert len({turn["id"] for turn in turns}) == 21
    assert len({turn["trace"]["trace_id"] for turn in turns}) == 21


@pytest.mark.parametrize("method", ["spawn", "fork"])
def test_each_worker_of_a_pool_records(run, tmp_path, method):
    """Workers configure themselves from the environment; what they leave is adopted."""
    env = PATIENT | {
        "TURNSPAN_EXPORTERS": "file:turns.jsonl",
        "TURNSPAN_DIR": str(tmp_path / "journal"),
    }
    done = run(POOL, method, **env)
    turns = [json.loads(line) for line in (tmp_path / "turns.jsonl").read_text().splitlines()]

    assert done.stdout == "4 parent\n"
    assert sorted(turn["input"]["content"] for turn in turns) == ["a", "b", "c", "d", "parent"]


def test_two_processes_share_a_directory(start, turns_api):
    """Neither delivers the other's turns while it lives, and none is lost or doubled."""
    processes = [start(NEIGHBOUR, turns_api.url, name, **PATIENT) for name in ("left", "right")]
    ends = [process.communicate(timeout=240)[1] for process in processes]

    assert ends == ["", ""]
    assert stored(turns_api).keys() == {
        f"{name} {number}" for name in ("left", "right") for number in range(100)
    }
    assert turns_api.state.duplicates == 0


def test_a_child_forked_without_a_directory_records_while_its_parent_goes_on(run, turns_api):
    """Whatever lock a thread of the parent held at the fork, and with memory of its own."""
    program = """
    import os, signal, sys, threading, warnings
    import turnspan

    warnings.simplefilter("ignore", DeprecationWarning)
    turnspan.configure(exporters=[sys.argv[1]], directory=None, ring_bytes=50_000)
    over = threading.Event()

    def record():
        while not over.is_set():
            with turnspan.session("s"), turnspan.turn(agent="parent"):
                pass

    with turnspan.session("s"), turnspan.turn(agent="parent"):
        pass
    turnspan.flush(60.0)
    for _ in range(10):
        over.clear()
        thread = threading.Thread(target=record)
        thread.start()
        if (pid := os.fork()) == 0:
            signal.alarm(120)
            for _ in range(50):
                with turnspan.session(str(os.getpid())), turnspan.turn(agent="child"):
                    pass
                turnspan.flush(60.0)
            os._exit(len(turnspan.health().dropped))
        over.set()
        thread.join()
        assert os.waitpid(pid, 0)[1] == 0
        turnspan.flush(60.0)
    """
    run(program, turns_api.url)
    agents = [json.loads(line)["agent"]["name"] for line in turns_api.state.stored.values()]

    assert agents.count("child") == 500


def test_a_forked_child_adopts_for_itself(run, turns_api):
    """What it takes over goes through its own threads: the parent's are not woken in it."""
    program = """
    import os, subprocess, sys, time, warnings
    import turnspan

    warnings.simplefilter("ignore", DeprecationWarning)

    @turnspan.agent
    def ask(question):
        return question

    turnspan.configure(exporters=[sys.argv[1]], directory="journal", batch_delay_s=60.0)
    if sys.argv[2:]:
        ask("left behind")
        os._exit(0)
    subprocess.run([sys.executable, __file__, sys.argv[1], "die"], check=True)
    turnspan.configure(exporters=[sys.argv[1]], directory="journal", batch_delay_s=60.0)
    turnspan.flush(60.0)
    pid = os.fork()
    if pid == 0:
        subprocess.run([sys.executable, __file__, sys.argv[1], "die"], check=True)
        for number in range(200):
            ask(f"child {number}")
        time.sleep(0.5)
        os._exit(0 if turnspan.flush(60.0) else 1)
    assert os.waitpid(pid, 0)[1] == 0
    """
    done = run(program, turns_api.url, **PATIENT)
    inputs = [turn["input"]["content"] for turn in map(json.loads, turns_api.state.stored.values())]

    assert done.stderr == ""
    assert sorted(inputs) == sorted([*(f"child {n}" for n in range(200)), *["left behind"] * 2])
    assert turns_api.state.duplicates == 0
