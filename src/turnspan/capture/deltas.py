"""Chunks of the common clients' streams → the answer they make, in the client's own shape.

Source: stream shapes of openai 3 (chat completions, responses), anthropic 2 (messages),
langchain-core 1 (AIMessageChunk), litellm 1 (as openai); plain dictionaries alike. Only stored
fields are read, as in `replies`, which reads what comes out of here.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Final, Protocol

from turnspan.capture.parts import Fields, as_fields, rows_of, word_of
from turnspan.capture.texts import cut_text, whole_words

__all__ = ["Fold", "Pieces", "fold_for"]


class Pieces:
    """Texts that grow piece by piece, all of them together within ``max_bytes``.

    With ``words`` one that is not whole ends at a white space, see `cut_text`.
    """

    __slots__ = ("_texts", "_words", "lost_chars", "room")

    def __init__(self, max_bytes: int, *, words: bool = False) -> None:
        self._words = words
        self.lost_chars: int = 0
        self.room: int = max_bytes
        self._texts: dict[Hashable, list[str]] = {}

    def add(self, key: Hashable, piece: object) -> None:
        """Make the text under ``key`` longer; what is no text adds nothing."""
        if not (text := word_of(piece)):
            return
        kept = cut_text(text, max(self.room, 0))[0]
        self.room -= len(kept)
        self.lost_chars += len(text) - len(kept)
        self._texts.setdefault(key, []).append(kept)

    def text(self, key: Hashable) -> str:
        """All of it, empty where there is none."""
        text = "".join(self._texts.get(key, ()))
        return whole_words(text) if self.lost_chars and self._words else text


class Fold(Protocol):
    """Puts the chunks of one client together."""

    def takes(self, fields: Fields) -> bool:
        """Whether ``fields`` are those of such a chunk."""
        ...

    def add(self, fields: Fields) -> None:
        """Take in one chunk."""
        ...

    def answer(self) -> Fields:
        """What the client would have returned for all of it at once."""
        ...

    def text(self) -> str:
        """What the answer says."""
        ...


def fold_for(fields: Fields, max_bytes: int, *, words: bool) -> tuple[Fold, Pieces] | None:
    """What puts chunks like ``fields`` together; None where the shape is not known."""
    if _MARKS.isdisjoint(fields):
        return None
    pieces = Pieces(max_bytes, words=words)
    for kind in (_Completion, _Message, _Response, _LangChain):
        fold: Fold = kind(pieces)
        if fold.takes(fields):
            return fold, pieces
    return None


# Each of the shapes has one of these.
_MARKS: Final = frozenset({"choices", "type", "message"})


class _Completion:
    """`chat.completion.chunk` of OpenAI and those who speak like it."""

    def __init__(self, pieces: Pieces) -> None:
        self._pieces = pieces
        self._known: Fields = {}
        self._reason = ""
        self._calls: dict[int, Fields] = {}

    def takes(self, fields: Fields) -> bool:
        choices = fields.get("choices")
        if type(choices) is not list:
            return False
        if word_of(fields.get("object")) == "chat.completion.chunk" or self._known:
            return True
        return bool(choices) and "delta" in (as_fields(choices[0]) or {})

    def add(self, fields: Fields) -> None:
        for key in ("id", "model", "usage"):
            if fields.get(key) is not None:
                self._known[key] = fields[key]
        for choice in rows_of(fields["choices"]):
            told = as_fields(choice) or {}
            if not told.get("index"):  # of several answers the first is the one that is told
                self._reason = word_of(told.get("finish_reason")) or self._reason
                self._add_delta(as_fields(told.get("delta")) or {})

    def answer(self) -> Fields:
        message: Fields = {"role": "assistant", "content": self.text()}
        for key in ("reasoning_content", "refusal"):
            if text := self._pieces.text(key):
                message[key] = text
        if self._calls:
            message["tool_calls"] = [
                {**call, "arguments": self._pieces.text(("call", index))}
                for index, call in sorted(self._calls.items())
            ]
        choice = {"message": message, "finish_reason": self._reason}
        return {**self._known, "choices": [choice]}

    def text(self) -> str:
        return self._pieces.text("content")

    def _add_delta(self, delta: Fields) -> None:
        self._pieces.add("content", delta.get("content"))
        self._pieces.add("refusal", delta.get("refusal"))
        thought = delta.get("reasoning_content")
        self._pieces.add("reasoning_content", thought or delta.get("reasoning"))
        for row in rows_of(delta.get("tool_calls")):
            _add_call(self._calls, self._pieces, as_fields(row) or {})


class _Message:
    """Events of a message of Anthropic, raw or from its `MessageStream`."""

    _STARTS: Final = (
        "message_start",
        "content_block_start",
        "content_block_delta",
        "message_delta",
    )
    _OTHERS: Final = (
        "content_block_stop", "message_stop", "ping",
        "text", "thinking", "signature", "input_json", "citation",
    )  # fmt: skip

    def __init__(self, pieces: Pieces) -> None:
        self._pieces = pieces
        self._known: Fields = {}
        self._usage: Fields = {}
        self._blocks: dict[int, Fields] = {}
        self._reason: str = ""
        self._begun = False

    def takes(self, fields: Fields) -> bool:
        kind = word_of(fields.get("type"))
        return kind in self._STARTS or (self._begun and kind in self._OTHERS)

    def add(self, fields: Fields) -> None:
        self._begun = True
        kind = word_of(fields["type"])
        if kind == "message_start":
            message = as_fields(fields.get("message")) or {}
            self._known = {key: message.get(key) for key in ("id", "model")}
            self._use(message.get("usage"))
        elif kind == "message_delta":
            told = as_fields(fields.get("delta")) or {}
            self._reason = word_of(told.get("stop_reason")) or self._reason
            self._use(fields.get("usage"))
        elif kind in ("content_block_start", "content_block_delta"):
            self._add_block(fields)

    def answer(self) -> Fields:
        blocks = [self._block(index) for index in sorted(self._blocks)]
        said = {"role": "assistant", "content": blocks, "stop_reason": self._reason}
        return {**self._known, **said, "usage": self._usage}

    def text(self) -> str:
        of_text = (i for i in sorted(self._blocks) if self._blocks[i].get("type") == "text")
        return "".join(self._pieces.text(index) for index in of_text)

    def _use(self, usage: object) -> None:
        told = as_fields(usage) or {}
        self._usage |= {key: count for key, count in told.items() if count is not None}

    def _add_block(self, fields: Fields) -> None:
        index = fields.get("index")
        place = index if type(index) is int else 0
        if (begun := as_fields(fields.get("content_block"))) is not None:
            self._blocks[place] = {key: word_of(begun.get(key)) for key in ("type", "id", "name")}
        delta = begun or as_fields(fields.get("delta")) or {}
        self._blocks.setdefault(place, {"type": "text"})
        for key in ("text", "thinking", "partial_json"):
            self._pieces.add(place, delta.get(key))

    def _block(self, index: int) -> Fields:
        block, text = self._blocks[index], self._pieces.text(index)
        if block["type"] in ("text", "thinking"):
            return {"type": block["type"], block["type"]: text}
        return {**block, "input": text or "{}"}


class _Response:
    """Events of OpenAI's Responses API."""

    def __init__(self, pieces: Pieces) -> None:
        self._pieces = pieces
        self._response: Fields = {}
        self._items: dict[int, Fields] = {}

    def takes(self, fields: Fields) -> bool:
        return word_of(fields.get("type")).startswith("response.")

    def add(self, fields: Fields) -> None:
        if (response := as_fields(fields.get("response"))) is not None:
            self._response = response
            return
        index = fields.get("output_index")
        place = index if type(index) is int else 0
        if (item := as_fields(fields.get("item"))) is not None:
            self._items.setdefault(place, item)
        if part := _PARTS.get(word_of(fields["type"])):
            self._items.setdefault(place, {"type": part[0]})
            self._pieces.add((place, part[1]), fields.get("delta"))

    def answer(self) -> Fields:
        if rows_of(self._response.get("output")):
            return self._response
        known = {key: self._response.get(key) for key in ("id", "model", "usage")}
        items = [self._item(place) for place in sorted(self._items)]
        return {**known, "object": "response", "output": items}

    def text(self) -> str:
        return "".join(self._pieces.text((place, "text")) for place in sorted(self._items))

    def _item(self, place: int) -> Fields:
        item, kind = self._items[place], word_of(self._items[place].get("type"))
        if kind == "message":
            said = {"type": "output_text", "text": self._pieces.text((place, "text"))}
            return {"type": "message", "role": "assistant", "content": [said]}
        if kind == "reasoning":
            thought = {"text": self._pieces.text((place, "summary"))}
            return {"type": "reasoning", "summary": [thought]}
        arguments = self._pieces.text((place, "arguments"))
        return {**item, "arguments": arguments} if arguments else item


