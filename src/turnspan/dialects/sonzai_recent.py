"""Sonzai's recent messages: what a context tells of turns, and the turns that it tells of."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from turnspan.dialects.instants import iso_of, ns_of
from turnspan.dialects.sonzai import EXTRACTION, derived_id, speaks, text_of, turn_of
from turnspan.errors import WireError
from turnspan.schema import Turn

__all__ = ["recent_of", "turns_of"]

_SPOKEN: Final = frozenset({"user", "assistant", "system"})


def recent_of(turn: Turn) -> list[dict[str, str]]:
    """What was said in ``turn``, as a context's `recent_turns` has it.

    A turn that was recorded elsewhere has the history and the prompts of its models among its
    messages: of it, only what the user said and was answered is shown.
    """
    if EXTRACTION in turn.metadata:
        said = [each for each in turn.messages if each.role in _SPOKEN and speaks(each)]
        return [_recent(each.role, each.text, turn.started_at) for each in said]
    shown: list[dict[str, str]] = []
    if (asked := text_of(turn.input)) is not None:
        shown.append(_recent("user", asked, turn.started_at))
    if (answered := text_of(turn.output)) is not None:
        shown.append(_recent("assistant", answered, turn.ended_at))
    return shown


def turns_of(
    recent: Sequence[Mapping[str, Any]], *, session_id: str, agent: str, user_id: str
) -> Iterator[Turn]:
    """The turns of a session that ``recent_turns`` tell of, oldest first.

    A turn begins where somebody speaks after the agent did; the same messages make the same id.

    Raises:
        WireError: a message has no role, or no time that can be read.
    """
    for index, some in enumerate(_grouped(recent)):
        try:
            first, last = ns_of(some[0]["timestamp"]), ns_of(some[-1]["timestamp"])
            spoken = [{name: _said(each[name]) for name in ("role", "content")} for each in some]
            id = derived_id(agent, user_id, session_id, first, spoken[0]["content"])
            turn = turn_of(
                spoken,
                id=id,
                session_id=session_id,
                agent=agent,
                user_id=user_id,
                at=first,
                number=index + 1,
            )
        except (LookupError, TypeError, ValueError, OverflowError) as error:
            raise WireError(
                f"a recent message is unreadable: {type(error).__name__}: {error}",
                fix="see whether the service speaks another version of the dialect",
            ) from error
        yield turn.model_copy(update={"number": None, "ended_at": max(first, last)})


def _recent(role: str, content: str, at: int) -> dict[str, str]:
    return {"role": role, "content": content, "timestamp": iso_of(at)}


def _said(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"a {type(value).__name__} where a text should be")
    return value


def _grouped(recent: Sequence[Mapping[str, Any]]) -> Iterator[list[Mapping[str, Any]]]:
    held: list[Mapping[str, Any]] = []
    for each in recent:
        if held and _begins(held[-1], each):
            yield held
            held = []
        held.append(each)
    if held:
        yield held


def _begins(before: Mapping[str, Any], each: Mapping[str, Any]) -> bool:
    """Whether a turn begins with ``each``."""
    answered, answers = (one.get("role") == "assistant" for one in (before, each))
    if answers and not answered:
        return False
    return (answered and not answers) or before.get("timestamp") != each.get("timestamp")
