"""Agents of `create_agent`, sync and async: tools, errors, hand-offs, sub-agents, people."""

from __future__ import annotations

import asyncio
import logging
from concurrent.futures import ThreadPoolExecutor
from typing import Annotated

import pytest

pytest.importorskip("langchain.agents")

from langchain.agents import create_agent
from langchain.agents.middleware import HumanInTheLoopMiddleware
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage
from langchain_core.tools import InjectedToolCallId, ToolException, tool
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.types import Command
from opentelemetry import trace
from pydantic import BaseModel

import turnspan
from turnspan.exporters.memory import MemoryExporter
from turnspan_langchain import TurnspanHandler

CALLS = [("add", {"a": 1, "b": 2}, "c1"), ("add", {"a": 3, "b": 4}, "c2")]


def on_thread(handler, thread="T"):
    return {"callbacks": [handler], "configurable": {"thread_id": thread}}


def asked(text):
    return {"messages": [("user", text)]}


def agent(lc, *replies, tools=(), **more):
    return create_agent(lc.scripted(*replies), list(tools) or [lc.add], **{"name": "desk", **more})


def tools_of(turn):
    """Name, status, call id and output of each tool step."""
    return [
        (s.name, s.status, s.tool.call_id, s.output and s.output.content)
        for s in sorted(turn.steps, key=lambda step: step.started_at)
        if s.kind == "tool"
    ]


def test_parallel_tools_stand_below_their_own_nodes(handler, memory, runs, lc, invoke):
    """Each call has its id, arguments and result; nodes are steps, in the order they began."""
    invoke(agent(lc, lc.said(calls=CALLS), lc.said("3 and 7")), asked("go"), on_thread(handler))
    (turn,) = memory.turns
    nodes = {s.id: s for s in turn.steps if s.kind == "step"}
    tools = [s for s in turn.steps if s.kind == "tool"]

    assert (turn.status, turn.agent.name, turn.session_id) == ("ok", "desk", "T")
    assert (turn.input.content, turn.output.content) == ("go", "3 and 7")
    assert sorted((s.tool.call_id, s.input.content, s.output.content) for s in tools) == [
        ("c1", '{"a":1,"b":2}', "3"),
        ("c2", '{"a":3,"b":4}', "7"),
    ]
    assert len({s.parent_id for s in tools}) == 2
    assert {nodes[s.parent_id].name for s in tools} == {"tools"}
    assert [entry[:2] for entry in lc.tree(turn)][:2] == [
        ("step", "model"),
        ("model", "scripted-1"),
    ]
    assert len(runs) == 0


def test_nothing_stays_current_after_an_agent(handler, memory, lc, invoke, caplog):
    """Neither our context nor OpenTelemetry's is touched, and nobody complains."""
    caplog.set_level(logging.DEBUG, logger="opentelemetry")
    before = trace.get_current_span()
    invoke(agent(lc, lc.said(calls=CALLS), lc.said("done")), asked("go"), on_thread(handler))

    assert trace.get_current_span() is before
    assert not turnspan.current_turn()
    assert caplog.records == []
    assert len(memory.turns) == 1


def test_a_span_of_the_users_nests_under_the_tool_it_is_in(runs, memory, lc, invoke):
    """While a tool runs it is the current step, whichever world it runs in."""
    seen = {}

    @tool
    def look(x: int) -> str:
        """Look."""
        seen["span"] = f"{trace.get_current_span().get_span_context().span_id:016x}"
        seen["step"] = turnspan.current_step().id
        return "seen"

    @tool
    async def look_async(x: int) -> str:
        """Look."""
        return look.func(x)

    which = look if invoke.__code__.co_names[0] == "invoke" else look_async
    replies = lc.said(calls=[(which.name, {"x": 1}, "c1")]), lc.said("done")
    invoke(
        agent(lc, *replies, tools=[which]), asked("go"), {"callbacks": [TurnspanHandler(runs=runs)]}
    )
    (step,) = (s for s in memory.turns[0].steps if s.kind == "tool")

    assert seen == {"span": step.id, "step": step.id}


def test_concurrent_turns_of_one_handler_keep_apart(handler, memory, runs, lc):
    """Three conversations in tasks of one loop have their own sessions and steps."""

    async def converse():
        shared = agent(lc, lc.said("same"))
        await asyncio.gather(
            *(shared.ainvoke(asked(f"q{n}"), on_thread(handler, f"t{n}")) for n in range(3))
        )

    asyncio.run(converse())
    seen = {turn.session_id: lc.brief(turn) for turn in memory.turns}

    assert seen == {
        f"t{n}": ("ok", f"q{n}", "same", [("model", "scripted-1", "ok")]) for n in range(3)
    }
    assert len({turn.trace.trace_id for turn in memory.turns}) == 3
    assert len(runs) == 0


def test_threads_may_share_a_handler(handler, memory, runs, lc):
    """The same in a pool of threads."""
    shared = agent(lc, lc.said("same"))
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: shared.invoke(asked(f"q{n}"), on_thread(handler, n)), range(1, 17)))
    seen = {turn.session_id: lc.brief(turn) for turn in memory.turns}

    assert seen == {
        str(n): ("ok", f"q{n}", "same", [("model", "scripted-1", "ok")]) for n in range(1, 17)
    }
    assert len(runs) == 0


