"""A scripted chat model, a handler that records into memory, and turns to compare whole."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from langchain_core.runnables import RunnableLambda
from langchain_core.tools import tool

from turnspan.exporters.memory import MemoryExporter
from turnspan.integrations import Runs
from turnspan.integrations.pauses import Pauses
from turnspan.runtime import Runtime
from turnspan.schema import RandomIds
from turnspan.settings import Settings
from turnspan_langchain import TurnspanHandler

START_NS = 1_800_000_000_000_000_000
UNTOLD = {"id", "trace", "resource", "started_at", "ended_at", "duration_ms", "schema_version"}


class Ticking:
    """A clock on which everything takes a millisecond."""

    def __init__(self):
        self._ticks = 0

    def now_ns(self):
        self._ticks += 1
        return START_NS + self._ticks * 1_000_000

    monotonic_ns = now_ns


class Scripted(BaseChatModel):
    """Says its replies in order, whole or in pieces; takes ``delay_s`` when asked in async."""

    replies: list[Any]  # or exceptions, which it raises
    pieces: list[Any]
    asked: list[int]  # how often, in a list: the model is copied when tools are bound
    delay_s: float = 0.0

    @property
    def _llm_type(self):
        return "scripted"

    def bind_tools(self, tools, **kwargs):
        return self.bind(tools=[each.name for each in tools])

    def _get_ls_params(self, stop=None, **kwargs):
        return {
            "ls_provider": "google_genai",
            "ls_model_name": "scripted-1",
            "ls_model_type": "chat",
            "ls_temperature": 0.5,
        }

    def _generate(self, messages, stop=None, run_manager=None, **kwargs):
        reply = self.replies[self.asked[0] % len(self.replies)]
        self.asked[0] += 1
        if isinstance(reply, Exception):
            raise reply
        return ChatResult(generations=[ChatGeneration(message=reply.model_copy())])

    async def _agenerate(self, messages, stop=None, run_manager=None, **kwargs):
        await asyncio.sleep(self.delay_s)
        return self._generate(messages)


class Streaming(Scripted):
    """Says its pieces one by one."""

    def _stream(self, messages, stop=None, run_manager=None, **kwargs) -> Iterator[Any]:
        for piece in self.pieces:
            if isinstance(piece, Exception):
                raise piece
            yield ChatGenerationChunk(message=piece)

    async def _astream(self, messages, stop=None, run_manager=None, **kwargs) -> AsyncIterator[Any]:
        for piece in self._stream(messages):
            yield piece


def scripted(*replies, delay_s=0.0):
    return Scripted(replies=list(replies), pieces=[], asked=[0], delay_s=delay_s)


def streaming(*pieces):
    whole = [piece for piece in pieces if not isinstance(piece, Exception)]
    replies = [AIMessage("".join(piece.text for piece in whole))]
    return Streaming(replies=replies, pieces=list(pieces), asked=[0])


def said(text="", *, calls=(), tokens=(10, 2), **more):
    """A model's reply: text, or calls as (name, arguments, id)."""
    return AIMessage(
        text,
        tool_calls=[{"name": n, "args": a, "id": i, "type": "tool_call"} for n, a, i in calls],
        usage_metadata={
            "input_tokens": tokens[0],
            "output_tokens": tokens[1],
            "total_tokens": sum(tokens),
        },
        response_metadata={
            "model_name": "scripted-1-0123",
            "finish_reason": "tool_calls" if calls else "stop",
        },
        **more,
    )


@tool
def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


@tool
def shout(text: str) -> str:
    """Say it loud."""
    return text.upper()


TOOLS = {each.name: each for each in (add, shout)}


def agent_on(model, *, name="helper", tools=TOOLS):
    """A loop around ``model``: calls the tools it asks for until it answers."""

    def answer(question, config):
        messages = [SystemMessage("Be brief."), HumanMessage(question)]
        while True:
            messages.append(reply := model.invoke(messages, config))
            if not reply.tool_calls:
                return {"messages": messages}
            messages += [tools[call["name"]].invoke(call, config) for call in reply.tool_calls]

    async def answer_async(question, config):
        messages = [SystemMessage("Be brief."), HumanMessage(question)]
        while True:
            messages.append(reply := await model.ainvoke(messages, config))
            if not reply.tool_calls:
                return {"messages": messages}
            messages += [
                await tools[call["name"]].ainvoke(call, config) for call in reply.tool_calls
            ]

    return RunnableLambda(answer, answer_async, name=name)


