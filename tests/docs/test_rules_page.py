"""The page about the rules for decorators shows what there is."""

from __future__ import annotations

import re
from pathlib import Path

from turnspan.testing.decorator_rules import RULES

PAGE = (Path(__file__).parents[2] / "docs" / "decorator-rules.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
ROWS = [line.strip("| ").split(" | ") for line in PAGE.splitlines() if line.count(" | ") > 10]


def test_the_program_of_the_page_runs(tmp_path, run):
    """A decorator that does nothing keeps every rule that applies to it."""
    program = tmp_path / "program.py"
    program.write_text(BLOCKS[0], encoding="utf-8")

    assert re.fullmatch(r"\d\d passed, 0 failed, \d\d not applicable", run(program).strip())


def test_the_module_for_pytest_can_be_imported(tmp_path, run):
    """What it names is there; tests/testing holds our decorators against the rules."""
    module = tmp_path / "module.py"
    module.write_text(BLOCKS[1], encoding="utf-8")

    assert run(module) == ""


def test_the_table_has_every_rule_in_its_order():
    """Whoever adds a rule, or words one anew, prints the table again."""
    sentences = [row[0] for row in ROWS[1:-1]]

    assert sentences == [rule.sentence.rstrip(".") for rule in RULES]


def test_turnspan_keeps_every_rule_and_nobody_else_does():
    """The README says so, and the table shows it."""
    names, counts = ROWS[0][1:], ROWS[-1][1:]
    broken = dict(zip(names, map(int, counts), strict=True))
    ours = [row[1] for row in ROWS[1:-1]]

    assert names[0].startswith("turnspan ")
    assert set(ours) == {"✓"}
    assert [name for name, count in broken.items() if count == 0] == names[:1]
    assert len(names) == 12
