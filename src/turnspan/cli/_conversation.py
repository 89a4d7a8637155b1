"""The conversation that `turnspan demo` has where no framework offers one.

A travel desk answers three questions in one session. Its tools really compute; its model is a
script, so that no key and no network are needed. The last turn fails, as turns do.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, Final

import turnspan

__all__ = ["hold"]

SESSION: Final = "demo"
QUESTIONS: Final = (
    "How long is the Bergen Line, in miles?",
    "And how high does it climb, in feet?",
    "What does the train weigh, in feet?",
)

_FACTS: Final[dict[str, dict[str, Any]]] = {
    "Bergen Line": {"from": "Oslo", "to": "Bergen", "length_km": 496, "summit_m": 1237},
    "Flåm Line": {"from": "Myrdal", "to": "Flåm", "length_km": 20, "summit_m": 867},
    "train": {"cars": 7, "weight_t": 294},
}
_UNITS: Final = {
    "km": ("length", 1000.0),
    "m": ("length", 1.0),
    "mi": ("length", 1609.344),
    "ft": ("length", 0.3048),
    "t": ("weight", 1000.0),
    "kg": ("weight", 1.0),
}

# What the model says to each question: a tool to call, or an answer made of the last result.
_SCRIPT: Final = {
    QUESTIONS[0]: (
        ("look_up", {"topic": "Bergen Line"}),
        ("convert", {"value": 496, "unit": "km", "to": "mi"}),
        "The Bergen Line is {value:.0f} miles long.",
    ),
    QUESTIONS[1]: (
        ("look_up", {"topic": "Bergen Line"}),
        ("convert", {"value": 1237, "unit": "m", "to": "ft"}),
        "It climbs to {value:,.0f} feet.",
    ),
    QUESTIONS[2]: (
        ("look_up", {"topic": "train"}),
        ("convert", {"value": 294, "unit": "t", "to": "ft"}),
        "It weighs {value:.0f} feet.",
    ),
}


def hold() -> None:
    """Record three turns with whatever turnspan is configured for; one fails on purpose."""
    history: list[dict[str, Any]] = []
    with turnspan.session(SESSION, user_id="you"):
        for question in QUESTIONS:
            try:
                travel_desk(question, history)
            except ValueError:
                continue  # the turn says so


@turnspan.tool(description="Look a topic up in a small table of facts.")
def look_up(topic: str) -> dict[str, Any]:
    """What is known of ``topic``."""
    return _FACTS[topic]


@turnspan.tool(description="Convert a value from one unit to another.")
def convert(value: float, unit: str, to: str) -> dict[str, Any]:
    """``value`` in the unit ``to``.

    Raises:
        ValueError: the units measure different things.
    """
    kind, factor = _UNITS[unit]
    wanted, divisor = _UNITS[to]
    if kind != wanted:
        raise ValueError(f"{unit} is a {kind}, {to} is a {wanted}")
    return {"value": round(value * factor / divisor, 3), "unit": to}


@turnspan.model(name="scripted-1", provider="demo")
def chat(messages: list[dict[str, Any]]) -> dict[str, Any]:
    """The next move of the script, in the shape of a chat completion."""
    asked = max(at for at, message in enumerate(messages) if message["role"] == "user")
    moves = _SCRIPT[messages[asked]["content"]]
    move = moves[sum(message["role"] == "assistant" for message in messages[asked:])]
    if isinstance(move, str):
        said = move.format(**json.loads(messages[-1]["content"]))
        message: dict[str, Any] = {"role": "assistant", "content": said}
    else:
        message = {"role": "assistant", "content": None, "tool_calls": [_call(len(messages), move)]}
    return {
        "id": f"reply-{len(messages)}",
        "model": "scripted-1",
        "choices": [
            {"message": message, "finish_reason": "stop" if isinstance(move, str) else "tool_calls"}
        ],
        "usage": {"prompt_tokens": _tokens(messages), "completion_tokens": _tokens([message])},
    }


@turnspan.agent(name="travel desk")
def travel_desk(question: str, history: list[dict[str, Any]]) -> str:
    """Answer ``question``, going on from ``history``."""
    turnspan.current_turn().set_input(question)
    history.append({"role": "user", "content": question})
    while True:
        reply = chat(list(history))["choices"][0]["message"]
        history.append(reply)
        if "tool_calls" not in reply:
            return str(reply["content"])
        for call in reply["tool_calls"]:
            history.append(_answered(call))


def _answered(call: dict[str, Any]) -> dict[str, Any]:
    tools: dict[str, Callable[..., Any]] = {"look_up": look_up, "convert": convert}
    function = call["function"]
    result = tools[function["name"]](**json.loads(function["arguments"]))
    content = json.dumps(result, ensure_ascii=False)
    return {"role": "tool", "tool_call_id": call["id"], "content": content}


def _call(number: int, move: tuple[str, dict[str, Any]]) -> dict[str, Any]:
    name, given = move
    function = {"name": name, "arguments": json.dumps(given)}
    return {"id": f"call-{number}", "type": "function", "function": function}


def _tokens(messages: list[dict[str, Any]]) -> int:
    """About as many tokens as a model would count."""
    return max(len(json.dumps(messages, ensure_ascii=False)) // 4, 1)
