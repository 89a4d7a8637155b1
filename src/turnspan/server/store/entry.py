"""A turn as the tables hold it, made before there is a transaction to wait for it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import orjson

from turnspan.server.store.latency import bucket_of
from turnspan.server.store.port import Outcome
from turnspan.server.store.rows import clean, labels_of

if TYPE_CHECKING:
    from turnspan.server.store.port import Incoming

__all__ = [
    "MAX_COST_USD",
    "MAX_ID_CHARS",
    "MAX_INT",
    "MAX_SEARCHED_CHARS",
    "Entry",
    "entries_of",
    "entry_of",
]

MAX_SEARCHED_CHARS: Final = 100_000
"""How much of a turn's content the search index holds."""
MAX_INT: Final = 2**62 - 1
"""Between two times lie no more nanoseconds than 64 bits hold."""
MAX_COST_USD: Final = 1e100
MAX_ID_CHARS: Final = 200

Record = Mapping[str, Any]


@dataclass(slots=True)
class Entry:
    """A turn as the tables hold it, but for its number there and its project."""

    record: Record
    raw: bytes
    id: str
    """As the column holds it; so is `session_id`."""
    session_id: str | None
    status: str
    started_at: int
    columns: tuple[Any, ...]
    """Its row of `turns` between `project` and `stored_at`."""
    steps: list[tuple[Any, ...]]
    """Its rows of `steps`: `position`, and what comes after `project`."""
    words: str
    """What it is found by: everything that was said, each text once."""


def entries_of(incoming: Iterable[Incoming]) -> list[Entry | Outcome]:
    """What is stored of each; where that can be nothing, the outcome that says so."""
    return [_refusal(each.record) or entry_of(each) for each in incoming]


def entry_of(incoming: Incoming) -> Entry:
    """What is stored of a turn that can be."""
    record = incoming.record
    id, session_id = clean(record["id"]), _cleaned(record.get("session_id"))
    status, started_at, ended_at = _status(record), record["started_at"], record["ended_at"]
    metadata, steps = record.get("metadata"), record.get("steps") or ()
    labels = labels_of(metadata) if metadata else None
    columns = (
        id,
        session_id,
        record.get("number"),
        clean(record["agent"]["name"]),
        _cleaned(record.get("user_id")),
        status,
        started_at,
        ended_at,
        bucket_of(ended_at - started_at),
        *_used(record.get("usage")),
        None if labels is None else orjson.dumps(labels).decode(),
    )
    rows = [_step(position, step) for position, step in enumerate(steps)]
    words = _words(record, steps)
    return Entry(record, incoming.raw, id, session_id, status, started_at, columns, rows, words)


def _status(part: Record) -> str:
    said: str = part.get("status", "ok")
    return said


def _refusal(record: Record) -> Outcome | None:
    """Why no row can hold the turn; None where one can."""
    id = record["id"]
    if not 0 < len(id) <= MAX_ID_CHARS:
        return Outcome(id, "refused", f"an id has 1 to {MAX_ID_CHARS} characters")
    reason = _unreckonable(record, record.get("number") or 0)
    for step in record.get("steps") or ():
        reason = reason or _unreckonable(step, 0)
    if reason is None and record.get("status") == "open":
        reason = "a turn that is still open cannot be stored"
    return None if reason is None else Outcome(id, "refused", reason)


def _unreckonable(part: Record, number: int) -> str | None:
    numbers = [part["started_at"], part["ended_at"], number]
    used = part.get("usage")
    if used is not None:
        if abs(used.get("cost_usd") or 0.0) > MAX_COST_USD:
            return f"a cost is beyond {MAX_COST_USD:g} USD"
        numbers += (used.get("input_tokens") or 0, used.get("output_tokens") or 0)
    if min(numbers) < -MAX_INT or max(numbers) > MAX_INT:
        return "a number is beyond 62 bits"
    return None


def _used(usage: Record | None) -> tuple[int | None, int | None, float | None]:
    """Tokens in, tokens out, and what they cost."""
    if usage is None:
        return None, None, None
    cost = usage.get("cost_usd")
    given, made = usage.get("input_tokens"), usage.get("output_tokens")
    return given, made, None if cost is None else float(cost)


def _step(position: int, step: Record) -> tuple[Any, ...]:
    return (
        position,
        step["kind"],
        clean(step["name"]),
        _status(step),
        step["started_at"],
        step["ended_at"],
    )


def _words(record: Record, steps: Iterable[Record]) -> str:
    said: list[str] = []
    _hear(record, said)
    for step in steps:
        _hear(step, said)
    for message in record.get("messages") or ():
        for part in message.get("parts") or ():
            text = part.get("content")
            if isinstance(text, str):
                said.append(text)
    return clean("\n".join(dict.fromkeys(said))[:MAX_SEARCHED_CHARS])


def _hear(part: Record, said: list[str]) -> None:
    """Add what the turn, or one of its steps, says."""
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
