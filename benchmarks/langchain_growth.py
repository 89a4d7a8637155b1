"""How what LangChain's handler records of an agent grows: 200 model calls beside 100.

    python benchmarks/langchain_growth.py [--quick]

An agent of LangGraph asks its model again and again, each time with all that was said before, and
calls a tool in between. The CPU is that of the handler's own callbacks, measured inside them, for
LangGraph's own is a hundred times as much and hides it; the bytes are the journal's. A turn begins
with a wait, so that both are long ones, as such turns are: their steps are journalled as they end.
Turns of both lengths alternate in one process; each repetition is a fresh one.
"""

import itertools
import time
from pathlib import Path
from statistics import median
from typing import Annotated, Any, TypedDict

import child
from table import Table

LENGTHS = (100, 200)
MESSAGE_CHARS = 1000
BYTES_RATIO = 2.2
CPU_RATIO = 2.7
LONG_TURN_S = 1.05
DIRECTORY = "turns"


def main() -> None:
    repeats, rounds = (1, 2) if child.is_quick() else (5, 5)
    table = Table(f"200 model calls beside 100; median of {repeats}", "200", "100")
    runs = [child.measured(grow, rounds=rounds) for _ in range(repeats)]
    for name, what, target in (
        ("KB journalled", "kb", BYTES_RATIO),
        ("ms of CPU in the handler", "ms", CPU_RATIO),
    ):
        short, long = zip(*(run[what] for run in runs), strict=True)
        ratios = [two / one for one, two in zip(short, long, strict=True)]
        table.line(name, ratios, target, ours=median(long), beside=median(short))


def grow(rounds: int) -> dict[str, list[float]]:
    """KB journalled and ms of CPU in the handler, of a short turn and a long one."""
    import turnspan

    turnspan.configure(exporters=[], directory=DIRECTORY)
    handler = timed_handler()
    converse = agent()
    found: dict[int, list[tuple[float, float]]] = {length: [] for length in LENGTHS}
    for _, length in itertools.product(range(1 + rounds), LENGTHS):
        size_bytes, handler.spent_ns = journalled_bytes(), 0
        converse(length, handler)
        size_kb = (journalled_bytes() - size_bytes) / 1000
        found[length].append((size_kb, handler.spent_ns / 1e6))
    columns = [
        [median(column) for column in zip(*rows[1:], strict=True)] for rows in found.values()
    ]
    return {"kb": [column[0] for column in columns], "ms": [column[1] for column in columns]}


def timed_handler() -> Any:
    """A handler that adds up the CPU of its callbacks."""
    from turnspan_langchain import TurnspanHandler

    class Timed(TurnspanHandler):
        spent_ns = 0

    def timed(name: str) -> Any:
        callback = getattr(TurnspanHandler, name)

        def call(self: Any, *args: Any, **kwargs: Any) -> None:
            began_ns = time.thread_time_ns()
            callback(self, *args, **kwargs)
            self.spent_ns += time.thread_time_ns() - began_ns

        return call

    for name in vars(TurnspanHandler):
        if name.startswith("on_"):
            setattr(Timed, name, timed(name))
    return Timed()


def agent() -> Any:
    """A graph of a model and a tool, which goes round as often as it is told."""
    from langchain_core.messages import AIMessage, AnyMessage
    from langchain_core.tools import tool
    from langgraph.graph import START, StateGraph, add_messages

    class Desk(TypedDict):
        messages: Annotated[list[AnyMessage], add_messages]
        calls: int

    model = scripted_model()

    @tool
    def look_up(number: int) -> str:
        """Look a number up."""
        return f"result {number} ".ljust(MESSAGE_CHARS, "r")

    def wait(state: Desk) -> dict[str, Any]:
        time.sleep(LONG_TURN_S)
        return {"calls": state["calls"]}

    def ask(state: Desk) -> dict[str, Any]:
        return {"messages": [model.invoke(state["messages"])], "calls": state["calls"] - 1}

    def call(state: Desk) -> dict[str, Any]:
        last = state["messages"][-1]
        assert isinstance(last, AIMessage)
        return {"messages": [look_up.invoke(each) for each in last.tool_calls]}

    graph: Any = StateGraph(Desk)
    graph.add_node("wait", wait)
    graph.add_node("model", ask)
    graph.add_node("tools", call)
    graph.add_edge(START, "wait")
    graph.add_edge("wait", "model")
    graph.add_conditional_edges("model", lambda state: "tools" if state["calls"] else "__end__")
    graph.add_edge("tools", "model")
    graph = graph.compile(name="desk")

    def converse(calls: int, handler: Any) -> None:
        given = {"messages": [("user", "Go on.")], "calls": calls}
        graph.invoke(given, {"callbacks": [handler], "recursion_limit": 10_000})

    return converse


def scripted_model() -> Any:
    """Calls the tool with another number each time."""
    from langchain_core.language_models import BaseChatModel
    from langchain_core.messages import AIMessage
    from langchain_core.outputs import ChatGeneration, ChatResult

    numbers = itertools.count()

    class Scripted(BaseChatModel):
        @property
        def _llm_type(self) -> str:
            return "scripted"

        def _generate(self, messages: Any, *args: Any, **kwargs: Any) -> ChatResult:
            number = next(numbers)
            call = {"name": "look_up", "args": {"number": number}, "id": f"call_{number}"}
            said = f"thought {number} ".ljust(MESSAGE_CHARS, "t")
            reply = AIMessage(said, tool_calls=[call])
            return ChatResult(generations=[ChatGeneration(message=reply)])

    return Scripted()


def journalled_bytes() -> int:
    journal = Path(DIRECTORY, "journal")
    return sum(path.stat().st_size for path in journal.iterdir()) if journal.exists() else 0


if __name__ == "__main__":
    main()
