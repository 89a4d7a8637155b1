"""Record a function: each call of the agent is a turn, what it calls are the turn's steps.

`console:stdout` prints a turn as a tree as soon as it has ended. The turns are also in the
journal, a directory that here goes away with the program.
"""

from tempfile import TemporaryDirectory
from typing import Any

import turnspan


@turnspan.tool
def forecast(city: str) -> dict[str, object]:
    """Say what the weather in ``city`` will be."""
    return {"city": city, "celsius": 4, "rain": True}


@turnspan.model(name="scripted-1", provider="example")
def chat(messages: list[dict[str, str]]) -> dict[str, Any]:
    """Stand in for a client: usage and answer are read from what it returns."""
    words = messages[-1]["content"].split()
    answer = {"role": "assistant", "content": "Take an umbrella and a coat."}
    return {
        "choices": [{"message": answer, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": len(words), "completion_tokens": 6},
    }


@turnspan.agent
def concierge(question: str) -> str:
    """Look the weather up, then let the model answer."""
    weather = forecast("Oslo")
    prompt = f"{question} It is {weather['celsius']} degrees."
    reply = chat([{"role": "user", "content": prompt}])
    return str(reply["choices"][0]["message"]["content"])


with TemporaryDirectory() as directory:
    turnspan.configure(exporters=["console:stdout"], directory=directory)
    concierge("What should I wear in Oslo?")
    print("delivered:", turnspan.close().delivered)

# prints:
#   concierge · ok · … · 10 → 6 tokens
#   turn_…
#   ├── input     What should I wear in Oslo?
#   ├── tool forecast · …
#   │   └── {"city":"Oslo"} → {"city":"Oslo","celsius":4,"rain":true}
#   ├── model scripted-1 · … · 10 → 6 tokens
#   │   └── 1 message → Take an umbrella and a coat.
#   └── output    Take an umbrella and a coat.
#
#   delivered: 1
