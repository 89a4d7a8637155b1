"""Whether the server lives, and whether it can work."""

from __future__ import annotations

from typing import Final

from turnspan.notices import say
from turnspan.server.call import Calling
from turnspan.server.dialect import DialectRouter
from turnspan.server.problem import Problem

router: Final[DialectRouter] = DialectRouter()


@router.get("/health")
@router.get("/health/live")
def live() -> dict[str, str]:
    """The process answers."""
    return {"status": "ok"}


@router.get("/health/ready")
def ready(call: Calling) -> dict[str, str]:
    """The store answers too."""
    try:
        call.storage.ready()
    except Exception as error:  # noqa: BLE001  # border: any failure means the same here
        say("server ready", "the store does not answer: %s", type(error).__qualname__)
        raise Problem(503, "unavailable", "the store does not answer", retry_after_s=5) from None
    return {"status": "ok"}
