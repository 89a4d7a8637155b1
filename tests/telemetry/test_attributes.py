"""What is on the spans of a turn."""

import json
import time

import pytest

from turnspan.telemetry.attributes import (
    SpanFacts,
    nested_agents,
    step_facts,
    turn_facts,
    with_notes,
)


def conventional(facts):
    """Without what is there to be read back alone, which decoding/test_identity.py looks at."""
    ours = ("turnspan.rest", "turnspan.noted", "turnspan.turn.steps")
    told = {name: value for name, value in facts.attributes.items() if name not in ours}
    return SpanFacts(facts.name, facts.kind, told, facts.status, facts.description)


def test_the_root_says_who_was_asked_what_and_answered_what(wire, conforms):
    """The root span carries identity, totals, messages and the overlay for other tools."""
    facts = turn_facts(wire(tags=["beta"], metadata={"plan": "pro"}), content=True)

    assert conventional(facts) == SpanFacts(
        name="invoke_agent support",
        kind=1,
        attributes={
            "gen_ai.operation.name": "invoke_agent",
            "gen_ai.agent.name": "support",
            "turnspan.turn.id": "turn_abcdefghijkl",
            "turnspan.turn.status": "ok",
            "gen_ai.conversation.id": "session-1",
            "gen_ai.agent.description": "Answers questions.",
            "gen_ai.usage.input_tokens": 40,
            "gen_ai.usage.output_tokens": 12,
            "turnspan.usage.cost_usd": 0.5,
            "turnspan.turn.number": 2,
            "turnspan.tags": ["beta"],
            "turnspan.metadata": '{"plan":"pro"}',
            "gen_ai.request.model": "gpt-5",
            "gen_ai.response.finish_reasons": ["tool_call"],
            "gen_ai.input.messages": '[{"role":"user","parts":'
            '[{"type":"text","content":"Weather in Paris?"}]}]',
            "gen_ai.output.messages": '[{"role":"assistant","parts":'
            '[{"type":"text","content":"Rain."}],"finish_reason":"stop"}]',
            "input.value": "Weather in Paris?",
            "input.mime_type": "text/plain",
            "output.value": "Rain.",
            "output.mime_type": "text/plain",
            "session.id": "session-1",
            "user.id": "user-7",
        },
    )
    assert conforms(facts.attributes) == ["gen_ai.input.messages", "gen_ai.output.messages"]


def test_a_model_step_is_a_client_span_with_its_messages_expanded(wire, steps, conforms):
    """A chat span names model, parameters, usage, and the messages its ranges point at."""
    facts = step_facts(steps.model(), wire(), agent="support", content=True)
    messages = json.loads(facts.attributes.pop("gen_ai.output.messages"))
    given = json.loads(facts.attributes.pop("gen_ai.input.messages"))

    assert (facts.name, facts.kind, facts.status) == ("chat gpt-5", 3, 0)
    assert conventional(facts).attributes == {
        "gen_ai.agent.name": "support",
        "gen_ai.conversation.id": "session-1",
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "gpt-5",
        "gen_ai.response.model": "gpt-5-2026",
        "gen_ai.response.id": "resp_1",
        "gen_ai.request.temperature": 0.0,
        "gen_ai.request.max_tokens": 50,
        "gen_ai.request.stop_sequences": ["END"],
        "gen_ai.response.finish_reasons": ["tool_call"],
        "gen_ai.usage.input_tokens": 40,
        "gen_ai.usage.output_tokens": 12,
        "gen_ai.usage.cache_read.input_tokens": 8,
        "gen_ai.usage.cache_write.input_tokens": 4,
        "gen_ai.usage.reasoning.output_tokens": 5,
    }
    assert given == wire()["messages"][:1]
    assert messages == [{**wire()["messages"][1], "finish_reason": "tool_call"}]
    assert conforms(step_facts(steps.model(), wire(), agent="a", content=True).attributes)


def test_a_tool_step_carries_arguments_result_and_the_overlay(wire, steps, conforms):
    """A result that is no JSON object is wrapped as one; the overlay keeps it as it was."""
    facts = step_facts(steps.tool(), wire(), agent="support", content=True)

    assert conventional(facts) == SpanFacts(
        name="execute_tool weather",
        kind=1,
        attributes={
            "gen_ai.agent.name": "support",
            "gen_ai.conversation.id": "session-1",
            "gen_ai.operation.name": "execute_tool",
            "gen_ai.tool.name": "weather",
            "gen_ai.tool.call.id": "call_1",
            "gen_ai.tool.type": "function",
            "gen_ai.tool.description": "Current weather",
            "gen_ai.tool.call.arguments": '{"city":"Paris"}',
            "gen_ai.tool.call.result": '{"result":"rain"}',
            "input.value": '{"city":"Paris"}',
            "input.mime_type": "application/json",
            "output.value": "rain",
            "output.mime_type": "text/plain",
            "session.id": "session-1",
            "user.id": "user-7",
        },
    )
    assert conforms(facts.attributes) == ["gen_ai.tool.call.arguments", "gen_ai.tool.call.result"]


