"""Turns → rows, and the other way for what is not kept as it came."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

import orjson

from turnspan.server.store.latency import bucket_of

if TYPE_CHECKING:
    from turnspan.schema import Step, Turn

__all__ = [
    "MAX_COST_USD",
    "MAX_ID_CHARS",
    "MAX_INT",
    "MAX_LABEL_CHARS",
    "MAX_SEARCHED_CHARS",
    "clean",
    "json_of",
    "labels_of",
    "searched_words",
    "step_rows",
    "text_of",
    "turn_row",
    "unstorable",
]

MAX_SEARCHED_CHARS: Final = 100_000
"""How much of a turn's content the search index holds."""
MAX_INT: Final = 2**62 - 1
"""Between two times lie no more nanoseconds than 64 bits hold."""
MAX_COST_USD: Final = 1e100
MAX_ID_CHARS: Final = 200
MAX_LABEL_CHARS: Final = 200


def clean(text: str) -> str:
    """``text`` as a column can hold it: without NUL and halves of surrogate pairs."""
    if "\0" in text:
        text = text.replace("\0", "�")
    if text.isascii():
        return text
    return _mended(text) if _is_broken(text) else text


def text_of(value: Any) -> str:
    """``value`` as JSON text."""
    try:
        return orjson.dumps(value).decode()
    except (TypeError, ValueError):  # a number beyond 64 bits, half of a surrogate pair
        return clean(json.dumps(value, ensure_ascii=False))


def json_of(text: str | None) -> Any:
    """The value of JSON text; None where there is none."""
    if text is None:
        return None
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return json.loads(text)


def labels_of(metadata: Mapping[str, Any]) -> dict[str, str] | None:
    """The top-level entries of ``metadata`` that can be asked for, as texts."""
    labels = {
        clean(key): text
        for key, value in metadata.items()
        if (text := _label(value)) is not None and len(text) <= MAX_LABEL_CHARS
    }
    return labels or None


def unstorable(turn: Turn) -> str | None:
    """Why no row can hold ``turn``; None where one can."""
    if not turn.id or len(turn.id) > MAX_ID_CHARS:
        return f"an id has 1 to {MAX_ID_CHARS} characters"
    reason = _unreckonable(turn, turn.number or 0)
    for step in turn.steps:
        reason = reason or _unreckonable(step, 0)
    return reason


def _unreckonable(part: Turn | Step, number: int) -> str | None:
    least, most = part.started_at, part.ended_at
    if least > most:
        least, most = most, least
    used = part.usage
    if used is not None:
        if used.cost_usd and abs(used.cost_usd) > MAX_COST_USD:
            return f"a cost is beyond {MAX_COST_USD:g} USD"
        given, made = used.input_tokens or 0, used.output_tokens or 0
        least, most = min(least, given, made), max(most, given, made)
    if least < -MAX_INT or most > MAX_INT or abs(number) > MAX_INT:
        return "a number is beyond 62 bits"
    return None


def turn_row(turn: Turn, project: str, stored_at: int) -> tuple[Any, ...]:
    """The row of `turns`, after its `seq`."""
    usage = turn.usage
    labels = labels_of(turn.metadata) if turn.metadata else None
    return (
        project,
        clean(turn.id),
        _clean(turn.session_id),
        turn.number,
        clean(turn.agent.name),
        _clean(turn.user_id),
        turn.status,
        turn.started_at,
        turn.ended_at,
        bucket_of(turn.ended_at - turn.started_at),
        usage.input_tokens if usage else None,
        usage.output_tokens if usage else None,
        usage.cost_usd if usage else None,
        None if labels is None else orjson.dumps(labels).decode(),
        stored_at,
    )


def step_rows(turn: Turn, project: str, seq: int) -> Iterator[tuple[Any, ...]]:
    """The rows of `steps`."""
    for position, step in enumerate(turn.steps):
        yield (
            seq,
            position,
            project,
            step.kind,
            clean(step.name),
            step.status,
            step.started_at,
            step.ended_at,
        )


def searched_words(turn: Turn) -> str:
    """What the turn is found by: everything that was said, each text once."""
    said = _said(turn)
    for step in turn.steps:
        said += _said(step)
    for message in turn.messages:
        for part in message.parts:
            text = (part.__pydantic_extra__ or {}).get("content")
            if isinstance(text, str):
                said.append(text)
    return clean("\n".join(dict.fromkeys(said))[:MAX_SEARCHED_CHARS])


def _said(part: Turn | Step) -> list[str]:
    said: list[str] = []
    if (given := part.input) is not None:
        said.append(given.content)
    if (made := part.output) is not None:
        said.append(made.content)
    if part.reasoning:
        said.append(part.reasoning)
    if (error := part.error) is not None:
        said.append(error.message)
    return said


def _label(value: Any) -> str | None:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, int | float):
        return text_of(value)
    return None


def _clean(text: str | None) -> str | None:
    return None if text is None else clean(text)


def _mended(text: str) -> str:
    return text.encode("utf-8", "replace").decode()


def _is_broken(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return True
    return False
