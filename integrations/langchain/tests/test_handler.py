"""Agents in LangChain's own means become turns, whole."""

from __future__ import annotations

import asyncio
import copy
import pickle

import pytest
from langchain_core.documents import Document
from langchain_core.language_models import FakeListLLM
from langchain_core.messages import AIMessage, HumanMessage
from langchain_core.retrievers import BaseRetriever
from langchain_core.runnables import RunnableLambda
from langchain_core.tools import ToolException, tool

import turnspan
from turnspan import TurnspanError
from turnspan.exporters.memory import MemoryExporter
from turnspan.integrations import Runs
from turnspan_langchain import TurnspanHandler

USAGE = {"input_tokens": 10, "output_tokens": 2}
MODEL = {
    "provider": "gcp.gemini",
    "request_model": "scripted-1",
    "response_model": "scripted-1-0123",
    "parameters": {"temperature": 0.5},
}
CALLS = {"add": ("add", {"a": 1, "b": 2}, "c1"), "shout": ("shout", {"text": "hi"}, "c2")}


def model_step(given, produced, *, reason, **more):
    return {
        "kind": "model",
        "name": "scripted-1",
        "input_messages": given,
        "output_messages": produced,
        "model": {**MODEL, "finish_reasons": [reason]},
        "usage": USAGE,
        **more,
    }


def tool_step(name, call_id, description, given, result):
    return {
        "kind": "tool",
        "name": name,
        "tool": {"call_id": call_id, "type": "function", "description": description},
        "input": {"type": "tool_call", "content": given, "mime_type": "application/json"},
        "output": {"type": "tool_result", "content": result},
    }


def call_part(name, arguments, call_id):
    return {"type": "tool_call", "name": name, "id": call_id, "arguments": arguments}


def result_message(name, response, call_id):
    part = {"type": "tool_call_response", "response": response, "id": call_id}
    return {"role": "tool", "name": name, "parts": [part]}


WHOLE = {
    "agent": {"name": "helper"},
    "input": {"content": "go"},
    "output": {"content": "3 HI"},
    "messages": [
        {"role": "system", "parts": [{"type": "text", "content": "Be brief."}]},
        {"role": "user", "parts": [{"type": "text", "content": "go"}]},
        {
            "role": "assistant",
            "parts": [call_part(*CALLS["add"]), call_part(*CALLS["shout"])],
            "finish_reason": "tool_calls",
        },
        result_message("add", "3", "c1"),
        result_message("shout", "HI", "c2"),
        {
            "role": "assistant",
            "parts": [{"type": "text", "content": "3 HI"}],
            "finish_reason": "stop",
        },
    ],
    "steps": [
        model_step([[0, 2]], [[2, 3]], reason="tool_calls"),
        tool_step("add", "c1", "Add two numbers.", '{"a":1,"b":2}', "3"),
        tool_step("shout", "c2", "Say it loud.", '{"text":"hi"}', "HI"),
        model_step([[0, 5]], [[5, 6]], reason="stop", output={"content": "3 HI"}),
    ],
    "output_messages": [[5, 6]],
    "usage": {"input_tokens": 20, "output_tokens": 4},
}


@pytest.fixture
def agent(lc):
    return lc.agent_on(lc.scripted(lc.said(calls=CALLS.values()), lc.said("3 HI")))


def test_an_agent_with_two_tools_is_one_turn(agent, handler, memory, runs, lc):
    """The root run is the turn, model and tool runs its steps, each message is there once."""
    agent.invoke("go", {"callbacks": [handler]})
    (turn,) = memory.turns

    assert lc.told(turn) == WHOLE
    assert len(runs) == 0


def test_the_same_agent_in_async_is_the_same_turn(agent, handler, memory, runs, lc):
    """Sync methods called in the caller's task serve both worlds."""
    asyncio.run(agent.ainvoke("go", {"callbacks": [handler]}))
    (turn,) = memory.turns

    assert lc.told(turn) == WHOLE
    assert len(runs) == 0


