"""Tool calls as a test expects them, and the search for them among those that were made."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from types import EllipsisType
from typing import Any, Final, TypeAlias

from turnspan.schema import Step, Turn
from turnspan.testing.expected import content_matches, matches, shown, value_of

__all__ = ["Call", "Calls", "InAnyOrder", "Made", "call", "in_any_order", "made_by"]

Arguments: TypeAlias = Callable[[Any], bool] | EllipsisType | None
_UNSAID: Final = object()
_MAX_CHARS: Final = 100


@dataclass(frozen=True, slots=True)
class Made:
    """A tool call that was made, and by whom: the steps it is nested in, outermost first."""

    step: Step
    inside: tuple[Step, ...] = ()

    def __str__(self) -> str:
        given = value_of(self.step.input)
        plain = "?" if given is None else repr(given)
        said = shown_arguments(given) if isinstance(given, dict) else plain
        status = "" if self.step.status == "ok" else f"  {self.step.status}"
        error = f" ({self.step.error.type})" if self.step.error else ""
        inside = "".join(f"  in {step.name}" for step in self.inside[-1:])
        return f"{_clipped(f'{self.step.name}({said})')}{status}{error}{inside}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One tool call that is expected; made by `call`, narrowed down by its methods."""

    name: str
    rest: Arguments = None
    arguments: Mapping[str, Any] = field(default_factory=dict)
    result: Any = _UNSAID
    error: Any = _UNSAID
    agent: str | None = None

    def returning(self, result: Any) -> Call:
        """And that it returned ``result``: a value, a pattern, a predicate or `...`."""
        return replace(self, result=result, error=_UNSAID)

    def failing(self, error: str | EllipsisType = ...) -> Call:
        """And that it failed, with an error of the type ``error`` where that is said."""
        return replace(self, error=error, result=_UNSAID)

    def within(self, agent: str) -> Call:
        """And that the nested agent or step called ``agent`` made it, at whatever depth."""
        return replace(self, agent=agent)

    def matches(self, made: Made) -> bool:
        """Whether ``made`` is this call."""
        step = made.step
        return (
            step.name == self.name
            and self._takes(value_of(step.input))
            and (self.result is _UNSAID or self._returned(step))
            and (self.error is _UNSAID or self._failed(step))
            and (self.agent is None or any(each.name == self.agent for each in made.inside))
        )

    def __repr__(self) -> str:
        rest = [shown(self.rest)] if self.rest is not None else []
        given = [*rest, *filter(None, [shown_arguments(self.arguments)])]
        said = f"{self.name}({', '.join(given)})"
        if self.result is not _UNSAID:
            said += f" returning {shown(self.result)}"
        if self.error is not _UNSAID:
            said += " failing" if self.error is ... else f" failing with {self.error}"
        return said + (f" within {self.agent}" if self.agent else "")

    def _takes(self, given: Any) -> bool:
        if callable(self.rest):
            return bool(self.rest(given))
        if not isinstance(given, dict):  # not recorded, or no arguments by name
            return self.rest is ... and not self.arguments
        if self.rest is ...:
            return all(k in given and matches(v, given[k]) for k, v in self.arguments.items())
        return matches(self.arguments, given)

    def _returned(self, step: Step) -> bool:
        return step.status == "ok" and content_matches(self.result, step.output)

    def _failed(self, step: Step) -> bool:
        if self.error is ...:
            return step.status != "ok"
        return step.error is not None and step.error.type == self.error


@dataclass(frozen=True, slots=True)
class InAnyOrder:
    """Tool calls expected one beside another; made by `in_any_order`."""

    calls: tuple[Call, ...]

    def __repr__(self) -> str:
        return f"in any order: {', '.join(map(repr, self.calls))}"


Item: TypeAlias = Call | InAnyOrder | EllipsisType
Calls: TypeAlias = Sequence[Item] | InAnyOrder


def call(name: str, rest: Arguments = None, /, **arguments: Any) -> Call:
    """A call of the tool ``name`` with exactly these ``arguments``.

    `call("book", ..., city="Oslo")` may have others besides, so `call("book", ...)` any. A
    callable in place of `...` is asked about all of them, as a dict. Each argument is a value,
    a compiled pattern, a predicate, or `...` for anything.

    Raises:
        TypeError: arguments are given beside a callable, or something else that is unclear.
    """
    if rest is not None and rest is not ... and not callable(rest):
        raise TypeError(f"arguments are given by name, not {rest!r}")
    if callable(rest) and arguments:
        raise TypeError("a callable is asked about all arguments: name none besides")
    return Call(name=name, rest=rest, arguments=arguments)


def in_any_order(*calls: Call) -> InAnyOrder:
    """Calls whose order is nobody's business, such as those of tools that run in parallel."""
    return InAnyOrder(calls)


def made_by(turn: Turn) -> list[Made]:
    """The tool calls of ``turn`` in the order they began, those of nested steps among them."""
    steps = {step.id: step for step in turn.steps}
    tools = sorted(
        (step for step in turn.steps if step.kind == "tool"), key=lambda step: step.started_at
    )
    return [Made(step, tuple(_above(step, steps))[::-1]) for step in tools]


def are_made(expected: Calls, made: Sequence[Made]) -> bool:
    """Whether ``made`` are the calls that were ``expected``, none missing and none besides."""
    items = (expected,) if isinstance(expected, InAnyOrder) else tuple(expected)
    return _Search(items, made).fits(0, 0)


def shown_arguments(arguments: Mapping[str, Any]) -> str:
    """Arguments as they stand in a call."""
    return ", ".join(f"{name}={shown(value)}" for name, value in arguments.items())


@dataclass
class _Search:
    """Tries where each expected item may stand; each pair of places is tried once."""

    items: Sequence[Item]
    made: Sequence[Made]

    @cached_property
    def _known(self) -> dict[tuple[int, int], bool]:
        return {}

    def fits(self, item: int, place: int) -> bool:
        key = item, place
        if key not in self._known:
            self._known[key] = self._try(item, place)
        return self._known[key]

    def _try(self, item: int, place: int) -> bool:
        if item == len(self.items):
            return place == len(self.made)
        wanted = self.items[item]
        if wanted is ...:
            return any(self.fits(item + 1, next_) for next_ in range(place, len(self.made) + 1))
        group = wanted.calls if isinstance(wanted, InAnyOrder) else (wanted,)
        there = self.made[place : place + len(group)]
        return (
            len(there) == len(group)
            and _pair_up(group, there)
            and self.fits(item + 1, place + len(group))
        )


def _pair_up(wanted: Sequence[Call], made: Sequence[Made]) -> bool:
    """Whether each of ``wanted`` can have one of ``made`` to itself."""
    taken: dict[int, int] = {}  # made → wanted

    def find(one: int, tried: set[int]) -> bool:
        for other, there in enumerate(made):
            if other not in tried and wanted[one].matches(there):
                tried.add(other)
                if other not in taken or find(taken[other], tried):
                    taken[other] = one
                    return True
        return False

    return all(find(one, set()) for one in range(len(wanted)))


def _above(step: Step, steps: Mapping[str, Step]) -> Iterator[Step]:
    seen = {step.id}  # whoever wrote the turn may have tied a knot
    while (above := steps.get(step.parent_id or "")) is not None and above.id not in seen:
        seen.add(above.id)
        yield above
        step = above


def _clipped(text: str) -> str:
    return text if len(text) <= _MAX_CHARS else text[: _MAX_CHARS - 1] + "…"
