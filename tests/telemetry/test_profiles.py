"""Keys of vendors stand beside the standard ones, on request."""

from __future__ import annotations

from pathlib import Path

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

import turnspan
from turnspan.errors import SettingsError
from turnspan.telemetry import profiles, vendor_keys
from turnspan.telemetry.attributes import step_facts, turn_facts
from turnspan.telemetry.live import LiveSpans
from turnspan.telemetry.otlp import RequestWriter
from turnspan.telemetry.vendor_keys import Described, add_keys, known_profiles, profiles_named

WHOLE = {"tags": ["beta"], "metadata": {"plan": "pro", "seats": {"n": 3}}}


def added(name, fields, turn, *, content=True):
    """What the profile ``name`` puts on the span of ``fields`` beside the standard keys."""
    if fields is turn:
        facts = turn_facts(turn, content=content)
    else:
        facts = step_facts(fields, turn, agent="support", content=content)
    before = dict(facts.attributes)
    described = Described(fields, turn, before, content)
    add_keys(profiles_named([name]), facts.attributes, described)
    assert {key: facts.attributes[key] for key in before} == before
    told = {key: value for key, value in facts.attributes.items() if key not in before}
    assert told.pop("turnspan.profiled", []) == list(told)
    return told


def test_langsmith_gets_threads_types_tags_and_metadata(wire, steps):
    """Its threads are made of `thread_id`, which every span has."""
    turn = wire(**WHOLE)
    common = {"langsmith.metadata.thread_id": "session-1", "langsmith.metadata.user_id": "user-7"}

    assert added("langsmith", turn, turn) == {
        "langsmith.span.kind": "chain",
        **common,
        "langsmith.span.tags": "beta",
        "langsmith.metadata.plan": "pro",
        "langsmith.metadata.seats": '{"n":3}',
    }
    assert added("langsmith", steps.model(), turn) == {"langsmith.span.kind": "llm", **common}
    assert added("langsmith", steps.tool(), turn) == {"langsmith.span.kind": "tool", **common}


def test_laminar_gets_session_and_user_and_what_was_said(wire, steps):
    """It reads no `gen_ai.*` for these on agents."""
    turn = wire(**WHOLE)
    home = "lmnr.association.properties"
    common = {f"{home}.session_id": "session-1", f"{home}.user_id": "user-7"}

    assert added("laminar", turn, turn) == {
        **common,
        "lmnr.span.input": "Weather in Paris?",
        "lmnr.span.output": "Rain.",
        f"{home}.tags": ["beta"],
        f"{home}.metadata.plan": "pro",
        f"{home}.metadata.seats": '{"n":3}',
    }
    assert added("laminar", steps.model(), turn) == common
    assert added("laminar", steps.tool(kind="step"), turn) == {
        **common,
        "lmnr.span.input": '{"city":"Paris"}',
        "lmnr.span.output": "rain",
    }


def test_langfuse_gets_the_trace_and_types_of_observations(wire, steps):
    """Name, tags, metadata, input and output of the trace stand on its root."""
    turn = wire(**WHOLE)
    common = {"langfuse.session.id": "session-1", "langfuse.user.id": "user-7"}

    assert added("langfuse", turn, turn) == {
        "langfuse.observation.type": "agent",
        **common,
        "langfuse.trace.name": "support",
        "langfuse.trace.input": "Weather in Paris?",
        "langfuse.trace.output": "Rain.",
        "langfuse.trace.tags": ["beta"],
        "langfuse.trace.metadata.plan": "pro",
        "langfuse.trace.metadata.seats": '{"n":3}',
    }
    assert added("langfuse", steps.model(usage={"cost_usd": 0.5}), turn) == {
        "langfuse.observation.type": "generation",
        **common,
        "langfuse.observation.cost_details": '{"total":0.5}',
    }
    assert added("langfuse", steps.tool(kind="retrieval"), turn) == {
        "langfuse.observation.type": "retriever",
        **common,
    }


def test_openinference_gets_kinds_and_everything_in_its_own_words(wire, steps):
    """Messages, tool calls, counts and parameters are flattened as it has them."""
    turn = wire(**WHOLE, tool_definitions=[{"type": "function", "name": "weather"}])
    step = steps.model(input_tools=[[0, 1]])
    called = "llm.output_messages.0.message.tool_calls.0.tool_call"

    assert added("openinference", turn, turn) == {
        "openinference.span.kind": "AGENT",
        "agent.name": "support",
        "tag.tags": ["beta"],
        "metadata": '{"plan":"pro","seats":{"n":3}}',
    }
    assert added("openinference", step, turn) == {
        "openinference.span.kind": "LLM",
        "session.id": "session-1",
        "user.id": "user-7",
        "llm.model_name": "gpt-5-2026",
        "llm.provider": "openai",
        "llm.invocation_parameters": '{"temperature":0,"max_tokens":50,"stop":"END","n":1,"x":{}}',
        "llm.token_count.prompt": 40,
        "llm.token_count.completion": 12,
        "llm.token_count.prompt_details.cache_read": 8,
        "llm.token_count.prompt_details.cache_write": 4,
        "llm.token_count.completion_details.reasoning": 5,
        "llm.token_count.total": 52,
        "llm.tools.0.tool.json_schema": '{"type":"function","name":"weather"}',
        "llm.output_messages.0.message.role": "assistant",
        f"{called}.id": "call_1",
        f"{called}.function.name": "weather",
        f"{called}.function.arguments": '{"city":"Paris"}',
        "llm.input_messages.0.message.role": "user",
        "llm.input_messages.0.message.content": "Weather in Paris?",
    }
    assert added("openinference", steps.tool(), turn) == {
        "openinference.span.kind": "TOOL",
        "tool.name": "weather",
        "tool.description": "Current weather",
        "tool.parameters": '{"city":"Paris"}',
    }


