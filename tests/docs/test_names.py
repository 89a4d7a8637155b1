"""What the pages call by name is there: commands, options, variables, names of Python."""

from __future__ import annotations

import re
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from turnspan.cli import commands, program
from turnspan.settings import options

ROOT = Path(__file__).parents[2]
PAGES = {
    str(page.relative_to(ROOT)): page.read_text("utf-8")
    for page in [
        ROOT / "README.md",
        ROOT / "CONTRIBUTING.md",
        *(ROOT / "docs").rglob("*.md"),
        *ROOT.glob("integrations/*/README.md"),
    ]
    if "decisions" not in page.parts  # they say what was decided then
}
SOURCES = "".join(
    path.read_text("utf-8")
    for path in [*(ROOT / "src").rglob("*.py"), *(ROOT / "tests").rglob("conftest.py")]
)
CODE = re.compile(
    r"^ *```\w*\n(.*?)^ *```|((?:^    [^\n]*\n)+)|`([^`\n]+)`", re.MULTILINE | re.DOTALL
)


def code(page: str) -> list[str]:
    """The blocks and the words of ``page`` that are code."""
    return ["".join(found) for found in CODE.findall(PAGES[page])]


@cache
def parsers() -> Any:
    """The parser of each command."""
    return program(commands()).commands


@pytest.mark.parametrize("page", PAGES)
def test_each_variable_of_a_page_is_one(page):
    """`TURNSPAN_…` on a page is read by somebody."""
    known = {option.env for option in options()} | {"TURNSPAN_STORE", "TURNSPAN_TESTS"}
    named = set(re.findall(r"\bTURNSPAN_[A-Z_]*[A-Z]\b", PAGES[page]))

    assert sorted(named - known) == []


def test_each_variable_of_opentelemetry_that_is_read_has_its_place():
    """In the table of docs/traces.md, or in that of metrics, which it leads to."""
    read = set(re.findall(r'"(OTEL_[A-Z_]+[A-Z])"', SOURCES)) - {"OTEL_EXPORTER_OTLP"}
    told = set(re.findall(r"`(OTEL_[A-Z_]+[A-Z])`", PAGES["docs/traces.md"]))
    of_metrics = set(re.findall(r"`(OTEL_[A-Z_]+[A-Z])`", PAGES["docs/metrics.md"]))
    made = {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_HEADERS"}

    assert sorted(read - told - of_metrics) == []
    assert sorted(told - read - made - {"OTEL_PROPAGATORS"}) == []  # the API reads that one


@pytest.mark.parametrize("page", PAGES)
def test_each_command_of_a_page_takes_what_it_is_given(page):
    """Its name is a command's, and its flags are that command's."""
    wrong = []
    for line in "\n".join(code(page)).splitlines():
        found = re.search(r"(?:^|\s)turnspan ([a-z]+)\b(.*)", line.partition("#")[0])
        if found is None or line.lstrip().startswith(("from ", "import ", "class ", "def ")):
            continue
        parser = parsers().get(found[1])
        flags = re.findall(r"(?<=\s)--?[a-z][a-z-]*", found[2])
        taken = parser._option_string_actions if parser else {}
        wrong += [line.strip()] * (parser is None or not set(flags) <= set(taken))

    assert wrong == []


@pytest.mark.parametrize("page", PAGES)
def test_each_option_that_a_page_gives_is_one(page):
    """To `configure`, that is; what it takes beside options is in its signature."""
    known = {option.name for option in options()} | {"policy"}
    calls = re.findall(
        r"configure\(((?:[^()]|\((?:[^()]|\([^()]*\))*\))*)\)", "\n".join(code(page))
    )
    given = {name for call in calls for name in re.findall(r"(?:^|,)\s*(\w+)=", bare(call))}

    assert sorted(given - known) == []


def bare(call: str) -> str:
    """``call`` without what stands in brackets, whose commas are not its own."""
    while call != (call := re.sub(r"\([^()]*\)|\[[^\[\]]*\]|\{[^{}]*\}", "", call)):
        pass
    return call


@pytest.mark.parametrize("page", PAGES)
def test_each_name_of_ours_on_a_page_exists(page):
    """As a module, class or function, or as a word that turnspan writes."""
    text = "\n".join(code(page))
    dotted = set(re.findall(r"(?<![\w./-])turnspan(?:_langchain)?(?:\.[A-Za-z_]\w*)+", text))

    assert sorted(name for name in dotted if not exists(name.removesuffix(".NAME"))) == []


def exists(dotted: str) -> bool:
    """Whether ``dotted`` can be imported, or stands in the sources as a text."""
    if dotted.startswith("turnspan_langchain") and not find_spec("turnspan_langchain"):
        return True  # not installed with the lowest versions
    return f'"{dotted}' in SOURCES or f"`{dotted}`" in SOURCES or _imported(dotted)


def _imported(dotted: str) -> bool:
    *modules, last = dotted.split(".")
    try:
        found: Any = import_module(".".join(modules))
    except ImportError:
        return len(modules) > 1 and hasattr(_attribute(modules), last)
    return hasattr(found, last) or find_spec(dotted) is not None


def _attribute(names: list[str]) -> Any:
    try:
        return getattr(import_module(".".join(names[:-1])), names[-1], None)
    except ImportError:
        return None


def test_a_name_that_is_not_there_is_noticed():
    """The comparisons can fail."""
    assert [exists(f"turnspan.{name}") for name in ("configure", "schema.Turn", "nonsense")] == [
        True,
        True,
        False,
    ]
    assert bare("exporters=[a(b=1), c], spans='own'") == "exporters=, spans='own'"
    assert [found for page in PAGES for found in code(page) if "turnspan drain" in found]
