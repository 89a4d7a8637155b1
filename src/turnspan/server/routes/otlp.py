"""OTLP/HTTP: `POST /v1/traces` takes spans, of which turns are made.

Source: https://opentelemetry.io/docs/specs/otlp/ v1.9.0, OTLP/HTTP: a response is of the request's
type; a failure is a `google.rpc.Status`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from math import ceil
from typing import Any, Final

import orjson
from starlette.responses import Response

from turnspan.errors import WireError
from turnspan.server.call import Call, Calling, Writing
from turnspan.server.dialect import Dialect, DialectRouter, RequestLine
from turnspan.server.problem import Problem
from turnspan.server.quota import check_quota
from turnspan.server.store.port import ArrivedSpans, KeptSpan
from turnspan.telemetry import semconv as names
from turnspan.telemetry.decoding import (
    Received,
    ReceivedSpan,
    from_json,
    from_protobuf,
    read_span,
)
from turnspan.telemetry.protobuf import delimited, varint

__all__ = ["dialect"]

PATH: Final = "/v1/traces"
PROTOBUF: Final = "application/x-protobuf"
JSON: Final = "application/json"
EMPTY: Final = b"{}"  # a request without spans, which is to be answered as any other
_READ: Final = {PROTOBUF: from_protobuf, JSON: from_json}
_IS_REMOTE: Final = 0x200
# Source: https://github.com/googleapis/googleapis google/rpc/code.proto
_CODES: Final = {400: 3, 401: 16, 403: 7, 404: 5, 405: 12, 409: 10, 413: 11, 429: 8, 503: 14}
_INVALID, _INTERNAL = 3, 13

router: Final[DialectRouter] = DialectRouter()

_OBJECTS: Final = {"type": "array", "items": {"type": "object"}}
_REQUEST: Final[dict[str, Any]] = {
    "type": "object",
    "properties": {"resourceSpans": _OBJECTS},
    "anyOf": [{"required": ["resourceSpans"]}, {"maxProperties": 0}],
}
_DOCUMENT: Final[dict[str, Any]] = {
    "requestBody": {
        "required": True,
        "description": "An ExportTraceServiceRequest; gzip or zstd if you like.",
        "content": {
            PROTOBUF: {"schema": {"type": "string", "format": "binary"}},
            JSON: {"schema": _REQUEST},
        },
    }
}


@router.post(PATH, openapi_extra=_DOCUMENT)
def post_traces(call: Calling, store: Writing) -> Response:
    """Keep spans until their turns can be made; the same span twice is kept once.

    What is acknowledged is in the store. Turns are made of a trace when a turn in it is whole,
    when it has been quiet for a while, or at last of what is there.
    """
    media_type = _media_type(call)
    check_quota(call, store)
    try:
        received = _READ[media_type](call.body) if call.body != EMPTY else Received()
    except WireError as error:
        raise Problem(400, "invalid_request", error.what) from None
    arrived = list(_arrived(received.spans))
    if arrived:
        refused = store.keep_spans(
            arrived,
            quiet_ns=int(call.limits.trace_quiet_s * 1e9),
            wait_ns=int(call.limits.trace_wait_s * 1e9),
        )
        for count in refused.values():
            received.rejected += count
            received.reason = received.reason or "a trace has too many spans"
    return _accepted(received, media_type)


def _media_type(call: Call) -> str:
    """The type of the request.

    Raises:
        Problem: 415, it is none of OTLP's.
    """
    media_type = call.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type not in _READ:
        raise Problem(
            415,
            "unsupported_media",
            f"send {PROTOBUF} or {JSON}",
            headers={"accept-post": f"{PROTOBUF}, {JSON}"},
        )
    return media_type


def _arrived(spans: Sequence[ReceivedSpan]) -> Iterator[ArrivedSpans]:
    """``spans`` by their traces."""
    for trace_id, group in groupby(sorted(spans, key=_trace_id), _trace_id):
        found = list(group)
        yield ArrivedSpans(
            trace_id=trace_id,
            spans=[_kept(each) for each in found],
            rooted=any(map(_is_root, found)),
            whole=_is_whole(found),
        )


def _trace_id(span: ReceivedSpan) -> str:
    return span.trace_id


def _kept(span: ReceivedSpan) -> KeptSpan:
    about = read_span(span).about
    return KeptSpan(span.span_id, span.dump(), about.get("session_id"), about.get("user_id"))


def _is_root(span: ReceivedSpan) -> bool:
    """Whether no span of the same process is above it."""
    return span.parent_id is None or bool(span.flags & _IS_REMOTE)


def _is_whole(spans: Sequence[ReceivedSpan]) -> bool:
    """Whether a turn of ours is there with all its steps, and nothing else."""
    counts: dict[Any, int] = {}
    wanted: dict[Any, Any] = {}
    for span in spans:
        turn_id = span.attributes.get(names.TURN_ID)
        if not isinstance(turn_id, str):
            return False
        counts[turn_id] = counts.get(turn_id, 0) + 1
        if names.TURN_STEPS in span.attributes:
            wanted[turn_id] = span.attributes[names.TURN_STEPS]
    return all(wanted.get(turn_id) == count - 1 for turn_id, count in counts.items())


def _accepted(received: Received, media_type: str) -> Response:
    if media_type == JSON:
        told = {"rejectedSpans": str(received.rejected), "errorMessage": received.reason}
        body = orjson.dumps({"partialSuccess": told} if received.rejected else {})
    elif received.rejected:
        partial = b"\x08" + varint(received.rejected) + delimited(b"\x12", received.reason.encode())
        body = delimited(b"\x0a", partial)
    else:
        body = b""
    return Response(body, media_type=media_type)


def _render(problem: Problem, call: Call) -> Response:
    """``problem`` as a `google.rpc.Status`, in JSON unless the request was protobuf."""
    status = problem.status_code
    code = _CODES.get(status, _INVALID if status < 500 else _INTERNAL)
    headers = dict(problem.headers or {})
    if problem.retry_after_s is not None:
        headers["retry-after"] = str(max(1, ceil(problem.retry_after_s)))
    if call.headers.get("content-type", "").startswith(PROTOBUF):
        message = delimited(b"\x12", problem.detail.encode())
        return Response(b"\x08" + varint(code) + message, status, headers, PROTOBUF)
    body = orjson.dumps({"code": code, "message": problem.detail})
    return Response(body, status, headers, JSON)


def _claims(request: RequestLine) -> bool:
    return request.path == PATH


dialect: Final[Dialect] = Dialect(name="otlp", router=router, render=_render, claims=_claims)
