"""The state of a session: read, merged, replaced, rolled back, and what it was before."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Final

import orjson
from fastapi import Body, Query
from starlette.responses import Response

from turnspan.dialects.instants import iso_of
from turnspan.server.call import Call, Calling, Reading, Writing
from turnspan.server.dialect import DialectRouter
from turnspan.server.once import answer_once
from turnspan.server.problem import missing
from turnspan.server.routes.statebase.params import (
    Limit,
    RollbackAsked,
    StateAsked,
    invalid,
    session_of,
)
from turnspan.server.store.port import Answer, Session, StateVersion, TurnStore

__all__ = ["object_of", "router"]

router: Final[DialectRouter] = DialectRouter()

MAX_VERSIONS: Final = 100
_PATH: Final = "/v1/sessions/{session_id:segments}/state"


@router.get(_PATH)
def show_state(store: Reading, session_id: str) -> dict[str, Any]:
    """The latest version."""
    session = session_of(store, session_id)
    return _shown(session, _known(store.state(session.id), session))


@router.patch(_PATH)
def merge_state(
    call: Calling, store: Writing, session_id: str, asked: Annotated[StateAsked, Body()]
) -> Response:
    """Write what is given over the latest state, key by key of its top level."""
    return _changed(call, store, session_id, asked, lambda old: object_of(old) | asked.state)


@router.put(_PATH)
@router.post(_PATH)
def replace_state(
    call: Calling, store: Writing, session_id: str, asked: Annotated[StateAsked, Body()]
) -> Response:
    """Write a new state in place of the latest."""
    return _changed(call, store, session_id, asked, lambda _: asked.state)


@router.get(_PATH + "/history")
def list_versions(
    store: Reading,
    session_id: str,
    limit: Limit = 50,
    since_version: Annotated[int, Query(ge=0, le=2**31 - 1)] = 0,
) -> dict[str, Any]:
    """The versions of the state, the latest first."""
    session = session_of(store, session_id)
    found = store.states(session.id, since_version=since_version, limit=min(limit, MAX_VERSIONS))
    return {
        "object": "list",
        "data": [
            {
                "version": each.version,
                "state": object_of(each.state),
                "created_at": iso_of(each.created_at),
                "updated_by": each.by,
            }
            for each in found
        ],
        "current_version": session.state_version,
    }


@router.post("/v1/sessions/{session_id:segments}/rollback")
@router.post(_PATH + "/rollback")  # the decorator nearest the function is asked first
def roll_back(
    call: Calling, store: Writing, session_id: str, asked: Annotated[RollbackAsked, Body()]
) -> Response:
    """Write an old version's state as a new version; nothing is lost by it."""

    def work(within: TurnStore) -> Answer:
        session = session_of(within, session_id)
        by = call.caller.key_name
        made = within.restore_state(session.id, asked.version, by=by, reason=asked.reason)
        if made is None:
            raise invalid("version", "this session's state has no such version")
        more = {
            "success": True,
            "new_version": made.version,
            "restored_from_version": made.restored_from,
            "trace_id": call.ids.id("trace"),
        }
        return _answer(session, _shown(session, made) | more)

    return answer_once(call, store, work)


def object_of(state: Any) -> dict[str, Any]:
    """A state as this dialect can carry it: another dialect's may be no object."""
    return state if isinstance(state, dict) else {}


def _changed(
    call: Call,
    store: TurnStore,
    session_id: str,
    asked: StateAsked,
    change: Callable[[Any], dict[str, Any]],
) -> Response:
    def work(within: TurnStore) -> Answer:
        session = session_of(within, session_id)
        by = call.caller.key_name
        made = within.change_state(session.id, change, by=by, reason=asked.reasoning)
        return _answer(session, _shown(session, _known(made, session)))

    return answer_once(call, store, work)


def _answer(session: Session, shown: dict[str, Any]) -> Answer:
    return Answer(
        status=200, body=orjson.dumps(shown), session_id=session.id, user_id=session.user_id
    )


def _known(version: StateVersion | None, session: Session) -> StateVersion:
    if version is None:  # erased in between
        raise missing("session", session.id)
    return version


def _shown(session: Session, version: StateVersion) -> dict[str, Any]:
    state = object_of(version.state)
    return {
        "session_id": session.id,
        "version": version.version,
        "state": state,
        "data": state,
        "created_at": iso_of(session.created_at),
        "updated_at": iso_of(version.created_at),
    }
