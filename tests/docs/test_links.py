"""Links between the pages lead somewhere, and from the index to every page."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
INDEX = DOCS / "README.md"
PAGES = [
    *sorted(ROOT.glob("*.md")),
    *sorted(DOCS.rglob("*.md")),
    *sorted(ROOT.glob("integrations/*/README.md")),
    *sorted(ROOT.glob("tests/**/*.md")),
    *sorted((ROOT / "changelog.d").glob("*.md")),
]
LINK = re.compile(r"\]\((?!https?:|mailto:)([^)#\s]*)(?:#([^)\s]*))?\)")
FENCED = re.compile(r"^ *```.*?^ *```", re.MULTILINE | re.DOTALL)


def anchors(page: Path) -> set[str]:
    """What a `#` may name on ``page``, as GitHub makes it of the headings."""
    headings = re.findall(r"^#+ (.+)$", FENCED.sub("", page.read_text("utf-8")), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def links(page: Path) -> list[tuple[Path, str]]:
    """The files that ``page`` leads to, each with the heading it names there."""
    found = LINK.findall(FENCED.sub("", page.read_text("utf-8")))
    return [((page.parent / path).resolve() if path else page, anchor) for path, anchor in found]


def test_each_link_leads_to_a_file_and_each_anchor_to_a_heading():
    """In the repository, as it is checked out."""
    dead = [
        f"{page.relative_to(ROOT)}: {target}#{anchor}"
        for page in PAGES
        for target, anchor in links(page)
        if not target.exists() or (anchor and anchor not in anchors(target))
    ]

    assert len(PAGES) > 30
    assert dead == []


def test_every_page_is_reached_from_the_index():
    """Whoever begins at docs/README.md finds all of them, link by link."""
    reached: set[Path] = set()
    waiting = [INDEX]
    while waiting:
        page = waiting.pop()
        if page.is_dir():
            page /= "README.md"
        if page not in reached and page in PAGES:
            reached.add(page)
            waiting += [target for target, _ in links(page)]

    assert [page.name for page in PAGES if DOCS in page.parents and page not in reached] == []


def test_the_index_names_all_that_is_beside_it():
    """None is left to be found by chance; the README leads to the index."""
    named = {path.parent if path.name == "README.md" else path for path, _ in links(INDEX)}
    beside = {p for p in DOCS.iterdir() if p.suffix in {".md", ".json"} or p.is_dir()}

    assert sorted(p.name for p in beside - named - {INDEX} if not p.name.startswith("_")) == []
    assert INDEX in {target for target, _ in links(ROOT / "README.md")}
