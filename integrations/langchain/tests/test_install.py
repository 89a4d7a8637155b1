"""Installed, the handler records every run in the process; undone, none."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from textwrap import dedent

import pytest
from langchain_core.tools import tool

import turnspan_langchain
from turnspan import TurnspanError
from turnspan_langchain import TurnspanHandler

pytest.importorskip("langgraph.callbacks")

from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.types import Command, interrupt


@pytest.fixture
def agent(lc):
    return lc.agent_on(lc.scripted(lc.said("hello")))


@pytest.fixture
def installed(handler):
    with turnspan_langchain.install(handler) as way_back:
        yield way_back


def graph_on(node, **compiled):
    graph = StateGraph(MessagesState)
    graph.add_node("ask", node)
    graph.add_edge(START, "ask")
    return graph.compile(name="desk", checkpointer=InMemorySaver(), **compiled)


def on_thread(*handlers):
    return {"callbacks": list(handlers), "configurable": {"thread_id": "T"}}


def question():
    return {"messages": [("user", "go")]}


def test_a_run_that_names_no_handler_is_a_turn_in_sync_and_async(agent, installed, memory, runs):
    """And so it is in a thread, which has a context of its own."""
    agent.invoke("one")
    asyncio.run(agent.ainvoke("two"))
    thread = threading.Thread(target=agent.invoke, args=("three",))
    thread.start()
    thread.join()

    assert [turn.input.content for turn in memory.turns] == ["one", "two", "three"]
    assert len(runs) == 0


def test_undone_it_records_no_more_and_can_be_installed_again(agent, handler, memory):
    """Undoing twice is undoing once."""
    first = turnspan_langchain.install(handler)
    agent.invoke("one")
    first.undo()
    agent.invoke("two")
    with turnspan_langchain.install(handler):
        first.undo()
        agent.invoke("three")
    agent.invoke("four")

    assert [turn.input.content for turn in memory.turns] == ["one", "three"]


def test_who_installs_it_again_does_not_take_it_back(agent, installed, memory):
    """A library's `with install()` inside the program's leaves the program's in place."""
    with turnspan_langchain.install():
        agent.invoke("one")
    agent.invoke("two")

    assert [turn.input.content for turn in memory.turns] == ["one", "two"]


def test_a_run_that_names_a_handler_is_recorded_by_that_one_alone(lc, installed, memory, runs):
    """By its options; be it named by the configuration, by the model, or by both."""
    own = TurnspanHandler(agent="own", runs=runs)
    model = lc.scripted(lc.said("hello"))
    model.callbacks = [own]
    lc.agent_on(model).invoke("one", {"callbacks": [own]})
    lc.agent_on(model).invoke("two")

    assert [(turn.agent.name, lc.brief(turn)) for turn in memory.turns] == [
        ("own", ("ok", "one", "hello", [("model", "scripted-1", "ok")])),
        ("helper", ("ok", "two", "hello", [("model", "scripted-1", "ok")])),
    ]
    assert len(runs) == 0


def test_a_run_that_is_open_when_it_is_undone_is_recorded_to_its_end(lc, handler, memory, runs):
    """A tool that undoes it stands for whoever does, anywhere."""

    @tool
    def undo() -> str:
        """Undo it."""
        way_back.undo()
        return "undone"

    model = lc.scripted(lc.said(calls=[("undo", {}, "c1")]), lc.said("done"))
    way_back = turnspan_langchain.install(handler)
    lc.agent_on(model, tools={"undo": undo}).invoke("go")
    (turn,) = memory.turns

    assert lc.brief(turn)[:3] == ("ok", "go", "done")
    assert len(runs) == 0


def test_interrupts_are_told_to_the_installed_handler_too(lc, installed, memory, runs):
    """One raised inside a node, and a static one, of which no exception ever tells."""
    asks = graph_on(lambda state: {"messages": [("ai", interrupt("sure?"))]})
    asks.invoke(question(), on_thread())
    asks.invoke(Command(resume="yes"), on_thread())
    stops = graph_on(lambda state: {"messages": [("ai", "hi")]}, interrupt_before=["ask"])
    stops.invoke(question(), on_thread())

    async def asynchronous():
        await stops.ainvoke(question(), on_thread())

    asyncio.run(asynchronous())
    paused, resumed, *_ = memory.turns

    assert [turn.status for turn in memory.turns] == ["paused", "ok", "paused", "paused"]
    assert (resumed.resumes, resumed.resume_key) == (paused.id, paused.resume_key)
    assert paused.resume_key is not None
    assert len(runs) == 0


def test_langgraph_gets_back_what_it_had(handler):
    """The very objects, though they are class methods."""
    from langgraph import callbacks

    managers = (callbacks._GraphCallbackManager, callbacks._AsyncGraphCallbackManager)
    before = [vars(manager)["configure"] for manager in managers]
    with turnspan_langchain.install(handler):
        inside = [vars(manager)["configure"] for manager in managers]

    assert [vars(manager)["configure"] for manager in managers] == before
    assert not set(inside) & set(before)


def test_the_middleware_is_imported_when_it_is_asked_for(tmp_path):
    """Whoever has no `langchain` has the rest; a name that isn't there is said to be missing."""
    program = tmp_path / "program.py"
    program.write_text(
        dedent("""
            import sys
            sys.modules["langchain"] = None
            import turnspan_langchain
            print(turnspan_langchain.install.__name__, hasattr(turnspan_langchain, "nothing"))
            try:
                turnspan_langchain.TurnspanMiddleware
            except ImportError as error:
                print(type(error).__name__)
        """)
    )
    done = subprocess.run(
        [sys.executable, str(program)], capture_output=True, text=True, timeout=60, check=True
    )

    assert done.stdout.split() == ["install", "False", "ModuleNotFoundError"]


@pytest.mark.parametrize("given", [3, TurnspanHandler, "handler"])
def test_what_is_no_handler_is_not_installed(given):
    """A class is none either; nothing is patched by then."""
    with pytest.raises(TurnspanError, match="is no TurnspanHandler"):
        turnspan_langchain.install(given)

    assert turnspan_langchain.everywhere._everywhere.handler is None
