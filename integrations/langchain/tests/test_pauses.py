"""A person in the loop: a turn that waits, and the turn that goes on, wherever that is."""

from __future__ import annotations

import json
import operator
import subprocess
import sys
from importlib.util import find_spec
from typing import Annotated, TypedDict

import pytest

pytest.importorskip("langgraph")

from langchain_core.runnables import RunnableLambda
from langchain_core.tools import tool
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.prebuilt import ToolNode, tools_condition
from langgraph.types import Command, interrupt

from turnspan.integrations.pauses import Pauses
from turnspan_langchain import TurnspanHandler

tells_of_pauses = pytest.mark.skipif(
    find_spec("langgraph.callbacks") is None, reason="LangGraph tells of its pauses since 1.2"
)


class State(TypedDict, total=False):
    said: Annotated[list, operator.add]


def on_thread(handler, thread="T", **more):
    return {"callbacks": [handler], "configurable": {"thread_id": thread, **more}}


def graph_of(*, name="desk", saver=None, before=(), **nodes):
    """A graph whose nodes run one after the other."""
    graph, last = StateGraph(State), START
    for each, does in nodes.items():
        graph.add_node(each, does)
        graph.add_edge(last, each)
        last = each
    return graph.compile(name=name, checkpointer=saver, interrupt_before=list(before))


def ask(state):
    """A node that asks a person."""
    return {"said": [interrupt({"approve": "this?"})]}


def test_an_interrupt_in_a_node_pauses_the_turn(handler, memory, runs, lc, invoke):
    """What the person is asked is what comes out; nothing failed."""
    graph = graph_of(ask=ask, saver=InMemorySaver())
    invoke(graph, {"said": ["hi"]}, on_thread(handler))
    (turn,) = memory.turns

    assert lc.brief(turn, nodes=True) == (
        "paused",
        '{"said":["hi"]}',
        '{"approve":"this?"}',
        [("step", "ask", "paused")],
    )
    assert turn.error is None
    assert turn.steps[0].error is None
    assert len(turn.resume_key) == 32
    assert len(runs) == 0


def test_the_turn_that_goes_on_is_linked_to_the_one_that_waited(handler, memory, runs, invoke):
    """By id, by a key that both know, and by a link from span to span."""
    graph = graph_of(ask=ask, saver=InMemorySaver())
    invoke(graph, {"said": ["hi"]}, on_thread(handler))
    invoke(graph, Command(resume="yes"), on_thread(handler))
    paused, resumed = memory.turns
    (link,) = resumed.span.links

    assert (resumed.status, resumed.input.content) == ("ok", "yes")
    assert (resumed.resumes, resumed.resume_key) == (paused.id, paused.resume_key)
    assert (link.trace_id, link.span_id) == (paused.trace.trace_id, paused.trace.span_id)
    assert resumed.id != paused.id
    assert len(runs) == 0


def test_a_tool_that_waited_is_counted_once(handler, memory, runs, lc, invoke):
    """The call waits in the first turn, and has its result in the second."""

    @tool
    def approve(what: str) -> str:
        """Ask a person."""
        return interrupt({"what": what})

    model = lc.scripted(lc.said(calls=[("approve", {"what": "x"}, "c1")]), lc.said("done"))
    bound = model.bind_tools([approve])
    graph = StateGraph(MessagesState)
    graph.add_node("model", lambda state: {"messages": [bound.invoke(state["messages"])]})
    graph.add_node("tools", ToolNode([approve]))
    graph.add_edge(START, "model")
    graph.add_conditional_edges("model", tools_condition)
    graph.add_edge("tools", "model")
    graph = graph.compile(checkpointer=InMemorySaver())
    invoke(graph, {"messages": [("user", "go")]}, on_thread(handler))
    invoke(graph, Command(resume="fine"), on_thread(handler))
    calls = [
        (turn.status, step.status, step.tool.call_id, step.output and step.output.content)
        for turn in memory.turns
        for step in turn.steps
        if step.kind == "tool"
    ]

    assert [call for call in calls if call[1] != "paused"] == [("ok", "ok", "c1", "fine")]
    assert [call[0] for call in calls] == ["paused", "ok"]
    assert len(runs) == 0


