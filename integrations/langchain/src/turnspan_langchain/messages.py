"""LangChain's messages, inputs and outputs → the plain data that turnspan takes.

Source: langchain-core 1.7 (`langchain_core.messages`); shapes alike since 1.0.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from langchain_core.messages import AIMessage, BaseMessage, ChatMessage, ToolMessage

from turnspan_langchain.graphs import is_command, is_interrupt_id

__all__ = [
    "answer_of",
    "last_reply_in",
    "messages_of",
    "question_of",
    "read_message",
    "said_by_tool",
]

_ROLES: Final = {
    "human": "user",
    "ai": "assistant",
    "AIMessageChunk": "assistant",
    "system": "system",
    "developer": "system",
    "tool": "tool",
    "function": "tool",
}
_USER: Final = frozenset({"human", "user"})
_WITH_RAW: Final = {"raw", "parsed", "parsing_error"}  # `with_structured_output(include_raw=True)`
_ASSISTANT: Final = frozenset({"ai", "assistant", "AIMessageChunk"})


def read_message(message: BaseMessage) -> dict[str, Any]:
    """A message as the dictionary that `turnspan.integrations.Runs` takes."""
    # Asked of any other, pydantic would look for `role` everywhere before it says no.
    role = message.role if isinstance(message, ChatMessage) else _ROLES.get(message.type, "user")
    read: dict[str, Any] = {"role": role, "content": message.content}
    if message.name:
        read["name"] = message.name
    if isinstance(message, ToolMessage):
        read["tool_call_id"] = message.tool_call_id
    elif isinstance(message, AIMessage):
        read |= _said_by_model(message)
    return read


def question_of(value: Any) -> Any:
    """What a run was asked: the last thing the user said, or the input as it is.

    Takes a text, a message, a list of messages in any form LangChain accepts, a state or
    prompt that holds one, and a `Command`, whose answer to an interrupt is the question.
    """
    if isinstance(value, BaseMessage):
        return _text(value.content)
    if isinstance(value, dict):
        return _asked_in(value)
    if isinstance(value, list | tuple):
        return _last_said(value, _USER) if _are_messages(value) else value
    if is_command(value):
        return question_of(value.update) if value.resume is None else _resumed(value.resume)
    if (messages := _held(value)) is not None:  # a prompt, a state object
        return _last_said(_listed(messages), _USER)
    return value


def answer_of(value: Any) -> Any:
    """What a run answered: the model's last text since the user spoke, or the output as it is."""
    if isinstance(value, BaseMessage):
        return _text(value.content)
    if isinstance(value, dict):
        return _answer_in(value)
    if isinstance(value, list) and value and isinstance(value[-1], BaseMessage):
        return _answered(value)
    if (messages := _held(value)) is not None:
        return _answered(_listed(messages))
    return value


def messages_of(value: Any) -> tuple[BaseMessage, ...]:
    """The messages a run was given, where they are LangChain's own; a copy of the list."""
    if is_command(value):
        value = value.update
    if isinstance(value, dict):
        value = value.get("messages")
    elif not isinstance(value, list | tuple | BaseMessage):
        value = _held(value)
    if isinstance(value, BaseMessage):
        return (value,)
    if not isinstance(value, list | tuple):
        return ()
    return tuple(each for each in value if isinstance(each, BaseMessage))


def last_reply_in(value: Any) -> AIMessage | None:
    """The last message of the model in what a run answered."""
    if isinstance(value, AIMessage):
        return value
    held = value.get("messages") if isinstance(value, dict) else value
    for message in reversed(held) if isinstance(held, list) else ():
        if isinstance(message, AIMessage):
            return message
        if not isinstance(message, BaseMessage) or message.type in _USER:
            break
    return None


def said_by_tool(output: Any) -> ToolMessage | None:
    """The message in which a tool's result goes back to the model, be it in a `Command`."""
    if isinstance(output, ToolMessage):
        return output
    update = getattr(output, "update", None)
    if not isinstance(update, dict):
        return None
    messages = [m for m in _listed(update.get("messages")) if isinstance(m, ToolMessage)]
    return messages[-1] if messages else None


