"""The demo, and the examples with LangChain, as the tools show them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from backends.server import eventually
from backends.shown import value_of

ROOT = Path(__file__).parents[2]
EVERYWHERE = Path(__file__).with_name("everywhere")
PROGRAMS = {
    path.stem: path
    for path in sorted((ROOT / "examples").glob("*.py"))
    if "turnspan_langchain" in path.read_text("utf-8")
}
SHOWN_KINDS = ("agent", "model", "tool")  # a tool has words of its own for the others


def told(turn):
    """What a recorded turn says, in the words of `shown`."""
    steps = turn.get("steps", ())
    return {
        "session": turn.get("session_id"),
        "agent": f"invoke_agent {turn['agent']['name']}",
        "failed": turn.get("status") == "error",
        "input": value_of((turn.get("input") or {}).get("content")),
        "output": value_of((turn.get("output") or {}).get("content")),
        "kinds": sorted(step["kind"] for step in steps if step["kind"] in SHOWN_KINDS),
        "steps": len(steps),
    }


def plain(said):
    """A tool hands JSON out as text or as what it is."""
    return value_of(said) if isinstance(said, str) else said


def shown(turn):
    """What a tool shows of it."""
    return {
        "session": turn.session,
        "agent": turn.name,
        "failed": turn.failed,
        "input": plain(turn.given),
        "output": plain(turn.answer),
        "kinds": sorted(step.kind for step in turn.steps if step.kind in SHOWN_KINDS),
        "steps": len(turn.steps),
    }


def seen(tool, turns):
    """What ``tool`` shows of the recorded ``turns``, as soon as that is what they say."""
    wanted = [told(turn) for turn in turns]
    ids = [turn["trace"]["trace_id"] for turn in turns]

    def found():
        return [shown(turn) for turn in tool.traces(ids)]

    eventually(lambda: found() == wanted)
    return found(), wanted


@pytest.mark.parametrize("name", PROGRAMS)
def test_an_example_with_langchain_is_shown_as_it_was_recorded(name, tool, run_for, tmp_path):
    """Sessions, input, output, models and tools of each turn, of its child processes too."""
    recorded = tmp_path / "recorded.ndjson"
    env = {"PYTHONPATH": str(EVERYWHERE), "RECORDED": str(recorded)}
    run_for(PROGRAMS[name], tool=tool, folder=tmp_path, env=env)
    found, wanted = seen(tool, list(map(json.loads, recorded.read_text("utf-8").splitlines())))

    assert wanted
    assert found == wanted


def test_the_demo_is_shown_as_it_was_recorded(tool, run_for, tmp_path):
    """Three turns of one session, the last of which failed."""
    said = run_for("-m", "turnspan", "demo", "--json", tool=tool, folder=tmp_path)
    found, wanted = seen(tool, list(map(json.loads, said.splitlines())))

    assert [turn["failed"] for turn in wanted] == [False, False, True]
    assert {turn["session"] for turn in wanted} == {"demo"}
    assert found == wanted