def test_a_handler_given_twice_records_once(agent, handler, memory, runs, lc):
    """LangChain then reports the root twice with one id."""
    agent.with_config(callbacks=[handler]).invoke("go", {"callbacks": [handler]})
    (turn,) = memory.turns

    assert lc.told(turn) == WHOLE
    assert len(runs) == 0


def test_a_bare_model_is_a_turn_with_one_step(handler, memory, lc):
    """What was said to the model is the turn's input, what it said the output."""
    lc.scripted(lc.said("hello")).invoke([("user", "hi")], {"callbacks": [handler]})
    (turn,) = memory.turns

    assert lc.told(turn) == {
        "agent": {"name": "Scripted"},
        "input": {"content": "hi"},
        "output": {"content": "hello"},
        "messages": [
            {"role": "user", "parts": [{"type": "text", "content": "hi"}]},
            {
                "role": "assistant",
                "parts": [{"type": "text", "content": "hello"}],
                "finish_reason": "stop",
            },
        ],
        "steps": [model_step([[0, 1]], [[1, 2]], reason="stop", output={"content": "hello"})],
        "usage": USAGE,
    }


def test_reasoning_and_cached_tokens_are_kept(handler, memory, lc):
    """Thoughts are the step's reasoning, and the details of usage have their own counts."""
    reply = AIMessage(
        [{"type": "reasoning", "reasoning": "hmm"}, {"type": "text", "text": "yes"}],
        usage_metadata={
            "input_tokens": 9,
            "output_tokens": 7,
            "total_tokens": 16,
            "input_token_details": {"cache_read": 5, "cache_creation": 1},
            "output_token_details": {"reasoning": 4},
        },
    )
    lc.scripted(reply).invoke("really?", {"callbacks": [handler]})
    step = memory.turns[0].steps[0]

    assert (step.reasoning, step.output.content) == ("hmm", "yes")
    assert step.usage.model_dump(exclude_none=True) == {
        "input_tokens": 9,
        "output_tokens": 7,
        "cache_read_tokens": 5,
        "cache_write_tokens": 1,
        "reasoning_tokens": 4,
    }


def test_a_growing_history_is_kept_once(handler, memory, lc):
    """Messages that are made anew from tuples at each call are the same messages."""
    model = lc.scripted(lc.said("a"), lc.said("b"), lc.said("c"))

    def chat(question, config):
        history = [("user", question)]
        for _ in range(3):
            history += [("ai", model.invoke(history, config).text), ("user", "and?")]
        return history

    RunnableLambda(chat).invoke("x", {"callbacks": [handler]})
    (turn,) = memory.turns

    assert [message.text for message in turn.messages] == ["x", "a", "and?", "b", "c"]
    assert [step.input_messages for step in turn.steps] == [
        ((0, 1),),
        ((0, 3),),
        ((0, 4), (2, 3)),
    ]


def test_a_tool_that_raises_fails_the_turn_it_escapes_from(handler, memory, lc):
    """The caller sees its own exception; tool and turn both have it."""

    @tool
    def broken(x: int) -> int:
        """Break."""
        raise ValueError("no")

    model = lc.scripted(lc.said(calls=[("broken", {"x": 1}, "c1")]))
    with pytest.raises(ValueError, match="no"):
        lc.agent_on(model, tools={"broken": broken}).invoke("go", {"callbacks": [handler]})
    (turn,) = memory.turns

    assert lc.brief(turn) == (
        "error",
        "go",
        None,
        [("model", "scripted-1", "ok"), ("tool", "broken", "error")],
    )
    assert (turn.error.type, turn.error.message) == ("ValueError", "no")
    assert (turn.steps[1].error.type, turn.steps[1].error.message) == ("ValueError", "no")


