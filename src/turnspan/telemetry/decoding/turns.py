"""Spans → turns: all spans that are there of a trace, read and put together."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import orjson

from turnspan.errors import WireError
from turnspan.schema import encode_turn
from turnspan.telemetry.decoding.building import build
from turnspan.telemetry.decoding.dialects import span_dialects
from turnspan.telemetry.decoding.judgements import feedback_on
from turnspan.telemetry.decoding.reading import Reading
from turnspan.telemetry.decoding.tree import group_spans

if TYPE_CHECKING:
    from turnspan.schema.feedback import Feedback
    from turnspan.schema.turn import Turn
    from turnspan.telemetry.decoding.received import ReceivedSpan

__all__ = ["Decoded", "decode_spans", "read_span"]

_UNREADABLE = (TypeError, KeyError, ValueError, AttributeError, IndexError)


@dataclass(slots=True)
class Decoded:
    """The turns that spans make, and what became of the other spans."""

    turns: list[Turn] = field(default_factory=list)
    feedback: list[Feedback] = field(default_factory=list)
    """What events on the spans say of these turns."""
    homeless: list[ReceivedSpan] = field(default_factory=list)
    """Spans that belong to no turn: nothing in their trace has to do with an agent."""
    unreadable: list[ReceivedSpan] = field(default_factory=list)
    """Spans whose attributes contradict themselves so that they make no turn."""


def decode_spans(spans: Iterable[ReceivedSpan]) -> Decoded:
    """The turns of all traces in ``spans``, by their start; a span counts once."""
    traces: dict[str, dict[str, ReceivedSpan]] = {}
    for span in spans:
        traces.setdefault(span.trace_id, {}).setdefault(span.span_id, span)
    decoded = Decoded()
    for trace in traces.values():
        _decode_trace(list(trace.values()), decoded)
    decoded.turns.sort(key=lambda turn: turn.started_at)
    return decoded


def _decode_trace(spans: Sequence[ReceivedSpan], decoded: Decoded) -> None:
    groups, homeless = group_spans([read_span(span) for span in spans])
    decoded.homeless += [each.span for each in homeless]
    for group in groups:
        root = [] if group.root is None or group.is_step else [group.root.span]
        spans_of_it = [*root, *(each.span for each in group.steps)]
        try:
            turn = build(group)
            encode_turn(turn)  # what no line can hold, such as a sum beyond 64 bits, is no turn
        except (WireError, *_UNREADABLE):
            decoded.unreadable += spans_of_it
        else:
            decoded.turns.append(turn)
            decoded.feedback += feedback_on(turn, spans_of_it)


def _check(reading: Reading) -> None:
    """See that what was read can stand in a line: one span must not cost the turn the others.

    Raises:
        TypeError: it is nested too deeply, or a number in it has more than 64 bits.
    """
    said = (reading.fields, reading.given, reading.produced, reading.instructions, reading.tools)
    in_a_turn = [[[[said]]]]  # a step's fields stand that deep, and a message's parts
    orjson.dumps(in_a_turn, option=orjson.OPT_NON_STR_KEYS)


def read_span(span: ReceivedSpan) -> Reading:
    """What ``span`` says, by every dialect that knows it."""
    reading = Reading(span)
    try:
        for dialect in span_dialects():
            if dialect.claims(span):
                dialect.read(reading)
                if dialect.ALONE:
                    break
        _check(reading)
    except _UNREADABLE:  # what a dialect was sure of is not so: all of it is kept as it is
        reading = Reading(span)
        reading.kind = "step"
    return reading
