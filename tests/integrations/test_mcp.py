"""The `_meta` of MCP requests carries the trace, in either version of the package."""

import asyncio
from types import SimpleNamespace

import pytest

import turnspan
from turnspan.integrations import mcp as mcp_traces

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
META = {
    "traceparent": f"00-{TRACE}-{SPAN}-01",
    "baggage": "gen_ai.conversation.id=trip,user.id=ada",
    "progressToken": 7,
}


@turnspan.agent
def answer(question):
    return question


def test_what_a_request_has_in_its_meta_stays_there(recorded):
    """Trace context is added; without a turn there is none to add."""
    given = {"progressToken": 7}

    @turnspan.agent
    def ask():
        return mcp_traces.meta(given, session=True)

    with turnspan.session("trip"):
        found = ask()
    trace = recorded.turns[0].trace

    assert found == {
        "progressToken": 7,
        "traceparent": f"00-{trace.trace_id}-{trace.span_id}-01",
        "baggage": "gen_ai.conversation.id=trip",
    }
    assert mcp_traces.meta() == {}
    assert given == {"progressToken": 7}


@pytest.mark.parametrize(
    "meta",
    [META, SimpleNamespace(progressToken=7, model_extra=META)],
    ids=["a mapping", "a model, as in mcp 1"],
)
def test_what_came_in_the_meta_is_in_force(recorded, meta):
    """Mappings as mcp 2 has them, models as mcp 1 has."""
    with mcp_traces.received(meta, session=True):
        answer("hi")
    [turn] = recorded.turns

    assert (turn.trace.trace_id, turn.trace.parent_span_id) == (TRACE, SPAN)
    assert (turn.session_id, turn.user_id) == ("trip", "ada")


@pytest.mark.parametrize("meta", [None, {}, {"traceparent": 7}, SimpleNamespace(model_extra=None)])
def test_a_request_without_a_trace_is_answered_alike(recorded, meta):
    """Through the middleware of a server, too."""

    async def call_next(ctx):
        return answer("hi")

    told = asyncio.run(mcp_traces.Middleware()(SimpleNamespace(meta=meta), call_next))

    assert told == "hi"
    assert recorded.turns[0].trace.parent_span_id is None
