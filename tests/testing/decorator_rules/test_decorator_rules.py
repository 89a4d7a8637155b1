"""Our own decorators keep every rule, and a run survives those who don't."""

import os
import signal
import subprocess
import sys
import time

import pytest
from honest_tracer import Tracer

import turnspan
from turnspan.testing import decorator_rules
from turnspan.testing.decorator_rules import NotApplicable, run
from turnspan.testing.decorator_rules.own import own_adapter
from turnspan.testing.decorator_rules.rule import rule


@pytest.fixture
def adapter(unconfigured):
    """turnspan, configured anew for each rule."""
    return own_adapter()


@pytest.mark.parametrize("rule", decorator_rules.RULES, ids=lambda rule: rule.name)
def test_our_decorators_keep(rule, adapter):
    """The claim is the rule's own sentence, for each of the five kinds."""
    rule(adapter)


@rule()
def passes(trial):
    """It is kept."""


@rule()
def fails(trial):
    """It is broken."""
    raise AssertionError("this was seen")


@rule()
def raises(trial):
    """It is broken by what comes out of the library."""
    raise KeyError("odd")


@rule()
def interrupts(trial):
    """It is broken by what would end a run."""
    raise KeyboardInterrupt


@rule()
def hangs(trial):
    """It never comes back."""
    time.sleep(60)


@rule()
def crashes(trial):
    """It takes the interpreter along."""
    os.kill(os.getpid(), signal.SIGKILL)


@rule()
def exits(trial):
    """It ends the process."""
    os._exit(3)


@rule("cut")
def asks_for_more(trial):
    """It needs what the adapter doesn't claim."""


def test_a_run_says_what_became_of_each_rule_whatever_the_library_does():
    """A rule that hangs, crashes or ends its process has failed, and the next is tried."""
    rules = [hangs, crashes, exits, fails, raises, interrupts, asks_for_more, passes]
    report = run(lambda: Tracer().adapter(tells=frozenset()), rules, timeout_s=3.0)

    assert [(found.rule.name, found.verdict, found.seen) for found in report.findings] == [
        ("hangs", "failed", "it had not come back after 3.0 s"),
        ("crashes", "failed", "the process ended by itself, signal 9"),
        ("exits", "failed", "the process ended by itself, exit status 3"),
        ("fails", "failed", "this was seen"),
        ("raises", "failed", "it raised KeyError: 'odd'"),
        ("interrupts", "failed", "it raised KeyboardInterrupt: "),
        ("asks_for_more", "not applicable", "needs cut"),
        ("passes", "passed", ""),
    ]
    assert str(report).splitlines()[:3] == [
        "1 passed, 6 failed, 1 not applicable",
        "It never comes back.",
        "    it had not come back after 3.0 s",
    ]


def test_a_run_tries_every_rule_unless_told_which():
    """Without `rules` the report has them all, also where no adapter can be made."""

    def make():
        raise RuntimeError("no such library")

    report = run(make)
    seen = {found.seen for found in report.findings}

    assert [found.rule for found in report.failed] == list(decorator_rules.RULES)
    assert seen == {"the process ended by itself, exit status 0; RuntimeError: no such library"}


def test_an_adapter_may_claim_next_to_nothing():
    """With `decorate` alone, rules about records are not applicable and the others hold."""
    silent = Tracer().adapter(collect=None, carry=None, trouble=None)
    verdicts = {"passed": 0, "not applicable": 0}
    for each in decorator_rules.RULES:
        try:
            each(silent)
        except NotApplicable:
            verdicts["not applicable"] += 1
        else:
            verdicts["passed"] += 1

    assert verdicts["passed"] > 60
    assert verdicts["not applicable"] > 30


def test_every_rule_has_a_sentence_and_a_name_of_its_own():
    """The sentence is what a reader of the table sees."""
    names = [each.name for each in decorator_rules.RULES]
    sentences = [each.sentence for each in decorator_rules.RULES]

    assert len(set(names)) == len(names) > 100
    assert len(set(sentences)) == len(sentences)
    assert [text for text in sentences if not text.endswith(".") or len(text) > 96] == []


def test_the_rules_need_nothing_but_python(tmp_path):
    """They are run by interpreters that have another library and none of ours."""
    source = os.path.dirname(os.path.dirname(turnspan.__file__))
    program = "import sys; sys.path.append(sys.argv[1]); import turnspan.testing.decorator_rules"
    command = [sys.executable, "-I", "-S", "-c", program, source]  # without site-packages
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)

    assert done.stderr == ""
    assert done.returncode == 0
