"""Drafts: a turn or step while it is open, in the shape it will have on the wire.

What is said of it goes into `fields` as it comes, as strings and plain structures: nothing of
the caller's is kept, so nothing can change under our hands, and at the end there is nothing
left to assemble. A draft belongs to the thread or task that records it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextvars import Token
from typing import TYPE_CHECKING, Any

import orjson

if TYPE_CHECKING:
    from turnspan.capture.conversation import Conversation
    from turnspan.capture.recorder import Recorder
    from turnspan.ports import OpenSpan

__all__ = ["USAGE_KEYS", "Draft", "Fields", "StepDraft", "TurnDraft", "trace_of"]

Fields = dict[str, Any]

USAGE_KEYS = (
    "input_tokens",
    "output_tokens",
    "cache_read_tokens",
    "cache_write_tokens",
    "reasoning_tokens",
    "cost_usd",
)

MAX_CUTS = 100  # notes of what was cut; beyond that only their number is told


class _Itself:
    """What `turn` is of a turn that has ended: the turn, looked up rather than kept."""

    def __get__(self, turn: TurnDraft, kind: type) -> TurnDraft:
        return turn


class Draft:
    """What turns and steps have in common while they are open."""

    # Defaults live on the class: a store for each would cost the caller half a microsecond.
    ended = False
    token: Token[Draft | None] | None = None

    turn: TurnDraft
    kind: str
    span: OpenSpan
    fields: Fields

    @property
    def id(self) -> str:
        """The id of the turn or step."""
        known: str = self.fields["id"]
        return known

    @property
    def recorder(self) -> Recorder:
        """Who records it."""
        return self.turn.source

    def merge(self, key: str, entries: Mapping[str, Any]) -> None:
        """Add ``entries`` to the mapping under ``key``; later ones win."""
        if entries:
            self.fields[key] = {**self.fields.get(key, {}), **entries}

    def add_text(self, key: str, text: str) -> None:
        """Add a line to the text under ``key``."""
        known = self.fields.get(key)
        self.fields[key] = f"{known}\n{text}" if known else text

    def put(self, where: str, text: str, mime_type: str | None = None) -> None:
        """Make ``text`` the content under ``where``, which is `input` or `output`."""
        kind = "text"
        if self.kind == "tool":
            kind = "tool_call" if where == "input" else "tool_result"
        content = {"type": kind, "content": text}
        if mime_type is not None:
            content["mime_type"] = mime_type
        self.fields[where] = content
        self.turn.size += len(text)


class StepDraft(Draft):
    """A step while it is open; `Recorder.open_step` fills it in."""


class TurnDraft(Draft):
    """A turn while it is open; `Recorder.open_turn` fills it in.

    Its `open` record is what ``fields`` hold once it has input. It is its own `turn` while it
    is open, which is a cycle: `Recorder.close` undoes it, so that no turn waits for the
    collector.
    """

    turn = _Itself()  # type: ignore[assignment]  # an instance may have one of its own
    kind = "turn"
    session_id: str | None = None
    user_id: str | None = None
    conversation: Conversation | None = None
    size = 0  # characters of content kept so far
    usage: Fields | None = None  # summed over the model steps
    steps_journalled = 0
    has_more = False  # something beside steps stands on the draft and not yet in its fields
    read_state: Callable[[], Any] | None = None
    cuts: list[Fields] | None = None
    source: Recorder
    agent: str
    started_at: int
    started_mono: int
    steps: list[Fields]
    open_steps: dict[str, StepDraft]

    def cut(self, where: str, why: str, size_bytes: int | None = None) -> None:
        """Remember that something was not kept."""
        if self.cuts is None:
            self.cuts = []
            self.has_more = True
        if len(self.cuts) >= MAX_CUTS:
            self.cuts[-1] = {"where": "…", "why": "more was cut than is told here"}
            return
        note: Fields = {"where": where, "why": why}
        if size_bytes is not None:
            note["size_bytes"] = size_bytes
        self.cuts.append(note)

    def add_usage(self, usage: Mapping[str, Any]) -> None:
        """Count what a model step used towards the turn."""
        if self.usage is None:
            self.usage = {}
            self.has_more = True
        for key, amount in usage.items():
            self.usage[key] = self.usage.get(key, 0) + amount


def trace_of(span: OpenSpan) -> orjson.Fragment:
    """Where the turn of ``span`` stands in its trace, as it goes on the wire."""
    if span.parent_span_id or span.state or span.mode != "own" or not span.sampled:
        return orjson.Fragment(orjson.dumps(_trace(span)))
    trace_id, span_id = span.trace_id.to_bytes(16, "big").hex(), hex_id(span.span_id)
    return orjson.Fragment(
        f'{{"trace_id":"{trace_id}","span_id":"{span_id}","flags":1,"sampled":true,"mode":"own"}}'
    )


def hex_id(span_id: int) -> str:
    """A span id as the wire has it: 16 hex characters."""
    return span_id.to_bytes(8, "big").hex()


def _trace(span: OpenSpan) -> Fields:
    trace: Fields = {"trace_id": f"{span.trace_id:032x}", "span_id": hex_id(span.span_id)}
    if span.parent_span_id:
        trace["parent_span_id"] = hex_id(span.parent_span_id)
    trace["flags"] = span.flags
    if span.state:
        trace["state"] = span.state
    return {**trace, "sampled": span.sampled, "mode": span.mode}
