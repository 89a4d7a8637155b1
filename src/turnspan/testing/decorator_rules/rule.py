"""A rule: a sentence, and a check that fails with what was seen."""

from asyncio import CancelledError
from collections.abc import Callable
from contextvars import copy_context
from dataclasses import dataclass
from importlib.util import find_spec
from types import ModuleType
from unittest import SkipTest

from turnspan.testing.decorator_rules.adapter import Adapter
from turnspan.testing.decorator_rules.trial import Trial, shown

__all__ = ["NotApplicable", "Rule", "rule", "rules_of"]


class NotApplicable(SkipTest):
    """The adapter doesn't claim what the rule needs; pytest and unittest skip over it."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule, to be called with an adapter.

    ``needs`` is what the adapter must claim, ``modules`` what must be importable.
    """

    name: str
    room: str
    sentence: str
    check: Callable[[Trial], None]
    needs: tuple[str, ...] = ()
    modules: tuple[str, ...] = ()

    def __call__(self, adapter: Adapter) -> None:
        """Hold the rule against ``adapter``.

        Raises:
            AssertionError: it is broken; the message is what was seen.
            NotApplicable: the adapter doesn't claim what it takes.
        """
        missing = [need for need in self.needs if not adapter.can(need)]
        missing += [name for name in self.modules if find_spec(name) is None]
        if missing:
            raise NotApplicable(f"needs {', '.join(missing)}")
        # In a context of its own: what a library leaves behind in it is no other rule's fault.
        try:
            copy_context().run(self.check, Trial(adapter))
        except (AssertionError, SkipTest):
            raise
        except (Exception, CancelledError, GeneratorExit) as exc:
            raise AssertionError(f"it raised {shown(exc)}") from exc


def rule(*needs: str, modules: tuple[str, ...] = ()) -> Callable[[Callable[[Trial], None]], Rule]:
    """Make a rule of a function; the first line of its docstring is the sentence."""

    def made(check: Callable[[Trial], None]) -> Rule:
        room = check.__module__.rpartition(".")[2]
        sentence = (check.__doc__ or "").partition("\n")[0]
        return Rule(check.__name__, room, sentence, check, needs, modules)

    return made


def rules_of(module: ModuleType) -> list[Rule]:
    """The rules of ``module``, as they stand in it."""
    return [found for found in vars(module).values() if isinstance(found, Rule)]
