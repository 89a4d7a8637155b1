"""A recorded agent: three turns of one session, the last of which fails.

It is configured by the environment alone, as its user would. The model is a script in the shape
of a chat completion; it reasons, calls a tool and counts its tokens.
"""

import json
import sys
import time
from typing import Any

import turnspan

SESSION, USER = sys.argv[1], "ada"
READINGS = {"Oslo": {"celsius": 4, "sky": "rain"}, "Cairo": {"celsius": 31, "sky": "clear"}}


@turnspan.tool(description="The weather in a city, as read just now")
def read_station(city: str) -> dict[str, Any]:
    time.sleep(0.02)  # tools order what they show by milliseconds
    return READINGS[city]  # there is no station in Atlantis


@turnspan.model(provider="openai", name="gpt-5-mini")
def complete(messages: list[dict[str, Any]]) -> dict[str, Any]:
    last = messages[-1]
    if last["role"] == "tool":
        seen = json.loads(last["content"])
        reply = {"role": "assistant", "content": f"{seen['celsius']} degrees, {seen['sky']}."}
        usage = {"prompt_tokens": 70, "completion_tokens": 9}
    else:
        city = last["content"].split()[-1].rstrip("?")
        function = {"name": "read_station", "arguments": json.dumps({"city": city})}
        call = {"id": f"call_{len(messages)}", "type": "function", "function": function}
        thought = f"{city} has a station: ask it."
        reply = {"role": "assistant", "content": None, "reasoning_content": thought}
        reply["tool_calls"] = [call]
        usage = {"prompt_tokens": 40, "completion_tokens": 12}
    reason = "tool_calls" if "tool_calls" in reply else "stop"
    choice = {"index": 0, "message": reply, "finish_reason": reason}
    return {
        "id": f"reply_{len(messages)}",
        "model": "gpt-5-mini-2025-08-07",
        "choices": [choice],
        "usage": usage,
    }


@turnspan.agent(name="weather-desk")
def answer(question: str) -> str:
    messages: list[dict[str, Any]] = [{"role": "user", "content": question}]
    while True:
        reply = complete(list(messages))["choices"][0]["message"]
        messages.append(reply)
        if "tool_calls" not in reply:
            return str(reply["content"])
        for call in reply["tool_calls"]:
            found = read_station(**json.loads(call["function"]["arguments"]))
            content = json.dumps(found)
            messages.append({"role": "tool", "tool_call_id": call["id"], "content": content})


with turnspan.session(SESSION, user_id=USER):
    for city in ("Oslo", "Atlantis", "Cairo"):
        try:
            answer(f"What is the weather in {city}?")
        except KeyError:
            continue  # the turn says so

report = turnspan.close(timeout_s=120)
print(json.dumps({"delivered": report.delivered, "unsent": report.unsent}))
