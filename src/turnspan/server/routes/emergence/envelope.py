"""Problems in Emergence's words: the platform's envelope, and FastAPI's own for 422.

Source: https://docs.emergence.ai (errors; talk2data, chat sessions).
"""

from __future__ import annotations

import re
from http import HTTPStatus
from math import ceil
from typing import Any, Final

from starlette.responses import JSONResponse, Response

from turnspan.server.call import Call
from turnspan.server.ids import bits_of
from turnspan.server.problem import Problem

__all__ = ["render"]

_CODES: Final = {
    "unauthenticated": "INVALID_TOKEN",
    "forbidden": "INSUFFICIENT_PERMISSIONS",
    "not_found": "RESOURCE_NOT_FOUND",
    "conflict": "RESOURCE_ALREADY_EXISTS",
    "rate_limited": "RATE_LIMIT_EXCEEDED",
    "quota_exhausted": "RATE_LIMIT_EXCEEDED",
    "unavailable": "SERVICE_UNAVAILABLE",
    "timeout": "SERVICE_UNAVAILABLE",
    "internal": "INTERNAL_ERROR",
}
_PARENT: Final = re.compile(r"[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}")


def render(problem: Problem, call: Call) -> Response:
    """``problem`` in the vendor's envelope."""
    headers = dict(problem.headers or {})
    if problem.retry_after_s is not None:
        headers["retry-after"] = str(max(1, ceil(problem.retry_after_s)))
    status = problem.status_code
    told = _validation(problem) if status == HTTPStatus.UNPROCESSABLE_ENTITY else None
    return JSONResponse(told or _envelope(problem, call), status, headers)


def _validation(problem: Problem) -> dict[str, Any]:
    errors = [
        {"loc": list(each.location), "msg": each.message, "type": each.kind}
        for each in problem.errors
    ]
    alone = {"loc": [problem.param or "body"], "msg": problem.detail, "type": "value_error"}
    return {"detail": errors or [alone]}


def _envelope(problem: Problem, call: Call) -> dict[str, Any]:
    details = {"resource": problem.resource} if problem.resource else {}
    return {
        "error": {
            "code": _CODES.get(problem.code, "INVALID_REQUEST"),
            "message": problem.detail,
            "status": problem.status_code,
            "details": details | dict(problem.extra),
            "request_id": call.request_id,
            "trace_id": _trace_id(call),
        }
    }


def _trace_id(call: Call) -> str:
    """The caller's trace, or the request's id written as one."""
    found = _PARENT.fullmatch(call.headers.get("traceparent", ""))
    return found[1] if found else f"{bits_of(call.request_id):032x}"
