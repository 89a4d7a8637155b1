"""With the integration for threads, threads and pools know their turn by themselves."""

from __future__ import annotations

import asyncio
import contextvars
import multiprocessing.pool
import sys
import threading
import weakref
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from opentelemetry import trace

import turnspan
from turnspan.capture.context import current_draft, current_session
from turnspan.exporters.memory import MemoryExporter
from turnspan.integrations import threads


@turnspan.tool
def look_up(key):
    return key


@turnspan.agent
def ask(question="?"):
    return question


@pytest.fixture
def memory(unconfigured):
    kept = MemoryExporter()
    turnspan.configure(exporters=[kept], directory=None, spans="own")
    return kept


@pytest.fixture
def installed():
    before = threading.Thread.start, ThreadPoolExecutor.submit
    with threads.install() as patched:
        yield patched
    assert (threading.Thread.start, ThreadPoolExecutor.submit) == before


def in_thread(do, make=threading.Thread, **more):
    thread = make(target=do, **more)
    thread.start()
    thread.join()
    return thread


def test_a_thread_started_in_a_turn_records_into_it(memory, installed):
    """Threads of a class of one's own too, and threads of threads."""

    class Own(threading.Thread):
        def run(self):
            look_up("own")
            in_thread(lambda: look_up("deeper"))

    @turnspan.agent
    def work():
        in_thread(look_up, args=("plain",))
        own = Own()
        own.start()
        own.join()
        return own

    own = work()
    (turn,) = memory.turns

    assert [step.input.content for step in turn.steps] == [
        '{"key":"plain"}', '{"key":"own"}', '{"key":"deeper"}',
    ]  # fmt: skip
    assert "run" not in vars(own)


def test_a_pool_records_into_the_turn_that_submits(memory, installed):
    """Whichever turn its threads were started in."""
    with ThreadPoolExecutor(1) as pool:

        @turnspan.agent
        def work(name):
            return list(pool.map(look_up, [name, name]))

        with turnspan.session("s"):
            work("a")
        work("b")
        outside = pool.submit(lambda: (bool(turnspan.current_turn()), current_session.get()))
        look = pool.submit(look_up, "nowhere")
        found, _ = outside.result(), look.result()

    assert [{step.input.content for step in turn.steps} for turn in memory.turns] == [
        {'{"key":"a"}'}, {'{"key":"b"}'},
    ]  # fmt: skip
    assert found == (False, None)


def test_a_session_goes_along_without_a_turn(memory, installed):
    """An agent called in the thread is a turn of that session."""
    with turnspan.session("s"), ThreadPoolExecutor(1) as pool:
        in_thread(ask)
        pool.submit(ask).result()
    in_thread(ask)

    assert [turn.session_id for turn in memory.turns] == ["s", "s", None]


def test_the_trace_goes_along_and_other_variables_do_not(memory, installed):
    """They are as empty in a new thread as Python makes them."""
    own = contextvars.ContextVar("own", default="unset")
    seen = []

    def look():
        seen.append((own.get(), trace.get_current_span().get_span_context().span_id))

    @turnspan.agent
    def work():
        own.set("set")
        in_thread(look)
        with ThreadPoolExecutor(1) as pool:
            pool.submit(look).result()

    work()
    root = int(memory.turns[0].trace.span_id, 16)

    assert seen == [("unset", root)] * 2


def test_an_event_loop_s_executor_and_threads_work_as_ever(memory, installed):
    """`run_in_executor` knows its turn, `to_thread` knew it already."""

    @turnspan.agent
    async def work():
        loop = asyncio.get_running_loop()
        return [
            await loop.run_in_executor(None, look_up, "executor"),
            await asyncio.to_thread(look_up, "to_thread"),
        ]

    assert asyncio.run(work()) == ["executor", "to_thread"]
    assert [step.output.content for step in memory.turns[0].steps] == ["executor", "to_thread"]


