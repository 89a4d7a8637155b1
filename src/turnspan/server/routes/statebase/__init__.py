"""The StateBase dialect: sessions, turns, versioned state, errors, rate limits.

Source: https://docs.statebase.org (API reference), statebase 0.4.1, and the OpenAPI document that
StateBase's own TypeScript and Python repositories hold. Where these differ, answers are a superset.
"""

from __future__ import annotations

from typing import Final

from turnspan.server.dialect import Dialect, DialectRouter, RequestLine
from turnspan.server.routes.statebase import elsewhere, envelope, sessions, states, turns

__all__ = ["dialect"]

_FILTERS: Final = frozenset({"agent_id", "starting_after", "created_after", "created_before"})
"""By which the native API lists no sessions."""
_FOREIGN: Final = frozenset({"agent", "since", "until", "cursor"})
"""By which StateBase lists none: beside them, the native API refuses those."""

router: Final[DialectRouter] = DialectRouter()
for _room in (elsewhere, turns, states, sessions):  # sessions last: an id may hold slashes
    router.take(_room.router)


def _claims(line: RequestLine) -> bool:
    """StateBase's paths; of those that are native ones too, what only its client would ask."""
    path, has_header = line.path, "x-api-key" in line.headers
    asks = has_header or "authorization" in line.headers or _has_body(line)
    if path in elsewhere.SHARED:
        return has_header
    if (path, line.method) == ("/v1/sessions", "GET"):
        return has_header or _is_by_own(line)
    if path == "/v1/sessions":
        return asks
    if not path.startswith("/v1/sessions/"):
        return elsewhere.is_known(path)
    if path.count("/") > 3 or line.method == "GET":
        return True
    return has_header or (line.method != "DELETE" and asks)


def _is_by_own(line: RequestLine) -> bool:
    """Whether it asks for what only StateBase knows, and for nothing that it does not know."""
    asked = line.parameters
    return not asked.isdisjoint(_FILTERS) and asked.isdisjoint(_FOREIGN)


def _has_body(line: RequestLine) -> bool:
    sized = line.headers.get("content-length", "0") != "0"
    return sized or "transfer-encoding" in line.headers


dialect: Final[Dialect] = Dialect(
    name="statebase",
    router=router,
    render=envelope.render,
    claims=_claims,
    headers=envelope.headers,
    public=frozenset({"/health"}),
)
