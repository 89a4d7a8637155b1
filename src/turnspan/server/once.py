"""`Idempotency-Key`: the same request twice has one effect and one answer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from starlette.responses import Response

from turnspan.server.call import Call
from turnspan.server.problem import Problem
from turnspan.server.store.port import Answer, ConflictError, TurnStore

__all__ = ["answer_once", "response_of"]

MAX_KEY_CHARS: Final = 255
REPLAYED: Final = "Idempotency-Replayed"


def answer_once(call: Call, store: TurnStore, work: Callable[[TurnStore], Answer]) -> Response:
    """Answer with ``work``, or with what was answered to the same idempotency key before.

    Without the header ``work`` is simply done. What it writes and what it answers are
    committed together; a problem it raises is answered, and not kept.

    Raises:
        Problem: 409, the key came before with another request; 400, it is too long.
    """
    key = call.headers.get("idempotency-key", "")
    if not key:
        return response_of(work(store))
    if len(key) > MAX_KEY_CHARS:
        raise Problem(
            400,
            "invalid_request",
            f"an idempotency key has at most {MAX_KEY_CHARS} characters",
            param="Idempotency-Key",
        )
    route = f"{call.dialect.name} {call.method} {call.path}"
    try:
        return response_of(store.once(key, call.fingerprint, work, route=route))
    except ConflictError:
        raise Problem(
            409,
            "conflict",
            "this idempotency key came before with another request",
            param="Idempotency-Key",
        ) from None


def response_of(answer: Answer) -> Response:
    """``answer`` as it goes out."""
    headers = dict(answer.headers) | ({REPLAYED: "true"} if answer.replayed else {})
    return Response(answer.body, answer.status, headers, answer.media_type)
