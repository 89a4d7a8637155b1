"""LangGraph, where it is installed: agents, interrupts, redaction."""

from __future__ import annotations

import asyncio
from importlib.util import find_spec
from typing import Annotated

import pytest
from langchain_core.messages import AIMessage, AIMessageChunk, ToolMessage
from langchain_core.tools import InjectedToolCallId, tool

pytest.importorskip("langgraph")

from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.prebuilt import ToolNode, tools_condition
from langgraph.types import Command, interrupt


def graph_on(model, tools, **compiled):
    """The usual loop of a model and a node of tools."""
    bound = model.bind_tools(tools)
    graph = StateGraph(MessagesState)
    graph.add_node("model", lambda state: {"messages": [bound.invoke(state["messages"])]})
    graph.add_node("tools", ToolNode(tools))
    graph.add_edge(START, "model")
    graph.add_conditional_edges("model", tools_condition)
    graph.add_edge("tools", "model")
    return graph.compile(name="desk", **compiled)


tells_of_pauses = pytest.mark.skipif(
    find_spec("langgraph.callbacks") is None, reason="LangGraph tells of breakpoints since 1.2"
)


def on_thread(handler, thread):
    return {"callbacks": [handler], "configurable": {"thread_id": thread}}


@pytest.fixture
def ask():
    @tool
    def ask(what: str) -> str:
        """Ask a person."""
        return interrupt({"what": what})

    return ask


def test_a_graph_is_a_turn_of_its_thread(handler, memory, runs, lc):
    """Nodes are no steps; parallel tools are; the thread is the session, over two turns."""
    calls = [("add", {"a": 1, "b": 2}, "c1"), ("add", {"a": 3, "b": 4}, "c2")]
    replies = [lc.said(calls=calls), lc.said("3 and 7"), lc.said("bye")]
    graph = graph_on(lc.scripted(*replies), [lc.add], checkpointer=InMemorySaver())
    graph.invoke({"messages": [("user", "go")]}, on_thread(handler, "T"))
    graph.invoke({"messages": [("user", "more")]}, on_thread(handler, "T"))

    model, add = ("model", "scripted-1", "ok"), ("tool", "add", "ok")
    assert [lc.brief(turn) for turn in memory.turns] == [
        ("ok", "go", "3 and 7", [model, add, add, model]),
        ("ok", "more", "bye", [model]),
    ]
    assert [(t.agent.name, t.session_id, t.number) for t in memory.turns] == [
        ("desk", "T", 1),
        ("desk", "T", 2),
    ]
    assert {s.tool.call_id for s in memory.turns[0].steps if s.tool} == {"c1", "c2"}
    assert [s.input_messages for s in memory.turns[0].steps if s.model] == [((0, 1),), ((0, 4),)]
    assert len(memory.turns[0].messages) == 5
    assert len(runs) == 0


def test_an_interrupt_pauses_the_turn_and_a_resume_is_the_next(handler, memory, runs, lc, ask):
    """The graph ends well and says nothing of it; the turn waits for a person all the same."""
    replies = [lc.said(calls=[("ask", {"what": "?"}, "c1")]), lc.said("thanks")]
    graph = graph_on(lc.scripted(*replies), [ask], checkpointer=InMemorySaver())
    graph.invoke({"messages": [("user", "go")]}, on_thread(handler, "I"))
    graph.invoke(Command(resume="yes"), on_thread(handler, "I"))

    assert [lc.brief(turn) for turn in memory.turns] == [
        (
            "paused",
            "go",
            '{"what":"?"}',
            [("model", "scripted-1", "ok"), ("tool", "ask", "paused")],
        ),
        ("ok", "yes", "thanks", [("tool", "ask", "ok"), ("model", "scripted-1", "ok")]),
    ]
    assert all(step.error is None for turn in memory.turns for step in turn.steps)
    assert len(runs) == 0


def test_an_interrupt_in_async_pauses_too(handler, memory, runs, lc, ask):
    """The same in an event loop."""
    model = lc.scripted(lc.said(calls=[("ask", {"what": "?"}, "c1")]))
    graph = graph_on(model, [ask], checkpointer=InMemorySaver())
    asyncio.run(graph.ainvoke({"messages": [("user", "go")]}, on_thread(handler, "I")))

    assert [turn.status for turn in memory.turns] == ["paused"]
    assert len(runs) == 0


