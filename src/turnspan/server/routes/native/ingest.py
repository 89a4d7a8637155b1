"""`POST /v1/turns`: turns come in."""

from __future__ import annotations

from typing import Any, Final

import orjson
from starlette.responses import Response

from turnspan.server.call import Calling, Writing
from turnspan.server.dialect import DialectRouter
from turnspan.server.incoming import Item, records, store_records
from turnspan.server.problem import Problem
from turnspan.server.quota import check_quota
from turnspan.server.routes.native.params import PROBLEMS

router: Final[DialectRouter] = DialectRouter()

_TURN: Final = {"$ref": "#/components/schemas/Turn"}
_RESULTS: Final = {
    "type": "object",
    "required": ["results"],
    "properties": {
        "results": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["index", "id", "status"],
                "properties": {
                    "index": {"type": "integer"},
                    "id": {"type": ["string", "null"]},
                    "status": {"enum": ["stored", "duplicate", "refused", "ignored"]},
                    "error": {"type": "string"},
                },
            },
        }
    },
}
_DOCUMENT: Final[dict[str, Any]] = {
    "requestBody": {
        "required": True,
        "description": "A turn, an array of records, or a record a line; gzip or zstd if you like.",
        "content": {
            "application/json": {"schema": {"anyOf": [_TURN, {"type": "array", "items": {}}]}},
            "application/x-ndjson": {"schema": {"type": "string"}},
        },
    }
}


@router.post(
    "/v1/turns",
    openapi_extra=_DOCUMENT,
    responses={**PROBLEMS, 200: {"content": {"application/json": {"schema": _RESULTS}}}},
)
def post_turns(call: Calling, store: Writing) -> Response:
    """Store turns, and feedback on turns; each record has an outcome of its own.

    The same turn twice is stored once. A turn that was stored as `interrupted` is replaced by
    a final version of it; the same id with another start is refused. A single turn that is
    refused answers 422, or 409 for what is in the store already; a batch always answers 200.
    """
    check_quota(call, store)
    media_type = call.headers.get("content-type", "")
    items, is_single = records(call.body, media_type, call.clock.now_ns())
    store_records(store, items)
    if is_single and items[0].status == "refused":
        raise _refusal(items[0])
    return Response(
        orjson.dumps({"results": [item.shown for item in items]}), media_type="application/json"
    )


def _refusal(item: Item) -> Problem:
    status, code = (409, "conflict") if item.conflict else (422, "invalid_request")
    return Problem(status, code, str(item.error), extra={"results": [item.shown]})
