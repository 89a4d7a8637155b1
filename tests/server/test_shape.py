"""The shape of a record stands in for the schema: the two must never disagree."""

from __future__ import annotations

import copy
import json

import orjson
import pytest
from pydantic import ValidationError

from turnspan.schema import Step, Turn, encode_turn
from turnspan.server.incoming import records
from turnspan.server.shape import is_turn
from turnspan.server.store.port import Incoming
from turnspan.testing.turns import make_step, make_turn, sample_turns

CONTENT = {"type": "text", "content": "c", "mime_type": "text/plain"}
ERROR = {"type": "ValueError", "message": "m", "stacktrace": "s"}
USAGE = {
    "input_tokens": 1,
    "output_tokens": 2,
    "cache_read_tokens": 3,
    "cache_write_tokens": 4,
    "reasoning_tokens": 5,
    "cost_usd": 0.5,
}
AGENT = {"name": "a", "id": "i", "version": "1", "description": "d"}
LINK = {"trace_id": "t", "span_id": "s", "attributes": {"k": 1}}
SPAN = {
    "name": "n",
    "attributes": {"k": "v"},
    "events": [{"name": "e", "at": 1, "attributes": {"k": True}}],
    "links": [LINK],
    "status": "ok",
    "status_description": "d",
}
STEP = {
    "id": "1",
    "parent_id": "2",
    "kind": "tool",
    "name": "n",
    "status": "ok",
    "started_at": 1,
    "ended_at": 2,
    "first_chunk_at": 1,
    "chunks": 1,
    "input": CONTENT,
    "output": CONTENT,
    "input_messages": [[0, 1]],
    "output_messages": [[0, 1]],
    "system_instructions": [[0, 1]],
    "input_tools": [[0, 1]],
    "reasoning": "r",
    "error": ERROR,
    "agent": AGENT,
    "model": {
        "provider": "p",
        "request_model": "m",
        "response_model": "m",
        "response_id": "r",
        "operation": "chat",
        "parameters": {"k": 1},
        "finish_reasons": ["stop"],
    },
    "tool": {"call_id": "c", "type": "function", "description": "d"},
    "usage": USAGE,
    "metadata": {"k": 1},
    "span": SPAN,
}
MESSAGE = {
    "role": "user",
    "parts": [{"type": "text", "content": "c"}],
    "name": "n",
    "finish_reason": "stop",
}
WHOLE = {
    "id": "turn_1",
    "session_id": "s",
    "number": 1,
    "agent": AGENT,
    "user_id": "u",
    "status": "error",
    "started_at": 1,
    "ended_at": 2,
    "first_chunk_at": 1,
    "chunks": 1,
    "input": CONTENT,
    "output": CONTENT,
    "reasoning": "r",
    "error": ERROR,
    "messages": [MESSAGE],
    "input_messages": [[0, 1]],
    "output_messages": [[0, 1]],
    "tool_definitions": [{"type": "function"}],
    "steps": [STEP],
    "state_before": {"k": 1},
    "state_after": [1],
    "metadata": {"tier": "gold", "n": 1.5, "artifacts": [{"uri": "u", "type": "t"}]},
    "tags": ["t"],
    "usage": USAGE,
    "trace": {
        "trace_id": "t",
        "span_id": "s",
        "parent_span_id": "p",
        "flags": 1,
        "state": "s",
        "links": [LINK],
        "sampled": True,
        "mode": "own",
    },
    "resource": {"k": "v"},
    "resumes": "turn_0",
    "resume_key": "k",
    "truncated": [{"where": "input", "why": "long", "size_bytes": 1}],
    "span": SPAN,
    "schema_version": 1,
}
MISSING = object()
WIDE = (2**70, 1e300)
"""Numbers that orjson reads as another, or might have: those take the long way."""
ODD = [
    *(MISSING, None, True, 0, -1, 1.0, 1.5, 2**63, 2**64 - 1, *WIDE, "", "x", "ok", "1", "a\0b"),
    *([], [1], ["x"], [None], [[0, 1]], [[0]], [[0, 1, 2]], [[0, 1.0]], [[0, True]], [{}]),
    *({}, {"k": 1}, {"name": "n"}, {"content": 1}, [{"type": "text", "content": [1]}]),
]