def test_a_tool_error_that_was_handled_is_the_tools_not_the_turns(handler, memory, lc):
    """A tool that tells the model of its failure leaves the turn as it ends."""

    @tool
    def soft(x: int) -> int:
        """Fail softly."""
        raise ToolException("not today")

    soft.handle_tool_error = True
    model = lc.scripted(lc.said(calls=[("soft", {"x": 1}, "c1")]), lc.said("sorry"))
    lc.agent_on(model, tools={"soft": soft}).invoke("go", {"callbacks": [handler]})
    (turn,) = memory.turns

    assert [s[2] for s in lc.brief(turn)[3]] == ["ok", "error", "ok"]
    assert (turn.status, turn.error) == ("ok", None)
    assert turn.steps[1].error.model_dump(exclude_none=True) == {
        "type": "tool_error",
        "message": "not today",
    }


def test_a_model_that_fails_fails_its_step(handler, memory, lc):
    """An error of the provider stands on the model step and on the turn."""
    with pytest.raises(RuntimeError, match="overloaded"):
        lc.agent_on(lc.scripted(RuntimeError("overloaded"))).invoke("go", {"callbacks": [handler]})
    (turn,) = memory.turns

    assert lc.brief(turn) == ("error", "go", None, [("model", "scripted-1", "error")])
    assert turn.steps[0].error.message == "overloaded"


def test_a_batch_of_two_is_two_turns(handler, memory, runs, lc):
    """Inputs of a batch are turns of their own, none inside another."""
    agent = lc.agent_on(lc.scripted(lc.said("done")))
    agent.batch(["one", "two"], {"callbacks": [handler]})

    steps = [("model", "scripted-1", "ok")]
    assert sorted(lc.brief(turn) for turn in memory.turns) == [
        ("ok", "one", "done", steps),
        ("ok", "two", "done", steps),
    ]
    assert len({turn.trace.trace_id for turn in memory.turns}) == 2
    assert len(runs) == 0


def test_concurrent_runs_on_one_handler_do_not_mix(handler, memory, runs, lc):
    """Three conversations at once keep their sessions, messages and steps apart."""
    agent = lc.agent_on(lc.scripted(lc.said("same", calls=[]), delay_s=0.01), name="shared")

    async def all_at_once():
        await asyncio.gather(
            *(
                agent.ainvoke(f"q{n}", {"callbacks": [handler], "metadata": {"thread_id": f"t{n}"}})
                for n in range(3)
            )
        )

    asyncio.run(all_at_once())

    seen = {turn.session_id: lc.brief(turn) for turn in memory.turns}
    assert seen == {
        f"t{n}": ("ok", f"q{n}", "same", [("model", "scripted-1", "ok")]) for n in range(3)
    }
    assert all(len(turn.messages) == 3 for turn in memory.turns)
    assert len(runs) == 0


def test_a_cancelled_run_leaves_nothing_open(handler, memory, runs, lc):
    """LangChain never ends the model run of a cancelled `ainvoke`: the root's end does."""
    agent = lc.agent_on(lc.scripted(lc.said("late"), delay_s=9))

    async def cancelled():
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await agent.ainvoke("go", {"callbacks": [handler]})

    asyncio.run(cancelled())
    (turn,) = memory.turns

    assert lc.brief(turn) == (
        "cancelled",
        "go",
        None,
        [("model", "scripted-1", "cancelled")],
    )
    assert len(runs) == 0


def test_attempts_of_fallbacks_are_steps_of_their_turn(handler, memory, lc):
    """LangChain names no parent for them; their turn is found all the same."""
    shaky, steady = lc.scripted(RuntimeError("down")), lc.scripted(lc.said("up"))
    shaky.with_fallbacks([steady]).invoke("hi", {"callbacks": [handler]})
    (turn,) = memory.turns

    assert lc.brief(turn) == (
        "ok",
        "hi",
        "up",
        [("model", "scripted-1", "error"), ("model", "scripted-1", "ok")],
    )


