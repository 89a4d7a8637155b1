"""Whatever a function is given, it gets, and the turn can be read back."""

from __future__ import annotations

import asyncio
import collections
import dataclasses
import enum
import hashlib
import json
import math
import os
from typing import Any

import pytest
from capture_tape import Tape
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

import turnspan
from turnspan.capture.patterns import NAMES
from turnspan.schema import encode_turn
from turnspan.schema.wire import decode_turn

NIGHTLY = os.environ.get("TURNSPAN_TESTS") == "nightly"
many = settings(
    max_examples=10_000 if NIGHTLY else 500,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
quick = settings(many, max_examples=1000 if NIGHTLY else 100)


class Text(str):
    __slots__ = ()


class Row(list):
    pass


class Table(collections.OrderedDict):
    pass


class Number(int):
    pass


class Colour(enum.Enum):
    RED = "red"


@dataclasses.dataclass
class Data:
    value: object
    password: object = "hunter2"


@dataclasses.dataclass(frozen=True, slots=True)
class Slotted:
    value: object


class Thing:
    def __init__(self, value):
        self.value = value


class Modelled(BaseModel):
    value: Any


SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.characters()
ODD = (
    SCALARS
    | st.binary()
    | st.datetimes()
    | st.timedeltas()
    | st.uuids()
    | st.decimals()
    | st.fractions()
    | st.complex_numbers()
    | st.sets(st.integers() | st.text())
    | st.frozensets(st.floats())
    | st.builds(Text, st.text())
    | st.builds(Number, st.integers())
    | st.sampled_from([Colour.RED, Colour, len, object(), ..., NotImplemented, iter(()), json])
    | st.builds(bytearray, st.binary())
    | st.integers(min_value=2**62, max_value=2**66)
)
JSON = st.recursive(
    SCALARS, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=20
)
ANYTHING = st.recursive(
    ODD,
    lambda inner: (
        st.lists(inner)
        | st.tuples(inner)
        | st.dictionaries(SCALARS | st.tuples(SCALARS) | st.builds(Text, st.text()), inner)
        | st.builds(Row, st.lists(inner))
        | st.builds(Table, st.dictionaries(st.text(), inner))
        | st.builds(Data, inner)
        | st.builds(Slotted, inner)
        | st.builds(Thing, inner)
        | st.builds(Modelled, value=inner)
    ),
    max_leaves=20,
)
POLICIES = st.sampled_from(
    [
        turnspan.Policy(),
        turnspan.Policy(content=False),
        turnspan.Policy(content="none"),
        turnspan.Policy(hide=["value", "steps.*.input.key"], patterns=NAMES),
        turnspan.Policy(redact=lambda path, text: text[::-1]),
    ]
)


def plain(value):
    """``value`` as JSON has it."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, int) and not isinstance(value, bool) and not -(2**63) <= value < 2**64:
        return str(value)
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if isinstance(value, list):
        return [plain(item) for item in value]
    if isinstance(value, dict):
        return {plain(key): plain(item) for key, item in value.items()}
    return value


@many
@given(value=ANYTHING, policy=POLICIES)
def test_any_value_passes_as_the_same_object_and_its_turn_reads_back(record, value, policy):
    """As argument, keyword, result, state, metadata, message and reasoning of it."""
    tape: Tape = record(policy=policy)

    @turnspan.tool
    def inner(value, **more):
        return value

    @turnspan.model
    def ask(messages):
        return {"choices": [{"message": {"role": "assistant", "content": value}}]}

    @turnspan.agent(state=lambda: value)
    def outer(value):
        turnspan.current_turn().set_metadata(value=value)
        ask([{"role": "user", "content": value}])
        return inner(value, key=value)

    with turnspan.session("s", metadata={"value": value}):
        assert outer(value) is value
    turn = tape.turn

    assert all(type(json.loads(line)) is dict for line in tape.log.lines)
    assert tape.recorder.failures == 0
    assert decode_turn(encode_turn(turn)) == turn
    assert [step.kind for step in turn.steps] == ["model", "tool"]


@quick
@given(value=JSON)
def test_json_is_kept_as_it_is(record, value):
    """Only what JSON cannot say is said otherwise."""
    tape: Tape = record()

    @turnspan.tool
    def inner(value):
        return {"value": value}

    with turnspan.turn():
        inner(value)

    if not _keys_fall_together(value):
        assert json.loads(tape.step.input.content) == {"value": plain(value)}
        assert json.loads(tape.step.output.content) == {"value": plain(value)}


def _keys_fall_together(value):
    """Whether two keys are one once their lone surrogates are replaced."""
    if isinstance(value, dict):
        short = len({plain(key) for key in value}) < len(value)
        return short or any(map(_keys_fall_together, value.values()))
    return isinstance(value, list) and any(map(_keys_fall_together, value))


def session_of(text: str) -> str:
    """What is kept of a session's id: all of it, or its beginning and a hash."""
    if len(text) <= 200:
        return text
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
    return f"{text[:160]}-{digest[:32]}"


@quick
@given(text=st.text(), name=st.text(min_size=1), tags=st.lists(st.text()))
@example(text="x" * 201, name="a", tags=[])
def test_any_text_is_kept_in_every_place(record, text, name, tags):
    """Input, output, error, names, tags, session."""
    tape: Tape = record()

    @turnspan.agent(name=name)
    async def work(question):
        turnspan.current_turn().add_tags(*tags)
        raise ValueError(question)

    with (
        pytest.raises(ValueError) as caught,
        turnspan.session(text, user_id=text),
    ):
        asyncio.run(work(text))
    turn = tape.turn

    assert caught.value.args == (text,)
    assert turn.input.content == plain(text)
    assert turn.error.message == plain(text)[: 16 * 1024]
    assert turn.agent.name == plain(name)
    assert turn.session_id == (plain(session_of(text)) or None)
    assert turn.tags == tuple(plain(tag) for tag in dict.fromkeys(tags))