@tells_of_pauses
def test_a_breakpoint_pauses_without_any_error(handler, memory, lc):
    """Only LangGraph's own callback tells of it."""
    graph = graph_on(
        lc.scripted(lc.said("x")),
        [lc.add],
        checkpointer=InMemorySaver(),
        interrupt_before=["model"],
    )
    graph.invoke({"messages": [("user", "go")]}, on_thread(handler, "B"))
    graph.invoke(None, on_thread(handler, "B"))

    assert [lc.brief(turn)[:3] for turn in memory.turns] == [
        ("paused", "go", None),
        ("ok", None, "x"),
    ]


def test_a_tool_that_answers_by_a_command_is_recorded(handler, memory, lc):
    """Its result is the message in the command's update."""

    @tool
    def move(to: str, tool_call_id: Annotated[str, InjectedToolCallId]) -> Command:
        """Move."""
        return Command(update={"messages": [ToolMessage("moved", tool_call_id=tool_call_id)]})

    model = lc.scripted(lc.said(calls=[("move", {"to": "there"}, "c1")]), lc.said("done"))
    graph_on(model, [move]).invoke({"messages": [("user", "go")]}, {"callbacks": [handler]})
    (step,) = (s for s in memory.turns[0].steps if s.tool)

    assert (step.input.content, step.output.content) == ('{"to":"there"}', "moved")


def test_a_call_with_wrong_arguments_is_the_tools_error(handler, memory, lc):
    """The model is told, and the turn goes on."""
    model = lc.scripted(lc.said(calls=[("add", {"a": "z"}, "c1")]), lc.said("oh"))
    graph_on(model, [lc.add]).invoke({"messages": [("user", "go")]}, {"callbacks": [handler]})
    (turn,) = memory.turns

    assert lc.brief(turn)[0] == "ok"
    assert [s.status for s in turn.steps if s.kind != "step"] == ["ok", "error", "ok"]


def test_a_hand_off_to_the_parent_graph_is_no_error(handler, memory, runs, lc):
    """An exception that only moves control leaves no trace of failure."""
    inner = StateGraph(MessagesState)
    inner.add_node("hop", lambda state: Command(goto="other", graph=Command.PARENT))
    inner.add_edge(START, "hop")
    outer = StateGraph(MessagesState)
    outer.add_node("inner", inner.compile())
    outer.add_node("other", lambda state: {"messages": [AIMessage("here")]})
    outer.add_edge(START, "inner")
    outer.compile().invoke({"messages": [("user", "go")]}, {"callbacks": [handler]})

    assert [lc.brief(turn) for turn in memory.turns] == [
        ("ok", "go", "here", [("agent", "inner", "ok")])
    ]
    assert len(runs) == 0


def test_a_graph_that_is_streamed_as_messages_is_one_turn(handler, memory, runs, lc):
    """Model calls inside then stream, and say when their first token came."""
    model = lc.streaming(AIMessageChunk("he"), AIMessageChunk("y"))
    graph = graph_on(model, [lc.add])
    list(
        graph.stream(
            {"messages": [("user", "go")]}, {"callbacks": [handler]}, stream_mode="messages"
        )
    )
    (turn,) = memory.turns

    assert lc.brief(turn) == ("ok", "go", "hey", [("model", "scripted-1", "ok")])
    assert turn.steps[0].first_chunk_at is not None
    assert turn.steps[0].chunks == 2
    assert len(runs) == 0


def test_a_graph_whose_stream_is_left_is_abandoned(handler, memory, runs, lc):
    """Whoever stops listening ends the turn, and that is no error."""
    graph = graph_on(lc.scripted(lc.said("x")), [lc.add])
    stream = graph.stream({"messages": [("user", "go")]}, {"callbacks": [handler]})
    next(stream)
    stream.close()
    (turn,) = memory.turns

    assert (turn.status, turn.error) == ("abandoned", None)
    assert len(runs) == 0
