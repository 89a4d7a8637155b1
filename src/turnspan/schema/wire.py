"""The native wire format: one JSON line a record, `record` its first key.

A journal holds five kinds of lines. They all begin `{"record":"<kind>",` so that a reader
chooses without decoding:

segment   first line of every segment: who wrote it, its resource, whom it is owed
open      a turn began: id, session, agent, input, trace
step      a step of a turn that has been open for long: `turn_id` and the step
turn      a turn ended: the whole of it; these bytes are what `POST /v1/turns` takes
feedback  somebody's judgement of a turn; `POST /v1/turns` takes these among turns

Fields that hold nothing are left out; `status` is always there.
"""

from typing import Any, TypeVar

import orjson
from pydantic import ValidationError

from turnspan.errors import WireError
from turnspan.schema.feedback import Feedback
from turnspan.schema.records import FEEDBACK, OPEN, SEGMENT, STEP, TURN
from turnspan.schema.turn import Turn
from turnspan.schema.value import Value

__all__ = [
    "FEEDBACK",
    "OPEN",
    "SEGMENT",
    "STEP",
    "TURN",
    "decode_feedback",
    "decode_record",
    "decode_turn",
    "encode_feedback",
    "encode_turn",
    "turn_of",
]

V = TypeVar("V", bound=Value)


def decode_record(line: bytes) -> dict[str, Any]:
    """Read one line of any kind.

    Raises:
        WireError: the line is not a JSON object.
    """
    try:
        record = orjson.loads(line)
    except orjson.JSONDecodeError as exc:
        raise WireError(f"a record is not JSON: {exc}", fix="skip this line") from exc
    if not isinstance(record, dict):
        raise WireError("a record is not a JSON object", fix="skip this line")
    return record


def decode_turn(line: bytes) -> Turn:
    """Read a `turn` line, or a turn that came without its `record` key.

    Raises:
        WireError: the bytes are not JSON, or not a turn.
    """
    return turn_of(decode_record(line))


def turn_of(record: dict[str, Any]) -> Turn:
    """Read a turn from its decoded record.

    Raises:
        WireError: a field is missing or has another type.
    """
    return _read(Turn, record, "a turn", "docs/turn.schema.json")


def decode_feedback(line: bytes) -> Feedback:
    """Read a `feedback` line, or feedback that came without its `record` key.

    Raises:
        WireError: the bytes are not JSON, or not feedback.
    """
    return _read(Feedback, decode_record(line), "feedback", "docs/feedback.schema.json")


def encode_turn(turn: Turn) -> bytes:
    """Write ``turn`` as one `turn` line, newline included."""
    fields = turn.model_dump(mode="json", exclude_defaults=True, exclude={"duration_ms"})
    for step, whole in zip(fields.get("steps", ()), turn.steps, strict=True):
        del step["duration_ms"]
        step["status"] = whole.status
    always = {"status": turn.status, "schema_version": turn.schema_version}
    return orjson.dumps({"record": "turn", **fields, **always}, option=orjson.OPT_APPEND_NEWLINE)


def encode_feedback(feedback: Feedback) -> bytes:
    """Write ``feedback`` as one `feedback` line, newline included."""
    fields = feedback.model_dump(mode="json", exclude_defaults=True)
    always = {"mode": feedback.mode, "schema_version": feedback.schema_version}
    line = {"record": "feedback", **fields, **always}
    return orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE)


def _read(kind: type[V], record: dict[str, Any], what: str, page: str) -> V:
    try:
        return kind.model_validate(record)
    except ValidationError as exc:
        first = exc.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise WireError(
            f"{what} is unreadable at {where!r}: {first['msg']}", fix=f"compare it with {page}"
        ) from exc
