"""The requests that docs/server.md and docs/dialects/ list are those the server answers."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from turnspan.server.dialect import DialectRouter, dialects

DOCS = Path(__file__).parents[2] / "docs"
PAGES = {"native": DOCS / "server.md"} | {
    path.stem: path for path in (DOCS / "dialects").glob("[a-z]*.md")
}
BASES = {  # what `…`, or a path that is said to stand below one, begins with
    "emergence": "/talk2data/chat/sessions",
    "sonzai": "/api/v1",
    "statebase": "/v1/sessions/{id}",
}


def routers(name: str) -> list[DialectRouter]:
    """Whose requests a page lists: that of the server has those of OTLP as well."""
    names = ["native", "otlp"] if name == "native" else [name]
    return [dialects()[each].router for each in names]


def requests(name: str) -> Iterator[tuple[str, str]]:
    """Method and path of each request in the table of a page; `{…}` made a segment."""
    page = PAGES[name].read_text("utf-8")
    [table] = re.findall(r"^\| request \|.*?\n\n", page, re.MULTILINE | re.DOTALL)
    for cell in "\n".join(table.splitlines()[2:]).replace(" | ", "\n").splitlines():
        methods: list[str] = []
        for said in re.findall(r"`([A-Z]+|[A-Z]* ?[/…][^`]*)`", cell):
            method, _, path = said.rpartition(" ")
            if said.isupper():  # `GET`, `PUT /path`
                methods.append(said)
            else:
                methods = [*methods, method] if method else methods  # `/other` means the same
                yield from ((each, full(name, path)) for each in methods)
                methods = methods[-1:]


def full(name: str, path: str) -> str:
    """``path`` with its beginning, as a request could have it."""
    base = BASES.get(name, "")
    if name == "emergence" and path.startswith("/{session}"):
        path = base + path
    return re.sub(r"\{\w+\}", "x", path.replace("…", base))


@pytest.mark.parametrize("name", PAGES)
def test_each_request_that_a_page_lists_is_answered(name):
    """By a route of that dialect, with that method."""
    lines = [line for router in routers(name) for line in router.lines]
    listed = list(requests(name))
    nowhere = [
        f"{method} {path}"
        for method, path in listed
        if not any(method in line.methods and line.pattern.match(path) for line in lines)
    ]

    assert listed
    assert nowhere == []


# StateBase has routes for what it says is not here, so that clients are told so.
@pytest.mark.parametrize("name", sorted(PAGES.keys() - {"statebase"}))
def test_each_route_is_on_its_page(name):
    """Nothing is answered that nobody is told of."""
    listed = list(requests(name))
    untold = [
        f"{method} {line.path}"
        for router in routers(name)
        for line in router.lines
        for method in sorted(line.methods - {"HEAD"})
        if not any(method == each and line.pattern.match(path) for each, path in listed)
    ]

    assert untold == []
