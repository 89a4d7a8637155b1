"""A report: what became of each rule on one library, whatever the library does to it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Literal
from unittest import SkipTest

from turnspan.testing.decorator_rules.adapter import Adapter
from turnspan.testing.decorator_rules.fork import Ended, in_fork
from turnspan.testing.decorator_rules.rule import Rule
from turnspan.testing.decorator_rules.trial import shown

__all__ = ["Finding", "Report", "Verdict", "run"]

TIMEOUT_S: Final = 30.0
Verdict = Literal["passed", "failed", "not applicable"]


@dataclass(frozen=True, slots=True)
class Finding:
    """What became of one rule; ``seen`` is what broke it, or what it would have needed."""

    rule: Rule
    verdict: Verdict
    seen: str = ""


@dataclass(frozen=True, slots=True)
class Report:
    """What became of all of them, in their order."""

    findings: tuple[Finding, ...]

    @property
    def passed(self) -> list[Finding]:
        """The rules that the library keeps."""
        return self._of("passed")

    @property
    def failed(self) -> list[Finding]:
        """The rules that it breaks."""
        return self._of("failed")

    @property
    def not_applicable(self) -> list[Finding]:
        """The rules that ask for more than its adapter claims."""
        return self._of("not applicable")

    def __str__(self) -> str:
        """The counts, and each broken rule with what was seen."""
        counts = f"{len(self.passed)} passed, {len(self.failed)} failed, "
        counts += f"{len(self.not_applicable)} not applicable"
        broken = [f"{one.rule.sentence}\n    {one.seen}" for one in self.failed]
        return "\n".join([counts, *broken])

    def _of(self, verdict: Verdict) -> list[Finding]:
        return [finding for finding in self.findings if finding.verdict == verdict]


def run(
    make: Callable[[], Adapter],
    rules: Sequence[Rule] | None = None,
    *,
    timeout_s: float = TIMEOUT_S,
) -> Report:
    """Hold ``rules``, all unless given, against the adapter that ``make`` makes.

    Each runs in a forked child of its own, where ``make`` is called: one that hangs or ends
    its process has failed, and the next is tried all the same. Import the library before,
    and start its threads in ``make`` only.

    Raises:
        RuntimeError: this system cannot fork.
    """
    import os

    if not hasattr(os, "fork"):
        raise RuntimeError("the rules run in forked children, and this system has no fork")
    if rules is None:
        from turnspan.testing.decorator_rules import RULES

        rules = RULES
    return Report(tuple(_finding(rule, make, timeout_s) for rule in rules))


def _finding(rule: Rule, make: Callable[[], Adapter], timeout_s: float) -> Finding:
    ended = in_fork(lambda: _tried(rule, make), timeout_s)
    if ended.failure is not None:
        return Finding(rule, "failed", _told(ended))
    verdict, seen = ended.answer
    return Finding(rule, verdict, seen)


def _tried(rule: Rule, make: Callable[[], Adapter]) -> tuple[Verdict, str]:
    adapter = make()
    try:
        rule(adapter)
    except SkipTest as exc:
        return "not applicable", str(exc)
    except AssertionError as exc:
        return "failed", str(exc)
    except BaseException as exc:  # noqa: BLE001  # whatever got out of the rule is the library's
        return "failed", f"it raised {shown(exc)}"
    return "passed", ""


def _told(ended: Ended) -> str:
    last = ended.printed.splitlines()[-1:] or [""]
    return f"{ended.failure}; {last[0]:.200}".rstrip("; ")
