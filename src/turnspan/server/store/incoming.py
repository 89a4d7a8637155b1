"""A turn on its way into the store: what is asked for of it, beside the line that is kept.

All of it is taken from the decoded line at once, while that is at hand: to hold the hundreds of a
request decoded costs as much as to decode them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import orjson

from turnspan.server.store.latency import bucket_of
from turnspan.server.store.rows import clean, labels_of

if TYPE_CHECKING:
    from turnspan.schema import Turn

__all__ = [
    "ARTIFACTS",
    "MAX_COST_USD",
    "MAX_ID_CHARS",
    "MAX_INT",
    "MAX_SEARCHED_CHARS",
    "Incoming",
    "TurnRow",
]

ARTIFACTS: Final = "artifacts"
"""The entry of a turn's metadata that says what it produced."""
MAX_SEARCHED_CHARS: Final = 100_000
"""How much of a turn's content the search index holds."""
MAX_INT: Final = 2**62 - 1
"""Between two times lie no more nanoseconds than 64 bits hold."""
MAX_COST_USD: Final = 1e100
MAX_ID_CHARS: Final = 200

Record = Mapping[str, Any]


class TurnRow(NamedTuple):
    """A row of `turns`, between its `project` and its `stored_at`."""

    id: str
    session_id: str | None
    number: int | None
    agent: str
    user_id: str | None
    status: str
    started_at: int
    ended_at: int
    latency: int
    input_tokens: int | None
    output_tokens: int | None
    cost_usd: float | None
    labels: str | None


@dataclass(slots=True)
class Incoming:
    """A turn on its way into the store, as its tables hold it."""

    id: str
    """As it came; the one in `row` is as a column can hold it."""
    raw: bytes
    """The `turn` line, newline included."""
    row: TurnRow
    steps: list[tuple[Any, ...]]
    """Its rows of `steps`, from `kind` on."""
    words: str
    """What it is found by: everything that was said, each text once."""
    produced: Any
    """What its metadata says it produced."""
    refusal: str | None
    """Why no row can hold it."""

    @classmethod
    def of(cls, turn: Turn, raw: bytes | None = None) -> Incoming:
        """``turn`` as it was read from the line ``raw``, or in the native wire format."""
        from turnspan.schema import encode_turn

        return cls.read(turn.model_dump(mode="json"), encode_turn(turn) if raw is None else raw)

    @classmethod
    def read(cls, record: Record, raw: bytes) -> Incoming:
        """The turn of the line ``raw``, decoded: its values are as the schema has them."""
        metadata, steps = record.get("metadata") or {}, record.get("steps") or ()
        return cls(
            record["id"],
            raw,
            _row(record, metadata),
            [_step(step) for step in steps],
            _words(record, steps),
            metadata.get(ARTIFACTS),
            _refusal(record, steps),
        )


def _row(record: Record, metadata: Record) -> TurnRow:
    labels = labels_of(metadata) if metadata else None
    started_at, ended_at = record["started_at"], record["ended_at"]
    return TurnRow(
        clean(record["id"]),
        _cleaned(record.get("session_id")),
        record.get("number"),
        clean(record["agent"]["name"]),
        _cleaned(record.get("user_id")),
        _status(record),
        started_at,
        ended_at,
        bucket_of(ended_at - started_at),
        *_used(record.get("usage")),
        None if labels is None else orjson.dumps(labels).decode(),
    )


def _refusal(record: Record, steps: Sequence[Record]) -> str | None:
    """Why no row can hold the turn; None where one can."""
    if not 0 < len(record["id"]) <= MAX_ID_CHARS:
        return f"an id has 1 to {MAX_ID_CHARS} characters"
    reason = _unreckonable((record, *steps), record.get("number") or 0)
    if reason is None and record.get("status") == "open":
        return "a turn that is still open cannot be stored"
    return reason


def _unreckonable(parts: Sequence[Record], number: int) -> str | None:
    """Which of the numbers of a turn and its steps no column holds."""
    numbers, cost = [number], 0.0
    for part in parts:
        numbers += (part["started_at"], part["ended_at"])
        if (used := part.get("usage")) is not None:
            numbers += (used.get("input_tokens") or 0, used.get("output_tokens") or 0)
            cost = max(cost, abs(used.get("cost_usd") or 0.0))
    if cost > MAX_COST_USD:
        return f"a cost is beyond {MAX_COST_USD:g} USD"
    if min(numbers) < -MAX_INT or max(numbers) > MAX_INT:
        return "a number is beyond 62 bits"
    return None


def _status(part: Record) -> str:
    said: str = part.get("status", "ok")
    return said


def _used(usage: Record | None) -> tuple[int | None, int | None, float | None]:
    """Tokens in, tokens out, and what they cost."""
    if usage is None:
        return None, None, None
    cost = usage.get("cost_usd")
    given, made = usage.get("input_tokens"), usage.get("output_tokens")
    return given, made, None if cost is None else float(cost)


def _step(step: Record) -> tuple[Any, ...]:
    name, status = clean(step["name"]), _status(step)
    return step["kind"], name, status, step["started_at"], step["ended_at"]


def _words(record: Record, steps: Sequence[Record]) -> str:
    said: list[str] = []
    for part in (record, *steps):
        _hear(part, said)
    for message in record.get("messages") or ():
        for part in message.get("parts") or ():
            if isinstance(text := part.get("content"), str):
                said.append(text)
    words = "\n".join(dict.fromkeys(said))[:MAX_SEARCHED_CHARS]
    return clean(words) if "\0" in words else words  # halves of pairs are in no record


def _hear(part: Record, said: list[str]) -> None:
    """Add what a turn, or one of its steps, says."""
    get = part.get
    if (given := get("input")) is not None:
        said.append(given["content"])
    if (made := get("output")) is not None:
        said.append(made["content"])
    if reasoning := get("reasoning"):
        said.append(reasoning)
    if (error := get("error")) is not None:
        said.append(error.get("message", ""))


def _cleaned(text: str | None) -> str | None:
    return None if text is None else clean(text)
