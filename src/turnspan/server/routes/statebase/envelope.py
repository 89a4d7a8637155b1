"""Errors and rate limits in StateBase's words."""

from __future__ import annotations

from collections.abc import Mapping
from math import ceil
from typing import Any, Final

from starlette.responses import JSONResponse, Response

from turnspan.server.call import Call
from turnspan.server.problem import Problem

__all__ = ["headers", "render"]

_CODES: Final = {
    "unauthenticated": "authentication_failed",
    "forbidden": "permission_denied",
    "conflict": "conflict",
    "too_large": "payload_too_large",
    "rate_limited": "rate_limit_exceeded",
    "quota_exhausted": "rate_limit_exceeded",
    "unavailable": "service_unavailable",
    "timeout": "service_unavailable",
    "internal": "internal_error",
}
_TYPES: Final = {401: "authentication_error", 403: "permission_error", 429: "rate_limit_error"}
_MISSING: Final = frozenset({"session", "turn", "memory", "trace"})
_BAD_REQUEST: Final = 400
_UNREADABLE: Final = 422
_OURS: Final = 500


def render(problem: Problem, _call: Call) -> Response:
    """``problem`` in StateBase's envelope; a request that cannot be read is a 400 there."""
    status = _BAD_REQUEST if problem.status_code == _UNREADABLE else problem.status_code
    told: dict[str, Any] = {
        "code": _code(problem),
        "message": problem.detail,
        "type": "api_error" if status >= _OURS else _TYPES.get(status, "invalid_request_error"),
        "param": _param(problem),
    }
    sent = dict(problem.headers or {})
    if problem.retry_after_s is not None:
        told["retry_after"] = max(1, ceil(problem.retry_after_s))
        sent["retry-after"] = str(told["retry_after"])
    return JSONResponse({"error": told}, status, sent)


def headers(call: Call, _status: int) -> Mapping[str, str]:
    """Rate limits; the bucket's reset is in seconds since the epoch."""
    left = call.allowance
    if left is None:
        return {}
    return {
        "x-ratelimit-limit": str(left.limit),
        "x-ratelimit-remaining": str(left.remaining),
        "x-ratelimit-reset": str(ceil(left.full_at / 1e9)),
    }


def _code(problem: Problem) -> str:
    if problem.code == "not_found":
        resource = problem.resource if problem.resource in _MISSING else "resource"
        return f"{resource}_not_found"
    return _CODES.get(problem.code, "invalid_request")


def _param(problem: Problem) -> str | None:
    if problem.errors and problem.errors[0].kind != "json_invalid":
        return ".".join(str(part) for part in problem.errors[0].location[1:]) or None
    if problem.resource in _MISSING:
        return f"{problem.resource}_id"
    return None if problem.errors else problem.param