def test_an_interrupt_deep_inside_is_one_turn_and_no_error(runs, memory, lc, invoke):
    """Each level up to the root waits."""
    inner = graph_of(ask=ask, name="inner")
    graph = graph_of(sub=inner, saver=InMemorySaver())
    handler = TurnspanHandler(runs=runs, depth=None)
    invoke(graph, {"said": ["hi"]}, on_thread(handler))
    invoke(graph, Command(resume="yes"), on_thread(handler))
    paused, resumed = memory.turns

    assert lc.tree(paused) == [
        ("step", "sub", "paused", None),
        ("agent", "inner", "paused", "sub"),
        ("step", "ask", "paused", "inner"),
    ]
    assert [entry[2] for entry in lc.tree(resumed)] == ["ok", "ok", "ok"]
    assert (paused.status, resumed.resumes) == ("paused", paused.id)
    assert len(runs) == 0


@tells_of_pauses
def test_a_breakpoint_pauses_and_going_on_is_linked(handler, memory, runs, invoke):
    """Though no exception was ever raised, and nothing was answered."""
    graph = graph_of(
        first=lambda state: {"said": ["a"]},
        second=lambda state: {"said": ["b"]},
        saver=InMemorySaver(),
        before=["second"],
    )
    invoke(graph, {"said": ["hi"]}, on_thread(handler))
    invoke(graph, None, on_thread(handler))
    paused, resumed = memory.turns

    assert (paused.status, paused.error, resumed.status) == ("paused", None, "ok")
    assert (resumed.resumes, resumed.resume_key) == (paused.id, paused.resume_key)
    assert resumed.input is None
    assert len(runs) == 0


def test_of_two_questions_at_once_each_may_be_answered_alone(handler, memory, runs, invoke):
    """The turn of the first answer waits for the second, and is what that goes on from."""
    graph = StateGraph(State)
    for name in ("left", "right"):
        graph.add_node(name, lambda state, name=name: {"said": [interrupt(name)]})
        graph.add_edge(START, name)
    graph = graph.compile(checkpointer=InMemorySaver())
    waiting = {
        each.value: each.id
        for each in graph.invoke({"said": []}, on_thread(handler))["__interrupt__"]
    }
    invoke(graph, Command(resume={waiting["left"]: "l"}), on_thread(handler))
    invoke(graph, Command(resume="r"), on_thread(handler))
    first, second, third = memory.turns

    assert json.loads(first.output.content) in (["left", "right"], ["right", "left"])
    assert (second.input.content, second.output.content) == ("l", "right")
    assert [turn.status for turn in memory.turns] == ["paused", "paused", "ok"]
    assert (second.resumes, third.resumes) == (first.id, second.id)
    assert len({turn.resume_key for turn in (first, second)}) == 2
    assert len(runs) == 0


def test_conversations_that_wait_are_told_apart(handler, memory, invoke):
    """Two threads wait at once, and are answered in the other order."""
    graph = graph_of(ask=ask, saver=InMemorySaver())
    for thread in ("a", "b"):
        invoke(graph, {"said": [thread]}, on_thread(handler, thread))
    for thread in ("b", "a"):
        invoke(graph, Command(resume=thread), on_thread(handler, thread))
    a, b, after_b, after_a = memory.turns

    assert (after_a.resumes, after_b.resumes) == (a.id, b.id)
    assert (after_a.session_id, after_b.session_id) == ("a", "b")


@tells_of_pauses
def test_both_halves_have_the_same_key_though_they_share_no_directory(
    make_runs, invoke, monkeypatch
):
    """Whoever stores them can join them."""
    saver = InMemorySaver()
    graph = graph_of(ask=ask, saver=saver)
    halves = []
    for given in ({"said": ["hi"]}, Command(resume="yes")):
        runs, memory = make_runs()
        monkeypatch.setattr("turnspan.integrations.runs.pauses", Pauses())  # another machine's
        invoke(graph, given, on_thread(TurnspanHandler(runs=runs)))
        halves += memory.turns
    paused, resumed = halves

    assert resumed.resumes is None
    assert resumed.resume_key == paused.resume_key is not None


