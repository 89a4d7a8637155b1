"""A session numbers its turns; `state=` keeps what the application knew before and after each.

The state is stored as it was at that moment. The difference is worked out when somebody asks,
as JSON Patch (RFC 6902).
"""

from typing import Any

import turnspan
from turnspan.exporters.memory import MemoryExporter

basket: dict[str, Any] = {"items": [], "customer": "ada"}


@turnspan.tool
def add(item: str, count: int) -> int:
    """Put something into the basket; how much is in it."""
    basket["items"].append({"item": item, "count": count})
    return len(basket["items"])


@turnspan.agent(state=lambda: basket)
def clerk(order: str) -> str:
    """Take an order such as `3 apples`."""
    count, item = order.split()
    turn = turnspan.current_turn()
    turn.set_metadata(shop="oslo")
    turn.add_tags("order")
    turn.add_reasoning(f"{count} is how many, {item} is what")
    return f"You have {add(item, count=int(count))} kinds of things."


memory = MemoryExporter()
turnspan.configure(exporters=[memory], directory=None)
with turnspan.session("basket-of-ada", user_id="ada", tags=["example"]):
    clerk("3 apples")
    clerk("1 lamp")

for turn in memory.turns:
    print(turn.session_id, turn.number, turn.user_id, turn.tags, turn.metadata)
    print("  ", "because", turn.reasoning)
    for change in turn.state_diff():
        print("  ", change["op"], change["path"], change.get("value"))

# prints:
#   basket-of-ada 1 ada ('example', 'order') {'shop': 'oslo'}
#      because 3 is how many, apples is what
#      add /items/- {'item': 'apples', 'count': 3}
#   basket-of-ada 2 ada ('example', 'order') {'shop': 'oslo'}
#      because 1 is how many, lamp is what
#      add /items/- {'item': 'lamp', 'count': 1}
