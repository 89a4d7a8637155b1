"""Sonzai: exchanges are taken, processed in the background, and shown as messages."""

from __future__ import annotations

from typing import Final

from turnspan.server.dialect import Dialect, DialectRouter, RequestLine
from turnspan.server.routes.sonzai import context, sessions, turns
from turnspan.server.routes.sonzai.envelope import headers, render

__all__ = ["dialect"]

router: Final[DialectRouter] = DialectRouter()
for _room in (turns, sessions, context):
    router.take(_room.router)


def _claims(request: RequestLine) -> bool:
    """Everything below `/api/v1`: what is not there is to be told in its words too."""
    return request.path.startswith("/api/v1/")


dialect: Final[Dialect] = Dialect(
    name="sonzai",
    router=router,
    render=render,
    claims=_claims,
    headers=headers,
    jobs={turns.TURN: turns.process_turn, sessions.END: sessions.process_end},
)