def _shown(value):
    return "missing" if value is MISSING else repr(value)[:24]


def places(value, path=()):
    """Every path into ``value``, the outermost first."""
    inner = value if isinstance(value, list) else list(value) if isinstance(value, dict) else []
    for step in range(len(inner)) if isinstance(value, list) else inner:
        yield (*path, step)
        yield from places(value[step], (*path, step))


def line_with(path, value):
    """The line of a whole turn, with another ``value`` at ``path``."""
    record = copy.deepcopy({"record": "turn"} | WHOLE)
    *above, last = path
    inner = record
    for step in above:
        inner = inner[step]
    if value is MISSING:
        del inner[last]
    else:
        inner[last] = value
    return json.dumps(record).encode() + b"\n"


def strictly(line):
    """The turn that the schema makes of ``line`` without converting anything, or None."""
    try:
        return Turn.model_validate_json(line, strict=True)
    except ValidationError:
        return None


def test_the_whole_turn_has_every_field():
    """What is changed below is everything there is."""
    made = Turn.model_validate(WHOLE)

    assert made.model_dump(mode="json", exclude_unset=True, exclude={"duration_ms"}) == {
        **WHOLE,
        "steps": [{**STEP, "duration_ms": made.steps[0].duration_ms}],
    }
    assert WHOLE.keys() == Turn.model_fields.keys()
    assert STEP.keys() == Step.model_fields.keys()


@pytest.mark.parametrize("value", ODD, ids=_shown)
def test_whatever_stands_in_a_record_its_shape_and_the_schema_agree(value):
    """One is taken where the other is, and the same is stored of it."""
    for path in places(WHOLE):
        if path[-1] == "cost_usd" and type(value) is int and value >= 2**63:
            continue  # a cost that older pydantics refuse
        line = line_with(path, value)
        turn, record = strictly(line), orjson.loads(line)

        taken = is_turn(record, line)

        assert taken == (turn is not None) or (value in WIDE and not taken), path
        if turn is not None and taken:
            assert Incoming.read(record, line) == Incoming.of(turn, line), path


def test_the_turns_that_turnspan_writes_are_known_by_their_shape():
    """None of them takes the long way."""
    lines = map(encode_turn, sample_turns(200, seed=3))

    assert all(is_turn(orjson.loads(line), line) for line in lines)


@pytest.mark.parametrize("opens, closes", [(b"[", b"]"), (b'{"a":', b"}")])
@pytest.mark.parametrize("depth", [*range(185, 206), 255, 900])
@pytest.mark.parametrize("field", ["metadata", "state_before", "unknown"])
def test_what_is_nested_deep_is_taken_where_the_schema_takes_it(field, depth, opens, closes):
    """Whichever field it is in: what is stored can be written again."""
    value = opens * depth + b"1" + closes * depth
    value = b'{"n":%s}' % value if field == "metadata" else value
    line = encode_turn(make_turn(1))[:-2] + b',"%s":%s}\n' % (field.encode(), value)

    (item,) = records(line, "application/x-ndjson", 7)[0]

    assert (item.status == "unread") == (strictly(line) is not None)


def test_a_turn_of_many_steps_is_known_by_its_shape():
    """Many brackets are not deep ones."""
    line = encode_turn(make_turn(1, steps=tuple(make_step(index) for index in range(500))))

    assert is_turn(orjson.loads(line), line)


@pytest.mark.parametrize("number", ["123456789012345678901234567890", "-9223372036854775809"])
def test_a_label_is_the_number_that_was_written(number):
    """An integer that no 64 bits hold can be asked for as it is."""
    line = encode_turn(make_turn(1, metadata={"n": "N"})).replace(b'"N"', number.encode())

    (item,) = records(line, "application/x-ndjson", 7)[0]

    assert item.turn.row.labels == f'{{"n":"{number}"}}'


def test_a_whole_cost_is_stored_as_the_schema_has_it():
    """`3` is a cost as `3.0` is, also where no signed 64 bits would hold it."""
    line = encode_turn(make_turn(1, usage={"cost_usd": 0.5})).replace(b"0.5", b"%d" % (2**64 - 1))

    (item,) = records(line, "application/x-ndjson", 7)[0]

    assert repr(item.turn.row.cost_usd) == repr(float(2**64 - 1))