def test_a_retriever_is_a_step(handler, memory, lc):
    """Its query is the input, the documents are the output."""

    class Shelf(BaseRetriever):
        def _get_relevant_documents(self, query, *, run_manager):
            return [Document(page_content="a page", metadata={"at": 1}, id="d1")]

    chain = Shelf() | RunnableLambda(lambda found: found[0].page_content)
    chain.invoke("where?", {"callbacks": [handler]})
    (turn,) = memory.turns

    assert lc.told(turn)["steps"] == [
        {
            "kind": "retrieval",
            "name": "Shelf",
            "input": {"content": "where?"},
            "output": {
                "content": '[{"id":"d1","page_content":"a page","metadata":{"at":1}}]',
                "mime_type": "application/json",
            },
        }
    ]
    assert lc.brief(turn)[1:3] == ("where?", "a page")


def test_a_model_that_completes_text_is_recorded(handler, memory, lc):
    """Models that are no chat models have a prompt and an operation of their own."""
    FakeListLLM(responses=["of course"]).invoke("will it?", {"callbacks": [handler]})
    (turn,) = memory.turns

    assert lc.brief(turn)[:3] == ("ok", "will it?", "of course")
    assert turn.steps[0].model.operation == "text_completion"
    assert [m.text for m in turn.messages] == ["will it?", "of course"]


def test_chains_are_steps_only_when_asked_for(runs, memory, lc):
    """With `chains=True` what stands between root and model is a step, and its parent."""
    chain = RunnableLambda(lambda x: x, name="prepare") | lc.scripted(lc.said("ok"))
    chain.invoke("x", {"callbacks": [TurnspanHandler(runs=runs)]})
    chain.invoke("x", {"callbacks": [TurnspanHandler(runs=runs, chains=True)]})

    assert [lc.brief(turn, nodes=True)[3] for turn in memory.turns] == [
        [("model", "scripted-1", "ok")],
        [("step", "prepare", "ok"), ("model", "scripted-1", "ok")],
    ]


def test_the_agent_is_named_by_whoever_knows_best(runs, memory, lc):
    """The handler's argument wins over the framework's agent name, that over the run's."""
    run = RunnableLambda(lambda x: x, name="run")
    known = {"metadata": {"lc_agent_name": "known"}}
    for given, config in (({}, {}), ({}, known), ({"agent": "mine"}, known)):
        handler = TurnspanHandler(runs=runs, chains=True, **given)
        run.invoke("x", {"callbacks": [handler], **config})

    assert [turn.agent.name for turn in memory.turns] == ["run", "known", "mine"]


def test_tags_and_metadata_of_the_user_are_the_turns(runs, memory):
    """What LangChain puts there for itself is left out."""
    handler = TurnspanHandler(runs=runs, chains=True)
    config = {"tags": ["beta"], "metadata": {"plan": "pro", "ls_x": 1, "thread_id": "t"}}
    RunnableLambda(lambda x: x).invoke("x", {"callbacks": [handler], **config})
    (turn,) = memory.turns

    assert (turn.tags, turn.metadata, turn.session_id) == (("beta",), {"plan": "pro"}, "t")


def test_a_failing_recorder_never_reaches_the_user(agent, lc):
    """Whatever breaks on our side, the agent answers and nothing stays open."""

    class Broken:
        content = True
        orphans = False

        def __getattr__(self, name):
            raise RuntimeError("our own bug")

    runs = Runs(recorder=Broken())
    answer = agent.invoke("go", {"callbacks": [TurnspanHandler(runs=runs)]})

    assert answer["messages"][-1].text == "3 HI"
    assert len(runs) == 0


def test_a_thousand_runs_leave_no_state_behind(handler, memory, runs, lc):
    """Runs that ended are forgotten."""
    model = lc.scripted(lc.said("ok"))
    for _ in range(1000):
        model.invoke("x", {"callbacks": [handler]})

    assert len(memory.turns) == 1000
    assert len(runs) == 0
    assert runs._tree._roots == {}


