"""One handler, a thousand runs at once: each is a turn of its own, and nothing stays behind."""

from __future__ import annotations

import asyncio
import gc
import json
import subprocess
import sys
import tracemalloc
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from langchain_core.tools import tool

import turnspan
import turnspan_langchain
from turnspan.exporters.memory import MemoryExporter
from turnspan.integrations import Runs
from turnspan.runtime import Runtime
from turnspan.schema import RandomIds
from turnspan.settings import Settings
from turnspan_langchain import TurnspanHandler

pytest.importorskip("langchain.agents", reason="langchain is not installed")

from langchain.agents import create_agent

RUNS = 1000
OURS = [str(Path(module.__file__).parent / "*") for module in (turnspan, turnspan_langchain)]
FEW = 10  # delivery may be reading a segment while they are counted
MOST_KEPT_BYTES = 32 * 1024  # whatever a run left would be there a thousand times


@tool
def double(number: int) -> int:
    """Double a number."""
    return 2 * number


async def double_async(number: int) -> int:
    """Let all the others run between."""
    await asyncio.sleep(0)
    return 2 * number


double.coroutine = double_async


class Doubling(BaseChatModel):
    """Has the number that it hears doubled, and says what came out."""

    @property
    def _llm_type(self):
        return "doubling"

    def bind_tools(self, tools, **kwargs):
        return self.bind(tools=[each.name for each in tools])

    def _get_ls_params(self, stop=None, **kwargs):
        return {"ls_model_name": "doubling-1"}

    def _generate(self, messages, stop=None, run_manager=None, **kwargs):
        heard = messages[-1]
        if heard.type == "tool":
            said = AIMessage(f"It is {heard.content}.")
        else:
            call = {"name": "double", "args": {"number": int(heard.content)}, "type": "tool_call"}
            said = AIMessage("", tool_calls=[{**call, "id": f"call-{heard.content}"}])
        return ChatResult(generations=[ChatGeneration(message=said)])

    async def _agenerate(self, messages, stop=None, run_manager=None, **kwargs):
        await asyncio.sleep(0)
        return self._generate(messages)


def runtime_in(directory, memory):
    settings = Settings.read({}, {"directory": directory / "turns", "spans": "own"})
    return Runtime(settings, [memory], environ={}, ids=RandomIds(1))


@pytest.fixture
def runtime(memory, tmp_path):
    """With a journal on disk: what is kept in memory is the handler's."""
    built = runtime_in(tmp_path, memory)
    yield built
    built.close(timeout_s=5.0)


@pytest.fixture
def agent():
    return create_agent(Doubling(), [double], name="doubler")


def asked(number):
    return {"messages": [{"role": "user", "content": str(number)}]}


def config(handler, number):
    return {"callbacks": [handler], "configurable": {"thread_id": f"s{number}"}}


async def ask_all(agent, handler, runs=RUNS, sessions=RUNS):
    """All at once, on one loop."""
    configs = [config(handler, number % sessions) for number in range(runs)]
    calls = (agent.ainvoke(asked(number), each) for number, each in enumerate(configs))
    return await asyncio.gather(*calls)


def shown(turn):
    """What a turn says of its question, in its own words and in those of its steps."""
    names = {step.id: step.name for step in turn.steps}
    return (
        turn.status,
        turn.session_id,
        turn.input.content,
        turn.output.content,
        [
            (step.kind, names.get(step.parent_id), step.tool and step.tool.call_id, told(step))
            for step in turn.steps
            if step.kind != "step"
        ],
        len(turn.steps),
        len(turn.messages),
    )


def told(step):
    return None if step.output is None else step.output.content


def expected(number):
    said = f"It is {2 * number}."
    steps = [
        ("model", "model", None, None),
        ("tool", "tools", f"call-{number}", str(2 * number)),
        ("model", "model", None, said),
    ]
    return ("ok", f"s{number}", str(number), said, steps, 6, 4)  # a node around each


def in_order(turns):
    return sorted((shown(turn) for turn in turns), key=lambda each: int(each[2]))


def live():
    """How many objects of our classes there are, and of LangChain's messages."""
    gc.collect()
    kinds = (type(each) for each in gc.get_objects())
    return Counter(
        f"{kind.__module__}.{kind.__qualname__}"
        for kind in kinds
        if str(kind.__module__).startswith(("turnspan", "langchain_core.messages"))
    )


def kept_bytes():
    """Bytes that our modules allocated since `tracemalloc` looks, and still hold."""
    gc.collect()
    filters = [tracemalloc.Filter(inclusive=True, filename_pattern=path) for path in OURS]
    snapshot = tracemalloc.take_snapshot().filter_traces(filters)
    return sum(each.size for each in snapshot.statistics("filename"))


def test_a_thousand_at_once_are_a_thousand_turns_each_with_its_own_steps(
    agent, handler, memory, runs
):
    """On one loop, all open before the first ends; each has its question, call and session."""
    most = 0

    async def ask_and_count():
        nonlocal most
        asking = asyncio.ensure_future(ask_all(agent, handler))
        while not asking.done():
            most = max(most, len(runs))
            await asyncio.sleep(0)
        return await asking

    answers = asyncio.run(ask_and_count())

    assert [said["messages"][-1].text for said in answers] == [
        f"It is {2 * number}." for number in range(RUNS)
    ]
    assert in_order(memory.turns) == [expected(number) for number in range(RUNS)]
    assert most >= RUNS
    assert len(runs) == 0


def test_a_thousand_from_threads_are_a_thousand_turns(agent, handler, memory, runs):
    """Sixteen threads that share the handler don't mix what they record."""
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(lambda n: agent.invoke(asked(n), config(handler, n)), range(RUNS)))

    assert in_order(memory.turns) == [expected(number) for number in range(RUNS)]
    assert len(runs) == 0


def left_behind(directory):
    """What ten runs leave alive, what a thousand more do, and the bytes that those hold."""
    memory = MemoryExporter()
    built = runtime_in(directory, memory)
    runs = Runs(recorder=built.recorder)
    agent, handler = create_agent(Doubling(), [double], name="doubler"), TurnspanHandler(runs=runs)
    asyncio.run(ask_all(agent, handler, 10, 10))
    memory.clear()
    objects = live()
    tracemalloc.start(1)
    asyncio.run(ask_all(agent, handler, RUNS, 10))
    memory.clear()
    objects_then, held = live(), kept_bytes()
    tracemalloc.stop()
    built.close(timeout_s=30.0)
    return objects, objects_then, held, len(runs)


def test_a_thousand_runs_leave_nothing_behind(tmp_path):
    """There are no more live objects than after ten, and not a byte more for each."""
    done = subprocess.run(  # a process of its own: whatever else is alive there is ours
        [sys.executable, __file__, str(tmp_path)], capture_output=True, text=True, check=True
    )
    objects, objects_then, held, open_runs = json.loads(done.stdout)

    grown = {kind: n for kind, n in objects_then.items() if n - objects.get(kind, 0) >= FEW}

    assert grown == {}
    assert held < MOST_KEPT_BYTES
    assert "turnspan.integrations.run_tree.Run" not in objects
    assert "turnspan.integrations.runs.Runs" in objects
    assert open_runs == 0


if __name__ == "__main__":
    print(json.dumps(left_behind(Path(sys.argv[1]))))
