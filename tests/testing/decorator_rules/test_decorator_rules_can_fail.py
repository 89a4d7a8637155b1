"""Each rule catches the decorator that breaks it, and passes one that doesn't."""

import gc

import pytest
from broken_decorators import BROKEN
from honest_tracer import Tracer

from turnspan.testing.decorator_rules import RULES, bounds, nasties

BY_NAME = {rule.name: rule for rule in RULES}


@pytest.fixture
def small(monkeypatch):
    """What is too large is shown with less than 50 MB and a million nodes."""
    monkeypatch.setattr(bounds, "TEXT_CHARS", 4_000_000)
    monkeypatch.setattr(bounds, "BOUND_CHARS", 2_000_000)
    row = [[node] for node in range(1000)]
    monkeypatch.setattr(nasties, "million_nodes", lambda: [row] * 300)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_an_honest_decorator_passes(rule):
    """No rule asks for more than a small tracer written by hand can keep."""
    rule(Tracer().adapter())


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.filterwarnings("ignore:coroutine .* was never awaited:RuntimeWarning")
@pytest.mark.parametrize("broken,name", BROKEN, ids=lambda value: getattr(value, "__name__", value))
def test_a_broken_decorator_is_caught(broken, name, small):
    """The rule fails, and says what it saw."""
    with pytest.raises(AssertionError, match=r"\w+ \w+"):
        BY_NAME[name](broken().adapter())
    gc.collect()  # what it leaves behind is swept up here, not in another test


def test_every_rule_has_a_decorator_that_breaks_it():
    """A rule that nothing fails would be no rule."""
    caught = {name for _, name in BROKEN}

    assert sorted(caught) == sorted(BY_NAME)
