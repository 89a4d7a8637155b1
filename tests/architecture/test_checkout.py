"""The files of the repository: what they may not say, and what the docs must."""

from __future__ import annotations

import ast
import json
import re
import runpy
import subprocess
import sys
import tomllib
from typing import get_args

import jsonschema
import pytest
from packaging.requirements import Requirement

from turnspan.schema import (
    Agent,
    Content,
    ContentType,
    Status,
    Step,
    StepKind,
    Trace,
    Turn,
    encode_turn,
)
from turnspan.settings import options

# Put together here, so that this file doesn't contain what it looks for.
PATHS = ["/" + place + "/" for place in ("work", "root", "home", "opt/wheels")]
HOSTS = [name + ".org" for name in ("pypi", "pythonhosted")] + ["npmjs" + ".com", "npmjs" + ".org"]

# Frameworks that turnspan must live beside pin these (resolved 2026-11).
LANES = [
    ("pydantic", "2.11.9"), ("pydantic", "2.12.5"), ("pydantic", "2.14.3"),
    ("opentelemetry-api", "1.39.0"), ("opentelemetry-api", "1.44.0"),
    ("opentelemetry-api", "1.45.2"), ("httpcore", "1.0.9"),
]  # fmt: skip


@pytest.fixture(scope="module")
def project(house):
    return tomllib.loads((house.root / "pyproject.toml").read_text(encoding="utf-8"))


def test_no_file_names_a_place_of_one_machine(house):
    """A path or a registry that is true on one machine has no business in the repository."""
    files = house.tracked()
    wanted = re.compile("|".join(map(re.escape, PATHS + HOSTS)))
    found = [
        f"{house.where(path)}: {match[0]}"
        for path in files
        for match in [wanted.search(path.read_text(encoding="utf-8", errors="ignore"))]
        if match
    ]

    assert house.root / "pyproject.toml" in files
    assert found == []


def test_no_file_of_a_run_is_tracked(house):
    """Environments, journals and caches stay out."""
    names = [house.where(path) for path in house.tracked()]
    made = re.compile(r"(^|/)(\.venv|\.nox|\.turnspan|__pycache__|\.coverage|dist)")

    assert "Makefile" in names
    assert [name for name in names if made.search(name)] == []


def test_the_generated_pages_are_current(house):
    """`make docs` would change nothing."""
    pages = runpy.run_path(str(house.root / "docs" / "generate.py"))["pages"]()
    stale = [path.name for path, text in pages.items() if path.read_text("utf-8") != text]

    assert sorted(path.name for path in pages) == [
        "cli.md",
        "feedback.schema.json",
        "settings.md",
        "turn.schema.json",
    ]
    assert stale == []


def test_each_option_has_its_row(house):
    """The page shows every option with its variable, once."""
    page = (house.root / "docs" / "settings.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(\w+)` \| `(\w+)` \|", page, re.MULTILINE)

    assert rows == [(option.name, option.env) for option in options()]


def test_a_turn_on_the_wire_obeys_the_published_schema(house):
    """What we write is what docs/turn.schema.json describes, and nonsense is not."""
    schema = json.loads((house.root / "docs" / "turn.schema.json").read_text(encoding="utf-8"))
    trace = Trace(trace_id="0" * 31 + "1", span_id="0" * 15 + "2")
    step = Step(id="0" * 15 + "3", kind="tool", name="look", started_at=2, ended_at=3)
    turn = Turn(
        id="turn_000000000001",
        agent=Agent(name="teller"),
        input=Content(content="hello"),
        started_at=1,
        ended_at=4,
        steps=(step,),
        trace=trace,
    )
    checker = jsonschema.Draft202012Validator(schema)
    wire = json.loads(encode_turn(turn))

    checker.check_schema(schema)
    assert [error.message for error in checker.iter_errors(wire)] == []
    assert [error.validator for error in checker.iter_errors({**wire, "status": "fine"})] == [
        "enum"
    ]


@pytest.mark.parametrize(
    "words", [ContentType, Status, StepKind], ids=["content", "status", "kind"]
)
def test_each_word_of_the_schema_is_in_the_glossary(words, house):
    """Whoever meets a word in a turn finds it explained."""
    glossary = (house.root / "docs" / "glossary.md").read_text(encoding="utf-8")

    assert get_args(words)
    assert [word for word in get_args(words) if f"`{word}`" not in glossary] == []


