"""What a turn measures is what its spans show, under the names of the conventions."""

import json
import time
from pathlib import Path

import pytest

from turnspan.telemetry.attributes import step_facts
from turnspan.telemetry.instruments import ALL
from turnspan.telemetry.measurements import measurements

CONVENTIONS = json.loads((Path(__file__).parent / "genai_metrics.json").read_text())["metrics"]
MODEL = {
    "gen_ai.operation.name": "chat",
    "gen_ai.provider.name": "openai",
    "gen_ai.request.model": "gpt-5",
    "gen_ai.response.model": "gpt-5-2026",
}
COUNTED = {**MODEL, "gen_ai.token.modality": "unknown"}
USED = "gen_ai.client.inference.usage"


def measured(turn):
    return [(each.name, value, dict(of), span) for each, value, of, span in measurements(turn)]


def named(turn, name):
    return [each[1:] for each in measured(turn) if each[0] == name]


@pytest.mark.parametrize("instrument", ALL, ids=lambda each: each.name)
def test_each_instrument_is_as_the_conventions_have_it(instrument):
    """Unit, kind, buckets and type of value."""
    known = CONVENTIONS[instrument.name]

    assert {
        "unit": instrument.unit,
        "instrument": "histogram" if instrument.boundaries else "counter",
        "buckets": list(instrument.boundaries) or None,
        "type": "int" if instrument.is_whole else "double",
    } == {
        "unit": known["unit"],
        "instrument": known["instrument"],
        "buckets": known.get("bucket_boundaries"),
        "type": known["value_type"],
    }


def test_a_turn_measures_itself_its_tools_and_its_models(wire, steps):
    """Every value, with its attributes and its span."""
    agent, tool = {"gen_ai.agent.name": "support"}, {"gen_ai.tool.name": "weather"}
    turn = wire(steps=[steps.model(first_chunk_at=1_700_000_000_000_000_200), steps.tool()])

    assert measured(turn) == [
        ("gen_ai.invoke_agent.duration", 900 / 1e9, agent, "a" * 16),
        ("gen_ai.invoke_agent.inference_calls", 1, agent, "a" * 16),
        ("gen_ai.invoke_agent.tool_calls", 1, agent, "a" * 16),
        ("gen_ai.client.inference.duration", 300 / 1e9, MODEL, "b" * 16),
        ("gen_ai.client.inference.time_to_first_chunk", 100 / 1e9, MODEL, "b" * 16),
        ("gen_ai.client.inference.operation.input_tokens", 40, MODEL, "b" * 16),
        ("gen_ai.client.inference.operation.output_tokens", 12, MODEL, "b" * 16),
        (f"{USED}.input_tokens", 40, COUNTED, "b" * 16),
        (f"{USED}.output_tokens", 12, COUNTED, "b" * 16),
        (f"{USED}.cache_read.input_tokens", 8, COUNTED, "b" * 16),
        (f"{USED}.cache_write.input_tokens", 4, COUNTED, "b" * 16),
        (f"{USED}.reasoning.output_tokens", 5, COUNTED, "b" * 16),
        (
            "gen_ai.execute_tool.duration",
            250 / 1e9,
            {**tool, **agent, "gen_ai.tool.type": "function"},
            "c" * 16,
        ),
    ]


def test_only_attributes_of_the_conventions_are_on_them_and_all_required_ones(wire, steps):
    """Over every kind of step, known and unknown, well and failed."""
    error = {"type": "TimeoutError", "message": "too slow"}
    kinds = [
        {"model": None, "usage": None},
        {"status": "error", "error": error},
        {"model": {"operation": "embeddings"}, "usage": {"input_tokens": 3}},
        {"model": {"operation": "fetch_response"}},
        {"kind": "retrieval", "name": "docs"},
        {"kind": "agent", "name": "helper", "status": "error", "error": error},
        {"kind": "step", "name": "plain"},
    ]
    made = [
        {k: v for k, v in steps.model(id=f"{n:016x}", **kind).items() if v is not None}
        for n, kind in enumerate(kinds)
    ]
    seen = measured(wire(steps=[*made, steps.tool(tool=None, status="error", error=error)]))

    assert {name for name, *_ in seen} >= {
        "gen_ai.client.embeddings.duration",
        "gen_ai.client.embeddings.operation.input_tokens",
        "gen_ai.client.operation.duration",
    }
    for name, _, attributes, _ in seen:
        known = CONVENTIONS[name]["attributes"]
        required = {key for key, level in known.items() if level == "required"}
        assert required <= attributes.keys() <= known.keys(), name