def test_without_content_nothing_that_was_said_is_on_a_span(wire, steps):
    """Neither content attributes nor the overlay are there when content is switched off."""
    spans = [
        turn_facts(wire(), content=False),
        step_facts(steps.model(), wire(), agent="a", content=False),
        step_facts(steps.tool(), wire(), agent="a", content=False),
        step_facts(steps.tool(kind="retrieval"), wire(), agent="a", content=False),
    ]

    said = ("messages", "arguments", "result", ".value", "mime_type", "query", "documents")
    keys = [key for facts in spans for key in facts.attributes]
    assert not [key for key in keys if key.endswith(said) or key in {"session.id", "user.id"}]
    assert len(keys) > 30


@pytest.mark.parametrize("content", ['[{"id":"7","score":0.5}]', '["a","b"]', "plain", '{"cut":'])
def test_what_a_retrieval_found_is_a_list_of_documents(content, wire, steps, conforms):
    """Documents conform whatever the function returned."""
    output = {"content": content, "mime_type": "application/json"}
    step = steps.tool(kind="retrieval", name="kb", input={"content": "who?"}, output=output)
    facts = step_facts(step, wire(), agent="a", content=True)

    assert (facts.name, facts.kind) == ("retrieval kb", 3)
    assert facts.attributes["gen_ai.data_source.id"] == "kb"
    assert facts.attributes["gen_ai.retrieval.query.text"] == "who?"
    assert conforms(facts.attributes) == ["gen_ai.retrieval.documents"]


def test_a_plain_step_keeps_its_name_and_claims_no_operation(wire, steps):
    """A step of no GenAI kind is an internal span of that name."""
    step = steps.tool(kind="step", name="plan", reasoning="first things first")
    bare = step_facts(step, wire(), agent="a", content=False)
    facts = step_facts(step, wire(), agent="a", content=True)

    expected = {"gen_ai.agent.name": "a", "gen_ai.conversation.id": "session-1"}
    assert conventional(bare) == SpanFacts("plan", 1, expected)
    said = {
        "input.value": '{"city":"Paris"}',
        "input.mime_type": "application/json",
        "output.value": "rain",
        "output.mime_type": "text/plain",
        "turnspan.reasoning": "first things first",
    }
    assert conventional(facts) == SpanFacts("plan", 1, {**expected, **said})


def test_an_embedding_says_what_the_conventions_know_of_it(wire, steps):
    """It has no messages, no reason why it stopped, and no tokens that came out."""
    model = {
        "operation": "embeddings",
        "provider": "openai",
        "request_model": "embed-3",
        "response_id": "r",
        "parameters": {"dimensions": 256, "encoding_format": "float", "temperature": 1},
        "finish_reasons": ["stop"],
    }
    step = steps.tool(kind="model", model=model, usage={"input_tokens": 4, "output_tokens": 0})
    facts = step_facts(step, wire(), agent="a", content=True)

    assert conventional(facts) == SpanFacts(
        "embeddings embed-3",
        3,
        {
            "gen_ai.agent.name": "a",
            "gen_ai.conversation.id": "session-1",
            "gen_ai.operation.name": "embeddings",
            "gen_ai.provider.name": "openai",
            "gen_ai.request.model": "embed-3",
            "gen_ai.embeddings.dimension.count": 256,
            "gen_ai.request.encoding_formats": ["float"],
            "gen_ai.usage.input_tokens": 4,
            "input.value": '{"city":"Paris"}',
            "input.mime_type": "application/json",
            "output.value": "rain",
            "output.mime_type": "text/plain",
        },
    )


