"""A text of a class of its own (an enumeration of model names, say) counts as the text it is."""

from __future__ import annotations

import enum
import re

import pytest

import turnspan
from turnspan.schema import Model


class Word(enum.StrEnum):
    """What its members are worth is nobody's to ask: they are texts already."""

    MODEL = "gpt-test"
    VENDOR = "openai"
    TAG = "beta"
    END = "END"
    BRIEF = "Be brief."

    def __str__(self):
        raise AssertionError("code of the caller's was run")

    __format__ = __repr__ = __bool__ = __len__ = __str__


class Touchy:
    """Raises whatever is asked of it."""

    def _refuse(self, *_):
        raise AssertionError("code of the caller's was run")

    __bool__ = __len__ = __iter__ = __eq__ = __str__ = __repr__ = _refuse
    __getitem__ = __contains__ = __format__ = __index__ = _refuse
    __hash__ = None  # type: ignore[assignment]


class Marked:
    """A key that may be looked at once, when it is put into a dictionary."""

    def __init__(self):
        self.hashed = 0

    def __hash__(self):
        self.hashed += 1
        return 7


@turnspan.model
def ask(messages, **more):
    return "Rain."


def test_what_a_model_is_asked_for_is_read(tape):
    """Its name, what it stops at, and what it is told beside the messages."""
    with turnspan.turn():
        ask([{"role": "user", "content": "?"}], model=Word.MODEL, stop=[Word.END, "x"],
            system=Word.BRIEF)  # fmt: skip
    model = tape.step.model
    (start, end), *_ = tape.step.system_instructions

    assert model == Model(request_model="gpt-test", parameters={"stop": ["END", "x"]})
    assert [m.parts[0].content for m in tape.turn.messages[start:end]] == ["Be brief."]


def test_what_is_set_on_handles_is_kept(tape):
    """A model's name, its provider, tags and the name of an agent."""

    @turnspan.model
    def call():
        turnspan.current_step().set_model(provider=Word.VENDOR, name=Word.MODEL)

    with (
        turnspan.session("s", tags=[Word.TAG], metadata={Word.TAG: 1}),
        turnspan.turn(agent=Word.BRIEF) as turn,
    ):
        turn.add_tags(Word.END, Word.TAG, "END")
        call()

    assert tape.turn.agent.name == "Be brief."
    assert tape.turn.tags == ("beta", "END")
    assert tape.turn.metadata == {"beta": 1}
    assert tape.step.model == Model(provider="openai", request_model="gpt-test")


def test_a_decorator_keeps_metadata_of_such_names(tape):
    """As it keeps those of plain texts."""

    @turnspan.agent(metadata={Word.TAG: 2})
    def answer():
        return None

    answer()

    assert tape.turn.metadata == {"beta": 2}


@pytest.mark.parametrize(
    "name", ["model", "stop", "system", "instructions", "tools", "response_format", "n"]
)
def test_nothing_that_a_model_is_asked_for_is_asked_anything(tape, name):
    """Wherever an object stands in place of a value, none of its methods runs."""
    key = Marked()
    tool = {key: 1}
    with turnspan.turn():
        for value in (Touchy(), [Touchy()], [tool], []):
            ask([{"role": "user", "content": "?"}], **{name: value})

    assert tape.recorder.failures == 0
    assert len(tape.turn.steps) == 4
    assert key.hashed == 1


LONG = "x" * 2_000_000


def answered(**more):
    choice = {"message": {"role": "assistant", "content": "y"}, "finish_reason": "stop"}
    return {"choices": [{**choice, **more.pop("choice", {})}], **more}


@pytest.mark.parametrize(
    "asked, reply",
    [
        ({"model": LONG}, None),
        ({"stop": LONG}, None),
        ({"stop": [LONG, LONG]}, None),
        ({"previous_response_id": LONG}, None),
        ({"reasoning_effort": LONG}, None),
        ({"response_format": {"type": LONG}}, None),
        ({}, answered(id=LONG, model=LONG)),
        ({}, answered(choice={"finish_reason": LONG})),
        ({}, {"role": "assistant", "name": LONG, "content": "y"}),
    ],
)
def test_what_is_short_by_nature_is_kept_short_of_a_model(tape, asked, reply):
    """A name or an id has no budget of its own: what no name is ends with `…`."""

    @turnspan.model
    def call(question, **more):
        return reply

    with turnspan.turn():
        call("?", **asked)

    assert len(tape.log.lines[-1]) < 10_000
    assert tape.recorder.failures == 0


def test_what_is_short_by_nature_is_kept_short_of_a_turn(tape):
    """Tags, who asked, the agent's name and the names of metadata: to the last white space."""

    @turnspan.model
    def call():
        turnspan.current_step().set_model(provider=LONG, name="a model " + LONG)
        turnspan.current_step().set_metadata(**{LONG: 1})

    with (
        turnspan.session("s", user_id=LONG, tags=[LONG], metadata={LONG: 1}),
        turnspan.turn(agent=LONG) as turn,
    ):
        turn.add_tags("tag " + LONG)
        call()

    assert len(tape.log.lines[-1]) < 10_000
    assert tape.turn.tags == ("…", "tag…")
    assert re.fullmatch("x{160}-[0-9a-f]{32}", tape.turn.user_id)
    assert tape.step.model == Model(provider="…", request_model="a model…")
