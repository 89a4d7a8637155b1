"""Emergence: turns of a session, what is thought of them, and what they produced."""

from __future__ import annotations

from typing import Final

from turnspan.server.dialect import Dialect, DialectRouter, RequestLine
from turnspan.server.routes.emergence import feedback, sessions, turns
from turnspan.server.routes.emergence.envelope import render

__all__ = ["dialect"]

router: Final[DialectRouter] = DialectRouter()
for _room in (turns, feedback, sessions):
    router.take(_room.router)


def _claims(request: RequestLine) -> bool:
    return request.path.startswith("/talk2data/")


dialect: Final[Dialect] = Dialect(name="emergence", router=router, render=render, claims=_claims)
