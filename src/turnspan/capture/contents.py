"""What goes into a draft: arguments as input, results as output."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import orjson

from turnspan.capture.beside import beside
from turnspan.capture.calls import Call, messages_in
from turnspan.capture.conversation import Conversation, Ranges
from turnspan.capture.drafts import Draft, TurnDraft
from turnspan.capture.parts import looks_like_message, reasoning_of, text_of
from turnspan.capture.replies import Reply, read_reply
from turnspan.capture.requests import put_instructions, put_request
from turnspan.capture.values import cut_text, encodable, quick_json, to_json
from turnspan.capture.weight import bounded_facts, weigh, weigh_messages

if TYPE_CHECKING:
    from turnspan.capture.recorder import Recorder

__all__ = [
    "add_reasoning",
    "put_input",
    "put_output",
    "put_reasoning",
    "put_state",
    "set_input",
    "set_output",
]

JSON = "application/json"
ARGUMENTS = "arguments"  # in the metadata: those beside the messages


def put_input(
    recorder: Recorder, draft: Draft, call: Call, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> None:
    """Keep the arguments of one call as the input of ``draft``."""
    if not recorder.content:
        if call.kind == "model":
            put_request(recorder, draft, call.parameters.named(args, kwargs))
        return
    if recorder.redaction is not None:
        named = recorder.redaction.arguments_of(draft, call.parameters.named(args, kwargs))
        _put_arguments(recorder, draft, call.kind, named)
    elif call.kind == "tool":
        named = call.parameters.named(args, kwargs)
        if (text := quick_json(named, recorder.max_bytes)) is not None:
            draft.fields["input"] = {"type": "tool_call", "content": text, "mime_type": JSON}
            draft.turn.size += len(text)
        else:
            _put_json(recorder, draft, "input", named)
    elif len(args) == call.parameters.one and type(args[-1]) is str and not kwargs:
        _put_text(recorder, draft, "input", args[-1])
    else:
        _put_arguments(recorder, draft, call.kind, call.parameters.named(args, kwargs))


def put_output(recorder: Recorder, draft: Draft, call: Call, result: object) -> None:
    """Keep what a call returned as the output of ``draft``."""
    if not recorder.content or result is None or "output" in draft.fields:
        _put_facts(recorder, draft, call, result)
    elif (
        type(result) is dict
        and call.kind != "model"
        and (text := quick_json(result, recorder.max_bytes)) is not None
    ):
        draft.fields["output"] = {"type": call.output_type, "content": text, "mime_type": JSON}
        draft.turn.size += len(text)
    else:
        _put_result(recorder, draft, call, result)


def _put_arguments(recorder: Recorder, draft: Draft, kind: str, named: dict[str, Any]) -> None:
    if kind == "tool":
        _put_json(recorder, draft, "input", named)
        return
    if kind == "model":
        put_request(recorder, draft, named)
    if (name := messages_in(named)) is not None:
        if kind == "model":
            put_instructions(recorder, draft, named)
        _put_messages(recorder, draft, named.pop(name))
        if named and (more := beside(named)):
            _put_beside(recorder, draft, more)
    elif len(named) == 1 and issubclass(type(only := next(iter(named.values()))), str):
        _put_text(recorder, draft, "input", str.__str__(only))
    elif named:
        _put_json(recorder, draft, "input", named)


def _put_result(recorder: Recorder, draft: Draft, call: Call, result: object) -> None:
    reply = read_reply(result, recorder.limits) if call.kind == "model" else None
    if reply is not None:
        _put_reply(recorder, draft, reply)
    else:
        _put(recorder, draft, "output", result)


def _put_facts(recorder: Recorder, draft: Draft, call: Call, result: object) -> None:
    """Usage and model of a reply, and nothing it says."""
    if call.kind == "model" and (reply := read_reply(result, recorder.limits)) is not None:
        _put_reply_facts(recorder, draft, reply)


def put_reasoning(
    recorder: Recorder, draft: Draft, explain: Callable[[Any], str | None], result: object
) -> None:
    """Ask ``explain`` why ``result`` came about, and keep what it says."""
    if not recorder.content:
        return
    try:
        if thought := explain(result):
            add_reasoning(recorder, draft, thought)
    except Exception as exc:  # noqa: BLE001  # border: the callable is the caller's
        draft.turn.cut(draft.path("reasoning"), "the callable given as reasoning= failed")
        recorder.contain("the callable given as reasoning= failed", exc)


def add_reasoning(recorder: Recorder, draft: Draft, text: str) -> None:
    """Add ``text`` to why ``draft`` was done, as far as it fits.

    Raises:
        TypeError: it is no string.
    """
    said = _shortened(recorder, draft, "reasoning", encodable(text))
    if weigh(recorder, draft.turn, draft.path("reasoning"), len(said)):
        draft.add_text("reasoning", said)


def put_state(recorder: Recorder, turn: TurnDraft, where: str) -> None:
    """Keep what the turn's state is now as `state_before` or `state_after`."""
    if not recorder.content or turn.read_state is None:
        return
    try:
        written = to_json(turn.read_state(), recorder.limits)
        turn.fields[where] = orjson.Fragment(written.text)
        if written.cut is not None:
            turn.cut(where, written.cut, written.size_bytes)
    except Exception as exc:  # noqa: BLE001  # border: the callable is the caller's
        turn.cut(where, "the callable given as state= failed")
        recorder.contain(f"the callable given as state= failed for {where}", exc)


