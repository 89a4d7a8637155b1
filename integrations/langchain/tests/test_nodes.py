"""Graphs node by node: depth, branches, hand-offs, retries, state, streams, cancellation."""

from __future__ import annotations

import asyncio
import itertools
import operator
from dataclasses import dataclass, field
from typing import Annotated, TypedDict

import pytest

pytest.importorskip("langgraph")

from langchain_core.messages import AIMessage, AIMessageChunk, HumanMessage
from langchain_core.runnables import RunnableLambda
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import START, MessagesState, StateGraph, add_messages
from langgraph.types import Command, RetryPolicy, Send

from turnspan_langchain import TurnspanHandler


class State(TypedDict, total=False):
    topics: list
    topic: str
    jokes: Annotated[list, operator.add]


def graph_of(*edges, state=State, name="desk", **nodes):
    """A graph of ``nodes`` and ``edges`` as "from to"; without edges one after the other."""
    graph = StateGraph(state)
    for each, does in nodes.items():
        graph.add_node(each, does)
    names = [START, *nodes]
    pairs = [edge.split() for edge in edges] or list(itertools.pairwise(names))
    for start, end in pairs:
        graph.add_edge(START if start == "start" else start, end)
    return graph.compile(name=name)


def nested():
    inner = graph_of(deep=lambda state: {"jokes": ["in"]}, name="inner")
    return graph_of(sub=inner, after=lambda state: {"jokes": ["out"]})


@pytest.mark.parametrize(
    "depth,seen",
    [
        (0, []),
        (1, [("step", "sub", None), ("agent", "inner", "sub"), ("step", "after", None)]),
        (
            None,
            [
                ("step", "sub", None),
                ("agent", "inner", "sub"),
                ("step", "deep", "inner"),
                ("step", "after", None),
            ],
        ),
    ],
)
def test_depth_says_how_many_levels_of_nodes_are_steps(runs, memory, lc, invoke, depth, seen):
    """None, those of the outermost graph, or all; a graph inside a graph is an agent."""
    handler = TurnspanHandler(runs=runs, depth=depth)
    invoke(nested(), {"jokes": []}, {"callbacks": [handler]})
    (turn,) = memory.turns

    assert [(kind, name, parent) for kind, name, _, parent in lc.tree(turn)] == seen
    assert len(runs) == 0


def test_a_graph_is_a_turn_though_it_calls_no_model(handler, memory, lc, invoke):
    """And its nodes say what they wrote."""
    graph = graph_of(tell=lambda state: {"jokes": [state["topic"]]})
    invoke(graph, {"topic": "cats"}, {"callbacks": [handler]})
    (turn,) = memory.turns

    assert (turn.input.content, turn.output.content) == (
        "cats",
        '{"topic":"cats","jokes":["cats"]}',
    )
    assert turn.steps[0].output.content == '{"jokes":["cats"]}'


def test_branches_that_are_sent_out_are_steps_with_what_they_were_sent(
    handler, memory, runs, invoke
):
    """They share a name, and are told apart by their input."""
    graph = StateGraph(State)
    graph.add_node("tell", lambda state: {"jokes": [f"about {state['topic']}"]})
    graph.add_conditional_edges(
        START, lambda state: [Send("tell", {"topic": each}) for each in state["topics"]], ["tell"]
    )
    invoke(graph.compile(), {"topics": ["a", "b", "c"]}, {"callbacks": [handler]})
    (turn,) = memory.turns

    assert sorted((s.name, s.input.content, s.output.content) for s in turn.steps) == [
        ("tell", f'{{"topic":"{each}"}}', f'{{"jokes":["about {each}"]}}') for each in "abc"
    ]
    assert turn.state_after["jokes"] == ["about a", "about b", "about c"]
    assert len(runs) == 0


def test_parallel_branches_are_steps_side_by_side(handler, memory, lc, invoke):
    """And what joins them comes after."""
    graph = graph_of(
        "start a",
        "start b",
        "a join",
        "b join",
        a=lambda state: {"jokes": ["a"]},
        b=lambda state: {"jokes": ["b"]},
        join=lambda state: {"jokes": ["!"]},
    )
    invoke(graph, {"jokes": []}, {"callbacks": [handler]})
    (turn,) = memory.turns

    assert sorted(step.name for step in turn.steps) == ["a", "b", "join"]
    assert {step.parent_id for step in turn.steps} == {None}
    assert lc.tree(turn)[-1][1] == "join"