_PARTS: Final = {
    "response.output_text.delta": ("message", "text"),
    "response.refusal.delta": ("message", "text"),
    "response.function_call_arguments.delta": ("function_call", "arguments"),
    "response.custom_tool_call_input.delta": ("custom_tool_call", "arguments"),
    "response.reasoning_summary_text.delta": ("reasoning", "summary"),
    "response.reasoning_text.delta": ("reasoning", "summary"),
}


class _LangChain:
    """`AIMessageChunk`, bare or in a `ChatGenerationChunk`."""

    def __init__(self, pieces: Pieces) -> None:
        self._pieces = pieces
        self._usage: Fields = {}
        self._meta: Fields = {}
        self._calls: dict[int, Fields] = {}

    def takes(self, fields: Fields) -> bool:
        return word_of(_message(fields).get("type")) == "AIMessageChunk"

    def add(self, fields: Fields) -> None:
        message = _message(fields)
        self._add_content(message.get("content"))
        extra = as_fields(message.get("additional_kwargs")) or {}
        self._pieces.add("reasoning", extra.get("reasoning_content"))
        self._meta |= as_fields(message.get("response_metadata")) or {}
        _sum(self._usage, as_fields(message.get("usage_metadata")) or {})
        for row in rows_of(message.get("tool_call_chunks")):
            _add_call(self._calls, self._pieces, as_fields(row) or {})

    def answer(self) -> Fields:
        calls = [
            {**call, "args": self._pieces.text(("call", index))}
            for index, call in sorted(self._calls.items())
        ]
        return {
            "type": "ai",
            "content": self.text(),
            "additional_kwargs": {"reasoning_content": self._pieces.text("reasoning")},
            "tool_calls": calls,
            "usage_metadata": self._usage,
            "response_metadata": self._meta,
        }

    def text(self) -> str:
        return self._pieces.text("content")

    def _add_content(self, content: object) -> None:
        if type(content) is str:
            self._pieces.add("content", content)
            return
        for block in rows_of(content):
            told = {"text": block} if type(block) is str else as_fields(block) or {}
            self._pieces.add("content", told.get("text"))
            self._pieces.add("reasoning", told.get("thinking") or told.get("reasoning"))


def _message(fields: Fields) -> Fields:
    """Of a chunk of LangChain: itself, or the one it holds."""
    held = fields.get("message") if "generation_info" in fields else None
    return as_fields(held) or fields


def _add_call(calls: dict[int, Fields], pieces: Pieces, told: Fields) -> None:
    """Take in a part of a tool call: its id and name come first, its arguments in pieces."""
    index = told.get("index")
    place = index if type(index) is int else max(calls, default=0)
    function = as_fields(told.get("function")) or told
    call = calls.setdefault(place, {})
    if call_id := word_of(told.get("id")):
        call["id"] = call_id
    if name := word_of(function.get("name")):
        call["name"] = name
    pieces.add(("call", place), function.get("arguments") or function.get("args"))


def _sum(total: Fields, told: Fields) -> None:
    """Add counts to counts, in their details too: each chunk tells what it is worth."""
    for key, count in told.items():
        if type(count) is int:
            total[key] = total.get(key, 0) + count
        elif (inner := as_fields(count)) is not None:
            _sum(total.setdefault(key, {}), inner)
