"""Turns of a session: a page, or one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Final, Literal

from fastapi import Query

from turnspan.dialects.emergence import item_of
from turnspan.dialects.instants import iso_of
from turnspan.server.call import Reading
from turnspan.server.dialect import DialectRouter
from turnspan.server.problem import missing
from turnspan.server.routes.emergence.pages import Limit, PageNumber, paged
from turnspan.server.routes.emergence.project import OWN
from turnspan.server.store.port import Artifact, Feedback, StoredTurn, TurnFilter, TurnStore

__all__ = ["PATH", "artifact_shown", "feedback_shown", "turn_in"]

PATH: Final = "/talk2data/chat/sessions/{session_id:segment}/turns"
MAX_ARTIFACTS: Final = 10_000
"""Most artifacts that are shown with the turns of a page."""
router: Final[DialectRouter] = DialectRouter()


@router.get(PATH, dependencies=OWN)
def list_turns(
    store: Reading,
    session_id: str,
    page: PageNumber = 1,
    limit: Limit = 50,
    order: Annotated[Literal["asc", "desc"], Query()] = "asc",
) -> dict[str, Any]:
    """A page of a session's turns, by the time of their first message."""
    if store.session(session_id) is None:
        raise missing("session", session_id)
    where = TurnFilter(session_id=session_id)
    total = store.count(where)
    offset = (page - 1) * limit
    found = _found(store, where, offset, min(limit, total - offset), newest_first=order == "desc")
    return paged(_items(store, session_id, found), page=page, limit=limit, total=total)


@router.get(
    "/talk2data/chat/sessions/{session_id:segment}/turns/{turn_id:segment}", dependencies=OWN
)
def show_turn(store: Reading, session_id: str, turn_id: str) -> dict[str, Any]:
    """One turn, as an item of the list."""
    return _items(store, session_id, [turn_in(store, session_id, turn_id)])[0]


def turn_in(store: TurnStore, session_id: str, turn_id: str) -> StoredTurn:
    """A turn of a session.

    Raises:
        Problem: 404, the session is not there, or the turn is not in it.
    """
    if store.session(session_id) is None:
        raise missing("session", session_id)
    found = store.turn(turn_id)
    if found is None or found.turn.session_id != session_id:
        raise missing("turn", turn_id)
    return found


def feedback_shown(feedback: Feedback) -> dict[str, Any]:
    """Feedback as an item carries it."""
    return {
        "rating": feedback.rating,
        "comment": feedback.comment,
        "created_at": iso_of(feedback.created_at),
        "updated_at": iso_of(feedback.updated_at),
    }


def artifact_shown(artifact: Artifact) -> dict[str, Any]:
    """An artifact as a message carries it."""
    return {
        "resource_uri": artifact.uri,
        "artifact_type": artifact.type,
        "artifact_title": artifact.title,
        "artifact_description": artifact.description,
        "metadata": dict(artifact.metadata),
        "created_at": iso_of(artifact.created_at),
    }


def _found(
    store: TurnStore, where: TurnFilter, offset: int, count: int, *, newest_first: bool
) -> list[StoredTurn]:
    """As many as were asked for, although the store's pages end early where turns are long."""
    found: list[StoredTurn] = []
    while count > len(found):
        page = store.turns(
            where,
            limit=count - len(found),
            offset=0 if found else offset,
            after=found[-1].position if found else None,
            newest_first=newest_first,
        )
        found += page.items
        if not page.has_more:
            break
    return found


def _items(store: TurnStore, session_id: str, found: Sequence[StoredTurn]) -> list[dict[str, Any]]:
    ids = [each.turn.id for each in found]
    judged = {each.turn_id: each for each in _by_update(store.feedback(ids))}
    made: dict[str, list[dict[str, Any]]] = {}
    kept, _ = store.artifacts(session_id, turn_ids=ids, limit=MAX_ARTIFACTS) if ids else ([], 0)
    for each in kept:
        made.setdefault(each.turn_id, []).append(artifact_shown(each))
    return [
        item_of(
            each.turn,
            feedback=feedback_shown(judged[each.turn.id]) if each.turn.id in judged else None,
            artifacts=made.get(each.turn.id, ()),
        )
        for each in found
    ]


def _by_update(judgements: Sequence[Feedback]) -> list[Feedback]:
    """The last one of a turn is what is thought of it now."""
    rated = [each for each in judgements if each.rating is not None]
    return sorted(rated, key=lambda each: each.updated_at)