def _held(value: object) -> Any:
    """The messages that an object stores, without running code of its class."""
    try:
        return object.__getattribute__(value, "__dict__").get("messages")
    except AttributeError:
        return None


def _resumed(answers: Any) -> Any:
    """What a person answered; where one of several was answered, that."""
    if isinstance(answers, dict) and len(answers) == 1 and is_interrupt_id(*answers):
        return next(iter(answers.values()))
    return answers


def _said_by_model(message: AIMessage) -> dict[str, Any]:
    said: dict[str, Any] = {}
    calls = [_call(call) for call in message.tool_calls]
    calls += [_call(call) for call in message.invalid_tool_calls]
    if calls:
        said["tool_calls"] = calls
    if thought := _thought_beside(message.additional_kwargs):
        said["reasoning_content"] = thought
    return said


def _thought_beside(extra: Mapping[str, Any]) -> str | None:
    """Reasoning that stands beside the content: DeepSeek's, and OpenAI's summaries."""
    thought = extra.get("reasoning_content") or extra.get("reasoning")
    if isinstance(thought, dict):
        rows = thought.get("summary") or ()
        thought = "\n".join(row["text"] for row in rows if isinstance(row, dict) and "text" in row)
    return thought if isinstance(thought, str) and thought else None


def _call(call: Any) -> dict[str, Any]:
    return {"id": call.get("id"), "name": call.get("name") or "", "args": call.get("args")}


def _answer_in(state: dict[Any, Any]) -> Any:
    """Structured output where there is some, else what the model said last."""
    if state.get("structured_response") is not None:
        return state["structured_response"]
    if "messages" in state:
        return _answered(_listed(state["messages"]))
    if state.keys() == _WITH_RAW:
        return answer_of(state["raw"]) if state["parsed"] is None else state["parsed"]
    return state


def _asked_in(state: dict[str, Any]) -> Any:
    if "messages" in state:
        return _last_said(_listed(state["messages"]), _USER)
    values = list(state.values())
    if len(values) == 1 and isinstance(values[0], str | BaseMessage):
        return question_of(values[0])
    return state


def _answered(messages: Sequence[Any]) -> str | None:
    """The last text of the model, or of the tool that answered in its place."""
    for message in reversed(messages):
        who, text = _who_and_what(message)
        if who in _USER:
            return None
        if text and (who in _ASSISTANT or (who == "tool" and message is messages[-1])):
            return text
    return None


def _last_said(messages: Sequence[Any], by: frozenset[str]) -> str | None:
    for message in reversed(messages):
        who, text = _who_and_what(message)
        if who in by:
            return text
    return None


def _who_and_what(message: Any) -> tuple[str, str | None]:
    """Role and text of a message in any form that LangChain accepts."""
    if isinstance(message, BaseMessage):
        return message.type, _text(message.content)
    if isinstance(message, str):
        return "user", message
    if isinstance(message, list | tuple) and len(message) == 2:
        return str(message[0]), _text(message[1])
    if isinstance(message, dict):
        return str(message.get("role") or message.get("type")), _text(message.get("content"))
    return "", None


def _are_messages(values: Sequence[Any]) -> bool:
    last = values[-1] if values else None
    if isinstance(last, list | tuple):
        return len(last) == 2 and isinstance(last[0], str)
    return isinstance(last, BaseMessage) or (isinstance(last, dict) and "content" in last)


def _listed(messages: Any) -> Sequence[Any]:
    if messages is None:
        return ()
    if isinstance(messages, list):
        return messages
    if isinstance(messages, tuple) and not (len(messages) == 2 and isinstance(messages[0], str)):
        return messages
    return (messages,)


def _text(content: Any) -> str | None:
    """The text in a message's content; None where it holds none."""
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        return None
    parts = [b if isinstance(b, str) else b.get("text", "") for b in content if _is_text(b)]
    return "".join(parts) or None


def _is_text(block: Any) -> bool:
    if isinstance(block, dict):
        return block.get("type") in {"text", "output_text"} and isinstance(block.get("text"), str)
    return isinstance(block, str)
