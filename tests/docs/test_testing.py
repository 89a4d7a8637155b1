"""What docs/testing.md shows is true."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

PAGE = (Path(__file__).parents[2] / "docs" / "testing.md").read_text(encoding="utf-8")
MODULE = "\n\n".join(re.findall(r"^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL))
SHOWN = re.findall(r"^```text\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
FAILING = """


@pytest.mark.turnspan(deterministic=True)
def test_wrong(turns):
    concierge("Coat?", "Oslo")
    assert_turn(turns.only(), tool_calls=[call("forecast", city="Oslo", days=3)])


@pytest.mark.turnspan(deterministic=True)
def test_different(turns):
    concierge("Coat?", "Oslo")
    concierge("Hat?", "Oslo")
    assert turns[0] == turns[1]
"""


def outcome(tmp_path: Path, source: str) -> str:
    """What pytest says of ``source`` as a stranger's test module."""
    (tmp_path / "test_page.py").write_text(source, encoding="utf-8")
    (tmp_path / "pytest.ini").write_text("[pytest]\n", encoding="utf-8")
    options = ["-q", "-W", "error", "-p", "no:asyncio", "-p", "no:randomly", "-p", "no:langsmith"]
    kept = {
        k: v for k, v in os.environ.items() if not k.startswith(("TURNSPAN_", "OTEL_", "PYTEST_"))
    }
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *options, "test_page.py"],
        cwd=tmp_path, env=kept, capture_output=True, text=True, timeout=240, check=False,
    )  # fmt: skip
    return done.stdout + done.stderr


def test_the_tests_of_the_page_pass(tmp_path):
    """Its blocks are one module."""
    said = outcome(tmp_path, MODULE)

    assert re.search(r"^11 passed in", said, re.MULTILINE), said
    assert ".turnspan" not in os.listdir(tmp_path)


def test_the_failures_that_the_page_shows_look_like_that(tmp_path):
    """Line by line; `…` stands for the rest of a line."""
    said = outcome(tmp_path, MODULE + FAILING)
    lines = [line[1:].strip() for line in said.splitlines() if line.startswith("E ")]
    lines = [line.removeprefix("AssertionError: ") for line in lines]
    shown = [line.strip() for block in SHOWN for line in block.splitlines()]
    patterns = [".*".join(map(re.escape, line.split("…"))) for line in shown]

    assert len(lines) == len(shown), said
    pairs = zip(patterns, lines, strict=True)
    assert [line for pattern, line in pairs if not re.fullmatch(pattern, line)] == []
