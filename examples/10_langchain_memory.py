"""A LangChain agent with a tool and a memory: each question is a turn of its thread.

The thread is the session, so turns are numbered within it. The second question is answered from
what the checkpointer kept; the turn says what is new, and its model step was given all of it.
Needs `pip install turnspan-langchain langchain`; the model is a script, put any other there.
"""

from langchain.agents import create_agent
from langchain_core.language_models import FakeMessagesListChatModel
from langchain_core.messages import AIMessage
from langchain_core.tools import tool
from langgraph.checkpoint.memory import InMemorySaver

import turnspan
from turnspan.exporters.memory import MemoryExporter
from turnspan_langchain import TurnspanHandler


class Scripted(FakeMessagesListChatModel):
    """A model that is offered tools, and says what it is told to say."""

    def bind_tools(self, tools, **kwargs):
        return self.bind(tools=[each.name for each in tools])


@tool
def area(width: float, height: float) -> float:
    """Say how large a rectangle is."""
    return width * height


CALL = {"name": "area", "args": {"width": 3, "height": 4}, "id": "call_1"}
REPLIES = ["You need 12 square metres.", "12 more than none."]
model = Scripted(responses=[AIMessage("", tool_calls=[CALL]), *map(AIMessage, REPLIES)])

memory = MemoryExporter()
turnspan.configure(exporters=[memory], directory=None)
tiler = create_agent(model, [area], name="tiler", checkpointer=InMemorySaver())
config = {"callbacks": [TurnspanHandler()], "configurable": {"thread_id": "kitchen"}}
for question in ("How many tiles for 3 by 4 metres?", "And how many more than that is it?"):
    tiler.invoke({"messages": [("user", question)]}, config)

for turn in memory.turns:
    print(turn.session_id, turn.number, turn.input.content, "|", turn.output.content)
    for step in turn.steps:
        if step.kind != "step":  # a node of the graph
            given = len(turn.messages_at(step.input_messages)) or step.input.content
            print(" ", step.kind, step.name, "|", given)

# prints:
#   kitchen 1 How many tiles for 3 by 4 metres? | You need 12 square metres.
#     model Scripted | 1
#     tool area | {"width":3,"height":4}
#     model Scripted | 3
#   kitchen 2 And how many more than that is it? | 12 more than none.
#     model Scripted | 5
