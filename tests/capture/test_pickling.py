"""Decorated functions travel: pickled by name, by value, and into other processes."""

from __future__ import annotations

import copy
import multiprocessing
import pickle
import sys
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import cloudpickle
import pytest

import turnspan

sys.path.insert(0, str(Path(__file__).parent))
import pool_program

FUNCTIONS = [
    pool_program.ask, pool_program.ask_later, pool_program.tell, pool_program.tell_later,
    pool_program.Desk.method, pool_program.Desk().method,
]  # fmt: skip


@pytest.mark.parametrize("fn", FUNCTIONS, ids=lambda fn: fn.__qualname__)
@pytest.mark.parametrize("module", [pickle, cloudpickle], ids=lambda module: module.__name__)
def test_a_decorated_function_of_a_module_is_pickled_by_its_name(fn, module):
    """It comes back as itself, or bound to an object like its own."""
    back = pickle.loads(module.dumps(fn))

    assert getattr(back, "__func__", back) is getattr(fn, "__func__", fn)
    assert copy.copy(pool_program.ask) is pool_program.ask
    assert copy.deepcopy(pool_program.tell) is pool_program.tell


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_process_pools_take_decorated_functions(method, monkeypatch, tmp_path):
    """However their processes begin; what they answer is what the functions return."""
    monkeypatch.setenv("TURNSPAN_DIR", str(tmp_path))
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent))
    context = multiprocessing.get_context(method)
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        found = [
            pool.submit(pool_program.ask, "why").result(30),
            pool.submit(pool_program.told, "a").result(30),
            pool.submit(pool_program.Desk().method, "b").result(30),
            pool.submit(pool_program.desk, "c").result(30),
        ]

    assert found == ["why, wet", ["a", "."], "b", "c"]


def local_ones():
    tone = "dry"

    @turnspan.tool(metadata={"cost": {"n": 1}}, description="Finds.")
    def look_up(key):
        return f"{key}, {tone}"

    @turnspan.agent(state=lambda: {"n": 1}, reasoning=lambda said: f"because {said}")
    def ask(question):
        return look_up(question)

    @turnspan.agent
    async def ask_later(question):
        return look_up(question)

    @turnspan.agent
    def tell(question):
        yield look_up(question)

    @turnspan.agent
    async def tell_later(question):
        yield look_up(question)

    class Answering:
        def __call__(self, question):
            return look_up(question)

    return ask, ask_later, tell, tell_later, turnspan.agent(Answering())


PROGRAM = """
import asyncio, pickle, sys
import turnspan
from turnspan.exporters.memory import MemoryExporter

memory = MemoryExporter()
turnspan.configure(exporters=[memory], directory=None)
ask, ask_later, tell, tell_later, answering = pickle.loads(sys.stdin.buffer.read())


async def read():
    return [item async for item in tell_later("d")]


print([ask("a"), asyncio.run(ask_later("b")), *tell("c"), *asyncio.run(read()), answering("e")])
print([turn.output.content for turn in memory.turns])
print(memory.turns[0].steps[0].metadata, memory.turns[0].reasoning, memory.turns[0].state_after)
"""


def test_local_functions_are_cloudpickled_by_value(tape, tmp_path):
    """Nothing of ours goes with them but names: in another process they record there."""
    import subprocess

    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", PROGRAM],
        input=cloudpickle.dumps(local_ones()),
        capture_output=True,
        cwd=tmp_path,
        timeout=240,
        check=False,
    )
    answers = [f"{name}, dry" for name in "abcde"]

    assert done.stderr == b""
    assert done.stdout.decode().splitlines() == [
        str(answers), str(answers), "{'cost': {'n': 1}} because a, dry {'n': 1}",
    ]  # fmt: skip
