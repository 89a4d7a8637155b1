"""uniqOS: interactions and usage, as its API lists them. Metadata only, read only."""

from __future__ import annotations

import re
from typing import Final

from turnspan.server.dialect import Dialect, DialectRouter, RequestLine
from turnspan.server.routes.uniqos import interactions, usage
from turnspan.server.routes.uniqos.envelope import headers, render

__all__ = ["dialect"]

_OWN: Final = re.compile(r"/v1/(?:interactions|usage)(?:/|$)")

router: Final[DialectRouter] = DialectRouter()
router.take(interactions.router)
router.take(usage.router)


def _claims(request: RequestLine) -> bool:
    """Its own paths, and whatever its client asks: that is to be told no in its words."""
    return bool(_OWN.match(request.path)) or "x-uniqos-sdk" in request.headers


dialect: Final[Dialect] = Dialect(
    name="uniqos", router=router, render=render, claims=_claims, headers=headers
)
