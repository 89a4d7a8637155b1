"""What the chunks of a stream come to, whatever they are."""

from __future__ import annotations

import asyncio
import enum

import pytest
from pydantic import BaseModel

import turnspan
from turnspan.capture.chunks import Chunks
from turnspan.capture.policy import Policy
from turnspan.capture.values import Limits


def recorded(tape, chunks, decorate=turnspan.agent):
    """The turn or step of a stream that yields ``chunks``."""

    @decorate
    def stream():
        yield from chunks

    if decorate is turnspan.agent:
        assert list(stream()) == list(chunks)
        return tape.turn
    with turnspan.turn():
        assert list(stream()) == list(chunks)
    return tape.step


class Word(str):
    __slots__ = ()

    def __str__(self):
        raise AssertionError("asked")


class Colour(enum.StrEnum):
    RED = "red"


class Event(BaseModel):
    n: int


@pytest.mark.parametrize(
    "chunks, content, mime_type",
    [
        (["a", "b", "c"], "abc", "text/plain"),
        (["", ""], "", "text/plain"),
        (["a\r\n", "\n"], "a\r\n\n", "text/plain"),
        ([Word("a"), Colour.RED], "ared", "text/plain"),
        (["\ud800", "é"], "?é", "text/plain"),
        ([b"data: 1\n\n", b"data: \xc3", b"\xa9\n\n"], "data: 1\n\ndata: é\n\n", "text/plain"),
        ([bytearray(b"a"), b"b"], "ab", "text/plain"),
        ([b"\xff\x00\xff\xff\xff"], '"/wD///8="', "application/json"),
        ([{"n": 1}, {"n": 2}], '[{"n":1},{"n":2}]', "application/json"),
        ([Event(n=1)], '[{"n":1}]', "application/json"),
        ([1, None, True], "[1,null,true]", "application/json"),
        ([None], "[null]", "application/json"),
        (["a", "b", {"n": 1}, "c", "d"], '["ab",{"n":1},"cd"]', "application/json"),
        (["a", b"b", "c"], '["a","b","c"]', "application/json"),
        ([("node", {"n": 1})], '[["node",{"n":1}]]', "application/json"),
    ],
    ids=repr,
)
def test_chunks_are_joined_by_kind(tape, chunks, content, mime_type):
    """Texts to one text, bytes that are a text too; everything else is a list."""
    turn = recorded(tape, chunks)

    assert (turn.output.content, turn.output.mime_type) == (content, mime_type)
    assert turn.chunks == len(chunks)
    assert turn.truncated == ()


def test_no_chunk_can_harm_its_stream(tape):
    """What cannot be read is named, and every chunk reaches the consumer."""

    class Hostile:
        def __getattr__(self, name):
            raise AssertionError(name)

        __repr__ = __eq__ = __hash__ = __len__ = __iter__ = __getattr__

    circular = {}
    circular["me"] = circular
    given = [Hostile(), circular, (n for n in range(3)), float("nan"), "end"]

    @turnspan.agent
    def stream():
        yield from given

    found = list(stream())

    assert all(one is other for one, other in zip(found, given, strict=True))
    assert list(given[2]) == [0, 1, 2]
    assert tape.turn.output.content.endswith(',"<generator>",null,"end"]')
    assert tape.recorder.failures == 0


@pytest.mark.parametrize(
    "chunks, kept, size",
    [
        (["x" * 60, "y" * 60, "z" * 60], "x" * 60 + "y" * 40, 180),
        (["é" * 60, "y"], "é" * 50, 121),
        ([b"x" * 60, b"y" * 60], "x" * 60 + "y" * 40, 120),
    ],
    ids=["text", "wide text", "bytes"],
)
def test_a_stream_keeps_its_budget_and_says_what_was_cut(record, chunks, kept, size):
    """What comes beyond it is counted, and not kept."""
    turn = recorded(record(limits=Limits(max_bytes=100)), chunks)

    assert turn.output.content == kept
    assert [(cut.where, cut.why, cut.size_bytes) for cut in turn.truncated] == [
        ("output", "over 100 bytes", size)
    ]
    assert turn.chunks == len(chunks)


def test_a_list_of_chunks_keeps_its_budget(record):
    """In bytes and in number."""
    by_bytes = recorded(record(limits=Limits(max_bytes=100)), [{"n": "x" * 30}] * 5)
    by_number = recorded(record(limits=Limits(max_nodes=10)), [1] * 12)

    assert by_bytes.output.content == '[{"n":"' + "x" * 30 + '"},{"n":"' + "x" * 30 + '"}]'
    assert [cut.why for cut in by_bytes.truncated] == ["over 100 bytes"]
    assert by_number.output.content == "[" + ",".join(["1"] * 10) + "]"
    assert "more than 10 chunks" in [cut.why for cut in by_number.truncated]


def test_the_budget_of_a_step_is_named_where_the_step_is(record):
    """By the id of the step."""
    tape = record(limits=Limits(max_bytes=100))
    step = recorded(tape, ["x" * 101], turnspan.tool)

    assert [cut.where for cut in tape.turn.truncated] == [f"steps/{step.id}/output"]
    assert step.output.type == "tool_result"


def test_a_stream_of_millions_of_chunks_stays_small():
    """What is kept of it is bounded by the budget, not by their number."""
    chunks = Chunks(Limits(max_bytes=1000))
    for _ in range(200_000):
        chunks.add("0123456789")

    assert len(chunks.joined(whole=False)) == 1000
    assert chunks.cut == ("over 1000 bytes", 2_000_000)


def test_content_off_keeps_the_counts_and_nothing_that_was_said(record):
    """How many chunks, and when the first came; of all of it the shape, or not even that."""
    shape = recorded(record(policy=Policy(content=False)), ["secret", "!"])
    turn = recorded(record(policy=Policy(content="none")), ["secret"])

    assert shape.output.content == '{"type":"string","size":7}'
    assert turn.output is None
    assert (turn.chunks, turn.first_chunk_at is not None) == (1, True)


def test_server_sent_events_of_an_async_stream_are_text(tape):
    """As they go over the wire."""

    @turnspan.agent
    async def events():
        for n in range(2):
            yield f"data: {n}\n\n".encode()

    async def main():
        return [event async for event in events()]

    assert asyncio.run(main()) == [b"data: 0\n\n", b"data: 1\n\n"]
    assert tape.turn.output.content == "data: 0\n\ndata: 1\n\n"
