"""What of a turn no span of ours brings back, as data that the tests hold true."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from turnspan.telemetry import semconv as names

__all__ = ["LOSSES", "Loss", "without_losses"]

Fields: TypeAlias = dict[str, Any]

_INT64: Final = range(-(1 << 63), 1 << 63)


@dataclass(frozen=True, slots=True)
class Loss:
    """One thing that does not come back."""

    what: str
    """The field."""
    becomes: str
    """What is read in its place."""
    lose: Callable[[Fields], None]
    """Does to a turn in wire shape what the way through spans does."""


def without_losses(turn: Fields) -> Fields:
    """``turn``, in wire shape, as it comes back from spans; it is changed in place."""
    for loss in LOSSES:
        loss.lose(turn)
    return turn


def _lose_mode(turn: Fields) -> None:
    turn["trace"].pop("mode", None)
    turn["trace"].pop("sampled", None)


def _lose_flags(turn: Fields) -> None:
    turn["trace"]["flags"] = turn["trace"].get("flags", 1) & 0xFF


def _lose_sdk(turn: Fields) -> None:
    for name in (names.SDK_LANGUAGE, names.SDK_NAME, names.SDK_VERSION):
        turn.get("resource", {}).pop(name, None)


def _lose_empty(turn: Fields) -> None:
    for field in ("session_id", "user_id", "resumes", "number"):
        if not turn.get(field):
            turn.pop(field, None)
    for message in turn.get("messages", ()):
        if not message.get("finish_reason"):
            message.pop("finish_reason", None)
    for each in _parts(turn):
        if not any(value is not None for value in (each.get("usage") or {}).values()):
            each.pop("usage", None)
        if not any((each.get("span") or {}).values()):
            each.pop("span", None)


def _lose_twins(turn: Fields) -> None:
    seen = {turn["trace"]["span_id"]}
    kept = [s for s in turn.get("steps", ()) if s["id"] not in seen and not seen.add(s["id"])]  # type: ignore[func-returns-value]
    turn["steps"] = kept


def _lose_root_parent(turn: Fields) -> None:
    for step in turn.get("steps", ()):
        if step.get("parent_id") == turn["trace"]["span_id"]:
            step.pop("parent_id")


def _lose_noted(turn: Fields) -> None:
    for each in _parts(turn):
        (each.get("span") or {}).get("attributes", {}).pop(names.NOTED, None)


def _lose_big(turn: Fields) -> None:
    turn["resource"] = _within_64_bits(turn.get("resource", {}))
    turn["trace"]["links"] = [
        {**link, "attributes": _within_64_bits(link.get("attributes", {}))}
        for link in turn["trace"].get("links", ())
    ]
    for each in _parts(turn):
        if each.get("span"):
            each["span"] = _within_64_bits(each["span"])


def _within_64_bits(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _within_64_bits(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_within_64_bits(each) for each in value]
    if isinstance(value, int) and value not in _INT64:
        return str(value)
    return value


def _parts(turn: Fields) -> Iterator[Fields]:
    yield turn
    yield from turn.get("steps", ())


LOSSES: Final = (
    Loss(
        "`trace.mode`, `trace.sampled`",
        "`own` and true: other spans are not sent by turnspan",
        _lose_mode,
    ),
    Loss(
        "`trace.flags` above the lowest eight bits", "0: a span has no room for them", _lose_flags
    ),
    Loss(
        "`telemetry.sdk.*` in `resource`",
        "left out: on our spans they name the writer of the spans",
        _lose_sdk,
    ),
    Loss(
        "a span attribute of other code that is called `turnspan.noted`",
        "left out",
        _lose_noted,
    ),
    Loss(
        "an empty `session_id`, `user_id`, `resumes`, `finish_reason`, `usage` or `span`, "
        "and the `number` 0",
        "none",
        _lose_empty,
    ),
    Loss(
        "a step with the id of another, or of the root",
        "left out: spans are told apart by their ids",
        _lose_twins,
    ),
    Loss("a `parent_id` that names the root", "none, which says the same", _lose_root_parent),
    Loss(
        "whole numbers beyond 64 bits in `resource`, `links` and `span`",
        "texts: OTLP has no such numbers",
        _lose_big,
    ),
)
