"""Whether a pattern takes linear time, however unkind the text.

`re` tries a pattern at every place of a text, and within one try whatever its repeats and
alternatives allow. So a search is linear if the work of one try is bounded. That is shown
conservatively, from the parsed pattern: some that would be linear are refused, none that isn't
is taken.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, Final, NamedTuple

__all__ = ["why_not_linear"]

MAX_WORK: Final = 1000  # steps that one try at one place may take
Why = tuple[str, str]


class _Cost(NamedTuple):
    """``ways`` in which something can match at one place, and the ``work`` to try them all."""

    ways: int
    work: int


class _RefusedError(Exception):
    def __init__(self, what: str, fix: str) -> None:
        super().__init__(what)
        self.why: Why = (what, fix)


def why_not_linear(pattern: re.Pattern[str]) -> Why | None:
    """What keeps ``pattern`` from being linear and how to mend it; None if it provably is."""
    try:
        import re._parser as parser  # type: ignore[import-not-found]  # no public one exists

        parsed = parser.parse(pattern.pattern, pattern.flags)
        work = _row(parsed, last=True).work
    except _RefusedError as exc:
        return exc.why
    except Exception as exc:  # noqa: BLE001  # whatever cannot be understood is refused
        return f"cannot be understood ({type(exc).__name__})", "write it more plainly"
    if work > MAX_WORK:
        return (
            f"may take over {MAX_WORK} steps at each place of a text",
            "make its repeats possessive ({1,64}+), or shorter",
        )
    return None


def _row(nodes: Iterable[Any], *, last: bool) -> _Cost:
    """Things that follow one another; ``last``: nothing that could fail comes after them."""
    nodes = list(nodes)
    ways, work = 1, 0
    for place, node in enumerate(nodes):
        cost = _one(node, last=last and place == len(nodes) - 1)
        work += ways * cost.work
        ways *= cost.ways
    return _Cost(ways, work)


def _one(node: Any, *, last: bool) -> _Cost:
    kind, given = str(node[0]), node[1]
    if kind in ("LITERAL", "NOT_LITERAL", "ANY", "IN", "AT"):
        return _Cost(1, 1)
    if kind in ("MAX_REPEAT", "MIN_REPEAT", "POSSESSIVE_REPEAT"):
        return _repeat(*given, possessive=kind == "POSSESSIVE_REPEAT", last=last)
    if kind == "SUBPATTERN":
        return _row(given[3], last=last)
    if kind == "ATOMIC_GROUP":
        return _Cost(1, _row(given, last=False).work)
    if kind in ("ASSERT", "ASSERT_NOT"):
        return _Cost(1, _row(given[1], last=False).work)
    if kind == "BRANCH":
        costs = [_row(branch, last=last) for branch in given[1]]
        return _Cost(sum(cost.ways for cost in costs), 1 + sum(cost.work for cost in costs))
    if kind in ("GROUPREF", "GROUPREF_EXISTS"):
        raise _RefusedError("refers back to a group", "write out what the group may be")
    raise _RefusedError(f"has {kind}, which is not understood", "write it more plainly")


def _repeat(least: int, most: int, body: Any, *, possessive: bool, last: bool) -> _Cost:
    inner = _row(body, last=False)
    if str(most) == "MAXREPEAT":
        if not last:
            raise _RefusedError(
                "has a repeat without an end before its end", "bound it: {0,64} for *, {1,64} for +"
            )
        # Once begun it is never tried again: what it took is part of what is hidden.
        return _Cost(1, inner.work * (least + 1))
    if most > MAX_WORK:
        raise _RefusedError(f"repeats up to {most} times", f"repeat at most {MAX_WORK} times")
    ways = work = 0
    for count in range(most + 1):
        paths = inner.ways**count
        ways += paths if count >= least else 0
        work += paths * inner.work if count < most else 0
        if work > MAX_WORK:
            break  # enough is known
    return _Cost(1 if possessive else max(ways, 1), work)
