"""Whatever fails on our side, the program gets what it would have got without a handler."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import re
import sys
import threading
from pathlib import Path
from types import FunctionType

import pytest
from langchain_core.documents import Document
from langchain_core.language_models import FakeListLLM
from langchain_core.messages import AIMessageChunk
from langchain_core.retrievers import BaseRetriever
from langchain_core.runnables import RunnableLambda, RunnableParallel
from langchain_core.tools import ToolException, tool

pytest.importorskip("langchain.agents", reason="langchain is not installed")

from langchain.agents import create_agent
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.types import Command, interrupt

import turnspan
import turnspan_langchain
from turnspan import notices
from turnspan.capture.active import active
from turnspan.capture.context import current_draft, current_session
from turnspan_langchain import TurnspanHandler

OURS = tuple(str(Path(module.__file__).parent) for module in (turnspan, turnspan_langchain))
DRAWN = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|\b[0-9a-f]{32}\b")
ADDRESS = re.compile(r"0x[0-9a-f]{6,}")

# These catch what the others raise: a fault in them is a fault in the net. The last reads a field.
BORDERS = ("call", "say", "failed", "_Everywhere.get")

# A value that can't be told says so in its place, an exporter's failure is in its health.
TOLD_ELSEWHERE = (
    "turnspan.capture.secret_names.",
    "turnspan.capture.stored.",
    "turnspan.capture.values.",
    "turnspan.exporters.",
)


@tool
def fail(what: str) -> str:
    """Fail."""
    raise ValueError(what)


@tool
def soften(what: str) -> str:
    """Fail, and say so."""
    raise ToolException(what)


soften.handle_tool_error = True


@tool
def confirm(what: str) -> str:
    """Ask a person."""
    return interrupt({"what": what})


class Shelf(BaseRetriever):
    def _get_relevant_documents(self, query, *, run_manager):
        if query == "burnt":
            raise OSError(query)
        return [Document(page_content=f"about {query}", metadata={"n": 1})]


@pytest.fixture
def programs(lc):
    """Each takes a configuration, runs something, and gives back all that a program can see."""
    both = lc.said(calls=[("add", {"a": 1, "b": 2}, "c1"), ("shout", {"text": "hi"}, "c2")])

    def pieces():  # anew each time: LangChain writes on them
        return [
            AIMessageChunk([{"type": "reasoning", "reasoning": "hm", "index": 0}]),
            AIMessageChunk([{"type": "text", "text": "he", "index": 1}]),
            AIMessageChunk([{"type": "text", "text": "llo", "index": 1}]),
        ]

    question = {"messages": [("user", "go")]}

    def agent(*replies, tools=(lc.add, lc.shout, fail, soften, confirm), **more):
        return create_agent(lc.scripted(*replies), list(tools), system_prompt="S", **more)

    def two_tools():
        return agent(both, lc.said("3 HI"))

    def invoke(config):
        return two_tools().invoke(question, config)

    async def ainvoke(config):
        return await two_tools().ainvoke(question, config)

    def stream(config):
        modes = ["values", "updates", "messages", "custom"]
        one = lc.said(calls=[("add", {"a": 1, "b": 2}, "c1")])  # of two, either may be first
        return list(agent(one, lc.said("3")).stream(question, config, stream_mode=modes))

    async def astream(config):
        model = create_agent(lc.streaming(*pieces()), [lc.add])
        modes = ["updates", "messages"]
        return [each async for each in model.astream(question, config, stream_mode=modes)]

    async def astream_events(config):
        model = create_agent(lc.streaming(*pieces()), [lc.add])
        events = model.astream_events(question, config, version="v2")
        return [each async for each in events]

    def left(config):
        stream = create_agent(lc.streaming(*pieces()), []).stream(
            question, config, stream_mode="messages"
        )
        first = next(stream)
        stream.close()
        return first

    def batch(config):
        chain = RunnableParallel(model=lc.scripted(lc.said("a")), shelf=Shelf())
        return chain.batch(["x", "burnt"], config, return_exceptions=True)

    async def abatch(config):
        chain = RunnableLambda(lambda text: text) | lc.scripted(lc.said("a"))
        return await chain.abatch(["x", "y"], config)

    def completion(config):
        return FakeListLLM(responses=["one", "two"]).batch(["x", "y"], config)

    def tool_raises(config):
        return agent(lc.said(calls=[("fail", {"what": "no"}, "c1")])).invoke(question, config)

    def tool_softens(config):
        calls = [("soften", {"what": "no"}, "c1"), ("add", {"a": "z"}, "c2"), ("gone", {}, "c3")]
        return agent(lc.said(calls=calls), lc.said("so")).invoke(question, config)

    def model_raises(config):
        return agent(RuntimeError("down")).invoke(question, config)

    def retried(config):
        model = lc.scripted(RuntimeError("down"), lc.said("up"))
        return model.with_retry(wait_exponential_jitter=False).invoke("x", config)

    def fallen_back(config):
        model = lc.scripted(RuntimeError("down"))
        return model.with_fallbacks([lc.scripted(lc.said("other"))]).invoke("x", config)

    def waits(config):
        graph = agent(
            lc.said(calls=[("confirm", {"what": "sure"}, "c1")]),
            lc.said("done"),
            checkpointer=InMemorySaver(),
        )
        config = {**config, "configurable": {"thread_id": "T"}}
        return [graph.invoke(question, config), graph.invoke(Command(resume="yes"), config)]

    async def cancelled(config):
        slow = create_agent(lc.scripted(lc.said("late"), delay_s=30), [])
        return await asyncio.wait_for(slow.ainvoke(question, config), 0.02)

    return [
        each
        for each in locals().values()
        if callable(each) and each not in (agent, pieces, two_tools)
    ]


def seen(program, callbacks):
    """Result or exception of a program, as text; ids that LangChain draws are numbered."""
    config = {"callbacks": callbacks, "tags": ["t"], "metadata": {"k": "v"}}
    try:
        given = program(config)
        found = asyncio.run(given) if asyncio.iscoroutine(given) else given
    except BaseException as exc:
        found = (type(exc), exc.args, type(exc.__cause__), type(exc.__context__))
    numbers: dict[str, str] = {}
    shown = ADDRESS.sub("0x", repr(found))
    return DRAWN.sub(lambda each: numbers.setdefault(each[0], f"id{len(numbers)}"), shown)


def called_in(run):
    """The code of every function of ours that ``run()`` calls, in any thread."""
    codes = set()

    def note(frame, event, arg):
        code = frame.f_code
        if event == "call" and code.co_filename.startswith(OURS):
            codes.add(code)

    before = sys.getprofile()
    threading.setprofile(note)
    sys.setprofile(note)
    try:
        run()
    finally:
        sys.setprofile(before)
        threading.setprofile(None)
    return codes


def reached(programs, handler):
    """Each function of ours, and the programs that reach it: of the core's, three will do."""
    codes = {each: called_in(lambda each=each: seen(each, [handler])) for each in programs}
    functions = [each for each in gc.get_objects() if type(each) is FunctionType]
    for function in functions:
        code = function.__code__
        if found := [each for each in programs if code in codes[each]]:
            most = len(found) if "langchain" in function.__module__ else 3
            yield function, found[:most]