def test_instructions_and_tools_of_a_model_call_stand_on_its_span(wire, steps, conforms):
    """Both are named by ranges; tools are those of the whole turn on its root."""
    tools = [
        {"type": "function", "name": "weather", "parameters": {"type": "object"}},
        {"type": "web_search", "name": "web_search"},
    ]
    system = {"role": "system", "parts": [{"type": "text", "content": "Be brief."}]}
    turn = wire(messages=[*wire()["messages"], system], tool_definitions=tools)
    step = steps.model(system_instructions=[[2, 3]], input_tools=[[1, 2]])
    facts = step_facts(step, turn, agent="a", content=True)
    bare = step_facts(step, turn, agent="a", content=False)

    assert json.loads(facts.attributes["gen_ai.system_instructions"]) == system["parts"]
    assert json.loads(facts.attributes["gen_ai.tool.definitions"]) == tools[1:]
    root = turn_facts(turn, content=True)
    assert json.loads(root.attributes["gen_ai.tool.definitions"]) == tools
    found = {*conforms(facts.attributes), *conforms(root.attributes)}
    assert {"gen_ai.system_instructions", "gen_ai.tool.definitions"} <= found
    assert not {"gen_ai.system_instructions", "gen_ai.tool.definitions"} & bare.attributes.keys()


def test_a_provider_that_nobody_named_is_unknown(wire, steps):
    """The conventions require one on every model call; none is guessed."""
    facts = step_facts(steps.model(model={}), wire(), agent="a", content=False)

    assert (facts.name, facts.attributes["gen_ai.provider.name"]) == ("chat", "unknown")


@pytest.mark.parametrize(
    "given, expected",
    [
        ({"response_format": {"type": "json_schema"}}, {"gen_ai.output.type": "json"}),
        ({"response_format": {"type": "text"}}, {"gen_ai.output.type": "text"}),
        ({"response_format": "auto"}, {}),
        ({"n": 2}, {"gen_ai.request.choice.count": 2}),
        ({"n": 1}, {}),
        ({"stream": True}, {"gen_ai.request.stream": True}),
        ({"stream": False}, {}),
        ({"reasoning_effort": "low"}, {"gen_ai.request.reasoning.level": "low"}),
        ({"stop": ["a", "b"]}, {"gen_ai.request.stop_sequences": ["a", "b"]}),
        ({"stop": [1]}, {}),
        ({"seed": 2**63}, {}),
        ({"top_k": 1.5}, {}),
        ({"previous_response_id": "r1"}, {"gen_ai.request.previous_response.id": "r1"}),
    ],
)
def test_a_request_says_what_the_conventions_have_a_name_for(given, expected, wire, steps):
    """A parameter of another type than theirs is left out, and so is what goes without saying."""
    model = {"parameters": given}
    step = steps.model(model=model, usage=None)
    found = step_facts(step, wire(), agent="a", content=False).attributes

    asked = ("gen_ai.request.", "gen_ai.output.")
    assert {key: value for key, value in found.items() if key.startswith(asked)} == expected


def test_the_root_speaks_for_its_own_models_alone(wire, steps):
    """Embeddings and what a nested agent asked say nothing of why the turn stopped."""
    nested = steps.tool(id="1" * 16, kind="agent", name="helper")
    inner = steps.model(id="2" * 16, parent_id="1" * 16, model={"request_model": "other"})
    embedding = steps.model(id="3" * 16, model={"operation": "embeddings", "request_model": "e"})
    found = turn_facts(wire(steps=[steps.model(), inner, nested, embedding]), content=False)

    assert found.attributes["gen_ai.request.model"] == "gpt-5"
    assert found.attributes["gen_ai.response.finish_reasons"] == ["tool_call"]


def test_steps_under_a_nested_agent_name_that_agent(wire, steps):
    """The agent of a step is the nearest one above it; a cycle of parents ends."""
    nested = steps.tool(id="1" * 16, kind="agent", name="fn", agent={"name": "helper"})
    inner = steps.tool(id="2" * 16, parent_id="1" * 16)
    deep = steps.model(id="3" * 16, parent_id="2" * 16)
    cyclic = steps.tool(id="4" * 16, parent_id="4" * 16)
    turn = wire(steps=[deep, inner, nested, cyclic, steps.tool()])

    facts = step_facts(nested, turn, agent="helper", content=True)
    assert nested_agents(turn["steps"]) == dict.fromkeys(("1" * 16, "2" * 16, "3" * 16), "helper")
    assert nested_agents(wire()["steps"]) == {}
    assert facts.name == "invoke_agent helper"
    assert facts.attributes["gen_ai.agent.name"] == "helper"


def test_looking_for_the_agent_above_costs_no_more_the_deeper_a_step_stands(steps):
    """Thousands of steps under one another are looked at once each."""
    nested = steps.tool(id="0", kind="agent", name="fn", agent={"name": "helper"})
    below = [steps.tool(id=str(at), parent_id=str(at - 1)) for at in range(1, 20_000)]
    began = time.thread_time()
    found = nested_agents([*reversed(below), nested])
    spent_s = time.thread_time() - began

    assert found == dict.fromkeys(map(str, range(20_000)), "helper")
    assert nested_agents([*below, nested]) == found
    assert spent_s < 2.0


