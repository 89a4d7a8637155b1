"""`assert_turn`: what a test expects of a turn, and what it says of another one."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from types import EllipsisType
from typing import Any, Final, TypeAlias

from turnspan.schema import Content, Error, Status, Step, Turn
from turnspan.testing.calls import Call, Calls, InAnyOrder, Made, are_made, made_by
from turnspan.testing.expected import content_matches, shown, value_of
from turnspan.testing.picture import picture

__all__ = ["assert_turn"]

Names: TypeAlias = Sequence[str] | AbstractSet[str]
Failure: TypeAlias = str | re.Pattern[str] | Callable[[Error], bool] | None
_LABEL_CHARS: Final = 12


def assert_turn(
    turn: Turn,
    *,
    status: Status | EllipsisType = ...,
    agent: str | EllipsisType = ...,
    session_id: str | EllipsisType | None = ...,
    user_id: str | EllipsisType | None = ...,
    input: Any = ...,
    output: Any = ...,
    error: Failure | EllipsisType = ...,
    tools: Names | EllipsisType = ...,
    tool_calls: Calls | EllipsisType = ...,
    models: Names | EllipsisType = ...,
    no_errors: bool = False,
) -> None:
    """See that ``turn`` is as expected; what is left out may be anything.

    ``input`` and ``output`` are text, the value that was JSON, a compiled pattern or a
    predicate. ``error`` is the type of the turn's error, a pattern for its message, a
    predicate, or None for no error. ``tools`` and ``models`` are names in the order in which
    they were called, each time they were; a set of them is for any order and number.

    ``tool_calls`` are all that were made, in the order they began: `call("book", city="Oslo")`,
    `in_any_order(...)` for some of them, `...` for any number of others. Tools called by nested
    agents and steps count, and so does each attempt of one that was tried again.

    ``no_errors``: neither the turn nor any of its steps has failed.

    Raises:
        AssertionError: it is another; the message tells each difference and shows the turn.
        TypeError: nothing is expected, or in a form that cannot be met.
    """
    __tracebackhide__ = True
    if not isinstance(turn, Turn):
        raise TypeError(f"a turn is expected, not {type(turn).__name__}: write turns.only()")
    checks: list[tuple[Any, Callable[[Any], Iterator[str]]]] = [
        (status, lambda wanted: _value("status", wanted, turn.status)),
        (agent, lambda wanted: _value("agent", wanted, turn.agent.name)),
        (session_id, lambda wanted: _value("session_id", wanted, turn.session_id)),
        (user_id, lambda wanted: _value("user_id", wanted, turn.user_id)),
        (input, lambda wanted: _content("input", wanted, turn.input)),
        (output, lambda wanted: _content("output", wanted, turn.output)),
        (error, lambda wanted: _error(wanted, turn.error)),
        (tools, lambda wanted: _names("tools", wanted, _tools(turn))),
        (tool_calls, lambda wanted: _tool_calls(wanted, made_by(turn))),
        (models, lambda wanted: _names("models", wanted, _models(turn))),
        (no_errors or ..., lambda _: _errors(turn)),
    ]
    asked = [(wanted, check) for wanted, check in checks if wanted is not ...]
    if not asked:
        raise TypeError("nothing is expected of the turn: say status=, output=, tool_calls=, …")
    unmet = [f"  {line}" for wanted, check in asked for line in check(wanted)]
    if unmet:
        raise AssertionError("\n".join(["the turn is not as expected", *unmet, "", picture(turn)]))


def _value(name: str, wanted: object, found: object) -> Iterator[str]:
    if wanted != found:
        yield _differs(name, repr(found), repr(wanted))


def _content(name: str, wanted: Any, found: Content | None) -> Iterator[str]:
    if not content_matches(wanted, found):
        yield _differs(name, repr(value_of(found)), shown(wanted))


def _error(wanted: Failure, found: Error | None) -> Iterator[str]:
    told = _because(found)[2:] or "none"
    if wanted is None or found is None:
        met = wanted is None and found is None
    elif isinstance(wanted, str):
        met = wanted == found.type
    elif isinstance(wanted, re.Pattern):
        met = wanted.search(found.message) is not None
    else:
        met = bool(wanted(found))
    if not met:
        yield _differs("error", told, "none" if wanted is None else shown(wanted))


def _errors(turn: Turn) -> Iterator[str]:
    if turn.error is not None or turn.status == "error":
        yield _label("no_errors", f"the turn failed{_because(turn.error)}")
    for step in turn.steps:
        if step.error is not None or step.status == "error":
            yield _label("no_errors", f"{step.kind} {step.name} failed{_because(step.error)}")


def _because(error: Error | None) -> str:
    if error is None:
        return ""
    return f": {error.type}: {error.message}" if error.message else f": {error.type}"


def _names(what: str, wanted: Names, found: Sequence[AbstractSet[str]]) -> Iterator[str]:
    """``found`` has a set for each call, for a model may go by two names."""
    if isinstance(wanted, str):
        raise TypeError(f"{what} is a list of names: write [{wanted!r}]")
    if isinstance(wanted, AbstractSet):
        known = frozenset().union(*found)
        met = wanted <= known and all(names & wanted for names in found)
    else:
        met = len(wanted) == len(found) and all(map(lambda one, names: one in names, wanted, found))
    if not met:
        called = ", ".join("/".join(sorted(names)) for names in found) or "none"
        ordered = sorted(wanted) if isinstance(wanted, AbstractSet) else wanted
        order = " in any order" if isinstance(wanted, AbstractSet) else ""
        yield _differs(what, called, (", ".join(ordered) or "none") + order)


def _tools(turn: Turn) -> list[AbstractSet[str]]:
    return [{made.step.name} for made in made_by(turn)]


def _models(turn: Turn) -> list[AbstractSet[str]]:
    asked = sorted((s for s in turn.steps if s.kind == "model"), key=lambda step: step.started_at)
    return [_model_names(step) for step in asked]


def _model_names(step: Step) -> AbstractSet[str]:
    """The model's name as it was asked for and as it answered; the step's where nobody knows."""
    model = step.model
    known = {model.request_model, model.response_model} - {None} if model else set()
    return {name for name in known if name} or {step.name}


def _tool_calls(wanted: Calls, made: Sequence[Made]) -> Iterator[str]:
    if not are_made(wanted, made):
        items = [wanted] if isinstance(wanted, InAnyOrder) else list(wanted)
        calls = [each for item in items for each in _single(item)]
        yield _label("tool_calls", "expected" + ("" if items else " none"))
        yield from (_marked(repr(item), _is_met(item, made)) for item in items)
        yield _label("", "made" + ("" if made else " none"))
        anything = ... in items
        known = [anything or any(each.matches(one) for each in calls) for one in made]
        yield from map(_marked, map(str, made), known)
        if all(known) and all(_is_met(item, made) for item in items):
            yield _label("", "in another order, or not as often")


def _single(item: object) -> Sequence[Call]:
    return item.calls if isinstance(item, InAnyOrder) else [item] if isinstance(item, Call) else []


def _is_met(item: object, made: Sequence[Made]) -> bool:
    return all(any(each.matches(one) for one in made) for each in _single(item))


def _marked(text: str, met: bool) -> str:  # noqa: FBT001  # one of two marks
    return f"{'':{_LABEL_CHARS}}{'  ' if met else '✗ '}{text}"


def _differs(name: str, found: str, wanted: str) -> str:
    return _label(name, f"{found}, expected {wanted}")


def _label(name: str, said: str) -> str:
    return f"{name:{_LABEL_CHARS}}{said}"
