"""Requests to an ASGI application bring their trace, and leave nothing behind."""

import asyncio

import pytest
from opentelemetry.context import get_current

import turnspan
from turnspan.capture.context import current_session
from turnspan.integrations import asgi

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
PARENT = (b"traceparent", f"00-{TRACE}-{SPAN}-01".encode())
SESSION = (b"baggage", b"gen_ai.conversation.id=trip,user.id=ada")


@turnspan.agent
async def answer(question):
    for word in ("one ", "two"):
        await asyncio.sleep(0)
        yield word


async def streaming(scope, receive, send):
    """Streams an agent's answer, then runs an agent in the background."""
    await send({"type": "http.response.start", "status": 200, "headers": []})
    async for word in answer("hi"):
        await send({"type": "http.response.body", "body": word.encode(), "more_body": True})
    await send({"type": "http.response.body", "body": b"", "more_body": False})
    async for _ in answer("afterwards"):
        pass


def call(app, scope):
    """Sends one request; what was sent back, and whether the context is clean afterwards."""
    sent = []

    async def main():
        before = get_current(), current_session.get()

        async def send(message):
            sent.append(message.get("body"))

        try:
            await app(scope, None, send)
        finally:
            sent.append((get_current(), current_session.get()) == before)

    asyncio.run(main())
    return sent


def placed(turns):
    return [(turn.trace.trace_id, turn.trace.parent_span_id, turn.session_id) for turn in turns]


@pytest.mark.parametrize("session, told", [(True, "trip"), (False, None)])
@pytest.mark.parametrize("kind", ["http", "websocket"])
def test_turns_of_a_request_belong_to_its_trace(recorded, kind, session, told):
    """While it streams and after it, chunk by chunk as they come."""
    app = asgi.Middleware(streaming, session=session)
    sent = call(app, {"type": kind, "headers": [PARENT, SESSION]})

    assert sent == [None, b"one ", b"two", b"", True]
    assert placed(recorded.turns) == [(TRACE, SPAN, told)] * 2


def test_requests_at_once_do_not_meet(recorded):
    """Each has the trace it came with."""
    app = asgi.Middleware(streaming)

    async def main():
        async def send(message):
            await asyncio.sleep(0)

        scopes = [
            {"type": "http", "headers": [(b"traceparent", f"00-{n:032x}-{n:016x}-01".encode())]}
            for n in range(1, 6)
        ]
        await asyncio.gather(*(app(scope, None, send) for scope in scopes))

    asyncio.run(main())

    assert sorted(placed(recorded.turns)) == sorted(
        (f"{n:032x}", f"{n:016x}", None) for n in range(1, 6) for _ in range(2)
    )


def test_a_failing_application_fails_as_it_did(recorded):
    """Its exception passes, and the context is clean."""

    async def failing(scope, receive, send):
        raise KeyError

    with pytest.raises(KeyError):
        call(asgi.Middleware(failing), {"type": "http", "headers": [PARENT, SESSION]})

    assert current_session.get() is None


@pytest.mark.parametrize(
    "scope",
    [
        {"type": "lifespan"},
        {"type": "http"},
        {"type": "http", "headers": [PARENT, PARENT]},
        {"type": "http", "headers": [(b"traceparent", b"\xff\xfe")]},
    ],
)
def test_what_brings_no_trace_is_answered_alike(recorded, scope):
    """Other kinds of scope, no headers, and such as are none."""
    call(asgi.Middleware(streaming), scope)

    assert [turn.trace.parent_span_id for turn in recorded.turns] == [None, None]


@pytest.mark.parametrize(
    "headers", [[("traceparent", "00-1-2-01")], [(b"traceparent",)], [(b"x", None)], 5]
)
def test_headers_that_cannot_be_read_do_not_fail_the_request(recorded, headers):
    """A server that hands on texts, or no pairs of bytes, is answered without a trace."""
    sent = call(asgi.Middleware(streaming), {"type": "http", "headers": headers})

    assert sent == [None, b"one ", b"two", b"", True]
    assert [turn.trace.parent_span_id for turn in recorded.turns] == [None, None]
