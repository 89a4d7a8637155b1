"""Problems and headers in Sonzai's words.

Its clients read different keys: the specification has `detail` and `errors[].location`, the
Python client `message`, `code` and `errors[].field`, those in TypeScript and Go `error`. All of
them are sent.

Source: https://www.rfc-editor.org/rfc/rfc9457; sonzai 1.8.0 (`_exceptions.py`, `_http.py`).
"""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from math import ceil
from typing import Any

from starlette.responses import JSONResponse, Response

from turnspan.server.call import Call
from turnspan.server.problem import Problem

__all__ = ["headers", "render"]


def render(problem: Problem, call: Call) -> Response:  # noqa: ARG001  # as every dialect's is called
    """``problem`` as problem details with what each client looks for."""
    status = problem.status_code
    said = problem.detail
    body: dict[str, Any] = {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": said,
        "message": said,
        "code": "validation_error" if status == HTTPStatus.UNPROCESSABLE_ENTITY else problem.code,
        "error": said,
    }
    if problem.errors:
        body["errors"] = [
            _field(".".join(map(str, each.location)), each.message) for each in problem.errors
        ]
    if problem.resource:
        body["resource"] = problem.resource
    sent = dict(problem.headers or {})
    if problem.retry_after_s is not None:
        sent["retry-after"] = str(max(1, ceil(problem.retry_after_s)))
    return JSONResponse(
        {**body, **problem.extra}, status, sent, media_type="application/problem+json"
    )


def headers(call: Call, _status: int) -> Mapping[str, str]:
    """What is left of the key's bucket, in whole numbers; the time is in Unix seconds."""
    left = call.allowance
    if left is None:
        return {}
    return {
        "x-ratelimit-limit": str(left.limit),
        "x-ratelimit-remaining": str(left.remaining),
        "x-ratelimit-reset": str(ceil(left.full_at / 1e9)),
    }


def _field(where: str, message: str) -> dict[str, Any]:
    """What is wrong with one field; never its value, which may be what a user said."""
    return {"location": where, "field": where, "message": message, "value": None}
