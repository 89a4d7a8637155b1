"""A body of `POST /v1/turns`: its records, each with what became of it.

A record is read once, strictly: what the schema does not allow is refused here, alone, and the
others are stored. The line that is kept of a turn is the one that came.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Final

import orjson
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from turnspan.errors import WireError
from turnspan.schema import Turn
from turnspan.schema.wire import OPEN, SEGMENT, STEP, TURN, turn_of
from turnspan.server import json_text
from turnspan.server.problem import Problem
from turnspan.server.shape import is_turn
from turnspan.server.store.port import Feedback, Incoming, TurnStore

__all__ = ["Item", "records", "store_records"]

MAX_RECORDS: Final = 20_000
_PASSED_OVER: Final = (OPEN, STEP, SEGMENT)
_KINDS_PASSED_OVER: Final = ("open", "step", "segment")
_SPACES: Final = bytes.maketrans(b"\r\n", b"  ")  # between values only: in texts they are escaped
_ID: Final = re.compile(rb'"id"\s*:\s*"([^"\\]{1,200})"')
_JSON: Final = frozenset({"application/json"})
_LINES: Final = frozenset({"application/x-ndjson", "application/ndjson", "application/jsonl"})


@dataclass(slots=True)
class Item:
    """One record and what became of it; `unread` until it is stored or refused."""

    index: int
    id: str | None = None
    status: str = "unread"
    """At last `stored`, `duplicate`, `refused` or `ignored`."""
    error: str | None = None
    conflict: bool = False
    """It was refused for what is in the store, not for what it is."""
    turn: Incoming | None = None
    feedback: Feedback | None = None

    def refuse(self, reason: str) -> None:
        """It cannot be stored."""
        self.status, self.error = "refused", reason

    @property
    def shown(self) -> dict[str, Any]:
        """What is answered."""
        said = {"index": self.index, "id": self.id, "status": self.status}
        return said if self.error is None else said | {"error": self.error}


class _Judgement(BaseModel):
    """A `feedback` record, as far as it is kept."""

    model_config: ClassVar[ConfigDict] = ConfigDict(strict=True)

    id: str | None = Field(default=None, max_length=200)
    turn_id: str = Field(min_length=1, max_length=200)
    at: int | None = Field(default=None, ge=0, lt=2**63)
    user_id: str | None = None
    rating: str | None = None
    score: float | None = None
    comment: str | None = None


def records(body: bytes, media_type: str, now_ns: int) -> tuple[list[Item], bool]:
    """The records of ``body``; whether it was a single one, not an array or lines of them.

    Feedback that does not say when it was given was given ``now_ns``.

    Raises:
        Problem: the body is no JSON, or of a type that holds no turns.
    """
    kind = media_type.partition(";")[0].strip().lower()
    if kind in _LINES:
        lines = [line for line in body.split(b"\n") if line.strip()]
        return _read(lines, now_ns), False
    if kind not in _JSON:
        raise Problem(
            415,
            "unsupported_media",
            "send application/json or application/x-ndjson",
            headers={"accept-post": "application/json, application/x-ndjson"},
        )
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError:
        raise Problem(400, "invalid_request", "the body is not JSON") from None
    if not isinstance(value, list):
        return _read([body], now_ns), True
    _check_count(len(value))
    return _read(_items(body), now_ns), False


def store_records(store: TurnStore, items: Sequence[Item]) -> None:
    """Store what could be read; each item says what became of it."""
    turns = [item for item in items if item.turn is not None]
    said = [item for item in items if item.feedback is not None]
    kept = store.add([item.turn for item in turns if item.turn is not None]) if turns else []
    judged = (
        store.add_feedback([item.feedback for item in said if item.feedback is not None])
        if said
        else []
    )
    for item, outcome in zip([*turns, *said], [*kept, *judged], strict=True):
        item.status, item.error = outcome.status, outcome.error
        item.conflict = outcome.status == "refused"


def _check_count(count: int) -> None:
    if count > MAX_RECORDS:
        raise Problem(
            413, "too_large", f"a request may hold {MAX_RECORDS} records; send it in parts"
        )


def _items(body: bytes) -> list[bytes]:
    try:
        return [each.encode() for each in json_text.items(body.decode())]
    except RecursionError:
        raise Problem(400, "invalid_request", "the body is nested too deep") from None


def _read(lines: Sequence[bytes], now_ns: int) -> list[Item]:
    _check_count(len(lines))
    return [_item(index, line, now_ns) for index, line in enumerate(lines)]


def _item(index: int, line: bytes, now_ns: int) -> Item:
    item = Item(index)
    if line.startswith(_PASSED_OVER):
        item.status = "ignored"
        return item
    record = _decoded(line, item)
    if record is not None:
        _read_record(item, line, record, now_ns)
    return item


def _read_record(item: Item, line: bytes, record: dict[str, Any], now_ns: int) -> None:
    kind = record.get("record", "turn")
    if kind == "turn":
        _read_turn(item, line, record)
    elif kind == "feedback":
        _read_feedback(item, line, now_ns)
    elif kind in _KINDS_PASSED_OVER:
        item.status = "ignored"
    else:
        item.refuse("a record is a turn, or feedback")


def _decoded(line: bytes, item: Item) -> dict[str, Any] | None:
    """The record in ``line``; None where that is none, which ``item`` then says.

    All who read a stored line read it so: what cannot be read so, such as 1e999, is not stored.
    """
    try:
        record = orjson.loads(line)
    except orjson.JSONDecodeError:
        item.refuse("a record is not JSON")
        item.id = _id_in(line)
        return None
    if not isinstance(record, dict):
        item.refuse("a record is not a JSON object")
        return None
    id = record.get("id")
    item.id = id if isinstance(id, str) else None
    return record


def _read_turn(item: Item, line: bytes, record: dict[str, Any]) -> None:
    if is_turn(record, line):
        item.turn = Incoming.read(record, _kept(line))
        return
    try:
        turn = _turn(line)
        turn_of(record)  # as whoever reads what is kept: an integer beyond 64 bits is none to them
    except ValidationError as error:
        item.refuse(_told(error))
    except WireError as error:
        item.refuse(error.what)
    else:
        item.turn = Incoming.of(turn, _kept(line))


def _turn(line: bytes) -> Turn:
    """The turn in ``line``, read strictly, except that JSON's `1.0` is a whole number too."""
    try:
        return Turn.model_validate_json(line, strict=True)
    except ValidationError as error:
        if not all(map(_is_whole, error.errors(include_url=False))):
            raise
        return Turn.model_validate_json(line)