@pytest.mark.parametrize(
    "status, told", [("ok", None), ("error", "ValueError"), ("paused", None), ("abandoned", None)]
)
def test_a_failure_is_told_of_its_duration_as_of_its_span(wire, steps, status, told):
    """`error.type` stands where the span has it."""
    error = {"type": "ValueError"} if status == "error" else None
    step = steps.tool(status=status, error=error)
    turn = wire(status=status, error=error, steps=[step])
    facts = step_facts(step, turn, agent="support", content=False)
    found = {name: of for name, _, of, _ in measured(turn) if name.endswith("duration")}

    assert {of.get("error.type") for of in found.values()} == {told}
    assert facts.attributes.get("error.type") == told


def test_calls_are_an_agents_own(wire, steps):
    """A nested agent's calls are not those of the agent that called it; failed ones count."""
    inner = {"kind": "agent", "name": "helper", "agent": {"name": "helper"}}
    turn = wire(
        steps=[
            steps.tool(id="1" * 16, parent_id="2" * 16, status="error"),
            steps.tool(id="3" * 16, parent_id="1" * 16),
            steps.model(id="2" * 16, parent_id="4" * 16, usage=None, **inner),
            steps.tool(id="4" * 16),
            steps.model(id="5" * 16, model={"operation": "embeddings"}),
            steps.model(id="6" * 16),
        ]
    )
    own, nested = {"gen_ai.agent.name": "support"}, {"gen_ai.agent.name": "helper"}

    assert named(turn, "gen_ai.invoke_agent.tool_calls") == [
        (1, own, "a" * 16),
        (2, nested, "2" * 16),
    ]
    assert named(turn, "gen_ai.invoke_agent.inference_calls") == [
        (1, own, "a" * 16),
        (0, nested, "2" * 16),
    ]
    tools = named(turn, "gen_ai.execute_tool.duration")
    assert [of["gen_ai.agent.name"] for _, of, _ in tools] == ["helper", "helper", "support"]


def test_a_tool_that_waits_for_a_person_is_no_call_yet(wire, steps):
    """The turn that resumes it makes the call."""
    turn = wire(status="paused", steps=[steps.tool(status="paused"), steps.tool(id="2" * 16)])

    assert [value for value, *_ in named(turn, "gen_ai.invoke_agent.tool_calls")] == [1]


def test_a_turn_without_steps_measures_no_calls(wire):
    """None made is a value too."""
    found = measured(wire(steps=None))

    assert [(name, value) for name, value, *_ in found] == [
        ("gen_ai.invoke_agent.duration", 900 / 1e9),
        ("gen_ai.invoke_agent.inference_calls", 0),
        ("gen_ai.invoke_agent.tool_calls", 0),
    ]


def test_steps_under_each_other_are_their_turns_own(wire, steps):
    """A damaged line may hold a cycle; it is measured all the same."""
    first, second, helper = "1" * 16, "2" * 16, "3" * 16
    turn = wire(
        steps=[
            steps.tool(id=first, parent_id=second),
            steps.tool(id=second, parent_id=first),
            steps.tool(id=helper, parent_id=helper, kind="agent"),
        ]
    )

    assert [value for value, _, _ in named(turn, "gen_ai.invoke_agent.tool_calls")] == [2, 0]


def test_steps_that_are_nested_deep_are_looked_through_once(wire, steps):
    """However deep they go: the thread that measures is one of the program's."""
    deep = [
        steps.tool(id=f"{n:016x}", parent_id=f"{n - 1:016x}" if n > 1 else "a" * 16)
        for n in range(1, 16_001)
    ]
    helper = steps.tool(id="a" * 16, kind="agent", name="helper")
    started_s = time.process_time()
    calls = named(wire(steps=[helper, *reversed(deep)]), "gen_ai.invoke_agent.tool_calls")

    assert [value for value, _, _ in calls] == [0, 16_000]
    assert time.process_time() - started_s < 2
