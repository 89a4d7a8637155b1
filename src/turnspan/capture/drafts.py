"""Drafts: a turn or step while it is open, in the shape it will have on the wire.

What is said of it goes into `fields` as it comes, as strings and plain structures: nothing of
the caller's is kept, so nothing can change under our hands, and at the end there is nothing
left to assemble. A draft belongs to the thread or task that records it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextvars import Token
from typing import TYPE_CHECKING, Any, Protocol
from weakref import ReferenceType

import orjson

if TYPE_CHECKING:
    from turnspan.capture.conversation import Conversation
    from turnspan.capture.definitions import Definitions
    from turnspan.capture.recorder import Recorder
    from turnspan.capture.streams import Stream
    from turnspan.ports import OpenSpan

__all__ = ["USAGE_KEYS", "Adopted", "Draft", "Fields", "StepDraft", "TurnDraft", "trace_of"]

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

    # Defaults live on the class: a store for each would cost the caller half a microsecond. What
    # is asked for several times is stored all the same, for it is found sooner on the instance.
    ended: bool = False
    left_out: bool = False  # by sampling: nothing is recorded, here and inside
    told: bool = False  # its turn, which ended before it, knows how it ended
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

    def path(self, where: str) -> str:
        """What ``where`` of it is called in `truncated`."""
        return where if self.kind == "turn" else f"steps/{self.id}/{where}"

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

    stream: ReferenceType[Stream] | None = None


class Adopted(Protocol):
    """What others have recorded of a turn, which becomes part of it as it ends."""

    def put(self, turn: TurnDraft) -> None: ...  # noqa: D102


class TurnDraft(Draft):
    """A turn while it is open; `Recorder.open_turn` fills it in.

    Its `open` record is what ``fields`` hold once it has input. It is its own `turn` while it
    is open, which is a cycle: `Recorder.close` undoes it, so that no turn waits for the
    collector.
    """

    turn: TurnDraft = _Itself()  # type: ignore[assignment]  # an instance may have its own
    kind: str = "turn"
    session_id: str | None
    user_id: str | None
    conversation: Conversation | None = None
    definitions: Definitions | None = None  # of the tools that its models were offered
    size: int = 0  # characters of content kept so far
    usage: Fields | None = None  # summed over the model steps
    steps_journalled: int = 0
    steps_left_out: int = 0  # because there were too many
    messages_journalled: int = 0
    tools_journalled: int = 0
    held_back: bool = False  # by sampling: recorded, and written only if it is to be kept
    has_more: bool = False  # something beside steps stands on the draft and not yet in its fields
    read_state: Callable[[], Any] | None = None
    adopted: Adopted | None = None
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

    def new_step_records(self) -> Iterator[Fields]:
        """The records of what it has done since this was last asked."""
        messages = self.conversation.messages if self.conversation is not None else []
        tools = self.definitions.kept if self.definitions is not None else []
        for fields in self.steps[self.steps_journalled :]:
            record: Fields = {"record": "step", "turn_id": self.id}
            if len(messages) > self.messages_journalled:
                record["messages_from"] = self.messages_journalled
                record["messages"] = messages[self.messages_journalled :]
                self.messages_journalled = len(messages)
            if len(tools) > self.tools_journalled:
                record["tool_definitions"] = tools  # whole: there are few
                self.tools_journalled = len(tools)
            self.steps_journalled += 1
            yield {**record, "step": fields}

    def take_back(self, fields: Fields) -> bool:
        """Forget a step that ended, which is to go on; False if it is not there."""
        for place in range(len(self.steps) - 1, -1, -1):
            if self.steps[place] is fields:
                del self.steps[place]
                self.steps_journalled -= place < self.steps_journalled
                return True
        return False

    def add_usage(self, usage: Mapping[str, Any]) -> None:
        """Count what a model step used towards the turn."""
        if self.usage is None:
            self.usage = {}
            self.has_more = True
        for key, amount in usage.items():
            self.usage[key] = self.usage.get(key, 0) + amount


def trace_of(span: OpenSpan) -> orjson.Fragment:
    """Where the turn of ``span`` stands in its trace, as it goes on the wire."""
    trace_id = span.trace_id.to_bytes(16, "big").hex()
    span_id = span.span_id.to_bytes(8, "big").hex()
    flags, above, state, mode = span.flags, span.parent_span_id, span.state, span.mode
    if flags == 1 and above is None and not state and mode == "own" and span.sampled:
        return orjson.Fragment(  # as it is for most, pasted
            f'{{"trace_id":"{trace_id}","span_id":"{span_id}",'
            '"flags":1,"sampled":true,"mode":"own"}'
        )
    ids = f'{{"trace_id":"{trace_id}","span_id":"{span_id}"'
    parent = f',"parent_span_id":"{hex_id(above)}"' if above else ""
    known = f',"state":{orjson.dumps(state).decode()}' if state else ""
    sampled = "true" if span.sampled else "false"
    return orjson.Fragment(
        f'{ids}{parent},"flags":{flags}{known},"sampled":{sampled},"mode":"{mode}"}}'
    )


def hex_id(span_id: int) -> str:
    """A span id as the wire has it: 16 hex characters."""
    return span_id.to_bytes(8, "big").hex()
