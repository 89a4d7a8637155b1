"""What the policy hides is in no record of a run, whoever said it."""

from __future__ import annotations

import json
import re

import pytest

pytest.importorskip("langchain.agents")

from langchain.agents import create_agent
from langchain_core.tools import tool
from langgraph.checkpoint.memory import InMemorySaver

import turnspan
from turnspan.integrations import Runs
from turnspan.runtime import Runtime
from turnspan.schema import RandomIds
from turnspan.settings import Settings
from turnspan_langchain import TurnspanHandler

SECRET = re.compile(rb"zq\d\dkw|4711-0815|ada@example\.org")


@pytest.fixture
def recorded(memory):
    """Records with a policy of its own into `memory`."""
    built = []

    def recorded(policy):
        settings = Settings.read({}, {"directory": None, "spans": "own"})
        built.append(Runtime(settings, [memory], policy=policy, environ={}, ids=RandomIds(7)))
        return TurnspanHandler(depth=None, chains=True, runs=Runs(recorder=built[-1].recorder))

    yield recorded
    for runtime in built:
        runtime.close(timeout_s=5.0)


@tool
def pay(card: str, note: str) -> str:
    """Pay; the terminal is zq01kw."""
    return "paid zq02kw from 4711-0815"


@tool
def refuse(note: str) -> str:
    """Refuse."""
    raise ValueError(f"refused zq03kw: {note}")


def converse(handler, lc, invoke):
    """A turn with a secret in every place there is for one, and one that fails over another."""
    calls = [("pay", {"card": "4711-0815", "note": "zq04kw"}, "c1")]
    desk = create_agent(
        lc.scripted(lc.said("I pay zq05kw", calls=calls), lc.said("ada@example.org zq06kw")),
        [pay],
        system_prompt="You know zq07kw.",
        checkpointer=InMemorySaver(),
        name="desk",
    )
    config = {
        "callbacks": [handler],
        "configurable": {"thread_id": "zq08kw"},
        "metadata": {"place": "zq09kw"},
        "tags": ["zq10kw"],
    }
    asked = json.dumps({"card": "4711-0815"})
    invoke(desk, {"messages": [("user", f"zq11kw {asked}")]}, config)
    calls = [("refuse", {"note": "zq12kw"}, "c2")]
    failing = create_agent(lc.scripted(lc.said(calls=calls)), [refuse], name="failing")
    with pytest.raises(ValueError, match="refused"):
        invoke(failing, {"messages": [("user", "zq13kw")]}, {"callbacks": [handler]})


def test_nothing_hidden_is_in_what_a_handler_records(recorded, memory, lc, invoke):
    """Arguments and results of tools, messages, state, tags, metadata, errors and ids."""
    policy = turnspan.Policy(
        hide=["card", "steps.pay.output"], patterns=["email", re.compile(r"zq\d\dkw")]
    )
    converse(recorded(policy), lc, invoke)
    paid, failed = memory.turns
    tools = {step.name: step for turn in memory.turns for step in turn.steps if step.kind == "tool"}

    assert SECRET.findall(b"".join(memory.raw)) == []
    assert tools["pay"].input.content == '{"card":"<hidden>","note":"<hidden>"}'
    assert tools["pay"].output.content == "<hidden>"
    assert paid.output.content == "<hidden:email> <hidden>"
    assert failed.error.message == "refused <hidden>: <hidden>"


def test_without_a_policy_each_of_them_is_somewhere(recorded, memory, lc, invoke):
    """So the search above finds what there is to find."""
    converse(recorded(turnspan.Policy()), lc, invoke)

    assert set(SECRET.findall(b"".join(memory.raw))) >= {
        *(b"zq%02dkw" % number for number in range(2, 14)),
        b"4711-0815",
        b"ada@example.org",
    }
