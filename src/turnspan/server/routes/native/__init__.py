"""The native Turns API."""

from __future__ import annotations

from starlette.responses import Response

from turnspan.server.call import Call
from turnspan.server.dialect import NATIVE, Dialect, DialectRouter
from turnspan.server.problem import Problem, problem_details
from turnspan.server.routes.native import health

__all__ = ["dialect"]

router = DialectRouter()
router.include_router(health.router)


def _render(problem: Problem, call: Call) -> Response:
    return problem_details(problem, call.request_id)


dialect = Dialect(
    name=NATIVE,
    router=router,
    render=_render,
    public=frozenset({"/health", "/health/live", "/health/ready", "/openapi.json"}),
)
