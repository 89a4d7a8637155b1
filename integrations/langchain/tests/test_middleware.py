"""Beside the handler, the middleware records what callbacks are never told, and nothing twice."""

from __future__ import annotations

import asyncio

import pytest
from langchain_core.messages import AIMessage, ToolMessage

pytest.importorskip("langchain.agents", reason="langchain is not installed")

from langchain.agents import create_agent
from langchain.agents.middleware import AgentMiddleware, ModelResponse
from langgraph.checkpoint.memory import InMemorySaver

from turnspan_langchain import TurnspanMiddleware

ADD = ("add", {"a": 1, "b": 2}, "c1")
GONE = ("gone", {"x": 1}, "c2")


class Guard(AgentMiddleware):
    """Answers the tool `shout` itself, and the model's second question."""

    def __init__(self):
        self.asked = 0

    def wrap_model_call(self, request, handler):
        self.asked += 1
        if self.asked == 2:
            return ModelResponse(result=[AIMessage("from the cache")])
        return handler(request)

    async def awrap_model_call(self, request, handler):
        self.asked += 1
        if self.asked == 2:
            return AIMessage("from the cache")
        return await handler(request)

    def wrap_tool_call(self, request, handler):
        if request.tool_call["name"] == "shout":
            return ToolMessage("not so loud", tool_call_id=request.tool_call["id"], status="error")
        return handler(request)

    async def awrap_tool_call(self, request, handler):
        if request.tool_call["name"] == "shout":
            return self.wrap_tool_call(request, None)
        return await handler(request)


@pytest.fixture
def ours(runs):
    return TurnspanMiddleware(runs=runs)


@pytest.fixture(params=["sync", "async"])
def ask(request, handler):
    """Asks an agent, in both ways."""

    def ask(agent, **config):
        given, config = {"messages": [("user", "go")]}, {"callbacks": [handler], **config}
        if request.param == "sync":
            return agent.invoke(given, config)
        return asyncio.run(agent.ainvoke(given, config))

    return ask


def steps(turn):
    """Models and tools: where they stand, what was said, and what became of them."""
    names = {step.id: step.name for step in turn.steps}
    return [
        (
            names.get(step.parent_id),
            step.name,
            step.tool and step.tool.call_id,
            None if step.output is None else step.output.content,
            step.status,
            dict(step.metadata),
        )
        for step in turn.steps
        if step.kind in {"model", "tool"}
    ]


def test_what_callbacks_are_told_is_recorded_once(ask, ours, memory, runs, lc):
    """With the middleware there is the same turn as without; its checkpoints too."""
    found = []
    for middleware in ([ours], []):
        model = lc.scripted(lc.said(calls=[ADD, ("shout", {"text": "hi"}, "c2")]), lc.said("3"))
        saver = InMemorySaver()
        agent = create_agent(model, [lc.add, lc.shout], middleware=middleware, checkpointer=saver)
        ask(agent, configurable={"thread_id": "T"})
        found.append(len(list(saver.list({"configurable": {"thread_id": "T"}}))))
    with_it, without = (lc.told(turn) for turn in memory.turns)

    assert sorted(steps(memory.turns[0]), key=str) == sorted(steps(memory.turns[1]), key=str)
    for key in ("messages", "state_before", "state_after"):
        assert with_it[key] == without[key]
    assert found[0] == found[1]
    assert len(runs) == 0


def test_a_tool_that_is_not_there_is_a_step_that_failed(ask, ours, memory, runs, lc):
    """LangChain answers the model itself, and tells no callback."""
    model = lc.scripted(lc.said(calls=[GONE]), lc.said("so"))
    ask(create_agent(model, [lc.add], middleware=[ours]))
    (turn,) = memory.turns
    (gone,) = [step for step in turn.steps if step.kind == "tool"]

    assert (turn.status, gone.status, gone.name, gone.tool.call_id) == ("ok", "error", "gone", "c2")
    assert gone.input.content == '{"x":1}'
    assert "gone is not a valid tool" in gone.output.content
    assert gone.error.type == "tool_error"
    assert len(runs) == 0


def test_calls_that_another_middleware_answers_are_steps_that_say_so(ask, ours, memory, runs, lc):
    """No model and no tool was reached: neither has a run."""
    model = lc.scripted(lc.said(calls=[ADD, ("shout", {"text": "hi"}, "c2")]))
    middleware = [ours, Guard()]
    agent = create_agent(model, [lc.add, lc.shout], middleware=middleware, system_prompt="Be kind.")
    answer = ask(agent)
    (turn,) = memory.turns
    by = {"answered_by": "middleware"}
    first, *tools, last = steps(turn)

    assert answer["messages"][-1].text == "from the cache"
    assert first == ("model", "scripted-1", None, None, "ok", {})
    assert sorted(tools, key=str) == [
        ("tools", "add", "c1", "3", "ok", {}),
        ("tools", "shout", "c2", "not so loud", "error", by),
    ]
    assert last == ("model", "middleware", None, "from the cache", "ok", by)
    assert [turn.output.content, len(turn.messages)] == ["from the cache", 6]
    assert [m.text for m in turn.messages if m.role == "system"] == ["Be kind."]
    assert len(runs) == 0


def test_without_a_handler_on_the_run_it_records_nothing_and_changes_nothing(ours, memory, lc):
    """What a middleware is shown names no run of ours."""
    found = []
    for middleware in ([ours, Guard()], [Guard()]):
        model = lc.scripted(lc.said(calls=[ADD, GONE]))
        agent = create_agent(model, [lc.add, lc.shout], middleware=middleware)
        said = agent.invoke({"messages": [("user", "go")]})["messages"]
        found.append([(type(each), each.content) for each in said])

    assert found[0] == found[1]
    assert memory.turns == []


def test_a_failure_of_ours_leaves_the_answer_as_it_is(ask, lc, memory, handler):
    """Whatever the middleware looks its runs up in."""
    answers = []
    for middleware in ([TurnspanMiddleware(runs=object())], []):
        model = lc.scripted(lc.said(calls=[ADD, GONE]), lc.said("3"))
        said = ask(create_agent(model, [lc.add], middleware=middleware))["messages"]
        answers.append([(type(each), each.content) for each in said])

    assert answers[0] == answers[1]
