"""How much a turn holds, against how much it may hold."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import orjson

from turnspan.capture.drafts import Draft, Fields, TurnDraft
from turnspan.capture.parts import WHY_CUT

if TYPE_CHECKING:
    from turnspan.capture.recorder import Recorder

__all__ = ["bounded_facts", "bounded_steps", "weigh", "weigh_error", "weigh_messages"]

STEP_BYTES: Final = 512  # what a step holds beside its contents, generously
MIN_STEPS: Final = 16
SHORT_FACT: Final = 64  # is paid for with its step


def weigh(recorder: Recorder, turn: TurnDraft, where: str, size: int) -> bool:
    """Whether ``size`` more characters fit into ``turn``; if not, that is noted."""
    turn.size += size
    if turn.size <= recorder.max_turn_bytes:
        return True
    turn.size -= size
    turn.cut(where, f"the turn is over {recorder.max_turn_bytes} bytes", size)
    return False


def weigh_error(recorder: Recorder, draft: Draft, error: Fields) -> Fields:
    """``error`` as far as it fits into its turn; that of the turn itself is always told."""
    for key in ("message", "stacktrace"):
        size = len(error.get(key, ""))
        if draft is draft.turn:
            draft.turn.size += size
        elif size and not weigh(recorder, draft.turn, draft.path(f"error/{key}"), size):
            del error[key]
    return error


def bounded_facts(recorder: Recorder, draft: Draft, facts: Fields) -> Fields:
    """``facts`` of a model without what is long and doesn't fit into its turn."""
    kept: Fields = {}
    for name, said in facts.items():
        size = _size_of(said)
        if size <= SHORT_FACT or weigh(recorder, draft.turn, draft.path(f"model/{name}"), size):
            kept[name] = said
    return kept


def bounded_steps(recorder: Recorder, turn: TurnDraft) -> list[Fields]:
    """The steps of ``turn``, those beyond so many left out; how many, it says at its end."""
    most = max(MIN_STEPS, recorder.max_turn_bytes // STEP_BYTES)
    if len(turn.steps) > most:
        turn.steps_left_out += len(turn.steps) - most
        turn.has_more = True
        turn.steps_journalled = min(turn.steps_journalled, most)
        del turn.steps[most:]
    return turn.steps


def weigh_messages(recorder: Recorder, turn: TurnDraft, first: int) -> None:
    """Count the messages from ``first`` on, and note those that are not whole."""
    longest = recorder.max_bytes - 4  # a cut may spare the last character
    for place, message in enumerate(recorder.conversation(turn).messages[first:], first):
        size = 0
        for part in message["parts"]:
            size += 64
            for said in part.values():
                if type(said) is not str:
                    size += 0 if said is None else _size_of(said)
                    continue
                size += len(said)
                if len(said) * 4 > longest and _is_over(longest, said):
                    turn.cut(f"messages/{place}", f"over {recorder.max_bytes} bytes")
            if WHY_CUT in part:
                turn.cut(f"messages/{place}", part.pop(WHY_CUT))
        if not weigh(recorder, turn, f"messages/{place}", size):
            message["parts"] = []


def _size_of(value: Any) -> int:
    """The length of ``value`` as JSON; about that, where no encoder takes it."""
    try:
        return len(orjson.dumps(value))
    except TypeError:  # a lone surrogate, or nested too deep
        return _counted(value)


def _counted(value: Any) -> int:
    size, left = 0, [value]
    while left:
        item = left.pop()
        size += len(item) + 2 if type(item) is str else 8
        if type(item) is dict:
            left += (*item, *item.values())
        elif type(item) is list:
            left += item
    return size


def _is_over(longest: int, text: str) -> bool:
    """Whether ``text`` has more than so many bytes; half of a surrogate pair counts as one."""
    return len(text.encode("utf-8", "replace")) > longest
