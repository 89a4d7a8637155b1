"""Sessions, and the erasure of one or of a user."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any, Final, Literal

from pydantic import BaseModel

from turnspan.server.call import Erasing, Reading
from turnspan.server.dialect import DialectRouter
from turnspan.server.problem import missing
from turnspan.server.routes.native.known_query import KNOWN_QUERY
from turnspan.server.routes.native.params import (
    METADATA,
    PROBLEMS,
    Cursor,
    Limit,
    Sessions,
    cursor_of,
)
from turnspan.server.store.port import Receipt, Session

router: Final[DialectRouter] = DialectRouter([KNOWN_QUERY])


class SessionShown(BaseModel):
    """A session. Times are nanoseconds since the epoch."""

    id: str
    agent: str | None
    user_id: str | None
    title: str | None
    metadata: dict[str, Any]
    created_at: int
    updated_at: int
    ended_at: int | None
    expires_at: int | None
    first_at: int | None
    last_at: int | None
    turn_count: int
    state_version: int


class SessionPage(BaseModel):
    """Some sessions, and where the listing goes on."""

    data: list[SessionShown]
    next_cursor: str | None


class ReceiptShown(BaseModel):
    """What an erasure removed: counts, and nothing of what they counted."""

    id: str
    subject: Literal["session", "user"]
    at: int
    turns: int
    sessions: int
    steps: int
    feedback: int
    states: int
    artifacts: int
    jobs: int
    answers: int


@router.get("/v1/sessions", openapi_extra=METADATA, responses=PROBLEMS)
def list_sessions(store: Reading, where: Sessions, after: Cursor, limit: Limit = 50) -> SessionPage:
    """A page of sessions, the one made last first."""
    page = store.sessions(where, limit=limit, after=after)
    last = page.items[-1].position if page.has_more and page.items else None
    return SessionPage(data=[_shown(each) for each in page.items], next_cursor=cursor_of(last))


@router.delete("/v1/sessions/{session_id:segment}", responses=PROBLEMS)
def erase_session(store: Erasing, session_id: str) -> ReceiptShown:
    """Erase a session for good: turns, words, feedback, states, artifacts, kept answers."""
    receipt = store.erase_session(session_id)
    if receipt is None:
        raise missing("session", session_id)
    return _receipt(receipt)


@router.delete("/v1/users/{user_id:segment}", responses=PROBLEMS)
def erase_user(store: Erasing, user_id: str) -> ReceiptShown:
    """Erase everything of a user for good: their turns, and their sessions whole."""
    return _receipt(store.erase_user(user_id))


@router.get("/v1/erasures/{receipt_id:segment}", responses=PROBLEMS)
def show_receipt(store: Reading, receipt_id: str) -> ReceiptShown:
    """The receipt of an erasure."""
    receipt = store.receipt(receipt_id)
    if receipt is None:
        raise missing("erasure", receipt_id)
    return _receipt(receipt)


def _shown(session: Session) -> SessionShown:
    return SessionShown(**{name: getattr(session, name) for name in SessionShown.model_fields})


def _receipt(receipt: Receipt) -> ReceiptShown:
    return ReceiptShown(**asdict(receipt))
