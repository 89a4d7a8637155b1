"""Record LangChain: pass one handler in `callbacks`, and every run is a turn.

Model, tool and retriever runs become its steps, with messages, tool calls and usage. It works
for chains, agents and graphs alike. Needs `pip install turnspan-langchain`; the model here is a
script, put any other in its place.
"""

from langchain_core.language_models import FakeMessagesListChatModel
from langchain_core.messages import AIMessage, HumanMessage
from langchain_core.runnables import RunnableConfig, RunnableLambda
from langchain_core.tools import tool

import turnspan
from turnspan.exporters.memory import MemoryExporter
from turnspan_langchain import TurnspanHandler

CALL = {"name": "area", "args": {"width": 3, "height": 4}, "id": "call_1"}
model = FakeMessagesListChatModel(
    responses=[AIMessage("", tool_calls=[CALL]), AIMessage("You need 12 square metres.")]
)


@tool
def area(width: float, height: float) -> float:
    """Say how large a rectangle is."""
    return width * height


def answer(messages: list, config: RunnableConfig) -> list:
    """Ask the model, and call what it asks for, until it answers."""
    while True:
        reply = model.invoke(messages, config)
        messages = [*messages, reply]
        if not reply.tool_calls:
            return messages
        messages += [area.invoke(call, config) for call in reply.tool_calls]


memory = MemoryExporter()
turnspan.configure(exporters=[memory], directory=None)
agent = RunnableLambda(answer, name="tiler")
with turnspan.session("kitchen"):
    agent.invoke(
        [HumanMessage("How many tiles for 3 by 4 metres?")],
        config={"callbacks": [TurnspanHandler()]},
    )

[turn] = memory.turns
print(turn.session_id, turn.number, turn.agent.name, "|", turn.output and turn.output.content)
for step in turn.steps:
    given = len(turn.messages_at(step.input_messages)) or step.input.content
    print(step.kind, "|", given, "|", step.output and step.output.content)

# prints:
#   kitchen 1 tiler | You need 12 square metres.
#   model | 1 | None
#   tool | {"width":3,"height":4} | 12.0
#   model | 3 | You need 12 square metres.
