"""What the pages of docs/ show is true."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
OWN = {"testing.md", "decorator-rules.md"}  # tests of their own run what these show
PAGES = {
    str(page.relative_to(ROOT)): re.findall(
        r"^```python\n(.*?)^```", page.read_text("utf-8"), re.MULTILINE | re.DOTALL
    )
    for page in [*sorted(DOCS.rglob("*.md")), *sorted(ROOT.glob("integrations/*/README.md"))]
    if page.name not in OWN
}


@pytest.mark.parametrize("name", [name for name, blocks in PAGES.items() if blocks])
def test_each_program_of_a_page_runs(name, tmp_path, run, needs):
    """Copied into a file of its own, each block runs to its end."""
    for number, block in enumerate(PAGES[name], start=1):
        needs(block)
        program = tmp_path / f"block_{number}.py"
        program.write_text(block, encoding="utf-8")
        run(program)


def test_every_metric_and_reason_has_its_row():
    """The pages name what is told, and nothing else."""
    from turnspan.telemetry import semconv

    page = (DOCS / "metrics.md").read_text("utf-8")
    rows = set(re.findall(r"^\| `(turnspan\.[a-z._]+)`", page, re.MULTILINE))
    ours = {
        semconv.TURNS_RECORDED,
        semconv.TURNS_DROPPED,
        semconv.TURNS_DELIVERED,
        semconv.TURNS_REFUSED,
        semconv.TURNS_UNSENT,
        semconv.UNSENT_AGE,
        semconv.DELIVERY_DURATION,
        semconv.JOURNAL_SIZE,
    }
    sources = "".join(path.read_text("utf-8") for path in (DOCS.parent / "src").rglob("*.py"))
    reasons = set(re.findall(r'dropped\["([a-z_]+)"\]', sources))
    faults = (DOCS / "delivery.md").read_text("utf-8").partition("## Reasons")[2]
    listed = set(re.findall(r"^\| `([a-z_]+)` \|", faults, re.MULTILINE))

    assert rows == ours
    assert listed == reasons


def test_every_field_of_health_has_its_place():
    """And none is told of that isn't there."""
    from dataclasses import fields

    from turnspan.delivery.health import ExporterHealth, FlushReport, Health

    page = (DOCS / "metrics.md").read_text("utf-8")
    section = page.partition("## What health() says")[2].partition("\n## ")[0]
    told = set(re.findall(r"`([a-z_]+)`", section))
    known = {each.name for kind in (Health, ExporterHealth, FlushReport) for each in fields(kind)}

    assert told - {"sample"} == known