def set_input(recorder: Recorder, draft: Draft, value: object) -> None:
    """Keep ``value`` as the input of ``draft``: text, messages, or JSON."""
    if type(value) is list and value and looks_like_message(value[-1]):
        _put_messages(recorder, draft, value)
    elif value is not None:
        _put(recorder, draft, "input", value)


def set_output(recorder: Recorder, draft: Draft, value: object) -> None:
    """Keep ``value`` as the output of ``draft``: text or JSON. None is no output."""
    if value is not None:
        _put(recorder, draft, "output", value)


def _put(recorder: Recorder, draft: Draft, where: str, value: object) -> None:
    if type(value) is str:
        _put_text(recorder, draft, where, value)
    elif issubclass(type(value), str):  # `isinstance` would ask for its `__class__`
        _put_text(recorder, draft, where, str.__str__(value))
    elif type(value) is not dict and (reply := read_reply(value, recorder.limits)):
        _put_text(recorder, draft, where, text_of(reply.message))
    else:
        _put_json(recorder, draft, where, value)


def _put_text(recorder: Recorder, draft: Draft, where: str, text: str) -> None:
    if not recorder.content:
        return
    if len(text) > recorder.short_chars:
        text = _shortened(recorder, draft, where, text)
    if not text.isascii():
        text = encodable(text)
    draft.put(where, text)


def _shortened(recorder: Recorder, draft: Draft, where: str, text: str) -> str:
    limits = recorder.limits
    kept, size = cut_text(text, limits.max_bytes, words=limits.words)
    if size is not None:
        draft.turn.cut(draft.path(where), f"over {limits.max_bytes} bytes", size or None)
    return kept


def _put_json(recorder: Recorder, draft: Draft, where: str, value: object) -> None:
    if not recorder.content:
        return
    text = quick_json(value, recorder.limits.max_bytes)
    if text is None:
        written = to_json(value, recorder.limits)
        text = written.text
        if written.cut is not None:
            draft.turn.cut(draft.path(where), written.cut, written.size_bytes)
    draft.put(where, text, JSON)


def _put_messages(recorder: Recorder, draft: Draft, messages: Any) -> None:
    if not recorder.content:
        return
    conversation = recorder.conversation(draft.turn)
    known = len(conversation.messages)
    ranges = conversation.given(messages)
    weigh_messages(recorder, draft.turn, known)
    draft.fields["input_messages"] = ranges
    if draft.kind != "model":
        _put_last_text(recorder, draft, conversation, ranges)


def _put_last_text(
    recorder: Recorder, draft: Draft, conversation: Conversation, ranges: Ranges
) -> None:
    """An agent shows what the user said last; the whole history stands in the messages."""
    for start, end in reversed(ranges):
        for message in reversed(conversation.messages[start:end]):
            if message["role"] == "user":
                _put_text(recorder, draft, "input", text_of(message))
                return


def _put_beside(recorder: Recorder, draft: Draft, more: dict[str, Any]) -> None:
    """In the metadata, so that the input stays what was said."""
    if not _tells_beside(recorder):
        return
    written = to_json(more, recorder.limits)
    where = draft.path(f"metadata/{ARGUMENTS}")
    if written.cut is not None:
        draft.turn.cut(where, written.cut, written.size_bytes)
    if weigh(recorder, draft.turn, where, len(written.text)):
        draft.merge("metadata", {ARGUMENTS: orjson.Fragment(written.text)})


def _tells_beside(recorder: Recorder) -> bool:
    """Where the input is to be shown in part only, what is moved from it is not shown at all."""
    redaction = recorder.redaction
    if redaction is None:
        return recorder.content
    levels = (redaction.levels["input"], redaction.levels["step_input"])
    hides = redaction.hides_paths or redaction.paths.at("input")[1]
    return levels == ("on", "on") and not hides


def _put_reply_facts(recorder: Recorder, draft: Draft, reply: Reply) -> None:
    draft.merge("usage", {**reply.usage, **draft.fields.get("usage", {})})
    model = bounded_facts(recorder, draft, reply.model)
    draft.merge("model", {**model, **draft.fields.get("model", {})})


def _put_reply(recorder: Recorder, draft: Draft, reply: Reply) -> None:
    _put_reply_facts(recorder, draft, reply)
    if thought := reasoning_of(reply.message):
        add_reasoning(recorder, draft, thought)
    conversation = recorder.conversation(draft.turn)
    produced = conversation.produced(reply.message, *reply.origin)
    weigh_messages(recorder, draft.turn, len(conversation.messages) - 1)
    draft.fields["output_messages"] = produced
    if text := text_of(reply.message):
        _put_text(recorder, draft, "output", text)
