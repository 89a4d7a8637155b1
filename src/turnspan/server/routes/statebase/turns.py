"""Turns: logged, listed, shown."""

from __future__ import annotations

from typing import Annotated, Any, Final

import orjson
from fastapi import Body
from starlette.responses import Response

from turnspan.dialects.instants import iso_of
from turnspan.dialects.statebase import is_parked, item_of, preview_of, turn_of
from turnspan.schema import Turn
from turnspan.server.call import Call, Calling, Reading, Writing
from turnspan.server.dialect import DialectRouter
from turnspan.server.once import answer_once, response_of
from turnspan.server.problem import Problem, missing
from turnspan.server.quota import check_quota
from turnspan.server.routes.statebase.params import (
    Limit,
    Order,
    Text,
    TurnAsked,
    invalid,
    session_of,
)
from turnspan.server.store.port import (
    Answer,
    Incoming,
    Position,
    Session,
    StoredTurn,
    TurnFilter,
    TurnStore,
)

__all__ = ["recent", "router"]

router: Final[DialectRouter] = DialectRouter()

MAX_TURNS: Final = 100
_PATH: Final = "/v1/sessions/{session_id:segments}/turns"


@router.post(_PATH, status_code=201)
def add_turn(
    call: Calling, store: Writing, session_id: str, asked: Annotated[TurnAsked, Body()]
) -> Response:
    """Log a turn; one that turnspan's exporter brings keeps its id, number and times."""

    def work(within: TurnStore) -> Answer:
        session = session_of(within, session_id)
        turn = _stored(call, within, session, asked.item())
        session = session_of(within, session_id)  # it may have its user from this turn
        return Answer(
            status=201,
            body=orjson.dumps(_shown(within, session, turn)),
            session_id=session.id,
            user_id=session.user_id,
        )

    check_quota(call, store)
    if is_parked(asked.metadata):  # known by its id, for longer than by any key
        return response_of(work(store))
    return answer_once(call, store, work)


@router.get(_PATH)
def list_turns(
    store: Reading,
    session_id: str,
    limit: Limit = 20,
    starting_after: Text | None = None,
    order: Order = "desc",
) -> dict[str, Any]:
    """A page of a session's turns, the newest first unless they are asked for in order."""
    session = session_of(store, session_id)
    page = store.turns(
        TurnFilter(session_id=session.id),
        limit=min(limit, MAX_TURNS),
        after=_position(store, session, starting_after),
        newest_first=order == "desc",
    )
    data = [_listed(_shown(store, session, each.turn)) for each in page.items]
    return {
        "object": "list",
        "data": data,
        "has_more": page.has_more,
        "first_id": data[0]["id"] if data else None,
        "last_id": data[-1]["id"] if data else None,
    }


@router.get(_PATH + "/{turn_id:segment}")
def show_turn(store: Reading, session_id: str, turn_id: str) -> dict[str, Any]:
    """One turn."""
    session = session_of(store, session_id)
    found = _found(store, session, turn_id)
    if found is None:
        raise missing("turn", turn_id)
    return _shown(store, session, found.turn)


def recent(store: TurnStore, session: Session, limit: int) -> list[dict[str, Any]]:
    """The newest turns, as a context tells them."""
    if limit == 0:
        return []
    page = store.turns(TurnFilter(session_id=session.id), limit=limit)
    shown = [_shown(store, session, each.turn) for each in page.items]
    return [
        {name: turn[name] for name in ("id", "input", "output", "created_at")} for turn in shown
    ]


def _stored(call: Call, store: TurnStore, session: Session, item: dict[str, Any]) -> Turn:
    now_us = call.clock.now_ns() // 1_000 * 1_000

    def made(number: int, turn_id: str = "") -> Turn:
        known = {
            "id": turn_id or call.ids.id("turn"),
            "session_id": session.id,
            "turn_number": number,
            "created_at": iso_of(now_us),
        }
        turn = turn_of({**item, **known}, agent=session.agent or "", user_id=session.user_id)
        return turn.model_copy(update={"session_id": session.id})

    if is_parked(item["metadata"]):
        return _brought(store, made(session.last_number + 1))
    return store.append(session.id, made).turn


def _brought(store: TurnStore, turn: Turn) -> Turn:
    """Store a turn that has an id of its own, and may have come before."""
    (outcome,) = store.add([Incoming.of(turn)])
    kept = store.turn(turn.id)
    if outcome.status == "refused" or kept is None:
        status, code = (400, "invalid_request") if kept is None else (409, "conflict")
        raise Problem(status, code, str(outcome.error))
    return kept.turn


def _shown(store: TurnStore, session: Session, turn: Turn) -> dict[str, Any]:
    number = turn.number
    if number is None:
        before = TurnFilter(session_id=session.id, until=turn.started_at)
        number = store.count(before) + 1
    return item_of(turn, agent=session.agent or "", user_id=session.user_id, number=number)


def _listed(item: dict[str, Any]) -> dict[str, Any]:
    previews = {f"{name}_preview": preview_of(item[name]) for name in ("input", "output")}
    return item | previews


def _found(store: TurnStore, session: Session, turn_id: str) -> StoredTurn | None:
    found = store.turn(turn_id)
    return found if found is not None and found.turn.session_id == session.id else None


def _position(store: TurnStore, session: Session, turn_id: str | None) -> Position | None:
    if turn_id is None:
        return None
    found = _found(store, session, turn_id)
    if found is None:
        raise invalid("starting_after", "this session has no turn of that id")
    return found.position