def test_a_copied_configuration_tells_of_the_same_runs(handler):
    """A handler has locks, which no copy could share."""
    config = {"callbacks": [handler]}

    assert copy.deepcopy(config)["callbacks"] == [handler]


@pytest.fixture
def configured():
    memory = MemoryExporter()
    turnspan.configure(exporters=[memory], directory=None, spans="own")
    yield memory
    turnspan.close(timeout_s=1.0)


def test_inside_an_agent_of_ours_a_run_is_a_step(configured, agent, lc):
    """A decorated function that calls a chain stays one turn, with the chain's steps in it."""

    @turnspan.agent(name="outer")
    def outer(question):
        agent.invoke(question, {"callbacks": [TurnspanHandler()]})
        return "done"

    outer("go")
    (turn,) = configured.turns

    assert lc.brief(turn)[:3] == ("ok", "go", "done")
    assert [(s.kind, s.name) for s in turn.steps] == [
        ("model", "scripted-1"),
        ("tool", "add"),
        ("tool", "shout"),
        ("model", "scripted-1"),
        ("agent", "helper"),
    ]
    inner = turn.steps[-1]
    assert {s.parent_id for s in turn.steps[:-1]} == {inner.id}
    assert (inner.parent_id, inner.agent.name, inner.output.content) == (None, "helper", "3 HI")
    assert turn.usage.input_tokens == 20


def test_models_called_from_an_agent_of_ours_share_its_messages(configured, lc):
    """A loop by hand in a decorated function records each message once."""
    model = lc.scripted(lc.said("one"), lc.said("two"))

    @turnspan.agent
    def outer(question):
        config = {"callbacks": [TurnspanHandler()]}
        history = [HumanMessage(question)]
        history.append(model.invoke(history, config))
        return model.invoke([*history, HumanMessage("go on")], config).text

    outer("start")
    (turn,) = configured.turns

    assert [m.text for m in turn.messages] == ["start", "one", "go on", "two"]
    assert [s.input_messages for s in turn.steps] == [((0, 1),), ((0, 3),)]


def test_the_session_in_force_wins_over_the_thread(configured):
    """A session that was opened around the run is the user's word."""
    run = RunnableLambda(lambda x: x)
    config = {"callbacks": [TurnspanHandler(chains=True)], "metadata": {"thread_id": "thread"}}
    run.invoke("x", config)
    with turnspan.session("mine", user_id="ada"):
        run.invoke("x", config)

    assert [(t.session_id, t.user_id) for t in configured.turns] == [
        ("thread", None),
        ("mine", "ada"),
    ]


def test_a_pickled_handler_keeps_its_options():
    """A configuration may travel to another process."""
    handler = TurnspanHandler(agent="desk", depth=None, chains=True, state=False)
    copied = pickle.loads(pickle.dumps({"callbacks": [handler]}))["callbacks"][0]

    assert type(copied) is TurnspanHandler
    assert copied._options == {"agent": "desk", "depth": None, "chains": True, "state": False}


@pytest.mark.parametrize(
    "options, what",
    [
        ({"depth": "all"}, "TurnspanHandler(depth='all') cannot be read"),
        ({"depth": -1}, "TurnspanHandler(depth=-1) cannot be read"),
        ({"depth": True}, "TurnspanHandler(depth=True) cannot be read"),
        ({"agent": 3}, "TurnspanHandler(agent=3) cannot be read"),
        ({"agent": ""}, "TurnspanHandler(agent='') cannot be read"),
        ({"chains": "yes"}, "TurnspanHandler(chains='yes') cannot be read"),
        ({"state": None}, "TurnspanHandler(state=None) cannot be read"),
    ],
)
def test_an_option_that_cannot_be_read_is_refused_at_the_door(options, what):
    """In a run nobody would hear of it: no step would come, or no destination take the turn."""
    with pytest.raises(TurnspanError) as raised:
        TurnspanHandler(**options)

    assert raised.value.what == what
    assert raised.value.fix.startswith("give ")