class Faults:
    """Functions that raise instead of what they do. ``hits`` counts it."""

    hits = 0

    @contextlib.contextmanager
    def in_(self, function):
        kept = function.__code__
        function.__code__ = raising.__code__
        self.hits = 0
        try:
            yield
        finally:
            function.__code__ = kept


def raising(*args, **kwargs):
    import sys

    sys.modules["injected_faults"].hits += 1
    raise NotImplementedError("injected")  # which LangChain takes for more than a failure


@pytest.fixture
def faults(monkeypatch):
    made = Faults()
    monkeypatch.setitem(sys.modules, "injected_faults", made)
    monkeypatch.setattr(notices, "_said", {})
    return made


@pytest.fixture
def strict(memory):
    """A handler of which LangChain hands on whatever gets out of it."""
    turnspan.configure(exporters=[memory], directory=None, spans="own")
    handler = TurnspanHandler(chains=True)
    handler.raise_error = True
    yield handler
    turnspan.close(timeout_s=5.0)


def test_a_program_gets_the_same_with_the_handler_and_without(programs, strict, memory):
    """Results, exceptions and streams, in every way that LangChain runs things."""
    without = {each.__name__: seen(each, []) for each in programs}

    with_it = {each.__name__: seen(each, [strict]) for each in programs}

    assert with_it == without
    assert len(memory.turns) >= len(programs)


