"""The native Turns API."""

from __future__ import annotations

from collections.abc import Mapping
from math import ceil
from typing import Final

from starlette.responses import Response

from turnspan.server.call import Call
from turnspan.server.dialect import NATIVE, Dialect, DialectRouter
from turnspan.server.problem import Problem, problem_details
from turnspan.server.routes.native import document, health, ingest, sessions, stats, turns

__all__ = ["dialect"]

router: Final[DialectRouter] = DialectRouter()
for _room in (health, ingest, turns, sessions, stats):
    router.take(_room.router)


def _render(problem: Problem, call: Call) -> Response:
    return problem_details(problem, call.request_id)


def _headers(call: Call, _status: int) -> Mapping[str, str]:
    """Source: https://www.ietf.org/archive/id/draft-ietf-httpapi-ratelimit-headers-06.html."""
    left = call.allowance
    if left is None:
        return {}
    return {
        "ratelimit-limit": str(left.limit),
        "ratelimit-remaining": str(left.remaining),
        "ratelimit-reset": str(max(0, ceil((left.full_at - call.clock.now_ns()) / 1e9))),
    }


dialect: Final[Dialect] = Dialect(
    name=NATIVE,
    router=router,
    render=_render,
    headers=_headers,
    document=document.finish,
    public=frozenset({"/health", "/health/live", "/health/ready", "/openapi.json"}),
)
