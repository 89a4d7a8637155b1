"""The native wire format: one JSON line a record, `record` its first key.

A journal holds four kinds of lines, and a fifth for feedback. They all begin
`{"record":"<kind>",` so that a reader chooses without decoding:

segment   first line of every segment: who wrote it, its resource, whom it is owed
open      a turn began: id, session, agent, input, trace
step      a step of a turn that has been open for long: `turn_id` and the step
turn      a turn ended: the whole of it; these bytes are what `POST /v1/turns` takes
feedback  somebody's judgement of a turn

Fields that hold nothing are left out; `status` is always there.
"""

from typing import Any

import orjson
from pydantic import ValidationError

from turnspan.errors import WireError
from turnspan.schema.turn import Turn

SEGMENT = b'{"record":"segment",'
OPEN = b'{"record":"open",'
STEP = b'{"record":"step",'
TURN = b'{"record":"turn",'
FEEDBACK = b'{"record":"feedback",'


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
    try:
        return Turn.model_validate(record)
    except ValidationError as exc:
        first = exc.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise WireError(
            f"a turn is unreadable at {where!r}: {first['msg']}",
            fix="compare it with docs/turn.schema.json",
        ) from exc


def encode_turn(turn: Turn) -> bytes:
    """Write ``turn`` as one `turn` line, newline included."""
    fields = turn.model_dump(mode="json", exclude_defaults=True, exclude={"duration_ms"})
    for step, whole in zip(fields.get("steps", ()), turn.steps, strict=True):
        del step["duration_ms"]
        step["status"] = whole.status
    always = {"status": turn.status, "schema_version": turn.schema_version}
    return orjson.dumps({"record": "turn", **fields, **always}, option=orjson.OPT_APPEND_NEWLINE)
