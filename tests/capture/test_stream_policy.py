"""What a policy hides, and what sampling leaves out, of a stream."""

from __future__ import annotations

import asyncio

import pytest

import turnspan
from turnspan.capture.context import current_draft
from turnspan.capture.policy import Policy
from turnspan.capture.values import Limits

CARD = "4111 1111 1111 1111"
KEY = "sk-proj-abcdefghijklmnopqrstuvwxyz0123456789ABCD"


@turnspan.agent
def tell(chunks):
    yield from chunks


def output_of(tape, chunks):
    @turnspan.agent
    def stream():
        yield from chunks

    assert list(stream()) == list(chunks)
    return tape.turn.output.content


def test_a_secret_in_pieces_is_found_in_what_they_come_to(record):
    """Wherever a model happened to break it."""
    tape = record(policy=Policy(patterns=["api_key", "card"]))
    chunks = [f"Take {KEY[:9]}", KEY[9:20], f"{KEY[20:]} and pay with {CARD[:6]}", CARD[6:], "."]
    output_of(tape, chunks)
    written = b"".join(tape.log.lines).decode()

    assert KEY[20:] not in written
    assert CARD not in written
    assert tape.turn.output.content.startswith("Take ")


def test_secrets_by_name_are_hidden_in_chunks(record):
    """As in any other value."""
    tape = record(policy=Policy(hide=["password"]))
    content = output_of(tape, [{"user": "ada", "password": "hush"}, {"n": 1}])

    assert "hush" not in b"".join(tape.log.lines).decode()
    assert '"user":"ada"' in content


@pytest.mark.parametrize("kind", [str, str.encode], ids=["text", "bytes"])
def test_where_a_stream_is_cut_no_half_secret_stays(record, kind):
    """The kept part ends at a white space."""
    tape = record(policy=Policy(patterns=["api_key"]), limits=Limits(max_bytes=100))
    words = kind("word " * 15)
    output = output_of(tape, [words, kind(f"{KEY} more"), kind(" and more")])

    assert output.rstrip() == ("word " * 15).rstrip()
    assert [cut.where for cut in tape.turn.truncated] == ["output"]


def test_where_a_model_s_stream_is_cut_no_half_secret_stays(record):
    """In its text, and in what it gives a tool."""
    tape = record(policy=Policy(patterns=["api_key"]), limits=Limits(max_bytes=100))

    @turnspan.model
    def ask():
        for text in ("word " * 15, KEY, " more"):
            yield {"object": "chat.completion.chunk", "choices": [{"delta": {"content": text}}]}

    with turnspan.turn():
        list(ask())

    assert tape.step.output.content.rstrip() == ("word " * 15).rstrip()
    assert KEY[:20] not in b"".join(tape.log.lines).decode()


def test_a_stream_that_sampling_leaves_out_leaves_out_what_is_in_it(record):
    """It answers as ever, and what its code calls is no turn of its own."""
    tape = record(sample=0.0)
    seen = []

    @turnspan.agent
    def outer():
        seen.append(list(tell(["inner"])))
        yield "a"
        with turnspan.turn(agent="block"):
            yield "b"

    @turnspan.agent
    async def outer_later():
        yield list(tell(["inner"]))

    async def main():
        return [item async for item in outer_later()]

    assert list(outer()) == ["a", "b"]
    assert asyncio.run(main()) == [["inner"]]
    assert seen == [["inner"]]
    assert tape.records == []
    assert tape.recorder.is_busy is False
    assert tape.recorder.sampled_out == 2
    assert current_draft.get() is None


def test_a_stream_that_fails_is_kept_though_its_session_is_not(record):
    """Where errors are kept, with what it said and did before."""
    tape = record(sample=0.0, keep_errors=True)

    @turnspan.agent
    def fails():
        yield from tell(["so far"])
        raise ValueError

    with turnspan.session("s"):
        list(tell(["fine"]))
        with pytest.raises(ValueError):
            list(fails())

    assert (tape.turn.status, tape.turn.output.content) == ("error", "so far")
    assert [step.output.content for step in tape.turn.steps] == ["so far"]
