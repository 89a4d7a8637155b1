"""Problems and headers in uniqOS's words.

Source: https://docs.uniqos.ai/errors; the names of the quota headers are not published.
"""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from math import ceil
from typing import Any, Final

from starlette.concurrency import run_in_threadpool
from starlette.responses import JSONResponse, Response
from starlette.types import Receive, Scope, Send

from turnspan.dialects.instants import iso_of
from turnspan.server.call import Call
from turnspan.server.problem import Problem
from turnspan.server.quota import Quota
from turnspan.server.routes.uniqos.quota import recent_quota
from turnspan.server.store.port import UnavailableError

__all__ = ["headers", "render"]

UNLIMITED: Final = 2**53 - 1
"""Said where there is no limit: the largest number that every client can read."""
DOCUMENTATION: Final = "https://docs.uniqos.ai/errors"
_CODES: Final = {
    "unauthenticated": ("authentication_error", "authentication"),
    "forbidden": ("permission_denied", "permission"),
    "not_found": ("not_found", "not_found"),
    "method_not_allowed": ("method_not_allowed", "invalid_request"),
    "conflict": ("conflict", "conflict"),
    "rate_limited": ("rate_limit_exceeded", "rate_limit"),
    "quota_exhausted": ("quota_exhausted", "quota"),
    "unavailable": ("service_unavailable", "service"),
    "timeout": ("service_unavailable", "service"),
    "internal": ("internal_error", "internal"),
}
_INVALID: Final = ("validation_error", "validation")
_OF_QUOTA: Final = frozenset({HTTPStatus.FORBIDDEN, HTTPStatus.TOO_MANY_REQUESTS})
_OF_RATE: Final = frozenset({HTTPStatus.OK, HTTPStatus.TOO_MANY_REQUESTS})


def render(problem: Problem, call: Call) -> Response:
    """``problem`` in the vendor's envelope, with the quota where it is told of it."""
    status = problem.status_code
    if status == HTTPStatus.UNPROCESSABLE_ENTITY:
        status = HTTPStatus.BAD_REQUEST
    code, kind = _CODES.get(problem.code, _INVALID)
    error = {
        "code": code,
        "message": _message(problem),
        "type": kind,
        "request_id": call.request_id,
        "details": _details(problem),
        "documentation_url": DOCUMENTATION,
    }
    sent = dict(problem.headers or {})
    if problem.retry_after_s is not None:
        sent["retry-after"] = str(max(1, ceil(problem.retry_after_s)))
    answer = JSONResponse({"error": error}, int(status), sent)
    if status in _OF_QUOTA and call.access is not None:
        return _WithQuota(answer, call)
    return answer


def headers(call: Call, status: int) -> Mapping[str, str]:
    """What is left of the bucket, on answers of 200 and 429 only."""
    left = call.allowance
    if left is None or status not in _OF_RATE:
        return {}
    return {
        "x-ratelimit-limit": str(left.limit),
        "x-ratelimit-remaining": str(left.remaining),
        "x-ratelimit-reset": iso_of(left.full_at // 10**6 * 10**6),
    }


class _WithQuota(Response):
    """An answer that says how much of the month's quota is used.

    The store is asked in a thread: an answer is made where nothing may block.
    """

    def __init__(self, answer: Response, call: Call) -> None:
        super().__init__(answer.body, answer.status_code, dict(answer.headers))
        self._call: Call = call

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            quota = await run_in_threadpool(recent_quota, self._call)
        except UnavailableError:  # a refusal needs no store; it goes out without the numbers
            pass
        else:
            self.headers.update(_shown(quota))
        await super().__call__(scope, receive, send)


def _shown(quota: Quota) -> dict[str, str]:
    return {
        "x-quota-turns-used": str(quota.turns),
        "x-quota-turns-limit": str(UNLIMITED if quota.limit is None else quota.limit),
        "x-quota-relationships-used": str(quota.sessions),
        "x-quota-relationships-limit": str(UNLIMITED),
        "x-quota-reset": iso_of(quota.resets_at),
    }


def _message(problem: Problem) -> str:
    if problem.resource == "path":
        return "turnspan serves interactions and usage of uniqOS; there is nothing at this path"
    return problem.detail


def _details(problem: Problem) -> Any:
    """The fields that were wrong; null where none was."""
    if problem.errors:
        return [
            {"field": str(each.location[-1]), "message": each.message} for each in problem.errors
        ]
    return [{"field": problem.param, "message": problem.detail}] if problem.param else None
