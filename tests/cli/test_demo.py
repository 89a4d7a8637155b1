"""`demo`: a newcomer sees an agent's conversation as turns."""

import json
from importlib.metadata import entry_points

import pytest

from turnspan.cli import demo

POINTS = """[turnspan.demos]
aa_first = a_demo:hold
zz_broken = a_demo:missing
"""
A_DEMO = """
import turnspan

@turnspan.agent(name="offered")
def answer(text):
    return text

def hold():
    answer("hello")
"""


@pytest.fixture
def offered(tmp_path, monkeypatch):
    """A package beside that offers demos."""
    monkeypatch.syspath_prepend(tmp_path / "site")
    info = tmp_path / "site" / "a_demo-1.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: a-demo\nVersion: 1\n")
    (info / "entry_points.txt").write_text(POINTS)
    (tmp_path / "site" / "a_demo.py").write_text(A_DEMO)


def test_three_turns_in_one_session_with_two_real_tools(call, tmp_path):
    """The last one fails on purpose, and the exit status is 0 all the same."""
    said = call("demo", "decorators", "--json")
    turns = said.lines
    steps = [(step["kind"], step["name"], step["status"]) for step in turns[2]["steps"]]
    results = [
        json.loads(step["output"]["content"])
        for step in turns[0]["steps"]
        if step["name"] == "convert"
    ]

    assert said.status == 0
    assert [(t["session_id"], t["number"], t["status"]) for t in turns] == [
        ("demo", 1, "ok"), ("demo", 2, "ok"), ("demo", 3, "error"),
    ]  # fmt: skip
    assert results == [{"value": 308.2, "unit": "mi"}]
    assert turns[0]["output"]["content"] == "The Bergen Line is 308 miles long."
    assert turns[2]["error"]["message"] == "t is a weight, ft is a length"
    assert steps == [
        ("model", "scripted-1", "ok"), ("tool", "look_up", "ok"),
        ("model", "scripted-1", "ok"), ("tool", "convert", "error"),
    ]  # fmt: skip
    assert all(turn["usage"]["input_tokens"] > 0 for turn in turns)
    assert (tmp_path / ".turnspan" / "journal").is_dir()


def test_it_shows_the_trees_and_says_where_to_go_on(ran):
    """The journal, the commands to look again, a tracing tool, and the LangChain package."""
    said = ran("demo", "decorators", COLUMNS="100")
    last = said.out.split("turnspan show ")[1].split()[0]

    assert (said.status, said.err) == (0, "")
    assert said.out.count("├── input") == 3
    assert "The journal is .turnspan. Look again:" in said.out
    assert "TURNSPAN_EXPORTERS=otlp+http://127.0.0.1:6006 turnspan demo" in said.out
    assert "turnspan-langchain" in said.out
    assert ran("show", last, "--json").json["number"] == 3


def test_it_goes_where_the_environment_says(ran, turns_api, tmp_path):
    """TURNSPAN_DIR and TURNSPAN_EXPORTERS are honoured; the next steps name the directory."""
    said = ran("demo", "decorators", "--dir", "kept", TURNSPAN_EXPORTERS=turns_api.url)

    assert said.status == 0
    assert len(turns_api.ids) == 3
    assert "turnspan tail --dir kept" in said.out
    assert "They were delivered to 1 exporter." in said.out
    assert [path.name for path in tmp_path.iterdir()] == ["kept"]


def test_a_destination_that_is_down_costs_nothing(call, turns_api, monkeypatch):
    """The turns are shown and kept; `turnspan drain` is named, and works."""
    turns_api.be("status", status=503)
    monkeypatch.setenv("TURNSPAN_EXPORTERS", turns_api.url)
    said = call("demo", "decorators")
    turns_api.be("ok")
    drained = call("drain")

    assert said.status == 0
    assert "3 turns could not be delivered yet: `turnspan drain` does it." in said.out
    assert drained.out == f"{turns_api.url}: 3 turns delivered\n"


def test_an_installed_demo_goes_first(offered, call):
    """It needs nothing but an entry point; it is not told to install anything then."""
    said = call("demo", "aa_first")

    assert [point.name for point in entry_points(group=demo.GROUP) if "_" in point.name] == [
        "aa_first", "zz_broken",
    ]  # fmt: skip
    assert said.status == 0
    assert said.out.startswith("offered · ok")
    assert "turnspan-langchain" not in said.out
    assert min(name for name, _ in demo._installed()) == "aa_first"
    assert call("demo").out.startswith("offered · ok")


def test_a_demo_that_cannot_be_had_is_a_mistake(offered, call):
    """Unknown, or not to be loaded: the fix names what there is."""
    unknown, broken = call("demo", "nonsense"), call("demo", "zz_broken")

    assert (unknown.status, broken.status) == (2, 2)
    assert "decorators, aa_first" in unknown.err
    assert "cannot be loaded: AttributeError" in broken.err


def test_where_recording_is_off_it_says_so(call, monkeypatch):
    """There would be nothing to see."""
    monkeypatch.setenv("TURNSPAN_DISABLED", "true")
    said = call("demo")

    assert said.status == 2
    assert "unset TURNSPAN_DISABLED" in said.err
