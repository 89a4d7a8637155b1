"""What the README shows is true."""

from __future__ import annotations

import re
from pathlib import Path

from turnspan.cli import commands

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```python\n(.*?)^```", README, re.MULTILINE | re.DOTALL)


def test_the_readme_has_a_program_to_run():
    """A newcomer can copy a program, and finds both commands."""
    assert BLOCKS
    assert "make demo" in README
    assert "make test" in README


def test_each_program_of_the_readme_runs(tmp_path, run, needs):
    """Copied into a file of its own, each block runs to its end."""
    for number, block in enumerate(BLOCKS, start=1):
        needs(block)
        program = tmp_path / f"block_{number}.py"
        program.write_text(block, encoding="utf-8")
        run(program)  # fails with what the program said, where it doesn't end well


def test_the_tree_that_the_readme_shows_is_what_its_program_prints(tmp_path, run):
    """All but ids and times, which no two runs share."""
    shown = re.findall(r"^```text\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
    program = tmp_path / "program.py"
    program.write_text(BLOCKS[0], encoding="utf-8")
    printed = run(program).strip()

    def settled(text):
        return re.sub(r"turn_\w{12}|\d+ (?:µs|ms)", "…", text.strip())

    assert [settled(tree) for tree in shown] == [settled(printed)]


def test_the_readme_names_each_command():
    """And none that isn't there."""
    (table,) = re.findall(r"^\| command \|.*?\n\n", README, re.MULTILINE | re.DOTALL)
    rows = table.strip().splitlines()[2:]
    named = [name for row in rows for name in re.findall(r"`(\w+)[^`]*`", row.split("|")[1])]

    assert sorted(named) == sorted(commands())


def test_each_target_of_make_that_is_named_exists():
    """A page that says `make x` means a target of the Makefile."""
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))
    pages = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")]
    named = {
        name
        for page in pages
        for name in re.findall(r"(?:`|^    )make ([a-z-]+)", page.read_text("utf-8"), re.MULTILINE)
    }

    assert {"test", "docs"} <= named
    assert named <= targets