def test_a_batch_of_agents_is_turns_side_by_side(handler, memory, runs, lc):
    """None stands in another, and none stays current."""
    shared = agent(lc, lc.said("same"))
    shared.batch([asked("a"), asked("b")], {"callbacks": [handler]})
    asyncio.run(shared.abatch([asked("c"), asked("d")], {"callbacks": [handler]}))

    assert sorted(turn.input.content for turn in memory.turns) == ["a", "b", "c", "d"]
    assert all(turn.trace.parent_span_id is None for turn in memory.turns)
    assert len(runs) == 0


def test_a_tool_that_raises_fails_tool_and_turn(handler, memory, runs, lc, invoke):
    """The error stands once on each, with the call it belongs to."""

    @tool
    def broken(x: int) -> int:
        """Break."""
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        invoke(
            agent(lc, lc.said(calls=[("broken", {"x": 1}, "c1")]), tools=[broken]),
            asked("go"),
            on_thread(handler),
        )
    (turn,) = memory.turns

    assert (turn.status, turn.error.type, turn.error.message) == ("error", "ValueError", "no")
    assert "raise ValueError" in turn.error.stacktrace
    assert tools_of(turn) == [("broken", "error", "c1", None)]
    assert len(runs) == 0


def test_errors_that_go_back_to_the_model_are_the_tools(handler, memory, lc, invoke):
    """Wrong arguments, a handled failure and an unknown tool leave the turn as it ends."""

    @tool
    def soft(x: int) -> int:
        """Fail softly."""
        raise ToolException("not today")

    soft.handle_tool_error = True
    replies = (
        lc.said(calls=[("add", {"a": "z"}, "c1")]),
        lc.said(calls=[("soft", {"x": 1}, "c2")]),
        lc.said(calls=[("nope", {}, "c3")]),
        lc.said("sorry"),
    )
    invoke(agent(lc, *replies, tools=[lc.add, soft]), asked("go"), on_thread(handler))
    (turn,) = memory.turns
    responses = [
        p["response"] if isinstance(p, dict) else p.response
        for m in turn.messages
        for p in m.parts
        if (p["type"] if isinstance(p, dict) else p.type) == "tool_call_response"
    ]

    assert (turn.status, turn.output.content) == ("ok", "sorry")
    assert [entry[:3] for entry in tools_of(turn)] == [
        ("add", "error", "c1"),
        ("soft", "error", "c2"),
    ]
    assert len(responses) == 3
    assert "nope is not a valid tool" in responses[2]


def test_a_tool_that_answers_by_a_command_has_its_message_as_result(handler, memory, lc, invoke):
    """Not the command's own representation."""

    @tool
    def move(to: str, tool_call_id: Annotated[str, InjectedToolCallId]) -> Command:
        """Move."""
        return Command(update={"messages": [ToolMessage("moved", tool_call_id=tool_call_id)]})

    replies = lc.said(calls=[("move", {"to": "there"}, "c1")]), lc.said("done")
    invoke(agent(lc, *replies, tools=[move]), asked("go"), on_thread(handler))

    assert tools_of(memory.turns[0]) == [("move", "ok", "c1", "moved")]


def test_what_a_tool_returns_beside_its_text_is_not_recorded(handler, memory, lc, invoke):
    """An artifact is the program's; an image keeps its hash, type and size."""
    picture = "QUJD" * 20_000

    @tool(response_format="content_and_artifact")
    def draw(x: int) -> tuple[list, bytes]:
        """Draw."""
        image = {"type": "image", "base64": picture, "mime_type": "image/png"}
        return [{"type": "text", "text": "here"}, image], b"artifact"

    replies = lc.said(calls=[("draw", {"x": 1}, "c1")]), lc.said("done")
    invoke(agent(lc, *replies, tools=[draw]), asked("go"), on_thread(handler))

    assert picture.encode() not in memory.raw[0]
    assert b"artifact" not in memory.raw[0]
    assert b"sha256:" in memory.raw[0]
    assert len(memory.raw[0]) < 20_000


def test_the_second_turn_of_a_long_thread_says_what_is_new(handler, memory, lc, invoke):
    """The question and the answer are those of this turn; the history is there once."""
    desk = agent(lc, lc.said("first"), lc.said("second"), checkpointer=InMemorySaver())
    history = [HumanMessage(f"m{n}") if n % 2 else AIMessage(f"m{n}") for n in range(50)]
    invoke(desk, {"messages": [*history, HumanMessage("one")]}, on_thread(handler))
    invoke(desk, asked("two"), on_thread(handler))
    _, turn = memory.turns

    assert (turn.number, turn.input.content, turn.output.content) == (2, "two", "second")
    assert len(turn.messages) == 54
    assert turn.messages_at(turn.output_messages)[0].text == "second"


