"""Sessions: made, shown, listed, changed, forked, erased, and put together for a prompt."""

from __future__ import annotations

from typing import Annotated, Any, Final

import orjson
from fastapi import Body, Query, Request
from starlette.responses import Response

from turnspan.dialects.instants import iso_of
from turnspan.dialects.statebase import PARKED, is_parked, parked_session_id
from turnspan.server.call import Call, Calling, Erasing, Reading, Writing
from turnspan.server.dialect import DialectRouter
from turnspan.server.once import answer_once
from turnspan.server.problem import Problem, missing
from turnspan.server.quota import check_quota
from turnspan.server.routes.native.params import Instant, metadata_of
from turnspan.server.routes.statebase import session_ids
from turnspan.server.routes.statebase.params import (
    MAX_ID_CHARS,
    ContextAsked,
    ForkAsked,
    Limit,
    SessionAsked,
    SessionChanged,
    Text,
    invalid,
    session_of,
)
from turnspan.server.routes.statebase.states import object_of
from turnspan.server.routes.statebase.turns import recent
from turnspan.server.store.port import (
    Answer,
    ConflictError,
    Position,
    Session,
    SessionFilter,
    TurnStore,
)

__all__ = ["router"]

router: Final[DialectRouter] = DialectRouter()

MAX_SESSIONS: Final = 100
MAX_RECENT: Final = 50
DEFAULT_TTL_S: Final = 86_400
_PATH: Final = "/v1/sessions/{session_id:segments}"
_ALONE: Final = "/v1/sessions/{session_id:session}"

session_ids.register()


@router.post("/v1/sessions", status_code=201)
def make_session(call: Calling, store: Writing, asked: Annotated[SessionAsked, Body()]) -> Response:
    """Make a session; one that turnspan's exporter makes keeps its id, and does not expire."""

    def work(within: TurnStore) -> Answer:
        return _answer(201, within, _made(call, within, asked))

    return answer_once(call, store, work)


@router.get("/v1/sessions")
def list_sessions(  # noqa: PLR0917  # FastAPI calls it by name
    request: Request,
    store: Reading,
    limit: Limit = 20,
    starting_after: Text | None = None,
    agent_id: Text | None = None,
    user_id: Text | None = None,
    created_after: Annotated[Instant | None, Query()] = None,
    created_before: Annotated[Instant | None, Query()] = None,
    metadata: Annotated[str | None, Query(max_length=10_000, include_in_schema=False)] = None,
) -> dict[str, Any]:
    """A page of sessions, the one made last first."""
    where = SessionFilter(
        agent=agent_id,
        user_id=user_id,
        created_since=created_after,
        created_until=created_before,
        metadata=_labels(metadata) | metadata_of(request),
    )
    after = _position(store, starting_after)
    page = store.sessions(where, limit=min(limit, MAX_SESSIONS), after=after)
    data = [_shown(store, each) for each in page.items]
    return {
        "object": "list",
        "data": data,
        "has_more": page.has_more,
        "first_id": data[0]["id"] if data else None,
        "last_id": data[-1]["id"] if data else None,
    }


@router.post(_PATH + "/context")
def show_context(
    call: Calling, store: Reading, session_id: str, asked: Annotated[ContextAsked, Body()]
) -> Response:
    """State and recent turns in one answer; there are no memories here."""
    began_ns = call.clock.monotonic_ns()
    session = session_of(store, session_id)
    told = {
        "state": _state(store, session),
        "memories": [],
        "recent_turns": recent(store, session, min(asked.turn_limit, MAX_RECENT)),
    }
    took_ms = (call.clock.monotonic_ns() - began_ns) // 1_000_000
    headers = {"x-statebase-latency": f"{took_ms}ms"}
    return Response(orjson.dumps(told), headers=headers, media_type="application/json")


@router.post(_PATH + "/fork", status_code=201)
def fork_session(
    call: Calling, store: Writing, session_id: str, asked: Annotated[ForkAsked, Body()]
) -> Response:
    """A new session: the state of a version, and the turns there were until the next one."""

    def work(within: TurnStore) -> Answer:
        return _answer(201, within, _forked(call, within, session_id, asked.version))

    check_quota(call, store)  # its turns are copied
    return answer_once(call, store, work)


@router.get(_ALONE)
def show_session(store: Reading, session_id: str) -> dict[str, Any]:
    """One session."""
    return _shown(store, session_of(store, session_id))


