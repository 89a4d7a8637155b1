"""What a decorator that records calls must not break, as rules that run on any library.

    @pytest.mark.parametrize("rule", decorator_rules.RULES, ids=lambda rule: rule.name)
    def test_my_decorator_keeps(rule):
        rule(Adapter(decorate=lambda kind, target: my_decorator(target)))

A rule raises `AssertionError` with what it saw, and `NotApplicable`, which pytest takes for a
skip, where the adapter doesn't claim what the rule needs. `run` tries them all, each in a
process of its own that is put an end to where it hangs.
"""

from typing import Final

from turnspan.testing.decorator_rules import (
    answers,
    bounds,
    context,
    endings,
    generators,
    kept,
    leaks,
    methods,
    mutation,
    objects,
    quiet,
    shapes,
    streams,
    values,
)
from turnspan.testing.decorator_rules.adapter import KINDS, Adapter, Record
from turnspan.testing.decorator_rules.report import Finding, Report, run
from turnspan.testing.decorator_rules.rule import NotApplicable, Rule, rules_of

__all__ = [
    "KINDS",
    "RULES",
    "Adapter",
    "Finding",
    "NotApplicable",
    "Record",
    "Report",
    "Rule",
    "run",
]

_ROOMS = (
    shapes, methods, kept, answers, generators, streams, leaks, endings, context, values, objects,
    bounds, mutation, quiet,
)  # fmt: skip
RULES: Final[tuple[Rule, ...]] = tuple(found for room in _ROOMS for found in rules_of(room))
"""Every rule, room by room."""
