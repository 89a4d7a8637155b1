"""Streams: a decorated generator is the same generator, and one turn.

The turn begins with the first item asked for and ends with the last, or where its consumer
leaves. It is current only while the generator's own code runs, never in the code that consumes
it. Chunks are joined; of a model's stream you get the message, its tool calls and its usage.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any

import turnspan
from turnspan.exporters.memory import MemoryExporter


@turnspan.model(name="scripted")
def chat(messages: list[dict[str, str]]) -> Iterator[dict[str, Any]]:
    """Stand in for a client that was asked for `stream=True`."""
    for word in ("It ", "will ", "rain."):
        yield {"model": "scripted-1", "choices": [{"delta": {"content": word}}]}
    yield {"choices": [], "usage": {"prompt_tokens": 9, "completion_tokens": 4}}


@turnspan.agent
def concierge(question: str) -> Iterator[str]:
    """Hand on what the model says, word by word."""
    for chunk in chat([{"role": "user", "content": question}]):
        yield from (choice["delta"]["content"] for choice in chunk["choices"])


@turnspan.agent
async def ticker(question: str) -> AsyncIterator[bytes]:
    """Server-sent events, as a `StreamingResponse` would be given them."""
    for number in range(1_000_000):
        yield f"data: {number}\n\n".encode()


async def watch(events: int) -> None:
    """Leave after so many ``events``."""
    stream = ticker("How many?")
    for _ in range(events):
        await anext(stream)


memory = MemoryExporter()
turnspan.configure(exporters=[memory], directory=None)
for word in concierge("What should I wear?"):
    print(word, end="|" if turnspan.current_turn() else "·")  # no turn is current out here
print()
asyncio.run(watch(2))
for turn in memory.turns:
    print(turn.agent.name, turn.status, turn.chunks, repr(turn.output and turn.output.content))
print(memory.turns[0].steps[0].name, memory.turns[0].steps[0].chunks)

# prints:
#   It ·will ·rain.·
#   concierge ok 3 'It will rain.'
#   ticker abandoned 2 'data: 0\n\ndata: 1\n\n'
#   scripted 4