def test_a_fault_in_any_function_of_ours_changes_nothing(programs, strict, faults, caplog):
    """Each that the programs reach raises in turn: what they get is the same, to the letter."""
    without = {each: seen(each, []) for each in programs}
    changed, unsaid, repeated, struck = [], [], [], 0
    for function, used in list(reached(programs, strict)):
        if not can_fail(function):
            continue
        name, failed = f"{function.__module__}.{function.__qualname__}", active.recorder.failures
        notices._said.clear()
        caplog.clear()
        with faults.in_(function):
            found = {each: seen(each, [strict]) for each in used}
        told = [each.getMessage() for each in caplog.records]
        changed += [(name, each.__name__) for each in used if found[each] != without[each]]
        for left in (current_draft, current_session):
            if left.get() is not None:
                changed.append((name, f"left {left.name}"))
                left.set(None)
        if faults.hits:
            struck += 1
            is_said = told and active.recorder.failures > failed
            unsaid += [] if is_said or name.startswith(TOLD_ELSEWHERE) else [name]
            repeated += [name] if len(told) > len(set(told)) else []
            unsaid += [each.name for each in caplog.records if each.name != "turnspan"]

    assert changed == []
    assert unsaid == []
    assert repeated == []
    assert struck > 100


asked: list[str] = []


def refuse(name):
    def method(self, *args, **kwargs):
        asked.append(name)
        raise RuntimeError(f"{name} was called")

    return method


METHODS = """
    repr str eq len bool iter getattr getitem contains call fspath float int index format copy
    deepcopy reduce enter await next dir
"""
Odd = type("Odd", (), {f"__{name}__": refuse(name) for name in METHODS.split()})


def odd_programs(lc):
    """Things of the program's own where LangChain lets them be."""
    answer = lc.said("done")

    @tool(response_format="content_and_artifact")
    def find(what: str):
        """Find it, with something odd beside."""
        return what, Odd()

    def a_chain(config):
        chain = RunnableLambda(lambda given: "x") | lc.scripted(answer)
        return chain.invoke({"odd": Odd(), b"bytes": {1: Odd()}}, config).text

    def an_output(config):
        model = lc.scripted(answer)
        chain = RunnableLambda(lambda given, config: [model.invoke("x", config), Odd()])
        return type(chain.invoke("x", config)[1])

    def an_artifact(config):
        model = lc.scripted(lc.said(calls=[("find", {"what": "it"}, "c1")]), answer)
        found = create_agent(model, [find]).invoke({"messages": "go"}, config)
        return [type(each) for each in found["messages"]]

    def an_error(config):
        return RunnableLambda(lambda given: [][Odd]).invoke("x", config)

    def metadata(config):
        told = {**config, "metadata": {"odd": Odd(), "deep": [[[{"x": Odd()}]]]}, "tags": ["t"]}
        return lc.scripted(answer).invoke("x", told).text

    def a_text(config):
        text = "\ud800" + chr(0) + "x" * 3_000_000
        return len(lc.agent_on(lc.scripted(answer)).invoke(text, config)["messages"])

    def a_circle(config):
        circle = {"messages": ["x"]}
        circle["self"] = circle
        chain = RunnableLambda(lambda given: "x") | lc.scripted(answer)
        return chain.invoke(circle, config).text

    programs = (a_chain, an_output, an_artifact, an_error, metadata, a_text, a_circle)
    return {each.__name__: each for each in programs}


def test_odd_things_are_recorded_without_asking_them_anything(strict, memory, lc):
    """Not one method of the program's objects is called more with the handler than without."""
    found = {}
    for callbacks in ([], [strict]):
        for name, program in odd_programs(lc).items():
            asked.clear()
            found.setdefault(name, []).append((seen(program, callbacks), list(asked)))

    assert {name: with_it for name, (_, with_it) in found.items()} == {
        name: without for name, (without, _) in found.items()
    }
    assert len(memory.turns) == len(found)
    assert active.recorder.failures == 0


def can_fail(function):
    """Not what catches, nor a closure that another code can't stand in for."""
    inner = getattr(function, "__wrapped__", None)
    return (
        inner is None
        and not function.__code__.co_freevars
        and not {function.__name__, function.__qualname__} & set(BORDERS)
    )
