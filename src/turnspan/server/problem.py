"""What went wrong with a request: one value, which each dialect words in its own way.

Source: https://www.rfc-editor.org/rfc/rfc9457 (the native form, problem details).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from math import ceil
from typing import Any

from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response

from turnspan.notices import say

__all__ = ["FieldError", "Problem", "missing", "problem_details", "unavailable"]


@dataclass(frozen=True, slots=True)
class FieldError:
    """What is wrong with one part of a request."""

    location: tuple[str | int, ...]
    """Such as `("body", "userId")`."""
    message: str
    kind: str = "invalid"


class Problem(HTTPException):
    """Raised by a route, a dependency or the gate; answered in the dialect's envelope.

    ``code`` is our word for it, the same in every dialect: `invalid_request`,
    `unauthenticated`, `forbidden`, `not_found`, `method_not_allowed`, `conflict`,
    `too_large`, `unsupported_media`, `rate_limited`, `quota_exhausted`, `unavailable`,
    `timeout`, `internal`. ``resource`` says what was not found (`session`, `turn`, …).
    """

    def __init__(
        self,
        status: int,
        code: str,
        detail: str,
        *,
        param: str | None = None,
        resource: str | None = None,
        errors: Sequence[FieldError] = (),
        retry_after_s: float | None = None,
        headers: Mapping[str, str] | None = None,
        extra: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(status, detail, dict(headers or {}))
        self.code = code
        self.param = param
        self.resource = resource
        self.errors: tuple[FieldError, ...] = tuple(errors)
        self.retry_after_s = retry_after_s
        self.extra: Mapping[str, Any] = dict(extra or {})


def missing(resource: str, id: str) -> Problem:
    """A 404 for a ``resource`` that is not there, or is another project's."""
    return Problem(404, "not_found", f"there is no {resource} {id!r}", resource=resource)


def unavailable(error: Exception) -> Problem:
    """A 503 for a store that does not answer, of which the server's log says why."""
    say(f"server store {error}", "the store does not answer: %s", error)
    return Problem(503, "unavailable", "the store does not answer", retry_after_s=1.0)


def problem_details(problem: Problem, request_id: str) -> Response:
    """The native envelope."""
    status = problem.status_code
    body: dict[str, Any] = {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": problem.detail,
        "code": problem.code,
        "request_id": request_id,
    }
    if problem.errors:
        body["errors"] = [
            {"location": ".".join(str(part) for part in each.location), "message": each.message}
            for each in problem.errors
        ]
    headers = dict(problem.headers or {})
    if problem.retry_after_s is not None:
        headers["retry-after"] = str(max(1, ceil(problem.retry_after_s)))
    return JSONResponse(
        {**body, **problem.extra}, status, headers, media_type="application/problem+json"
    )