@tells_of_pauses
def test_a_replay_from_a_checkpoint_resumes_nothing(handler, memory, runs, invoke):
    """It says from which checkpoint, and what it was about."""
    graph = graph_of(
        first=lambda state: {"said": ["a"]},
        second=lambda state: {"said": ["b"]},
        saver=InMemorySaver(),
    )
    invoke(graph, {"said": ["hi"]}, on_thread(handler))
    past = next(
        each
        for each in graph.get_state_history({"configurable": {"thread_id": "T"}})
        if each.next == ("second",)
    )
    checkpoint = past.config["configurable"]["checkpoint_id"]
    invoke(graph, None, on_thread(handler, checkpoint_id=checkpoint))
    fork = graph.update_state(past.config, {"said": ["other"]})
    invoke(graph, None, on_thread(handler, checkpoint_id=fork["configurable"]["checkpoint_id"]))
    first, replay, forked = memory.turns

    assert (replay.resumes, replay.resume_key, replay.status) == (None, None, "ok")
    assert replay.metadata == {"checkpoint_id": checkpoint}
    assert [step.name for step in replay.steps] == ["second"]
    assert first.metadata == {}
    assert (replay.state_before, replay.state_after) == (
        {"said": ["hi", "a"]},
        {"said": ["hi", "a", "b"]},
    )
    assert forked.state_after == {"said": ["hi", "a", "other", "b"]}
    assert len(runs) == 0


PROCESS = """
import operator, sys
from typing import Annotated, TypedDict
import turnspan
from langgraph.graph import START, StateGraph
from langgraph.types import Command, interrupt
from turnspan_langchain import TurnspanHandler
import saver

class State(TypedDict):
    said: Annotated[list, operator.add]

graph = StateGraph(State)
graph.add_node("ask", lambda state: {"said": [interrupt("may I?")]})
graph.add_edge(START, "ask")
graph = graph.compile(checkpointer=saver.SAVER)
given = Command(resume="yes") if sys.argv[1] == "resume" else {"said": ["hi"]}
turnspan.configure(directory="turns", exporters=[f"file:{sys.argv[1]}.ndjson"])
graph.invoke(given, {"callbacks": [TurnspanHandler()], "configurable": {"thread_id": "T"}})
saver.keep()
turnspan.close()
"""
SAVER = """
import pickle, pathlib
from collections import defaultdict
from langgraph.checkpoint.memory import InMemorySaver
SAVER, FILE = InMemorySaver(), pathlib.Path("checkpoints")
if FILE.exists():
    storage, writes, blobs = pickle.loads(FILE.read_bytes())
    for thread, spaces in storage.items():
        for space, found in spaces.items():
            SAVER.storage[thread][space].update(found)
    SAVER.writes.update(writes)
    SAVER.blobs.update(blobs)
def keep():
    storage = {t: {s: dict(f) for s, f in spaces.items()} for t, spaces in SAVER.storage.items()}
    FILE.write_bytes(pickle.dumps((storage, dict(SAVER.writes), dict(SAVER.blobs))))
"""


def test_a_turn_goes_on_in_another_process(tmp_path):
    """All that they share is the directory and the checkpointer."""
    (tmp_path / "saver.py").write_text(SAVER)
    turns = []
    for half in ("pause", "resume"):
        subprocess.run([sys.executable, "-c", PROCESS, half], check=True, cwd=tmp_path)
        (line,) = (tmp_path / f"{half}.ndjson").read_text().splitlines()
        turns.append(json.loads(line))
    paused, resumed = turns

    assert (paused["status"], resumed["status"]) == ("paused", "ok")
    assert resumed["resumes"] == paused["id"]
    assert resumed["resume_key"] == paused["resume_key"]
    assert (resumed["input"]["content"], resumed["number"]) == ("yes", 2)
    (link,) = resumed["span"]["links"]
    assert link["trace_id"] == paused["trace"]["trace_id"]


def test_without_a_checkpointer_nothing_is_promised(handler, memory, runs):
    """A graph that cannot go on waits all the same, and has no key by which it could."""
    graph = graph_of(ask=ask)
    graph.invoke({"said": []}, {"callbacks": [handler]})
    (turn,) = memory.turns

    assert (turn.status, turn.resumes, turn.resume_key) == ("paused", None, None)
    assert len(runs) == 0


def test_an_interrupt_in_a_stream_pauses_too(handler, memory, runs, stream):
    """However the graph is run."""
    graph = graph_of(ask=ask, saver=InMemorySaver())
    stream(graph, {"said": ["hi"]}, on_thread(handler), stream_mode="updates")

    assert [turn.status for turn in memory.turns] == ["paused"]
    assert len(runs) == 0


def test_a_graph_inside_a_chain_pauses_the_chains_turn(handler, memory, runs, invoke):
    """The turn is the outermost run, and that is what waits."""
    graph = graph_of(ask=ask, saver=InMemorySaver())
    chain = RunnableLambda(lambda text: {"said": [text]}) | graph
    invoke(chain, "hi", on_thread(handler))
    (turn,) = memory.turns

    assert (turn.status, turn.input.content) == ("paused", "hi")
    assert len(runs) == 0