def test_a_command_says_where_it_went(handler, memory, lc, invoke):
    """Within a graph, and from a graph to the one around it, which is no error."""
    inner = graph_of(hop=lambda state: Command(goto="other", graph=Command.PARENT), name="inner")
    outer = StateGraph(State)
    outer.add_node("first", lambda state: Command(goto="sub", update={"topic": "x"}))
    outer.add_node("sub", inner, destinations=("other",))
    outer.add_node("other", lambda state: {"jokes": ["here"]})
    outer.add_edge(START, "first")
    handler = TurnspanHandler(runs=handler._runs, depth=None)
    invoke(outer.compile(), {"jokes": []}, {"callbacks": [handler]})
    (turn,) = memory.turns
    written = {s.name: s.output and s.output.content for s in turn.steps if s.kind == "step"}

    assert {status for _, _, status, _ in lc.tree(turn)} == {"ok"}
    assert written["first"] == '{"goto":"sub","update":{"topic":"x"}}'
    assert written["hop"] == '{"goto":"other","graph":"__parent__"}'
    assert turn.status == "ok"


def test_a_node_that_is_tried_again_is_one_step(handler, memory, runs, invoke):
    """With the number of its attempts, and what became of those that failed."""
    tries = []

    def shaky(state):
        tries.append(1)
        if len(tries) < 3:
            raise ConnectionError("down")
        return {"jokes": ["up"]}

    graph = StateGraph(State)
    policy = RetryPolicy(initial_interval=0.001, max_attempts=3, jitter=False)
    graph.add_node("shaky", shaky, retry_policy=policy)
    graph.add_edge(START, "shaky")
    invoke(graph.compile(), {"jokes": []}, {"callbacks": [handler]})
    (turn,) = memory.turns
    (step,) = turn.steps

    assert (turn.status, step.status, step.error) == ("ok", "ok", None)
    assert step.metadata["attempts"] == 3
    assert [each["error"] for each in step.metadata["failed_attempts"]] == ["ConnectionError"] * 2
    assert len(runs) == 0


def test_the_state_before_and_after_is_the_turns(handler, memory, invoke):
    """Messages in it are named by where the turn has them."""

    class Desk(MessagesState):
        count: int

    def answer(state):
        count = state.get("count", 0) + 1
        return {"messages": [AIMessage(f"yo {count}")], "count": count}

    graph = StateGraph(Desk)
    graph.add_node("answer", answer)
    graph.add_edge(START, "answer")
    graph = graph.compile(checkpointer=InMemorySaver())
    config = {"callbacks": [handler], "configurable": {"thread_id": "T"}}
    invoke(graph, {"messages": [("user", "hi")], "count": 0}, config)
    invoke(graph, {"messages": [("user", "again")]}, config)
    turn = memory.turns[1]

    assert turn.state_before == {"messages": {"messages": [[0, 3]]}, "count": 1}
    assert turn.state_after == {"messages": {"messages": [[0, 4]]}, "count": 2}
    assert [m.text for m in turn.messages] == ["hi", "yo 1", "again", "yo 2"]
    assert {"op": "replace", "path": "/count", "value": 2} in turn.state_diff()


def test_a_state_that_is_an_object_is_kept_by_its_fields(handler, memory, invoke):
    """A dataclass here; its messages are not repeated node by node."""

    @dataclass
    class Desk:
        messages: Annotated[list, add_messages] = field(default_factory=list)
        count: int = 0

    def answer(state):
        return Desk([AIMessage("yo")], state.count + 1)

    graph = StateGraph(Desk)
    graph.add_node("answer", answer)
    graph.add_edge(START, "answer")
    invoke(
        graph.compile(), {"messages": [HumanMessage("hi")], "count": 1}, {"callbacks": [handler]}
    )
    (turn,) = memory.turns

    assert turn.state_before == {"messages": {"messages": [[0, 1]]}, "count": 1}
    assert turn.state_after == {"messages": {"messages": [[0, 2]]}, "count": 2}
    assert turn.steps[0].output.content == '{"count":2}'


