"""What a turn is: frozen values, their wire format, and ids."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from turnspan.lazy import lazy_names

if TYPE_CHECKING:
    from turnspan.schema.content import JSON, TEXT, Content, ContentType, Cut
    from turnspan.schema.feedback import Feedback
    from turnspan.schema.ids import RandomIds
    from turnspan.schema.messages import Message, MessagePart
    from turnspan.schema.records import SCHEMA_VERSION
    from turnspan.schema.step import (
        Agent,
        Error,
        Model,
        Range,
        Status,
        Step,
        StepKind,
        Tool,
        Usage,
    )
    from turnspan.schema.trace import Link, SpanEvent, SpanNotes, Trace
    from turnspan.schema.turn import Turn
    from turnspan.schema.wire import (
        decode_feedback,
        decode_record,
        decode_turn,
        encode_feedback,
        encode_turn,
    )

__all__ = [
    "JSON",
    "SCHEMA_VERSION",
    "TEXT",
    "Agent",
    "Content",
    "ContentType",
    "Cut",
    "Error",
    "Feedback",
    "Link",
    "Message",
    "MessagePart",
    "Model",
    "RandomIds",
    "Range",
    "SpanEvent",
    "SpanNotes",
    "Status",
    "Step",
    "StepKind",
    "Tool",
    "Trace",
    "Turn",
    "Usage",
    "decode_feedback",
    "decode_record",
    "decode_turn",
    "encode_feedback",
    "encode_turn",
]

_HOMES = {
    "Agent": "turnspan.schema.step",
    "Content": "turnspan.schema.content",
    "ContentType": "turnspan.schema.content",
    "Cut": "turnspan.schema.content",
    "Error": "turnspan.schema.step",
    "Feedback": "turnspan.schema.feedback",
    "JSON": "turnspan.schema.content",
    "Link": "turnspan.schema.trace",
    "Message": "turnspan.schema.messages",
    "MessagePart": "turnspan.schema.messages",
    "Model": "turnspan.schema.step",
    "RandomIds": "turnspan.schema.ids",
    "Range": "turnspan.schema.step",
    "SCHEMA_VERSION": "turnspan.schema.records",
    "SpanEvent": "turnspan.schema.trace",
    "SpanNotes": "turnspan.schema.trace",
    "Status": "turnspan.schema.step",
    "Step": "turnspan.schema.step",
    "StepKind": "turnspan.schema.step",
    "TEXT": "turnspan.schema.content",
    "Tool": "turnspan.schema.step",
    "Trace": "turnspan.schema.trace",
    "Turn": "turnspan.schema.turn",
    "Usage": "turnspan.schema.step",
    "decode_feedback": "turnspan.schema.wire",
    "decode_record": "turnspan.schema.wire",
    "decode_turn": "turnspan.schema.wire",
    "encode_feedback": "turnspan.schema.wire",
    "encode_turn": "turnspan.schema.wire",
}

__getattr__: Callable[[str], Any] = lazy_names(__name__, _HOMES)
