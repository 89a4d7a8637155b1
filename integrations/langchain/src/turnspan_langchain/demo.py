"""A conversation with a LangChain agent, offline: what `turnspan demo` shows.

A kitchen assistant answers three questions in one session. Its tools really compute; its model
is a script. The last turn fails, because a recipe asks for something that cannot be measured.
"""

from __future__ import annotations

import json
from typing import Any, Final

from langchain_core.callbacks import CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import (
    AIMessage,
    BaseMessage,
    HumanMessage,
    SystemMessage,
    ToolCall,
)
from langchain_core.outputs import ChatGeneration, ChatResult
from langchain_core.runnables import RunnableConfig, RunnableLambda
from langchain_core.tools import BaseTool, tool

import turnspan
from turnspan_langchain.handler import TurnspanHandler

__all__ = ["run"]

SESSION: Final = "demo"
SYSTEM: Final = "You are a kitchen assistant. Look recipes up, and convert what they ask for."
QUESTIONS: Final = (
    "How much flour goes into a pound cake, in grams?",
    "And how hot should the oven be, in Celsius?",
    "How many cups of patience does it take?",
)

_RECIPES: Final = {"pound cake": {"flour_lb": 1.0, "eggs": 9, "oven_f": 325, "minutes": 75}}
_UNITS: Final = {
    "lb": ("mass", 453.59237, 0.0),
    "g": ("mass", 1.0, 0.0),
    "cup": ("volume", 236.588, 0.0),
    "ml": ("volume", 1.0, 0.0),
    "F": ("temperature", 5 / 9, -32.0),
    "C": ("temperature", 1.0, 0.0),
}

# What the model says to each question: a tool to call, or an answer made of the last result.
_SCRIPT: Final[dict[str, tuple[tuple[str, dict[str, Any]] | str, ...]]] = {
    QUESTIONS[0]: (
        ("look_up", {"recipe": "pound cake"}),
        ("convert", {"value": 1.0, "unit": "lb", "to": "g"}),
        "A pound cake takes {value:.0f} g of flour.",
    ),
    QUESTIONS[1]: (
        ("convert", {"value": 325, "unit": "F", "to": "C"}),
        "Bake it at {value:.0f} degrees Celsius.",
    ),
    QUESTIONS[2]: (("convert", {"value": 1.0, "unit": "patience", "to": "cup"}), "{value} cups."),
}


def run() -> None:
    """Record three turns with whatever turnspan is configured for; one fails on purpose."""
    handler = TurnspanHandler(agent="kitchen")
    history: list[BaseMessage] = [SystemMessage(SYSTEM)]
    agent = RunnableLambda(_answer, name="kitchen")
    with turnspan.session(SESSION, user_id="you"):
        for question in QUESTIONS:
            history.append(HumanMessage(question))
            try:
                agent.invoke(history, config={"callbacks": [handler]})
            except ValueError:
                continue  # the turn says so


@tool
def look_up(recipe: str) -> dict[str, float]:
    """Look a recipe up."""
    return _RECIPES[recipe]


@tool
def convert(value: float, unit: str, to: str) -> dict[str, Any]:
    """Convert an amount from one unit to another."""
    for name in (unit, to):
        if name not in _UNITS:
            raise ValueError(f"{name} cannot be measured")
    kind, factor, shift = _UNITS[unit]
    wanted, divisor, back = _UNITS[to]
    if kind != wanted:
        raise ValueError(f"{unit} is a {kind}, {to} is a {wanted}")
    return {"value": round((value + shift) * factor / divisor - back, 2), "unit": to}


class ScriptedModel(BaseChatModel):
    """Says what the script has for the last question; counts tokens roughly, as models do."""

    @property
    def _llm_type(self) -> str:
        return "scripted"

    def _get_ls_params(self, stop: list[str] | None = None, **_: Any) -> Any:
        return {"ls_provider": "demo", "ls_model_name": "scripted-1", "ls_model_type": "chat"}

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **_: Any,
    ) -> ChatResult:
        reply = _reply(_move(messages), f"call-{len(messages)}")
        used, said = _tokens(messages), _tokens([reply])
        reply.usage_metadata = {
            "input_tokens": used,
            "output_tokens": said,
            "total_tokens": used + said,
        }
        return ChatResult(generations=[ChatGeneration(message=reply)])


def _answer(history: list[BaseMessage], config: RunnableConfig) -> str:
    """The agent: ask the model, call what it asks for, until it answers."""
    model = ScriptedModel()
    tools: dict[str, BaseTool] = {each.name: each for each in (look_up, convert)}
    while True:
        reply = model.invoke(history, config)
        history.append(reply)
        if not reply.tool_calls:
            return reply.text
        for call in reply.tool_calls:
            history.append(tools[call["name"]].invoke({**call, "type": "tool_call"}, config))


def _move(messages: list[BaseMessage]) -> tuple[str, dict[str, Any]] | str:
    asked = max(at for at, message in enumerate(messages) if message.type == "human")
    done = sum(message.type == "ai" for message in messages[asked:])
    move = _SCRIPT[str(messages[asked].content)][done]
    return move.format(**json.loads(str(messages[-1].content))) if isinstance(move, str) else move


def _reply(move: tuple[str, dict[str, Any]] | str, call_id: str) -> AIMessage:
    meta = {"model_name": "scripted-1"}
    if isinstance(move, str):
        return AIMessage(move, response_metadata={**meta, "finish_reason": "stop"})
    call = ToolCall(name=move[0], args=move[1], id=call_id)
    return AIMessage(
        "", tool_calls=[call], response_metadata={**meta, "finish_reason": "tool_calls"}
    )


def _tokens(messages: list[BaseMessage]) -> int:
    said = [message.model_dump_json(include={"content", "tool_calls"}) for message in messages]
    return sum(map(len, said)) // 4
