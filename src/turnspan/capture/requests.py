"""What a model call asks for beside its messages: model, parameters, instructions, tools."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from turnspan.capture.definitions import MAX_TOOLS, Definitions, looks_like_tools
from turnspan.capture.drafts import Draft, Fields
from turnspan.capture.parts import as_fields, word_of
from turnspan.capture.texts import plain_text, short
from turnspan.capture.values import encodable
from turnspan.capture.weight import bounded_facts, weigh, weigh_messages

if TYPE_CHECKING:
    from turnspan.capture.recorder import Recorder

__all__ = ["put_instructions", "put_request", "put_tools"]

_MODEL_NAMES = ("model", "model_name", "model_id")
_WORDS = frozenset({"reasoning_effort", "encoding_format"})  # of a few that the provider has
_TEXTS = frozenset({"stop", "stop_sequences", "previous_response_id"})  # of the caller's own
_INSTRUCTIONS = ("system", "instructions", "system_instruction")


def put_request(recorder: Recorder, draft: Draft, named: dict[str, Any]) -> None:
    """Take out of ``named`` the model's name, its parameters and the tools it is offered."""
    model: Fields = {}
    for name in _MODEL_NAMES:
        said = named.get(name)
        if said is not None and (asked := plain_text(said)) is not None:
            model["request_model"] = short(asked)
            del named[name]
    tells = _tells(recorder)
    parameters = {
        name: read
        for name, value in named.items()
        if (read := _parameter(name, value, said=tells)) is not None
    }
    if parameters:
        model["parameters"] = parameters
        for name in parameters:
            del named[name]
    draft.merge("model", bounded_facts(recorder, draft, model))
    if recorder.content and looks_like_tools(named.get("tools")):
        put_tools(recorder, draft, named.pop("tools"))


def put_tools(recorder: Recorder, draft: Draft, tools: Any) -> None:
    """Keep ``tools`` as what the model step ``draft`` was offered."""
    turn = draft.turn
    if turn.definitions is None:
        turn.definitions = Definitions(recorder.limits)
        turn.has_more = True

    def fits(place: int, size: int) -> bool:
        return weigh(recorder, turn, f"tool_definitions/{place}", size)

    if len(tools) > MAX_TOOLS:
        turn.cut("tool_definitions", f"more than {MAX_TOOLS} tools at once")
    if ranges := turn.definitions.given(tools[:MAX_TOOLS], fits):
        draft.fields["input_tools"] = ranges


def put_instructions(recorder: Recorder, draft: Draft, named: dict[str, Any]) -> None:
    """Take out of ``named`` what a call with messages says apart from them.

    It becomes a message of the turn that the step names as its instructions: told once, however
    often the model is asked.
    """
    for name in _INSTRUCTIONS:
        if (said := named.get(name)) is None:
            continue
        text = plain_text(said)
        if text or _are_blocks(said):
            del named[name]
            message = {"role": "system", "content": said if text is None else text}
            conversation = recorder.conversation(draft.turn)
            known = len(conversation.messages)
            draft.fields["system_instructions"] = conversation.instructed(message)
            weigh_messages(recorder, draft.turn, known)
            return


def _tells(recorder: Recorder) -> bool:
    """Whether what a step was given is recorded as it was said."""
    redaction = recorder.redaction
    return recorder.content and (redaction is None or redaction.levels["step_input"] == "on")


def _parameter(name: str, value: object, *, said: bool) -> Any:
    """``value`` as the parameter ``name``; None for what is none. ``said``: texts may be told."""
    kind = type(value)
    if kind is int or kind is float or kind is bool:
        return value
    if (text := plain_text(value)) is not None:
        is_one = name in _WORDS or (said and name in _TEXTS)
        return encodable(short(text)) if is_one else None
    if name == "response_format" and value is not None:
        return _format(value)
    if said and name in _TEXTS and (kind is list or kind is tuple):
        words = map(plain_text, value)  # type: ignore[call-overload]  # it is a row
        return [encodable(short(word)) for word in words if word is not None] or None
    return None


def _format(value: object) -> Fields | None:
    """The type of output that is asked for: a class of one's own stands for a schema."""
    if isinstance(value, type):
        return {"type": "json_schema"}
    kind = word_of((as_fields(value) or {}).get("type"))
    return {"type": short(kind)} if kind else None


def _are_blocks(value: object) -> bool:
    if (type(value) is not list and type(value) is not tuple) or not value:
        return False
    return all(type(item) is dict and type(item.get("text")) is str for item in value)