@pytest.mark.parametrize(
    "fields, error_type, message",
    [
        ({"status": "error", "error": {"type": "ValueError", "message": "no"}}, "ValueError", "no"),
        ({"status": "error"}, "_OTHER", ""),
        ({"status": "interrupted"}, "interrupted", ""),
        ({"status": "cancelled", "error": {"type": "TimeoutError"}}, "TimeoutError", ""),
    ],
)
def test_what_failed_has_an_error_type_and_its_message(fields, error_type, message, wire):
    """Status and error.type say that the turn failed, and its answer says so too."""
    facts = turn_facts(wire(steps=None, **fields), content=True)

    output = json.loads(facts.attributes["gen_ai.output.messages"])
    assert (facts.status, facts.description) == (2, message)
    assert facts.attributes["error.type"] == error_type
    assert facts.attributes["gen_ai.response.finish_reasons"] == ["error"]
    assert [m["finish_reason"] for m in output] == ["error"]


def test_a_failed_agent_does_not_claim_why_its_model_stopped(wire, steps):
    """The model stopped to call a tool; the turn stopped since that failed."""
    failed = wire(status="error", error={"type": "ValueError", "message": "no"})
    facts = turn_facts(failed, content=False)
    [model] = [step for step in failed["steps"] if step["kind"] == "model"]
    asked = step_facts(model, failed, agent="support", content=False)

    assert facts.attributes["gen_ai.response.finish_reasons"] == ["error"]
    assert asked.attributes["gen_ai.response.finish_reasons"] == ["tool_call"]


@pytest.mark.parametrize("status", ["ok", "paused", "abandoned", "cancelled"])
def test_what_merely_stopped_is_no_error(status, wire):
    """Waiting for a person, or being left by one, is not a failure."""
    facts = turn_facts(wire(status=status), content=True)

    assert (facts.status, "error.type" in facts.attributes) == (0, False)
    assert facts.attributes["turnspan.turn.status"] == status


def test_reasoning_comes_before_the_answer_once(wire, steps):
    """Reasoning kept beside the messages becomes a part; one that is there is not repeated."""
    root = turn_facts(wire(reasoning="I know."), content=True)
    model = step_facts(steps.model(reasoning="Look it up."), wire(), agent="a", content=True)
    plain = {"role": "assistant", "parts": [{"type": "text", "content": "Rain."}]}
    turn = wire(messages=[plain, plain])
    added = step_facts(steps.model(reasoning="Hm."), turn, agent="a", content=True)

    def parts(facts):
        [message] = json.loads(facts.attributes["gen_ai.output.messages"])
        return [(part["type"], part.get("content")) for part in message["parts"]]

    assert parts(root) == [("reasoning", "I know."), ("text", "Rain.")]
    assert parts(model) == [("reasoning", "Look it up."), ("tool_call", None)]
    assert parts(added) == [("reasoning", "Hm."), ("text", "Rain.")]


def test_a_message_without_parts_or_reason_still_conforms(wire, steps, conforms):
    """Fields that were left out for being empty come back where a schema wants them."""
    turn = wire(messages=[{"role": "user"}, {"role": "assistant"}])
    step = steps.model(model={"request_model": "m"})
    facts = step_facts(step, turn, agent="a", content=True)

    assert conforms(facts.attributes) == ["gen_ai.input.messages", "gen_ai.output.messages"]
    assert json.loads(facts.attributes["gen_ai.output.messages"]) == [
        {"role": "assistant", "parts": [], "finish_reason": "stop"}
    ]


def test_time_to_the_first_chunk_is_in_seconds(wire, steps):
    """A stream says that it was one, and how long its first chunk took."""
    step = steps.model()
    step["first_chunk_at"] = step["started_at"] + 250_000_000
    facts = step_facts(step, wire(), agent="a", content=False)

    assert facts.attributes["gen_ai.response.time_to_first_chunk"] == 0.25
    assert facts.attributes["gen_ai.request.stream"] is True


def test_what_other_code_left_on_the_span_wins():
    """Name, attributes and a final status of somebody else are what comes out."""
    ours = SpanFacts("ours", 1, {"a": 1, "b": 2}, 2, "failed")
    notes = {"name": "theirs", "attributes": {"b": 3, "c": 4}, "status": "ok"}
    unset = SpanFacts("ours", 1, {})

    assert conventional(with_notes(ours, notes)) == SpanFacts(
        "theirs", 1, {"a": 1, "b": 3, "c": 4}, 1
    )
    assert conventional(
        with_notes(unset, {"status": "error", "status_description": "bad"})
    ) == SpanFacts("ours", 1, {}, 2, "bad")
