"""What a LangChain handler costs: who is measured, and that what is measured records."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAMS = Path(__file__).parents[2] / "benchmarks"


def test_every_handler_names_what_it_needs_installed(program):
    """`--make` knows the packages of each peer without importing its adapter."""
    environments = program("environments")
    peers = environments.Environments(PROGRAMS / "langchain_peers", environments.VENVS, ())

    named = {peer: peers.packages(peer)[:1] for peer in peers.known()}

    assert named == {
        "turnspan": ["turnspan"],
        "turnspan_live": ["turnspan"],
        "langfuse": ["langfuse"],
        "langsmith": ["langsmith"],
        "openinference": ["openinference-instrumentation-langchain"],
        "opentelemetry": ["opentelemetry-instrumentation-genai-langchain"],
        "traceloop": ["opentelemetry-instrumentation-langchain"],
    }


def test_each_run_that_is_measured_is_a_turn_that_was_exported(tmp_path):
    """In sync and in async; a process without a handler makes nothing, and nobody complains."""
    pytest.importorskip("turnspan_langchain", reason="the plugin is not installed")
    requests = "".join(json.dumps({"kind": kind, "runs": 3}) + "\n" for kind in ("sync", "async"))
    made = {}
    for handler in (["turnspan"], []):
        done = subprocess.run(
            [sys.executable, str(PROGRAMS / "langchain_peers" / "serve.py"), *handler],
            input=requests,
            cwd=tmp_path,
            env={"PATH": "/usr/bin:/bin", "HOME": str(tmp_path)},
            capture_output=True,
            text=True,
            timeout=120,
            check=True,
        )
        answers = [json.loads(line) for line in done.stdout.splitlines()[1:]]
        made["".join(handler)] = [answer["made"] for answer in answers], done.stderr

    assert made == {"turnspan": ([1.0, 1.0], ""), "": ([0.0, 0.0], "")}
