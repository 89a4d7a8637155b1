"""Which turn a journalled line holds, read from its bytes wherever that is enough."""

from typing import Any

__all__ = ["is_interrupted", "turn_id"]

_BEGINS = b'{"record":"turn","id":"'
_INTERRUPTED = b'"status":"interrupted"'


def turn_id(line: bytes) -> str | None:
    """The id of the turn in ``line``, or None where it holds none that can be read."""
    if line.startswith(_BEGINS):
        end = line.find(b'"', len(_BEGINS))
        drawn = line[len(_BEGINS) : end] if end > 0 else b""
        if drawn and b"\\" not in drawn and drawn.isascii():
            return drawn.decode()
    found = _fields(line).get("id")  # written by somebody else: other spaces, other order
    return found if isinstance(found, str) and found else None


def is_interrupted(line: bytes) -> bool:
    """Whether ``line`` holds a turn that its process did not live to end.

    A later, final version of such a turn takes its place; of others the first one stays.
    """
    return _INTERRUPTED in line and _fields(line).get("status") == "interrupted"


def _fields(line: bytes) -> dict[str, Any]:
    from turnspan.errors import WireError
    from turnspan.schema.wire import decode_record  # here: brings pydantic

    try:
        record = decode_record(line)
    except WireError:
        return {}
    return record if record.get("record", "turn") == "turn" else {}
