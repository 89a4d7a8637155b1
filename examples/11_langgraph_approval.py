"""A graph that waits for a person in one process, and goes on in another.

The first process ends with a turn that is `paused`: what the person is asked is its output. The
second shares the directory and the checkpointer with it, and records a turn of its own, which says
which one it resumes; the person's answer is its input.
Needs `pip install turnspan-langchain langgraph langgraph-checkpoint-sqlite`.
"""

import subprocess
import sys
from pathlib import Path
from typing import TypedDict

from langgraph.checkpoint.sqlite import SqliteSaver
from langgraph.graph import START, StateGraph
from langgraph.types import Command, interrupt

import turnspan
from turnspan.schema import Turn
from turnspan_langchain import TurnspanHandler


class Order(TypedDict, total=False):
    """The state of the graph."""

    tiles: int
    approved: str


def approve(order: Order) -> Order:
    """Ask a person; called again, it is given the answer."""
    return {"approved": interrupt(f"Buy {order['tiles']} tiles?")}


def run(given):
    """One half of the conversation."""
    turnspan.configure(directory="turns", exporters=["file:turns.ndjson"])
    graph = StateGraph(Order).add_node(approve).add_edge(START, "approve")
    with SqliteSaver.from_conn_string("checkpoints.db") as saver:
        config = {"callbacks": [TurnspanHandler()], "configurable": {"thread_id": "order"}}
        graph.compile(name="shop", checkpointer=saver).invoke(given, config)
    turnspan.close()


if sys.argv[1:] == ["resume"]:
    run(Command(resume="yes"))
else:
    run({"tiles": 12})
    subprocess.run([sys.executable, __file__, "resume"], check=True)  # noqa: S603
    paused, resumed = map(Turn.model_validate_json, Path("turns.ndjson").read_text().splitlines())
    for turn in (paused, resumed):
        print(turn.number, turn.status, "|", turn.input.content, "|", turn.output.content)
    print(resumed.resumes == paused.id, resumed.state_after)

# prints:
#   1 paused | {"tiles":12} | Buy 12 tiles?
#   2 ok | yes | {"tiles":12,"approved":"yes"}
#   True {'tiles': 12, 'approved': 'yes'}