def test_openinference_gets_what_was_found_and_what_tools_answered(wire, steps):
    """Documents of a retrieval, a tool's answer in the history, an embedding's model."""
    found = '[{"id":7,"score":1,"text":"a"},"b"]'
    output = {"content": found, "mime_type": "application/json"}
    retrieval = steps.tool(kind="retrieval", input=None, output=output)
    answered = {"type": "tool_call_response", "id": "call_1", "response": {"sky": "grey"}}
    turn = wire(messages=[{"role": "tool", "parts": [answered]}])
    model = steps.model(model={}, usage=None, output_messages=[], output=None)
    embedding = steps.tool(
        kind="model", model={"operation": "embeddings", "request_model": "e"}, input=None
    )
    documents = added("openinference", retrieval, turn)
    said = added("openinference", model, turn)

    assert {key: value for key, value in documents.items() if "documents" in key} == {
        "retrieval.documents.0.document.id": "7",
        "retrieval.documents.0.document.content": "a",
        "retrieval.documents.0.document.score": 1.0,
        "retrieval.documents.1.document.content": "b",
    }
    assert {key: value for key, value in said.items() if "messages" in key} == {
        "llm.input_messages.0.message.role": "tool",
        "llm.input_messages.0.message.tool_call_id": "call_1",
        "llm.input_messages.0.message.content": '{"sky":"grey"}',
    }
    assert added("openinference", embedding, turn)["embedding.model_name"] == "e"


@pytest.mark.parametrize("name", known_profiles())
def test_without_content_a_profile_tells_nothing_that_was_said(name, wire, steps):
    """Nor who said it; the session is known from the standard key already."""
    turn = wire()
    each = [turn, steps.model(), steps.tool(), steps.tool(kind="retrieval")]
    found = [added(name, fields, turn, content=False) for fields in each]
    values = str([value for keys in found for value in keys.values()])

    assert "session-1" in values
    for said in ("Paris", "Rain", "rain", "user-7", "Look it up"):
        assert said not in values


def keys_of(body: bytes) -> dict[str, set[str]]:
    request = ExportTraceServiceRequest.FromString(body)
    spans = request.resource_spans[0].scope_spans[0].spans
    return {span.name: {pair.key for pair in span.attributes} for span in spans}


def test_both_modes_put_the_same_keys_on(ids, wire, make_global):
    """Several profiles at once, beside what the conventions want."""
    asked = profiles_named(known_profiles())
    turn = wire(steps=[], **WHOLE)
    writer = RequestWriter(content=True, profiles=asked)
    writer.add(turn)
    exporter = make_global()
    source = LiveSpans(ids, content=True, profiles=asked)
    root = source.start("turn", "support", 1, None, "session-1", "user-7", "support", True)
    source.end(root, turn)

    [live] = exporter.get_finished_spans()
    own = keys_of(writer.take())[live.name]
    assert set(live.attributes) | {"turnspan.turn.steps", "turnspan.rest"} == own
    assert {"langsmith.span.kind", "lmnr.span.input", "langfuse.trace.name", "metadata"} <= own
    assert turn_facts(turn, content=True).attributes.keys() <= own


def test_what_other_code_put_on_the_span_wins_and_breaks_nothing(wire, steps):
    """A profile reads what we put on a span, and replaces nothing."""
    notes = {"attributes": {"gen_ai.output.messages": "none", "llm.model_name": "mine"}}
    writer = RequestWriter(content=True, profiles=profiles_named(["openinference"]))
    writer.add(wire(steps=[steps.model(span=notes)]))
    request = ExportTraceServiceRequest.FromString(writer.take())
    span = request.resource_spans[0].scope_spans[0].spans[1]
    found = {pair.key: pair.value.string_value for pair in span.attributes}

    assert (found["gen_ai.output.messages"], found["llm.model_name"]) == ("none", "mine")
    assert found["llm.output_messages.0.message.role"] == "assistant"


def test_a_profile_takes_no_room_from_standard_keys(wire, steps):
    """A long history ends where a span is full: the SDK would drop the oldest keys for it."""
    message = {"role": "user", "parts": [{"type": "text", "content": "again"}]}
    turn = wire(messages=[message] * 200)
    step = steps.model(input_messages=[[0, 200]], output_messages=[])
    standard = len(step_facts(step, turn, agent="support", content=True).attributes)

    found = added("openinference", step, turn)
    assert len(found) + standard + 1 == vendor_keys.MOST_ATTRIBUTES


def test_each_file_is_a_profile():
    """Adding one adds its name."""
    files = {path.stem for path in Path(profiles.__file__).parent.glob("*.py")} - {"__init__"}

    assert set(known_profiles()) == files
    assert files >= {"langsmith", "laminar", "langfuse", "openinference"}
    assert len(profiles_named(["laminar", "langfuse", "laminar"])) == 2


@pytest.mark.parametrize("spans", ["own", "live", "auto"])
@pytest.mark.usefixtures("unconfigured")
def test_an_unknown_profile_is_an_error_at_the_door(spans):
    """With the names that there are."""
    with pytest.raises(SettingsError, match="no profile 'langsmyth'") as caught:
        turnspan.configure(profiles=["langsmith", "langsmyth"], spans=spans, directory=None)

    assert caught.value.fix == f"profiles is a list of: {', '.join(known_profiles())}"