def test_without_state_none_is_kept(runs, memory, invoke):
    """Where somebody says so."""
    graph = graph_of(tell=lambda state: {"jokes": ["x"]})
    handler = TurnspanHandler(runs=runs, state=False)
    invoke(graph, {"topic": "cats"}, {"callbacks": [handler]})

    assert (memory.turns[0].state_before, memory.turns[0].state_after) == (None, None)


@pytest.mark.parametrize(
    "mode", ["values", "updates", "messages", "custom", "debug", ["values", "messages"]], ids=str
)
def test_a_graph_is_one_turn_however_it_is_streamed(handler, memory, runs, lc, stream, mode):
    """What is streamed to whom is no business of the turn's."""
    model = lc.streaming(AIMessageChunk("he"), AIMessageChunk("y"))
    graph = StateGraph(MessagesState)
    graph.add_node("answer", lambda state: {"messages": [model.invoke(state["messages"])]})
    graph.add_edge(START, "answer")
    given = {"messages": [("user", "hi")]}
    stream(graph.compile(), given, {"callbacks": [handler]}, stream_mode=mode)
    (turn,) = memory.turns

    assert lc.brief(turn, nodes=True)[0] == "ok"
    assert [step.kind for step in turn.steps] in (["step"], ["model", "step"])
    assert len(runs) == 0


def test_a_graph_whose_events_are_streamed_is_one_turn(handler, memory, runs, lc):
    """`astream_events` adds a handler of its own beside ours."""
    graph = StateGraph(MessagesState)
    model = lc.streaming(AIMessageChunk("he"), AIMessageChunk("y"))

    async def answer(state, config):
        return {"messages": [await model.ainvoke(state["messages"], config)]}

    graph.add_node("answer", answer)
    graph.add_edge(START, "answer")
    graph = graph.compile()

    async def listen():
        given = {"messages": [("user", "hi")]}
        return [
            each["event"]
            async for each in graph.astream_events(given, {"callbacks": [handler]}, version="v2")
        ]

    heard = asyncio.run(listen())
    (turn,) = memory.turns

    assert "on_chat_model_stream" in heard
    assert lc.brief(turn) == ("ok", "hi", "hey", [("model", "scripted-1", "ok")])
    assert len(runs) == 0


@pytest.mark.parametrize("how", ["cancel", "timeout"])
def test_a_graph_that_is_cut_off_leaves_nothing_open(handler, memory, runs, lc, how):
    """Turn, node and model are cancelled, though LangChain never ends the model."""
    graph = StateGraph(MessagesState)
    model = lc.scripted(lc.said("late"), delay_s=9)

    async def answer(state, config):
        return {"messages": [await model.ainvoke(state["messages"], config)]}

    graph.add_node("answer", answer)
    graph.add_edge(START, "answer")
    graph = graph.compile()

    async def cut_off():
        call = graph.ainvoke({"messages": [("user", "hi")]}, {"callbacks": [handler]})
        if how == "timeout":
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(call, 0.2)
            return
        task = asyncio.create_task(call)
        await asyncio.sleep(0.2)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(cut_off())
    (turn,) = memory.turns

    assert lc.brief(turn, nodes=True)[0] == "cancelled"
    assert {step.status for step in turn.steps} == {"cancelled"}
    assert sorted(step.kind for step in turn.steps) == ["model", "step"]
    assert len(runs) == 0


def test_a_stream_that_is_left_keeps_what_was_said(handler, memory, runs, lc):
    """Whoever stops listening abandons the turn; the model's first words are there."""
    graph = StateGraph(MessagesState)
    pieces = [AIMessageChunk(f"w{n} ") for n in range(100)]
    model = lc.streaming(*pieces)

    async def answer(state, config):
        return {"messages": [await model.ainvoke(state["messages"], config)]}

    graph.add_node("answer", answer)
    graph.add_edge(START, "answer")
    graph = graph.compile()

    async def listen():
        given, config = {"messages": [("user", "hi")]}, {"callbacks": [handler]}
        stream = graph.astream(given, config, stream_mode="messages")
        async for _ in stream:
            break
        await stream.aclose()

    asyncio.run(listen())
    (turn,) = memory.turns
    (step,) = (s for s in turn.steps if s.kind == "model")

    assert (turn.status, turn.error) == ("abandoned", None)
    assert step.output.content.startswith("w0 ")
    assert step.status in {"abandoned", "cancelled", "ok"}
    assert len(runs) == 0


