"""The programs in examples/ run, offline, and print what they say they print."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

EXAMPLES = sorted((Path(__file__).parents[2] / "examples").glob("[0-9]*.py"))
PRINTS = re.compile(r"^# prints:\n((?:#.*\n)+)\Z", re.MULTILINE)


def promised(program: str) -> list[str]:
    """The lines that a program says it prints last."""
    found = PRINTS.search(program)
    assert found, "an example ends with `# prints:` and the lines it prints last"
    return [line.removeprefix("#").removeprefix("   ") for line in found[1].splitlines()]


def fits(said: str, line: str) -> bool:
    """Whether ``line`` is what was said, where `…` stands for anything."""
    pattern = ".*".join(map(re.escape, said.rstrip().split("…")))
    return re.fullmatch(pattern, line.rstrip()) is not None


def test_there_are_examples_in_order():
    """The examples are numbered from 01 on, at least five of them."""
    numbers = [int(path.name.split("_")[0]) for path in EXAMPLES]

    assert len(numbers) >= 5
    assert numbers == list(range(1, len(numbers) + 1))


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_prints_what_it_says(path, run, needs):
    """The last lines of an example are those it ends with, and it is short."""
    program = path.read_text(encoding="utf-8")
    needs(program)
    said = promised(program)
    printed = run(path).splitlines()[-len(said) :]

    assert len(program.splitlines()) < 60
    assert [*map(fits, said, printed)] == [True] * len(said), f"said {said}, printed {printed}"


def test_an_ellipsis_stands_for_anything_and_nothing_else_does():
    """The comparison can fail."""
    assert fits("turn_… ok", "turn_4fJ2 ok")
    assert not fits("turn_… ok", "turn_4fJ2 error")
    assert not fits("a.b", "axb")
    assert promised("print(1)\n\n# prints:\n#   1\n") == ["1"]
