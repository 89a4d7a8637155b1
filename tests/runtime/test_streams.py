"""Streams at the end of a process, and in its children."""

import json
import time
from pathlib import Path

import pytest


def turns_of(directory: Path) -> list[dict]:
    lines = [
        json.loads(line)
        for path in sorted((directory / "journal").glob("*.ndjson"))
        for line in path.read_text("utf-8").splitlines()
    ]
    return [line for line in lines if line["record"] == "turn"]


def told(turn: dict) -> tuple:
    steps = [(s["name"], s["status"], s["output"]["content"]) for s in turn.get("steps", ())]
    return turn["agent"]["name"], turn["status"], turn["output"]["content"], steps


HEAD = """
    import asyncio, os, signal, sys, threading, time
    import turnspan

    @turnspan.model
    def words(text):
        yield from text.split()

    @turnspan.agent
    def tell(question):
        for word in words(question):
            yield word + " "

    @turnspan.agent
    async def tell_later(question):
        for word in question.split():
            yield word + " "

    turnspan.configure(directory="journal")
"""


def test_streams_that_are_open_at_exit_are_abandoned(run, tmp_path):
    """Globals that nobody closes, their steps included; the program ends as ever."""
    done = run(
        HEAD
        + """
    kept = tell("a b c")
    print(next(kept))
    """
    )

    assert (done.stdout, done.stderr) == ("a \n", "")
    assert [told(turn) for turn in turns_of(tmp_path / "journal")] == [
        ("tell", "abandoned", "a ", [("words", "abandoned", "a")])
    ]


def test_an_async_stream_that_is_open_at_exit_is_abandoned(run, tmp_path):
    """Its event loop was left without closing it, and the collector comes too late."""
    done = run(
        HEAD
        + """
    async def begin(stream):
        return await anext(stream)

    loop, kept = asyncio.new_event_loop(), tell_later("a b c")
    print(loop.run_until_complete(begin(kept)))
    loop.close()
    """
    )

    assert (done.stdout, done.stderr) == ("a \n", "")
    assert [told(turn)[:3] for turn in turns_of(tmp_path / "journal")] == [
        ("tell_later", "abandoned", "a ")
    ]


@pytest.mark.parametrize("how", ["sys.exit(3)", "raise SystemExit(3)", "1 / 0"])
def test_a_process_that_ends_inside_a_stream_s_consumer_records_it(start, tmp_path, how):
    """The exit status is the program's own."""
    process = start(
        HEAD
        + f"""
    for word in tell("a b c"):
        {how}
    """
    )
    process.communicate(timeout=60)

    assert process.returncode == (1 if how == "1 / 0" else 3)
    assert [told(turn)[:3] for turn in turns_of(tmp_path / "journal")] == [
        ("tell", "abandoned", "a ")
    ]


def test_a_stream_that_is_killed_is_interrupted(start, run, tmp_path):
    """Whoever starts next finds its beginning in the journal."""
    process = start(
        HEAD
        + """
    kept = tell("a b c")
    print(next(kept), flush=True)
    time.sleep(60)
    """,
        TURNSPAN_EXPORTERS="file:out.jsonl",
    )
    assert process.stdout.readline() == "a \n"
    process.kill()
    process.wait(10)
    run(
        """
    import turnspan

    turnspan.configure(directory="journal", exporters=["file:out.jsonl"])
    turnspan.flush()
    """
    )
    found = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]

    assert [(turn["status"], turn["input"]["content"]) for turn in found] == [
        ("interrupted", "a b c")
    ]


def test_a_stream_that_is_open_at_a_fork_stays_the_parent_s(run, tmp_path):
    """The child reads its copy on, and what it calls is recorded as its own."""
    done = run(
        HEAD
        + """
    import warnings

    warnings.simplefilter("ignore", DeprecationWarning)

    @turnspan.agent
    def asks(question):
        yield "first "
        list(tell("from the stream"))
        yield "second "

    kept = asks("q")
    next(kept)
    pid = os.fork()
    if pid == 0:
        print(list(kept), bool(turnspan.current_turn()), flush=True)
        list(tell("child"))
        turnspan.close()
        os._exit(0)
    assert os.waitpid(pid, 0)[1] == 0
    print(list(kept))
    """
    )
    found = sorted(told(turn)[:3] for turn in turns_of(tmp_path / "journal"))

    assert done.stdout == "['second '] False\n['second ']\n"
    assert found == [
        ("asks", "ok", "first second "),
        ("tell", "ok", "child "),
        ("tell", "ok", "from the stream "),
    ]


def test_a_fork_inside_a_stream_leaves_no_turn_current_in_the_child(run, tmp_path):
    """Neither inside the stream nor after it."""
    done = run(
        HEAD
        + """
    import warnings
    from opentelemetry import trace

    warnings.simplefilter("ignore", DeprecationWarning)

    @turnspan.agent
    def forks(question):
        pid = os.fork()
        yield pid
        yield bool(turnspan.current_turn())

    kept = forks("q")
    pid = next(kept)
    if pid == 0:
        after = bool(turnspan.current_turn())
        span = trace.get_current_span().get_span_context().is_valid
        print(next(kept), after, span, flush=True)
        os._exit(0)
    assert os.waitpid(pid, 0)[1] == 0
    print(next(kept), bool(turnspan.current_turn()))
    """
    )

    assert done.stdout == "False False False\nTrue False\n"


def test_streams_of_event_loops_in_several_threads_are_a_turn_each(run, tmp_path):
    """None knows of the others."""
    run(
        HEAD
        + """
    async def read(name):
        async def one(part):
            return "".join([word async for word in tell_later(f"{name} {part}")])

        return await asyncio.gather(*(one(part) for part in range(5)))

    threads = [threading.Thread(target=lambda n=n: asyncio.run(read(n))) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    """
    )
    found = sorted(turn["output"]["content"] for turn in turns_of(tmp_path / "journal"))

    assert found == sorted(f"{name} {part} " for name in range(4) for part in range(5))


def test_a_stream_ends_quickly_at_exit_though_a_thread_is_reading_it(run, tmp_path):
    """A daemon thread is stopped where it stands; what it read is recorded."""
    done = run(
        HEAD
        + """
    @turnspan.agent
    def endless(question):
        while True:
            yield "x"
            time.sleep(0.001)

    def read():
        for chunk in endless("q"):
            read_so_far.append(chunk)

    read_so_far = []
    threading.Thread(target=read, daemon=True).start()
    while len(read_so_far) < 2:
        time.sleep(0.01)
    print(time.monotonic())
    """
    )
    (turn,) = turns_of(tmp_path / "journal")

    assert time.monotonic() - float(done.stdout) < 15.0  # it would read on for ever
    assert turn["status"] == "abandoned"
    assert turn["chunks"] == len(turn["output"]["content"]) > 1


def test_a_stream_that_was_called_before_a_fork_is_a_turn_of_the_child(run, tmp_path):
    """It began there; the turn it was called in is the parent's."""
    done = run(
        HEAD
        + """
    import warnings

    warnings.simplefilter("ignore", DeprecationWarning)

    @turnspan.agent
    def outer(question):
        made = tell("called before")
        pid = os.fork()
        if pid == 0:
            print(list(made), flush=True)
            turnspan.close()
            os._exit(0)
        assert os.waitpid(pid, 0)[1] == 0
        return question

    outer("q")
    """
    )
    found = sorted(told(turn)[:3] for turn in turns_of(tmp_path / "journal"))

    assert done.stdout == "['called ', 'before ']\n"
    assert found == [("outer", "ok", "q"), ("tell", "ok", "called before ")]
