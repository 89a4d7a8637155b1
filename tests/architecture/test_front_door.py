"""The names people import, and what importing them costs."""

from __future__ import annotations

import ast
import importlib
import json
import subprocess
import sys
from pathlib import Path

import pytest

import turnspan

SRC = Path(turnspan.__file__).parents[1]
PROMISED = {
    "agent", "aflush", "carry", "close", "configure", "current_step", "current_turn", "feedback",
    "flush", "health", "model", "read", "retrieval", "session", "step", "tool", "turn",
}  # fmt: skip
HEAVY = {
    "asyncio", "httpcore", "httpx", "importlib.metadata", "opentelemetry", "orjson", "pydantic",
    "rich",
}  # fmt: skip

# Runs a statement in a fresh interpreter and tells what it did besides.
PROBE = """
import _thread, json, os, sys

ours, statement = sys.argv[1], sys.argv[2]
did = {"threads": [], "environment": [], "files": [], "modules": []}


class Environ(type(os.environ)):
    def __init__(self, real):
        self.__dict__.update(real.__dict__)

    def __getitem__(self, key):
        note(key)
        return super().__getitem__(key)

    def __iter__(self):
        note("*")
        return super().__iter__()


def note(key):
    frame = sys._getframe(2)
    while frame is not None:
        if frame.f_code.co_filename.startswith(ours):
            did["environment"].append(key)
            return
        frame = frame.f_back


def watch(event, args):
    if event in ("open", "os.mkdir", "os.open") and isinstance(args[0], (str, bytes)):
        path = os.fsdecode(args[0])
        if not path.endswith((".py", ".pyc", ".so", ".pyi")):
            did["files"].append(path)
    if event.startswith(("socket.", "subprocess.", "os.system", "os.fork")):
        did["files"].append(event)


def counted(start):
    def started(*args, **kwargs):
        did["threads"].append(start.__name__)
        return start(*args, **kwargs)

    return started


# Python 3.11 raises no audit event for a thread, 3.13 starts them another way.
for name in ("start_new_thread", "start_joinable_thread"):
    if hasattr(_thread, name):
        setattr(_thread, name, counted(getattr(_thread, name)))
assert "threading" not in sys.modules, "imported too early to be watched"

before = set(sys.modules)
os.environ = Environ(os.environ)
sys.addaudithook(watch)
exec(statement)
did["modules"] = sorted(set(sys.modules) - before)
print(json.dumps(did))
"""


def told(statement: str, ours: str, *, path: str = "") -> dict[str, list[str]]:
    """What ``statement`` did; reading the environment counts where a file under ``ours`` did."""
    command = [sys.executable, "-B", "-c", PROBE, ours, statement]  # -B: writes no bytecode
    extra = {"PYTHONPATH": path} if path else {}
    done = subprocess.run(
        command, capture_output=True, text=True, check=True, env={"PATH": "/usr/bin:/bin", **extra}
    )
    return json.loads(done.stdout.splitlines()[-1])


def lazy_packages() -> list[str]:
    """Every package that loads its names on first use."""
    found = {"turnspan"}
    for path in Path(turnspan.__file__).parent.rglob("__init__.py"):
        if "lazy_names(" in path.read_text(encoding="utf-8"):
            found.add(".".join(path.parent.relative_to(SRC).parts))
    return sorted(found)


@pytest.mark.parametrize("package", lazy_packages())
def test_a_lazy_package_offers_what_it_declares(package):
    """`__all__`, the table of homes and the imports for type checkers are one list."""
    module = importlib.import_module(package)
    tree = ast.parse(Path(module.__file__).read_text(encoding="utf-8"))
    typed = {
        (alias.asname or alias.name, node.module)
        for block in tree.body
        if isinstance(block, ast.If)
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    homes = module._HOMES
    offered = [name for name in module.__all__ if name in homes or name not in vars(module)]

    assert sorted(offered) == sorted(homes)
    assert sorted(set(homes.items()) - typed) == []
    assert [name for name in module.__all__ if getattr(module, name, None) is None] == []


def test_the_front_door_keeps_its_promises():
    """The names that other people's code relies on are there."""
    assert sorted(PROMISED - set(turnspan.__all__)) == []


def test_no_module_carries_the_name_of_a_public_verb(house):
    """Importing `turnspan.model` as a module would rebind the decorator of that name."""
    rooms = {path.stem for path in house.src.iterdir() if not path.stem.startswith("_")}

    assert "schema" in rooms
    assert sorted(rooms & set(turnspan.__all__)) == []


def test_an_unknown_name_is_an_attribute_error():
    """Lazy names fail the way plain ones do."""
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        turnspan.nonsense  # noqa: B018  # the access is the test


def heavy(modules: list[str]) -> list[str]:
    return sorted(each for each in HEAVY if each in modules)


def test_the_import_touches_nothing(house):
    """`import turnspan` starts no thread, reads no environment and no file but its modules."""
    did = told("import turnspan", str(house.src))

    assert "turnspan" in did["modules"]
    assert heavy(did["modules"]) == []
    assert (did["threads"], did["environment"], did["files"]) == ([], [], [])


def test_decorating_a_function_touches_nothing(house):
    """Neither does a decorator: what is heavy waits for the first call."""
    did = told("import turnspan\n@turnspan.agent\ndef f(x): return x", str(house.src))

    # The encoder may come: capture is built on it, and it takes a tenth of what OpenTelemetry does.
    assert set(heavy(did["modules"])) <= {"orjson"}
    # An older encoder asks where time zones are kept; our own variables wait for the first call.
    ours = [name for name in did["environment"] if name.startswith(("TURNSPAN", "OTEL"))]
    assert (did["threads"], ours, did["files"]) == ([], [], [])


def test_the_probe_sees_what_it_looks_for(tmp_path):
    """A module that does all of it is caught at all of it."""
    (tmp_path / "rude.py").write_text(
        "import asyncio, os, threading\n"
        "threading.Thread(target=int).start()\n"
        "os.environ.get('RUDE')\n"
        "open(os.devnull)\n"
    )
    did = told("import rude", str(tmp_path), path=str(tmp_path))

    assert "asyncio" in did["modules"]
    assert len(did["threads"]) == 1
    assert did["environment"] == ["RUDE"]
    assert did["files"] == ["/dev/null"]
