"""Sessions: one, its title, its end, and what it produced."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Final

import orjson
from fastapi import Query
from pydantic import BaseModel, ConfigDict, Field

from turnspan.dialects.emergence import message_count
from turnspan.dialects.instants import iso_of
from turnspan.server.call import Erasing, Reading, Writing
from turnspan.server.dialect import DialectRouter
from turnspan.server.problem import missing
from turnspan.server.routes.emergence.pages import Limit, PageNumber, paged
from turnspan.server.routes.emergence.project import OWN
from turnspan.server.routes.emergence.turns import artifact_shown
from turnspan.server.store.port import Session, TurnFilter, TurnStore

PATH: Final = "/talk2data/chat/sessions/{session_id:segment}"
MAX_OFFSET: Final = 2**62
router: Final[DialectRouter] = DialectRouter()


class Change(BaseModel):
    """What may be changed of a session."""

    model_config: ClassVar[ConfigDict] = ConfigDict(strict=True)

    title: str = Field(min_length=1, max_length=255)


@router.get(PATH, dependencies=OWN)
def show_session(store: Reading, session_id: str) -> dict[str, Any]:
    """A session, and how much is in it."""
    return _shown(store, store.session(session_id), session_id)


@router.patch(PATH, dependencies=OWN)
def change_session(store: Writing, session_id: str, change: Change) -> dict[str, Any]:
    """Give a session a title."""
    if store.session(session_id) is None:
        raise missing("session", session_id)
    return _shown(store, store.change_session(session_id, title=change.title), session_id)


@router.delete(PATH, dependencies=OWN)
def delete_session(store: Erasing, session_id: str) -> dict[str, Any]:
    """Erase a session for good, with all that belongs to it."""
    if store.session(session_id) is None or store.erase_session(session_id) is None:
        raise missing("session", session_id)
    return {}


@router.get(PATH + "/artifacts", dependencies=OWN)
def list_artifacts(
    store: Reading,
    session_id: str,
    page: PageNumber = 1,
    limit: Limit = 50,
    artifact_type: Annotated[str | None, Query(max_length=200)] = None,
) -> dict[str, Any]:
    """A page of what a session's turns produced, oldest first."""
    if store.session(session_id) is None:
        raise missing("session", session_id)
    offset = min((page - 1) * limit, MAX_OFFSET)
    found, total = store.artifacts(session_id, type=artifact_type, limit=limit, offset=offset)
    data = [{"turn_id": each.turn_id, **artifact_shown(each)} for each in found]
    return paged(data, page=page, limit=limit, total=total)


def _shown(store: TurnStore, session: Session | None, session_id: str) -> dict[str, Any]:
    if session is None:
        raise missing("session", session_id)
    lines = store.export(TurnFilter(session_id=session.id))
    _, artifact_count = store.artifacts(session.id, limit=1)
    return {
        "session_id": session.id,
        "title": session.title,
        "turn_count": session.turn_count,
        "message_count": sum(message_count(orjson.loads(line)) for line in lines),
        "artifact_count": artifact_count,
        "created_at": iso_of(session.created_at),
        "updated_at": iso_of(session.updated_at),
    }
