"""Two agents at once, in two sessions: turns follow asyncio tasks by themselves.

Nothing is passed along by hand. Each coroutine has its own session and its own open turn,
and a tool that runs in between finds the turn it belongs to, in a thread as well.
"""

import asyncio

import turnspan
from turnspan.exporters.memory import MemoryExporter


@turnspan.tool
async def price(item: str) -> float:
    """Ask a slow shop."""
    await asyncio.sleep(0.01)
    return len(item) * 1.5


@turnspan.tool
def in_stock(item: str) -> bool:
    """Ask a shop whose client knows nothing of asyncio."""
    return item != "unicorn"


@turnspan.agent
async def shopper(item: str) -> str:
    """Find out whether an item can be had, and for how much."""
    cost, there = await asyncio.gather(price(item), asyncio.to_thread(in_stock, item))
    return f"{item}: {cost}" if there else f"{item}: sold out"


async def visit(name: str, items: list[str]) -> None:
    """Shop for one customer."""
    with turnspan.session(f"visit-of-{name}", user_id=name):
        for item in items:
            await shopper(item)


async def main() -> None:
    """Serve two customers at the same time."""
    await asyncio.gather(visit("ada", ["lamp", "unicorn"]), visit("bob", ["chair"]))


memory = MemoryExporter()
turnspan.configure(exporters=[memory], directory=None)  # None: nothing goes to disk
asyncio.run(main())
for turn in sorted(memory.turns, key=lambda turn: (turn.session_id or "", turn.number)):
    steps = sorted(step.name for step in turn.steps)
    print(turn.session_id, turn.number, turn.output and turn.output.content, steps)

# prints:
#   visit-of-ada 1 lamp: 6.0 ['in_stock', 'price']
#   visit-of-ada 2 unicorn: sold out ['in_stock', 'price']
#   visit-of-bob 1 chair: 7.5 ['in_stock', 'price']