@router.patch(_ALONE)
def change_session(
    call: Calling, store: Writing, session_id: str, asked: Annotated[SessionChanged, Body()]
) -> Response:
    """Write metadata over what there is, key by key (null takes one away); begin a new term."""

    def work(within: TurnStore) -> Answer:
        session = session_of(within, session_id)
        changes: dict[str, Any] = {}
        if asked.metadata is not None:
            merged = dict(session.metadata) | asked.metadata
            changes["metadata"] = {k: v for k, v in merged.items() if v is not None}
        if asked.ttl_seconds is not None:
            changes["expires_at"] = _expiry(call, asked.ttl_seconds)
        changed = within.change_session(session.id, **changes)
        if changed is None:
            raise missing("session", session_id)
        return _answer(200, within, changed)

    return answer_once(call, store, work)


@router.delete(_ALONE, status_code=204)
def erase_session(store: Erasing, session_id: str) -> Response:
    """Erase a session for good, with its turns and states."""
    if store.session(session_id) is None or store.erase_session(session_id) is None:
        raise missing("session", session_id)
    return Response(status_code=204)


def _made(call: Call, store: TurnStore, asked: SessionAsked) -> Session:
    own_id = parked_session_id(asked.metadata)
    own_id = own_id if own_id and len(own_id) <= MAX_ID_CHARS else None
    known = store.session(own_id) if own_id else None
    if known is not None:
        return known
    try:
        return store.create_session(
            own_id or call.ids.id("sess"),
            agent=asked.agent_id,
            user_id=asked.user_id,
            metadata=asked.metadata or {},
            state=asked.initial_state or {},
            expires_at=None if is_parked(asked.metadata) else _expiry(call, asked.ttl_seconds),
        )
    except ConflictError:
        raise Problem(
            409, "conflict", "there was a session of this id, and it has expired"
        ) from None


def _forked(call: Call, store: TurnStore, session_id: str, version: int | None) -> Session:
    origin = session_of(store, session_id)
    found = store.state(origin.id, version)
    if found is None:
        raise invalid("version", "this session's state has no such version")
    metadata = {key: value for key, value in origin.metadata.items() if key != PARKED}
    made = store.fork_session(
        origin.id,
        call.ids.id("sess"),
        version=found.version,
        metadata=metadata | {"forked_from": origin.id, "forked_version": found.version},
        expires_at=None if origin.expires_at is None else _expiry(call),
    )
    if made is None:  # erased in between
        raise missing("session", session_id)
    return made


def _answer(status: int, store: TurnStore, session: Session) -> Answer:
    return Answer(
        status=status,
        body=orjson.dumps(_shown(store, session)),
        session_id=session.id,
        user_id=session.user_id,
    )


def _shown(store: TurnStore, session: Session) -> dict[str, Any]:
    expires = session.expires_at
    return {
        "object": "session",
        "id": session.id,
        "agent_id": session.agent or "",
        "user_id": session.user_id,
        "created_at": iso_of(session.created_at),
        "updated_at": iso_of(session.updated_at),
        "state": _state(store, session),
        "metadata": dict(session.metadata),
        "memory_count": 0,
        "turn_count": session.turn_count,
        "ttl_expires_at": None if expires is None else iso_of(expires),
    }


def _state(store: TurnStore, session: Session) -> dict[str, Any]:
    found = store.state(session.id)
    return {} if found is None else object_of(found.state)


def _expiry(call: Call, ttl_s: int | None = None) -> int:
    return call.clock.now_ns() + (ttl_s or DEFAULT_TTL_S) * 1_000_000_000


def _position(store: TurnStore, session_id: str | None) -> Position | None:
    if session_id is None:
        return None
    found = store.session(session_id)
    if found is None:
        raise invalid("starting_after", "there is no session of that id")
    return found.position


def _labels(metadata: str | None) -> dict[str, str]:
    """What `metadata={"key":"value"}` asks for."""
    if metadata is None:
        return {}
    try:
        asked = orjson.loads(metadata)
    except orjson.JSONDecodeError:
        asked = None
    if not isinstance(asked, dict) or any(isinstance(v, dict | list) for v in asked.values()):
        raise invalid("metadata", "it is no JSON object of texts, numbers and booleans")
    return {
        key: value if isinstance(value, str) else orjson.dumps(value).decode()
        for key, value in asked.items()
    }
