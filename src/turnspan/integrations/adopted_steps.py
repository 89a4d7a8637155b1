"""The spans of one turn that others have made, and how they become its steps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import orjson

from turnspan.capture.drafts import Draft, TurnDraft, hex_id, trace_of
from turnspan.schema.wire import encode_turn
from turnspan.telemetry import semconv as names
from turnspan.telemetry.adopted import AdoptedSpan
from turnspan.telemetry.decoding import ReceivedSpan, decode_spans
from turnspan.telemetry.values import attribute_values

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan, Span

__all__ = ["AdoptedSteps"]

Fields: TypeAlias = dict[str, Any]

_MESSAGES: Final = ("input_messages", "output_messages", "system_instructions")
_PREFIXES: Final = ("gen_ai.", "llm.", "openinference.", "traceloop.")
_FILLED: Final = ("usage", "model", "tool")


class AdoptedSteps:
    """Gathers the spans of one turn; `put` makes its steps of them as it ends."""

    def __init__(self) -> None:
        self._holders: dict[int, Draft] = {}
        self._above: dict[int, int | None] = {}
        self._ended: list[ReadableSpan] = []

    @classmethod
    def of(cls, turn: TurnDraft) -> AdoptedSteps:
        """Those of ``turn``, which asks for them as it ends."""
        if not isinstance(turn.adopted, AdoptedSteps):
            turn.adopted = cls()
            turn.has_more = True
        return turn.adopted

    def begin(self, span: Span, holder: Draft) -> None:
        """Note that ``span`` began inside ``holder``."""
        span_id = span.get_span_context().span_id
        self._above[span_id] = span.parent.span_id if span.parent else None
        self._holders[span_id] = holder

    def end(self, span: ReadableSpan) -> None:
        """Keep ``span``, which has ended."""
        self._ended.append(span)

    def put(self, turn: TurnDraft) -> None:
        """Put steps, messages and identity on ``turn``."""
        kept = {id_of(span): span for span in self._ended if _is_known(span)}
        tops = [span_id for span_id in kept if self._parent(span_id, kept) is None]
        if not tops:
            return
        root = self._agent(tops, kept, turn)
        if root is not None or not _is_placed(turn):
            _identify(turn, kept[tops[0] if root is None else root])
        received = [self._received(span_id, kept, root) for span_id in kept]
        if root is None:
            received.append(_stand_in(turn, received))
        for decoded in decode_spans(received).turns:
            line = encode_turn(decoded)
            fields = orjson.loads(line)
            _weigh(turn, fields, len(line))
            self._merge(turn, fields, tops)
        self._holders.clear()  # they hold the turn, which holds this

    def _parent(self, span_id: int, kept: Mapping[int, object]) -> int | None:
        """The nearest span above that is kept, too."""
        above = self._above[span_id]
        while above is not None and above not in kept:
            above = self._above.get(above)
        return above

    def _agent(
        self, tops: Sequence[int], kept: Mapping[int, ReadableSpan], turn: TurnDraft
    ) -> int | None:
        """The span that is the turn's own: of an agent, and nothing stands beside it."""
        [first, *others] = tops
        said = (kept[first].attributes or {}).get
        is_agent = (
            said(names.OPERATION_NAME) == names.INVOKE_AGENT
            or said("openinference.span.kind") == "AGENT"
            or said("traceloop.span.kind") == "agent"
        )
        return first if is_agent and not others and self._holders[first] is turn else None

    def _received(
        self, span_id: int, kept: Mapping[int, ReadableSpan], root: int | None
    ) -> ReceivedSpan:
        above = self._parent(span_id, kept)
        parent_id = None if above is None else hex_id(above)
        if above is None and span_id != root:
            parent_id = _ROOT
        return _read(kept[span_id], parent_id)

    def _merge(self, turn: TurnDraft, fields: Fields, tops: Sequence[int]) -> None:
        steps: list[Fields] = fields.get("steps", [])
        holders = {hex_id(top): self._holders[top] for top in tops}
        messages = turn.source.conversation(turn).messages
        base = len(messages)
        messages += fields.get("messages", ())
        moved: dict[str, str] = {}
        for step in steps:
            _shift(step, base)
            holder = holders.get(step["id"], turn)
            if holder is not turn and _is_same(step, holder):
                moved[step["id"]] = holder.id
                _fill(turn, holder, step)
                continue
            if holder is not turn:
                step["parent_id"] = holder.id
            _count(turn, step)
            turn.steps.append(step)
        for step in turn.steps:
            if step.get("parent_id") in moved:
                step["parent_id"] = moved[step["parent_id"]]
        turn.steps.sort(key=lambda step: step["ended_at"])
        if turn.usage is None and "usage" in fields:
            turn.add_usage(fields["usage"])


