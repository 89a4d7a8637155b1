"""What modules, functions and tests are called, and what they say of themselves."""

from __future__ import annotations

import ast
import importlib
import inspect
import pkgutil
import re
from types import ModuleType

import pytest

import turnspan

NOTHING_SAID = {"base", "common", "helper", "helpers", "manager", "misc", "util", "utils"}
TEST_TOOLS = re.compile(r"\b(unittest|pytest|mock)\b")


def modules() -> list[str]:
    """Every module that can be imported, `__main__` aside, for importing it runs it."""
    found = pkgutil.walk_packages(turnspan.__path__, "turnspan.")
    return ["turnspan", *(info.name for info in found if not info.name.endswith("__main__"))]


def test_no_module_has_a_name_that_says_nothing(house):
    """A module is named for the noun it serves."""
    named = {path: path.stem.strip("_") for path in house.sources()}

    assert house.src / "settings.py" in named
    assert [house.where(path) for path, name in named.items() if name in NOTHING_SAID] == []
    assert [house.where(p) for p, name in named.items() if name != name.lower()] == []


def test_every_room_is_a_package(house):
    """No folder of the source is a namespace package by accident."""
    folders = {path.parent for path in house.sources()}

    assert house.src / "schema" in folders
    assert [house.where(f) for f in folders if not (f / "__init__.py").exists()] == []


def test_only_the_command_line_prints(house):
    """A library that prints writes into somebody else's output."""
    calls = [
        (path, node) for path, node in house.nodes(house.sources()) if isinstance(node, ast.Call)
    ]
    prints = [
        house.where(path, node)
        for path, node in calls
        if isinstance(node.func, ast.Name)
        and node.func.id == "print"
        and house.src / "cli" not in path.parents
    ]

    assert calls
    assert prints == []


def test_what_is_shipped_names_no_test_tool(house):
    """Production code knows nothing of pytest; `turnspan.testing` is there for that."""
    here = [path for path in house.sources() if house.src / "testing" not in path.parents]
    found = [house.where(p) for p in here if TEST_TOOLS.search(p.read_text(encoding="utf-8"))]

    assert here
    assert found == []


def test_every_test_says_its_claim_in_a_sentence(house):
    """A failing test tells what no longer holds, without reading its code."""
    tests = [
        (path, node)
        for path, node in house.nodes(house.tests())
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.name.startswith("test_")
    ]
    silent = [house.where(path, node) for path, node in tests if not ast.get_docstring(node)]

    assert tests
    assert silent == []


def public(module: ModuleType) -> dict[str, object]:
    """What ``module`` declares public, by name."""
    return {name: getattr(module, name) for name in getattr(module, "__all__", ())}


def own_docstring(thing: object) -> str | None:
    """The docstring written for ``thing``: neither inherited nor made by `dataclass`."""
    doc = vars(thing).get("__doc__") if inspect.isclass(thing) else inspect.getdoc(thing)
    if doc and inspect.isclass(thing) and doc.startswith(f"{thing.__name__}("):
        return None
    return doc


@pytest.mark.parametrize("name", modules())
def test_every_public_name_is_documented(name):
    """A module says what it is for, and each name in `__all__` what it does, briefly first."""
    module = importlib.import_module(name)
    things = {
        f"{name}.{each}": thing
        for each, thing in public(module).items()
        if inspect.isclass(thing) or inspect.isroutine(thing)
    }
    docs = {name: module.__doc__} | {each: own_docstring(it) for each, it in things.items()}

    assert [each for each, doc in docs.items() if not doc] == []
    assert [each for each, doc in docs.items() if doc and len(doc.splitlines()[0]) > 88] == []


def test_the_public_surface_is_not_empty():
    """The test above has something to look at."""
    found = [each for name in modules() for each in public(importlib.import_module(name))]

    assert len(found) > 40