def test_each_decision_is_numbered_listed_and_whole(house):
    """A decision has its four parts, and the index names it by its title."""
    folder = house.root / "docs" / "decisions"
    pages = sorted(folder.glob("[0-9]*.md"))
    parts = ["## Context", "## Decision", "## Consequences", "## Rejected"]
    index = (folder / "README.md").read_text(encoding="utf-8")

    assert [int(page.name[:4]) for page in pages] == list(range(1, len(pages) + 1))
    assert len(pages) >= 8
    for page in pages:
        lines = page.read_text(encoding="utf-8").splitlines()
        assert [line for line in lines if line.startswith("## ")] == parts, page.name
        number, _, title = lines[0].removeprefix("# ").partition(": ")
        assert number == page.name[:4]
        assert f"| [{number}]({page.name}) | {title} |" in index


def test_each_fragment_names_its_reader(house, project):
    """A line of the changelog begins with whom it is for, and its type is a known one."""
    fragments = [p for p in (house.root / "changelog.d").iterdir() if p.name != "README.md"]
    known = {each["directory"] for each in project["tool"]["towncrier"]["type"]}
    nobody = [
        path.name
        for path in fragments
        if not re.match(r"\[(user|plugin author)\] \S", path.read_text(encoding="utf-8"))
    ]

    assert known == {"added", "changed", "fixed", "removed"}
    assert nobody == []
    assert [p.name for p in fragments if p.name.split(".")[1] not in known] == []


def bounds(project) -> dict[str, Requirement]:
    extras = project["project"]["optional-dependencies"]
    lines = [
        *project["project"]["dependencies"],
        *(line for each in extras.values() for line in each),
    ]
    return {found.name: found for found in map(Requirement, lines)}


@pytest.mark.parametrize("name, version", LANES)
def test_the_bounds_admit_the_versions_of_every_framework(name, version, project):
    """Nobody has to choose between turnspan and their framework."""
    assert bounds(project)[name].specifier.contains(version)


def test_every_dependency_has_a_lower_bound_and_no_upper_one(project):
    """What is tested is the lowest; what is newer is nobody's to forbid."""
    operators = {
        name: [each.operator for each in found.specifier] for name, found in bounds(project).items()
    }

    assert set(operators) >= {
        "certifi", "httpcore", "opentelemetry-api", "orjson", "pydantic", "rich",
    }  # fmt: skip
    assert {name: [">="] for name in operators} == operators


def test_each_python_that_is_promised_is_tested(house, project):
    """nox has a session for each, and skips one that is not here; none is downloaded."""
    promised = [
        line.rsplit(" ", 1)[1]
        for line in project["project"]["classifiers"]
        if re.search(r"Python :: 3\.\d+$", line)
    ]
    pytest.importorskip("nox", reason="nox runs these tests in an environment without itself")
    command = [sys.executable, "-m", "nox", "--list-sessions", "--json"]
    listed = subprocess.run(command, cwd=house.root, capture_output=True, check=True, text=True)
    sessions = {each["session"]: each["python"] for each in json.loads(listed.stdout)}
    tested = {f"tests-{version}": version for version in promised}

    assert sessions == {**tested, "lowest": None, "frameworks": None}
    assert project["project"]["requires-python"] == f">={promised[0]}"


def test_each_target_says_what_it_makes(house):
    """`make help` leaves no target out."""
    makefile = (house.root / "Makefile").read_text(encoding="utf-8")
    phony = re.search(r"^\.PHONY: (help .*)$", makefile, re.MULTILINE)
    said = re.findall(r"^([a-z-]+):.*## \S", makefile, re.MULTILINE)

    assert phony
    assert sorted(phony[1].split()) == sorted(said)


def seen_by_plugins(house) -> list[tuple[str, str]]:
    """Every module of turnspan that a plugin imports, and where."""
    paths = sorted(house.root.glob("integrations/*/src/**/*.py"))
    found = []
    for path, node in house.nodes(paths):
        if isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.append((house.where(path, node), node.module))
        elif isinstance(node, ast.Import):
            found += [(house.where(path, node), alias.name) for alias in node.names]
    return [(where, name) for where, name in found if name.split(".")[0] == "turnspan"]


def test_plugins_see_only_what_is_for_them(house):
    """A plugin stands on public names, the schema and `turnspan.integrations`."""
    allowed = re.compile(r"turnspan(\.(schema|integrations)(\.[a-z]\w*)*)?$")
    found = seen_by_plugins(house)

    assert found
    assert [f"{where}: {name}" for where, name in found if not allowed.match(name)] == []


def test_each_plugin_is_whole(house):
    """A plugin has its project file, its typed package and its tests, and depends on turnspan."""
    folders = [path for path in (house.root / "integrations").iterdir() if path.is_dir()]

    assert folders
    for folder in folders:
        package = f"turnspan_{folder.name}"
        project = tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))["project"]
        assert project["name"] == f"turnspan-{folder.name}"
        assert "turnspan" in {Requirement(line).name for line in project["dependencies"]}
        assert (folder / "src" / package / "py.typed").exists()
        assert list(folder.glob("tests/**/test_*.py"))