def told(turn):
    """All of a turn but ids, times and stack traces; steps are named by their place."""
    fields = turn.model_dump(mode="json", exclude_defaults=True, exclude=UNTOLD)
    places = {step.id: place for place, step in enumerate(turn.steps)}
    for step, whole in zip(fields.get("steps", ()), turn.steps, strict=True):
        assert turn.started_at <= whole.started_at <= whole.ended_at <= turn.ended_at
        for key in ("id", "started_at", "ended_at", "duration_ms", "first_chunk_at"):
            step.pop(key, None)
        if whole.parent_id is not None:
            step["parent_id"] = places[whole.parent_id]
        step.get("error", {}).pop("stacktrace", None)
    fields.pop("first_chunk_at", None)
    fields.get("error", {}).pop("stacktrace", None)
    return fields


def brief(turn, *, nodes=False):
    """Status, input and output of a turn, and kind, name and status of its steps."""
    shown = [None if each is None else each.content for each in (turn.input, turn.output)]
    steps = [s for s in turn.steps if nodes or s.kind != "step"]
    return (turn.status, *shown, [(s.kind, s.name, s.status) for s in steps])


def tree(turn):
    """Kind, name, status and parent's name of each step, in the order they began."""
    names = {step.id: step.name for step in turn.steps}
    steps = sorted(turn.steps, key=lambda step: step.started_at)
    return [(s.kind, s.name, s.status, names.get(s.parent_id)) for s in steps]


@pytest.fixture(params=["sync", "async"])
def invoke(request):
    """Calls a runnable in one of the two worlds."""
    if request.param == "sync":
        return lambda runnable, given, config: runnable.invoke(given, config)
    return lambda runnable, given, config: asyncio.run(runnable.ainvoke(given, config))


@pytest.fixture(params=["sync", "async"])
def stream(request):
    """Streams from a runnable in one of the two worlds, all of it or the first few pieces."""

    def stream_sync(runnable, given, config, *, first=None, **how):
        pieces = runnable.stream(given, config, **how)
        taken = list(pieces if first is None else itertools.islice(pieces, first))
        pieces.close()
        return taken

    async def stream_async(runnable, given, config, *, first=None, **how):
        taken, pieces = [], runnable.astream(given, config, **how)
        async for piece in pieces:
            taken.append(piece)
            if len(taken) == first:
                break
        await pieces.aclose()
        return taken

    if request.param == "sync":
        return stream_sync
    return lambda *given, **how: asyncio.run(stream_async(*given, **how))


@pytest.fixture(autouse=True)
def own_pauses(monkeypatch):
    """What other tests paused on a thread of the same name is not there to be resumed."""
    monkeypatch.setattr("turnspan.integrations.runs.pauses", Pauses())


@pytest.fixture
def memory():
    return MemoryExporter()


@pytest.fixture
def make_runs():
    """Makes runs that record into a memory of their own, each like another process's."""
    built = []

    def make():
        memory = MemoryExporter()
        settings = Settings.read({}, {"directory": None, "spans": "own"})
        ids = RandomIds(100 + len(built))
        built.append(Runtime(settings, [memory], environ={}, clock=Ticking(), ids=ids))
        return Runs(recorder=built[-1].recorder), memory

    yield make
    for runtime in built:
        runtime.close(timeout_s=1.0)


@pytest.fixture
def runtime(memory):
    settings = Settings.read({}, {"directory": None, "spans": "own"})
    built = Runtime(settings, [memory], environ={}, clock=Ticking(), ids=RandomIds(1))
    yield built
    built.close(timeout_s=1.0)


@pytest.fixture
def runs(runtime):
    return Runs(recorder=runtime.recorder)


@pytest.fixture
def handler(runs):
    return TurnspanHandler(runs=runs)


@pytest.fixture
def lc():
    """What tests build agents and look at turns with."""
    return SimpleNamespace(
        add=add,
        agent_on=agent_on,
        brief=brief,
        said=said,
        scripted=scripted,
        shout=shout,
        streaming=streaming,
        told=told,
        tree=tree,
    )
