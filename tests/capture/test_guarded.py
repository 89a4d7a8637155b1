"""Nothing goes around the policy: what leaves capture leaves it through two guarded ports."""

from __future__ import annotations

import json

import pytest
from capture_tape import CountedIds, Log, Spans

import turnspan
from turnspan.capture.guarded import guarded
from turnspan.capture.recorder import Recorder
from turnspan.schema import Turn
from turnspan.schema.wire import decode_turn

SECRET = "ada@example.com"
OURS = {  # drawn, counted or measured here, or what the process said of itself before
    "id",
    "parent_id",
    "resource",
    "resumes",
    "resume_key",
    "trace",
    "links",
    "type",
    "mime_type",
    "status",
    "trace_id",
    "span_id",
}


def filled(schema, definitions, key=""):
    """A value of ``schema`` that says the secret wherever a text may stand."""
    if "$ref" in schema:
        return filled(definitions[schema["$ref"].rpartition("/")[2]], definitions, key)
    if "anyOf" in schema:
        return filled(schema["anyOf"][0], definitions, key)
    if "enum" in schema:
        return schema["enum"][0]
    kind = schema.get("type")
    if kind == "array":
        if "prefixItems" in schema:
            return [0, 1]
        return [filled(schema.get("items", {}), definitions, key)]
    if kind == "object" and "properties" in schema:
        made = {
            name: filled(inner, definitions, name) for name, inner in schema["properties"].items()
        }
        return {**made, "later": SECRET} if "role" in made or "started_at" in made else made
    if kind == "object" or kind is None:
        return {SECRET: SECRET, "deep": [{"text": SECRET}, SECRET]}
    return {"integer": 7, "number": 1.5, "boolean": True}.get(kind, SECRET)


def where(value, path=()):
    """The paths at which the secret still stands."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield from where(item, (*path, key))
            if SECRET in key:
                yield (*path, "key")
    elif isinstance(value, list):
        for item in value:
            yield from where(item, path)
    elif isinstance(value, str) and SECRET in value:
        yield path


@pytest.fixture
def ports():
    log, spans = Log(), Spans(CountedIds())
    return log, *guarded(turnspan.Policy(patterns=["email"]), log, spans)


def test_every_field_of_a_turn_is_searched(ports):
    """By the schema's own list of fields, and such as it doesn't know yet."""
    log, guard, _, _ = ports
    schema = Turn.model_json_schema()
    record = {"record": "turn", **filled(schema, schema["$defs"])}
    record["messages"][0]["parts"] = [{"type": "text", "content": SECRET, "name": SECRET}]
    guard.append(json.dumps(record).encode() + b"\n")
    (line,) = log.lines
    left = {path for path in where(json.loads(line)) if not OURS & set(path)}

    assert SECRET in json.dumps(record["steps"][0]["error"])
    assert left == set()
    assert decode_turn(line).steps[0].error.message == "<hidden:email>"


def test_a_recorder_with_a_policy_holds_no_port_but_guarded_ones():
    """With one that hides nothing it holds the ports themselves, and pays for nothing."""
    from turnspan.capture.options import Options
    from turnspan.clock import SystemClock

    def are_ports(policy):
        log, spans, ids = Log(), Spans(CountedIds()), CountedIds()
        recorder = Recorder(log, spans, SystemClock(), ids, Options(policy=policy))
        held = [getattr(one, "__self__", one) for one in vars(recorder).values()]
        return {"log": log in held, "spans": spans in held}

    assert are_ports(turnspan.Policy(hide=["password"])) == {"log": False, "spans": False}
    assert are_ports(turnspan.Policy()) == {"log": True, "spans": True}


def test_a_live_span_is_told_what_the_journal_is_told(ports):
    """Names and ids as it starts, and all fields as it ends."""
    _, _, guard, _ = ports
    told = []

    class Ears:
        def start(self, *given):
            told.append(given)
            return type("Span", (), {"mode": "live"})()

        def end(self, span, fields):
            told.append(fields)

    _, ears, _ = guarded(turnspan.Policy(patterns=["email"]), Log(), Ears())
    known = {"tool": {"type": SECRET}, "model": {"request_model": SECRET, "parameters": {}}}
    span = ears.start("tool", f"ask {SECRET}", 0, None, SECRET, SECRET, SECRET, True, known)
    step = {"kind": "tool", "name": SECRET, "status": "ok", "metadata": {SECRET: SECRET}}
    shared = {
        "messages": [{"role": "user", "parts": [{"content": SECRET}]}],
        "tool_definitions": [{"type": "function", "name": SECRET}],
    }
    ears.end(span, {**step, **shared})

    assert guard is not None
    assert SECRET not in str(told)
    assert told[0][-1] == {
        "tool": {"type": "<hidden:email>"},
        "model": {"request_model": "<hidden:email>"},
    }
    assert told[1]["tool_definitions"] == [{"type": "function", "name": "<hidden:email>"}]
    assert told[1]["metadata"] == {"<hidden:email>": "<hidden:email>"}
    assert told[1]["messages"] == [{"role": "user", "parts": [{"content": "<hidden:email>"}]}]


def test_feedback_is_told_to_opentelemetry_as_it_is_journalled():
    """The event that the application's own provider makes of it shows no more."""
    told = []

    class Ears:
        def note_feedback(self, feedback):
            told.append(feedback)
            return "live"

    _, ears, _ = guarded(turnspan.Policy(patterns=["email"]), Log(), Ears())
    mode = ears.note_feedback(
        {"record": "feedback", "turn_id": "turn_1", "rating": "bad", "comment": f"ask {SECRET}"}
    )

    assert mode == "live"
    assert [(one["rating"], one["comment"]) for one in told] == [("bad", "ask <hidden:email>")]
