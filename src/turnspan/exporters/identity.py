"""Which turn or feedback a line holds, read from its bytes wherever that is enough."""

from typing import Any

__all__ = ["is_interrupted", "record_id", "turn_id"]

_BEGINS = b'{"record":"turn","id":"'
_FEEDBACK_BEGINS = b'{"record":"feedback","id":"'
_INTERRUPTED = b'"status":"interrupted"'


def turn_id(line: bytes) -> str | None:
    """The id of the turn in ``line``, or None where it holds none that can be read."""
    if drawn := _id_after(_BEGINS, line):
        return drawn
    return _named(_fields(line))  # written by somebody else: other spaces, other order


def record_id(line: bytes) -> str | None:
    """The id of the turn or of the feedback in ``line``, or None where it holds neither."""
    if drawn := _id_after(_BEGINS, line) or _id_after(_FEEDBACK_BEGINS, line):
        return drawn
    return _named(_fields(line, "turn", "feedback"))


def is_interrupted(line: bytes) -> bool:
    """Whether ``line`` holds a turn that its process did not live to end.

    A later, final version of such a turn takes its place; of others the first one stays.
    """
    return _INTERRUPTED in line and _fields(line).get("status") == "interrupted"


def _id_after(begins: bytes, line: bytes) -> str | None:
    if not line.startswith(begins):
        return None
    end = line.find(b'"', len(begins))
    drawn = line[len(begins) : end] if end > 0 else b""
    return drawn.decode() if drawn and b"\\" not in drawn and drawn.isascii() else None


def _named(fields: dict[str, Any]) -> str | None:
    found = fields.get("id")
    return found if isinstance(found, str) and found else None


def _fields(line: bytes, *kinds: str) -> dict[str, Any]:
    from turnspan.errors import WireError
    from turnspan.schema.wire import decode_record  # here: brings pydantic

    try:
        record = decode_record(line)
    except WireError:
        return {}
    return record if record.get("record", "turn") in (kinds or ("turn",)) else {}