_ROOT: Final = "f" * 16  # of the span that stands in for the turn; no turn keeps it
_TRACE: Final = "f" * 32


def id_of(span: ReadableSpan) -> int:
    """The id of ``span``."""
    context = span.get_span_context()
    return context.span_id if context is not None else 0


def _is_known(span: ReadableSpan) -> bool:
    """Does it say, in any dialect that is read, that it has to do with an agent?"""
    return any(name.startswith(_PREFIXES) for name in span.attributes or ())


def _is_placed(turn: TurnDraft) -> bool:
    """Did it begin under a span that there is?"""
    return isinstance(turn.span, AdoptedSpan) and turn.span.is_found


def _identify(turn: TurnDraft, span: ReadableSpan) -> None:
    """Let the turn be found where ``span`` is."""
    mine, context = turn.span, span.get_span_context()
    if context is not None and isinstance(mine, AdoptedSpan):
        mine.become(context, span.parent.span_id if span.parent else None)
        turn.fields["trace"] = trace_of(mine)


def _weigh(turn: TurnDraft, fields: Fields, size: int) -> None:
    """Count what the steps say towards the turn's budget, and leave it out beyond that."""
    limit = turn.source.max_turn_bytes
    if turn.size + size <= limit:
        turn.size += size
        return
    fields.pop("messages", None)
    for step in fields.get("steps", ()):
        for key in (*_MESSAGES, "input", "output"):
            step.pop(key, None)
    turn.cut("steps", f"the turn is over {limit} bytes", size)


def _read(span: ReadableSpan, parent_id: str | None) -> ReceivedSpan:
    scope = span.instrumentation_scope
    return ReceivedSpan(
        trace_id=_TRACE,
        span_id=hex_id(id_of(span)),
        parent_id=parent_id,
        name=span.name,
        kind=span.kind.value + 1,
        started_at=span.start_time or 0,
        ended_at=span.end_time or 0,
        attributes=attribute_values(span.attributes or {}),
        events=[
            {"name": e.name, "at": e.timestamp, "attributes": attribute_values(e.attributes or {})}
            for e in span.events
        ],
        status=span.status.status_code.value,
        description=span.status.description or "",
        scope=scope.name if scope is not None else "",
    )


def _stand_in(turn: TurnDraft, received: Sequence[ReceivedSpan]) -> ReceivedSpan:
    """A root for spans that have none of their own."""
    return ReceivedSpan(
        trace_id=_TRACE,
        span_id=_ROOT,
        started_at=min(span.started_at for span in received),
        ended_at=max(span.ended_at for span in received),
        attributes={names.OPERATION_NAME: names.INVOKE_AGENT, names.AGENT_NAME: turn.agent},
    )


def _shift(step: Fields, base: int) -> None:
    """Have its ranges count from behind the messages the turn had."""
    step.pop("input_tools", None)  # the definitions stay in the spans
    for key in _MESSAGES:
        if key in step:
            step[key] = [[start + base, end + base] for start, end in step[key]]


def _is_same(step: Fields, holder: Draft) -> bool:
    """Is ``step`` the call that ``holder`` has recorded?"""
    if step["kind"] != holder.kind:
        return False
    return bool(step["kind"] == "model" or step["name"] == holder.fields["name"])


def _fill(turn: TurnDraft, holder: Draft, step: Fields) -> None:
    """Put on ``holder`` what it does not know."""
    if "usage" not in holder.fields:
        _count(turn, step)
    for key in _FILLED:
        if key in step:
            holder.fields[key] = {**step[key], **holder.fields.get(key, {})}


def _count(turn: TurnDraft, step: Fields) -> None:
    if step["kind"] == "model" and "usage" in step:
        turn.add_usage(step["usage"])
