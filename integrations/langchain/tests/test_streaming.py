"""Streams: joined answers, usage of the last chunk, time to the first one."""

from __future__ import annotations

import asyncio

import pytest
from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.messages import AIMessageChunk

USAGE = {"input_tokens": 3, "output_tokens": 2, "total_tokens": 5}


def pieces():
    return (
        AIMessageChunk([{"type": "reasoning", "reasoning": "hm", "index": 0}]),
        AIMessageChunk([{"type": "text", "text": "hel", "index": 1}]),
        AIMessageChunk([{"type": "text", "text": "lo", "index": 1}]),
        AIMessageChunk([], usage_metadata=USAGE, response_metadata={"model_name": "m"}),
    )


def check(turn, lc):
    (step,) = turn.steps
    assert lc.brief(turn) == ("ok", "hi", "hello", [("model", "scripted-1", "ok")])
    assert (step.reasoning, step.output.content) == ("hm", "hello")
    assert step.usage.model_dump(exclude_none=True) == {"input_tokens": 3, "output_tokens": 2}
    assert step.started_at < step.first_chunk_at < step.ended_at
    assert turn.first_chunk_at == step.first_chunk_at


def test_a_stream_is_joined_and_its_first_chunk_timed(handler, memory, runs, lc):
    """What came in pieces is one answer, with the usage that came last."""
    list(lc.streaming(*pieces()).stream("hi", {"callbacks": [handler]}))

    check(memory.turns[0], lc)
    assert len(runs) == 0


def test_an_async_stream_is_the_same(handler, memory, runs, lc):
    """Tokens come as positional arguments there."""

    async def consume():
        async for _ in lc.streaming(*pieces()).astream("hi", {"callbacks": [handler]}):
            pass

    asyncio.run(consume())

    check(memory.turns[0], lc)
    assert len(runs) == 0


def test_a_stream_of_a_tool_call_has_a_first_chunk(handler, memory, lc):
    """Its pieces have no text, but they are an answer."""
    call = {"name": "add", "args": '{"a":1}', "id": "c1", "index": 0, "type": "tool_call_chunk"}
    model = lc.streaming(AIMessageChunk("", tool_call_chunks=[call]))
    list(model.stream("hi", {"callbacks": [handler]}))
    (turn,) = memory.turns

    assert turn.steps[0].first_chunk_at is not None
    assert turn.messages[1].parts[0].fields == {"name": "add", "id": "c1", "arguments": {"a": 1}}


def test_a_stream_that_breaks_keeps_what_it_said(handler, memory, runs, lc):
    """The pieces up to the failure are the step's output."""
    model = lc.streaming(AIMessageChunk("half "), AIMessageChunk("an"), RuntimeError("gone"))
    with pytest.raises(RuntimeError, match="gone"):
        list(model.stream("hi", {"callbacks": [handler]}))
    (turn,) = memory.turns

    assert lc.brief(turn) == ("error", "hi", "half an", [("model", "scripted-1", "error")])
    assert len(runs) == 0


def test_a_stream_that_is_left_is_abandoned(handler, memory, runs, lc):
    """Whoever closes a stream early ends the turn, and that is no error."""

    stream = lc.streaming(*pieces()).stream("hi", {"callbacks": [handler]})
    next(stream)
    stream.close()
    (turn,) = memory.turns

    assert (turn.status, turn.error) == ("abandoned", None)
    assert len(runs) == 0


@pytest.mark.skipif(
    not hasattr(BaseCallbackHandler, "on_stream_event"), reason="this langchain-core has no events"
)
def test_the_event_protocol_marks_one_first_chunk(handler, memory, lc):
    """Where tokens and events are both reported, the first of them counts."""
    stream = lc.streaming(*pieces()).stream_events("hi", {"callbacks": [handler]}, version="v3")
    _ = stream.output
    step = memory.turns[0].steps[0]

    assert step.started_at < step.first_chunk_at < step.ended_at
    assert step.output.content == "hello"
