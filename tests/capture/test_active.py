"""The first captured call configures recording; nothing about that reaches the caller."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
import threading
from pathlib import Path
from typing import Any

import pytest
from capture_tape import Tape

import turnspan
from turnspan.capture.active import Active
from turnspan.exporters.memory import MemoryExporter
from turnspan.schema.wire import decode_record

PROGRAM = """
import json, sys
import turnspan

@turnspan.tool
def look_up(key):
    return {{"found": key}}

@turnspan.agent
def answer(question):
    return look_up(question)["found"]

{body}
"""


def run(tmp_path: Path, body: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run ``body`` in a process of its own that keeps its journal in ``tmp_path``."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("TURNSPAN_")}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(body=textwrap.dedent(body))],
        cwd=tmp_path,
        env={**kept, "TURNSPAN_DIR": str(tmp_path / "spool"), **environ},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done


def journalled(tmp_path: Path) -> list[dict[str, Any]]:
    """Every record of turns in the journal, oldest first."""
    files = sorted((tmp_path / "spool").glob("journal/*.ndjson"), key=lambda f: f.stat().st_mtime)
    lines = [line for file in files for line in file.read_bytes().splitlines()]
    return [record for line in lines if (record := decode_record(line))["record"] != "segment"]


def test_the_first_call_configures_from_the_environment(tmp_path):
    """Without a line of set-up the turn is on disk."""
    done = run(tmp_path, "print(answer('why'), turnspan.health().problem)")
    opened, turn = journalled(tmp_path)

    assert done.stdout == "why None\n"
    assert (opened["record"], turn["record"], turn["status"]) == ("open", "turn", "ok")
    assert turn["output"]["content"] == "why"
    assert [step["name"] for step in turn["steps"]] == ["look_up"]


@pytest.mark.parametrize(
    "variable, value",
    [("TURNSPAN_EXPORTERS", "nope://x"), ("TURNSPAN_MAX_TURN_BYTES", "plenty")],
)
def test_an_unreadable_environment_never_reaches_the_first_call(tmp_path, variable, value):
    """Recording stays off, one error is logged, and `health()` says why."""
    done = run(
        tmp_path,
        """
        for _ in range(3):
            assert answer("why") == "why"
        print(turnspan.health().problem.splitlines()[0])
        """,
        **{variable: value},
    )

    assert value.partition(":")[0] in done.stdout
    assert done.stderr.count("turnspan records nothing") == 1
    assert journalled(tmp_path) == []


def test_disabled_every_decorator_is_a_plain_call(tmp_path):
    """Nothing is written, not even a directory; handles are false."""
    done = run(
        tmp_path,
        """
        @turnspan.agent
        def peek():
            return bool(turnspan.current_turn())

        with turnspan.session("s"), turnspan.turn() as turn:
            print(answer("why"), peek(), bool(turn), turnspan.health().recorded)
        turnspan.feedback("turn_1", rating="good")
        """,
        TURNSPAN_DISABLED="true",
    )

    assert done.stdout == "why False False 0\n"
    assert list(tmp_path.iterdir()) == []


def test_content_can_be_switched_off_by_the_environment(tmp_path):
    """No byte of it is in any file."""
    run(tmp_path, "answer('hunter2')", TURNSPAN_CONTENT="false")
    files = [file for file in (tmp_path / "spool").rglob("*") if file.is_file()]

    assert [record["record"] for record in journalled(tmp_path)] == ["open", "turn"]
    assert not any(b"hunter2" in file.read_bytes() for file in files)


def test_after_close_nothing_is_recorded_and_everything_runs(tmp_path):
    """Recording was switched off on purpose, and no call switches it on again."""
    done = run(tmp_path, "answer('a'); turnspan.close(); print(answer('b'))")

    assert done.stdout == "b\n"
    assert len(journalled(tmp_path)) == 2


def test_a_turn_open_at_a_fork_is_the_parents(tmp_path):
    """In the child there is no current turn, and an agent called there is a turn of its own."""
    done = run(
        tmp_path,
        """
        import os

        @turnspan.agent
        def forks(question):
            look_up("before")
            child = os.fork()
            if child == 0:
                assert not turnspan.current_turn()
                look_up("lost in the child")
                answer("child")
            else:
                os.waitpid(child, 0)
                look_up("after")
            return child

        if forks("parent") == 0:
            answer("still the child")
            turnspan.close()
            os._exit(0)
        """,
        PYTHONWARNINGS="ignore:This process:DeprecationWarning",  # 3.12: it has our threads
    )
    turns = {r["input"]["content"]: r for r in journalled(tmp_path) if r["record"] == "turn"}
    parent, child = turns["parent"], turns["child"]

    assert done.stderr == ""
    assert sorted(turns) == ["child", "parent", "still the child"]
    assert [json.loads(s["input"]["content"])["key"] for s in parent["steps"]] == [
        "before", "after",
    ]  # fmt: skip
    assert child["trace"]["trace_id"] == parent["trace"]["trace_id"]
    assert child["trace"]["parent_span_id"] == parent["trace"]["span_id"]
    assert child["id"] != parent["id"]
    assert "parent_span_id" not in turns["still the child"]["trace"]


def test_threads_that_come_while_one_configures_are_recorded_too():
    """They wait for it, for nothing is lost."""
    active, tape = Active(), Tape()
    entered, finish = threading.Event(), threading.Event()

    def configure():
        entered.set()
        finish.wait(10)
        active.use(tape.recorder)

    active.on_first_use(configure)
    found = []
    threads = [threading.Thread(target=lambda: found.append(active.awaken())) for _ in range(4)]
    for thread in threads:
        thread.start()
    entered.wait(10)
    finish.set()
    for thread in threads:
        thread.join(10)

    assert found == [tape.recorder] * 4


def test_configuring_while_a_first_call_configures_does_not_block():
    """Whoever configures may hold what the first call waits for."""
    active, tape = Active(), Tape()
    lock, entered = threading.Lock(), threading.Event()

    def configure():
        entered.set()
        with lock:
            pass

    active.on_first_use(configure)
    with lock:
        first = threading.Thread(target=active.awaken, daemon=True)
        first.start()
        entered.wait(10)
        active.use(tape.recorder)
    first.join(10)

    assert not first.is_alive()
    assert active.awaken() is tape.recorder


def test_a_decorated_function_inside_configure_is_no_loop():
    """It runs unrecorded."""
    active, tape = Active(), Tape()
    inside = []

    def configure():
        inside.append(active.awaken())
        active.use(tape.recorder)

    active.on_first_use(configure)

    assert active.awaken() is tape.recorder
    assert inside == [None]


def test_a_configuration_that_fails_is_tried_once(caplog):
    """The error is logged, and never raised."""
    active, tried = Active(), []

    def configure():
        tried.append(1)
        raise ValueError("no such exporter")

    active.on_first_use(configure)

    assert [active.awaken(), active.awaken()] == [None, None]
    assert tried == [1]
    assert "turnspan records nothing: no such exporter" in caplog.text


@pytest.mark.parametrize("strike", [KeyboardInterrupt, TimeoutError])
def test_a_configuration_that_is_interrupted_is_tried_again(tape, strike):
    """The interrupt is the caller's, and recording isn't off for good because of it."""
    strikes = [strike]

    def handle(number, frame):
        raise strikes.pop()

    def configure():
        if strikes:
            signal.raise_signal(signal.SIGUSR1)
        waking.use(tape.recorder)

    waking = Active()
    waking.on_first_use(configure)
    before = signal.signal(signal.SIGUSR1, handle)
    try:
        with pytest.raises(strike):
            waking.awaken()
    finally:
        signal.signal(signal.SIGUSR1, before)

    assert waking.awaken() is tape.recorder


def test_a_child_forked_while_another_thread_configures_can_configure():
    """That thread is not there any more, nor will it ever let go of its lock."""
    active, tape = Active(), Tape()
    entered, finish = threading.Event(), threading.Event()

    def configure():
        entered.set()
        finish.wait(10)

    active.on_first_use(configure)
    thread = threading.Thread(target=active.awaken)
    thread.start()
    entered.wait(10)
    active.start_over()
    active.on_first_use(lambda: active.use(tape.recorder))

    assert active.awaken() is tape.recorder
    finish.set()
    thread.join(10)


def test_turns_reach_an_exporter_as_they_end(tmp_path, record):
    """With the whole runtime in between, in the caller's thread."""
    record()  # puts back what was in force, at the end
    memory = MemoryExporter()
    runtime = turnspan.configure(exporters=[memory], directory=tmp_path / "spool")

    @turnspan.agent
    def answer(question):
        return question.upper()

    with turnspan.session("s"):
        answer("why")
        seen = list(memory.turns)
        answer("how")
    health = runtime.health()
    turnspan.close()

    assert [turn.output.content for turn in seen] == ["WHY"]
    assert [(turn.number, turn.output.content) for turn in memory.turns] == [(1, "WHY"), (2, "HOW")]
    assert health.recorded == 2
