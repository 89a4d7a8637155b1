"""MCP requests that carry the trace of the turn they are made in, in their `_meta`.

    from turnspan.integrations import mcp as mcp_traces

    await session.call_tool("search", arguments, meta=mcp_traces.meta())  # the client's side
    server = MCPServer("shop", middleware=[mcp_traces.Middleware()])      # the server's, of mcp 2
    with mcp_traces.received(ctx.request_context.meta): ...               # in a handler of mcp 1

From version 2 on the package `mcp` sends the trace context itself; what is added here is baggage
on the server's side, and session and user where both sides ask for them by ``session=True``: see
`turnspan.integrations.propagation`. Version 1 sends nothing by itself.

Source: https://modelcontextprotocol.io/seps/414-request-meta (`traceparent`, `tracestate` and
`baggage` stand in `_meta` under these names).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractContextManager
from typing import Any

from turnspan.integrations import propagation

__all__ = ["Middleware", "meta", "received"]


def meta(given: Mapping[str, Any] | None = None, *, session: bool = False) -> dict[str, Any]:
    """The `_meta` of a request that is made here: ``given``, and where it comes from."""
    carrier: dict[str, Any] = dict(given or {})
    propagation.inject(carrier, session=session)
    return carrier


def received(meta: object, *, session: bool = False) -> AbstractContextManager[None]:
    """Have what stands in ``meta`` of a request in force inside; None and others say nothing."""
    known = meta if isinstance(meta, Mapping) else getattr(meta, "model_extra", None) or {}
    carrier = {
        key: value
        for key, value in known.items()
        if isinstance(key, str) and isinstance(value, str)
    }
    return propagation.received(carrier, session=session)


class Middleware:
    """For servers of mcp 2: `received` around each message that comes in."""

    def __init__(self, *, session: bool = False) -> None:
        self._session = session

    async def __call__(self, ctx: Any, call_next: Callable[[Any], Awaitable[Any]]) -> Any:
        """Answer one message."""
        with received(ctx.meta, session=self._session):
            return await call_next(ctx)