def test_what_is_tagged_as_hidden_is_no_step(runs, memory, lc):
    """By LangChain's own tag; what it calls is there all the same."""
    hidden = RunnableLambda(lambda x: x, name="hidden").with_config(tags=["langsmith:hidden"])
    shown = RunnableLambda(lambda x: x, name="shown")
    chain = shown | hidden | lc.scripted(lc.said("ok"))
    chain.invoke("x", {"callbacks": [TurnspanHandler(runs=runs, chains=True)]})
    (turn,) = memory.turns

    assert [step.name for step in turn.steps] == ["shown", "scripted-1"]


def test_internal_runs_of_a_graph_are_no_steps(runs, memory):
    """The function behind a conditional edge, and what LangGraph begins with."""
    graph = StateGraph(State)
    graph.add_node("a", lambda state: {"jokes": ["a"]})
    graph.add_conditional_edges(START, lambda state: "a", ["a"])
    graph.compile().invoke({"jokes": []}, {"callbacks": [TurnspanHandler(runs=runs)]})

    assert [step.name for step in memory.turns[0].steps] == ["a"]


def test_what_a_node_changes_in_place_does_not_alter_what_was_recorded(handler, memory):
    """State is handed over alive, and taken as it was."""

    def vandal(state):
        state["topics"].append("changed")
        return {"jokes": ["x"]}

    graph_of(vandal=vandal).invoke({"topics": ["as given"]}, {"callbacks": [handler]})
    (turn,) = memory.turns

    assert turn.state_before == {"topics": ["as given"], "jokes": []}
    assert turn.input.content == '{"topics":["as given"]}'


def test_what_a_trace_policy_hides_is_not_recorded(handler, memory):
    """LangGraph gives tracers what the policy leaves, and we are one to it."""
    types = pytest.importorskip("langgraph.types")
    if not hasattr(types, "omit_payload"):
        pytest.skip("this LangGraph has no trace policy")
    graph = StateGraph(State)
    policy = types.TracePolicy(
        process_inputs=types.omit_payload, process_outputs=types.omit_payload
    )
    graph.add_node("a", lambda state: {"jokes": ["secret"]}, trace_policy=policy)
    graph.add_edge(START, "a")
    graph.compile(name="desk").invoke({"topics": []}, {"callbacks": [handler]})
    (turn,) = memory.turns

    assert [step.name for step in turn.steps] == ["a"]
    assert turn.steps[0].output is None or "secret" not in turn.steps[0].output.content


def test_a_graph_that_goes_in_circles_is_an_error(handler, memory, runs):
    """Its own limit is a real failure, not control flow."""
    from langgraph.errors import GraphRecursionError

    graph = graph_of("start a", "a b", "b a", a=lambda state: {}, b=lambda state: {"jokes": []})
    config = {"callbacks": [handler], "recursion_limit": 3}
    with pytest.raises(GraphRecursionError):
        graph.invoke({"jokes": []}, config)
    (turn,) = memory.turns

    assert (turn.status, turn.error.type) == ("error", "langgraph.errors.GraphRecursionError")
    assert len(runs) == 0


def test_history_that_a_model_was_not_given_is_not_repeated(handler, memory, lc, invoke):
    """A node that trims the history gives its model less than the state has."""
    model = lc.scripted(lc.said("short"))
    graph = StateGraph(MessagesState)
    graph.add_node("answer", lambda state: {"messages": [model.invoke(state["messages"][-1:])]})
    graph.add_edge(START, "answer")
    history = [HumanMessage(f"m{n}") for n in range(5)]
    invoke(graph.compile(), {"messages": history}, {"callbacks": [handler]})
    (turn,) = memory.turns
    (step,) = (s for s in turn.steps if s.kind == "model")

    assert [m.text for m in turn.messages_at(step.input_messages)] == ["m4"]
    assert len(turn.messages) == 6