def _is_whole(error: Any) -> bool:
    given = error["input"]
    return error["type"] == "int_type" and isinstance(given, float) and given.is_integer()


def _read_feedback(item: Item, line: bytes, now_ns: int) -> None:
    try:
        said = _Judgement.model_validate_json(line)
    except ValidationError as error:
        item.refuse(_told(error))
        return
    drawn = "feedback_" + hashlib.blake2b(line.strip(), digest_size=12).hexdigest()
    item.id = said.id or drawn
    at = now_ns if said.at is None else said.at
    item.feedback = Feedback(
        id=item.id,
        turn_id=said.turn_id,
        author=said.user_id or "",
        rating=said.rating,
        score=said.score,
        comment=said.comment,
        created_at=at,
        updated_at=at,
    )


def _kept(line: bytes) -> bytes:
    """``line`` as it is stored: on one line, `record` first, and else as it was written."""
    line = line.strip()
    if not line.startswith(TURN):
        kept = [text for name, text in json_text.members(line.decode()) if name != "record"]
        line = TURN + ",".join(kept).encode() + b"}"
    if b"\n" in line or b"\r" in line:
        line = line.translate(_SPACES)
    return line + b"\n"


def _told(error: ValidationError) -> str:
    first = error.errors(include_url=False, include_input=False)[0]
    where = ".".join(str(part) for part in first["loc"])
    return f"{where}: {first['msg']}" if where else str(first["msg"])


def _id_in(line: bytes) -> str | None:
    """The id of what is no JSON: whoever sent it must know which one it was."""
    found = _ID.search(line)
    return None if found is None else found[1].decode("utf-8", "replace")