@pytest.mark.parametrize(
    "given",
    [
        {"messages": [("user", "hi")]},
        {"messages": [{"role": "user", "content": "hi"}]},
        {"messages": [HumanMessage("hi")]},
        {"messages": HumanMessage("hi")},
        {"messages": "hi"},
        {"messages": ("user", "hi")},
        Command(update={"messages": [HumanMessage("hi")]}),
    ],
    ids=["pairs", "dictionaries", "messages", "message", "text", "pair", "command"],
)
def test_a_question_is_read_in_every_form(handler, memory, lc, given):
    """Whatever LangGraph takes for messages."""
    agent(lc, lc.said("yo")).invoke(given, on_thread(handler))
    (turn,) = memory.turns

    assert (turn.input.content, turn.output.content) == ("hi", "yo")


def test_a_system_prompt_is_among_the_messages(handler, memory, lc, invoke):
    """It is seen at the model call only, and never in the state."""
    invoke(agent(lc, lc.said("yo"), system_prompt="Be brief."), asked("hi"), on_thread(handler))
    (turn,) = memory.turns
    (model,) = (s for s in turn.steps if s.kind == "model")

    assert [(m.role, m.text) for m in turn.messages_at(model.input_messages)] == [
        ("system", "Be brief."),
        ("user", "hi"),
    ]


class Answer(BaseModel):
    """What the model is to answer with."""

    total: int


def test_structured_output_is_the_output(handler, memory, lc, invoke):
    """The pseudo tool by which it is asked for is no tool step."""
    reply = lc.said(calls=[("Answer", {"total": 7}, "c1")])
    invoke(agent(lc, reply, response_format=Answer), asked("sum?"), on_thread(handler))
    (turn,) = memory.turns

    assert (turn.output.content, turn.output.mime_type) == ('{"total":7}', "application/json")
    assert tools_of(turn) == []


def test_a_sub_agent_in_a_tool_is_an_agent_below_it(handler, memory, runs, lc, invoke):
    """It has its own name, and is neither another turn nor another session."""
    inner = agent(lc, lc.said("inner answer"), name="researcher")

    @tool
    def ask_researcher(question: str) -> str:
        """Ask."""
        return inner.invoke(asked(question))["messages"][-1].text

    replies = lc.said(calls=[("ask_researcher", {"question": "why?"}, "c1")]), lc.said("done")
    invoke(agent(lc, *replies, tools=[ask_researcher]), asked("go"), on_thread(handler))
    (turn,) = memory.turns
    nested = next(s for s in turn.steps if s.kind == "agent")

    assert (nested.name, nested.agent.name) == ("researcher", "researcher")
    assert (nested.input.content, nested.output.content) == ("why?", "inner answer")
    assert ("agent", "researcher", "ok", "ask_researcher") in lc.tree(turn)
    assert ("model", "scripted-1", "ok", "researcher") in lc.tree(turn)
    assert (turn.session_id, turn.usage.input_tokens) == ("T", 30)
    assert len(runs) == 0


@pytest.mark.parametrize(
    "decision,shown,result",
    [
        ({"type": "approve"}, '{"a":1,"b":2}', "3"),
        (
            {"type": "edit", "edited_action": {"name": "add", "args": {"a": 5, "b": 5}}},
            '{"a":5,"b":5}',
            "10",
        ),
        ({"type": "reject", "message": "no way"}, None, None),
    ],
    ids=["approve", "edit", "reject"],
)
def test_a_person_decides_about_a_tool(handler, memory, runs, lc, invoke, decision, shown, result):
    """The first turn waits; the decision is the input of the second, which has what it led to."""
    desk = agent(
        lc,
        lc.said(calls=CALLS[:1]),
        lc.said("done"),
        middleware=[HumanInTheLoopMiddleware(interrupt_on={"add": True})],
        checkpointer=InMemorySaver(),
    )
    invoke(desk, asked("go"), on_thread(handler))
    invoke(desk, Command(resume={"decisions": [decision]}), on_thread(handler))
    paused, resumed = memory.turns
    tools = [s for s in resumed.steps if s.kind == "tool"]

    assert (paused.status, resumed.status, resumed.output.content) == ("paused", "ok", "done")
    assert '"action_requests"' in paused.output.content
    assert resumed.resumes == paused.id
    assert decision["type"] in resumed.input.content
    assert [(s.input.content, s.output.content) for s in tools] == (
        [(shown, result)] if result else []
    )
    assert all(turn.error is None for turn in memory.turns)
    assert len(runs) == 0


def test_inside_a_decorated_agent_an_agent_is_a_step(lc):
    """And so are its nodes, models and tools."""
    memory = MemoryExporter()
    turnspan.configure(exporters=[memory], directory=None, spans="own")
    inner = agent(lc, lc.said(calls=CALLS[:1]), lc.said("3"))

    @turnspan.agent(name="outer")
    def outer(question):
        answer = inner.invoke(asked(question), {"callbacks": [TurnspanHandler()]})
        return str(answer["messages"][-1].content)

    outer("go")
    turnspan.close(timeout_s=1.0)
    (turn,) = memory.turns

    assert (turn.agent.name, turn.output.content) == ("outer", "3")
    assert ("agent", "desk", "ok", None) in lc.tree(turn)
    assert tools_of(turn) == [("add", "ok", "c1", "3")]