def test_results_errors_and_arguments_are_as_without_it(memory, installed):
    """So are mistakes in how a thread or a call is begun."""
    error = KeyError("mine")

    def fails(*args, **named):
        raise error

    with turnspan.session("s"), ThreadPoolExecutor(1) as pool:
        found = pool.submit(lambda *args, **named: (args, named), 1, fn=2, self=3).result()
        failed = pool.submit(fails).exception()
        with pytest.raises(TypeError):
            pool.submit()
        thread = in_thread(lambda: None)
        with pytest.raises(RuntimeError, match="once"):
            thread.start()
    with turnspan.session("s"), pytest.raises(RuntimeError, match="shutdown"):
        pool.submit(fails)

    assert found == ((1,), {"fn": 2, "self": 3})
    assert failed is error
    assert "run" not in vars(thread)


def test_a_run_of_one_s_own_on_a_thread_is_kept(memory, installed):
    """One that was put on the object itself."""
    ran = []
    thread = threading.Thread()
    thread.run = mine = lambda: ran.append(True)
    with turnspan.session("s"):
        thread.start()
        thread.join()

    assert ran == [True]
    assert vars(thread)["run"] is mine


def test_a_thread_that_ran_is_gone_without_the_collector(memory, installed):
    """Nothing that went along keeps it."""
    with turnspan.session("s"):
        gone = weakref.ref(in_thread(lambda: None))

    assert gone() is None


def test_helpers_that_serve_everybody_take_nothing_along(memory, installed):
    """A pool of `multiprocessing` begun in a session has none."""
    with turnspan.session("s"), multiprocessing.pool.ThreadPool(1) as pool:
        found = pool.apply(current_session.get)

    assert found is None


def test_a_turn_that_has_ended_is_not_taken_along(memory, installed):
    """What is called in the thread is a turn of its own."""
    with turnspan.turn() as turn:
        here = contextvars.copy_context()
    here.run(in_thread, ask)

    assert not turn
    assert [turn.agent.name for turn in memory.turns] == ["agent", "ask"]


def test_without_a_turn_nothing_is_put_around_anything(memory, installed):
    """A thread runs its own `run`, a pool calls what it is given."""
    callers = []

    def look():
        callers.append(sys._getframe(1).f_code.co_filename)

    with ThreadPoolExecutor(1) as pool:
        pool.submit(look).result()
    in_thread(look)

    assert [Path(name).name for name in callers] == ["thread.py", "threading.py"]


def test_install_is_idempotent_and_each_undo_is_its_own(unconfigured):
    """The second one changes nothing, and neither does taking it back."""
    plain = threading.Thread.start
    first, second = threads.install(), threads.install()
    patched = threading.Thread.start
    second.undo()
    still = threading.Thread.start
    first.undo()
    first.undo()
    threads.uninstall()

    assert patched is still is not plain
    assert threading.Thread.start is plain


def test_what_is_patched_again_is_left_alone_and_said(unconfigured, caplog):
    """By whoever came after us."""
    plain = threading.Thread.start
    threads.install()
    ours = threading.Thread.start

    def theirs(self):
        return ours(self)

    threading.Thread.start = theirs
    try:
        threads.uninstall()
        kept = threading.Thread.start
        with turnspan.session("s"):
            found = []
            in_thread(lambda: found.append(current_session.get()))
    finally:
        threading.Thread.start = plain

    assert kept is theirs
    assert found == [None]
    assert "threading.Thread.start was patched again" in caplog.text


def test_the_context_is_clean_after_a_submit_that_fails(memory, installed):
    """What the pool was asked in has its turn and session as before."""

    @turnspan.agent
    def work():
        pool = ThreadPoolExecutor(1)
        pool.shutdown()
        with pytest.raises(RuntimeError):
            pool.submit(look_up, "x")
        return look_up("y")

    assert work() == "y"
    assert current_draft.get() is None
    assert len(memory.turns[0].steps) == 1


def test_the_threads_that_deliver_know_no_turn(unconfigured, installed, turns_api):
    """They are started by the first turn, and serve all."""
    turnspan.configure(exporters=[turns_api.url], directory=None)
    with turnspan.session("s"):
        ask()
    thread = next(t for t in threading.enumerate() if t.name.startswith("turnspan"))

    assert turnspan.flush().delivered == 1
    assert "run" not in vars(thread)
