"""Sessions: started if somebody likes, given tools, ended now or in the background."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, Final

import orjson
from fastapi import Body, Query
from starlette.responses import Response

from turnspan.dialects.instants import iso_of
from turnspan.server.call import Calling, Writing
from turnspan.server.dialect import DialectRouter
from turnspan.server.jobs import MAX_ATTEMPTS
from turnspan.server.once import answer_once
from turnspan.server.problem import Problem, missing
from turnspan.server.quota import check_quota
from turnspan.server.routes.sonzai.bodies import EndRequest, Many, StartRequest, ToolDefinition
from turnspan.server.routes.sonzai.ending import Ending
from turnspan.server.routes.sonzai.intake import keep
from turnspan.server.store.port import Answer, ConflictError, Session, TurnStore

if TYPE_CHECKING:
    from turnspan.server.store.port import Job

__all__ = ["END", "process_end", "router"]

END: Final = "sonzai.end"
OWN: Final = "sonzai"
_AGENT: Final = "/api/v1/agents/{agent_id:segments}"
_STATES: Final = {"queued": "pending", "running": "processing"}
_SUCCESS: Final = {"success": True}

router: Final[DialectRouter] = DialectRouter()


@router.post(_AGENT + "/sessions/start")
def start_session(call: Calling, store: Writing, agent_id: str, request: StartRequest) -> Response:
    """Make a session, or begin it again with other defaults."""
    given = request.model_dump(exclude={"user_id", "session_id", "schema_url"}, exclude_none=True)

    def work(within: TurnStore) -> Answer:
        session = _session(within, request.session_id, agent_id, request.user_id)
        _note(within, session, given, ended_at=None)
        return _answer(200, _SUCCESS, request.session_id, request.user_id)

    return answer_once(call, store, work)


@router.put(_AGENT + "/sessions/{session_id:segments}/tools")
def set_tools(
    call: Calling,
    store: Writing,
    agent_id: str,  # noqa: ARG001  # a session has one id, whoever's agent it is
    session_id: str,
    tools: Annotated[Many[ToolDefinition] | None, Body()],
) -> Response:
    """Say which tools a session has."""
    shown = [each.model_dump(exclude_none=True) for each in tools or ()]

    def work(within: TurnStore) -> Answer:
        session = within.session(session_id)
        if session is None:
            raise missing("session", session_id)
        _note(within, session, {"tool_definitions": shown})
        return _answer(200, _SUCCESS, session_id, session.user_id)

    return answer_once(call, store, work)


@router.post(_AGENT + "/sessions/end")
def end_session(
    call: Calling,
    store: Writing,
    agent_id: str,
    request: EndRequest,
    force_sync: Annotated[bool, Query()] = False,  # noqa: FBT002  # FastAPI calls it by name
) -> Response:
    """End a session: at once with `wait` or `force_sync`, else in the background."""
    ending = Ending.of(request, call.ids.id("end"), agent_id, call.clock.now_ns())
    if ending.turn_count:
        check_quota(call, store)
    at_once = request.wait or force_sync
    added = [each for each, _ in ending.drawn()] if at_once else []

    def now(within: TurnStore) -> Answer:
        _end(within, ending, added)
        body = {"success": True, "async": False}
        return _answer(200, body, ending.session_id, ending.user_id)

    def later(within: TurnStore) -> Answer:
        _session(within, ending.session_id, agent_id, ending.user_id)
        job = within.enqueue(
            END,
            ending.payload,
            job_id=ending.id,
            session_id=ending.session_id,
            user_id=ending.user_id,
        )
        return _answer(202, _accepted(job, agent_id), ending.session_id, ending.user_id)

    return answer_once(call, store, now if at_once else later)


@router.get("/api/v1/sessions/end/status/{processing_id:segment}")
def show_end(store: Writing, processing_id: str) -> dict[str, Any]:
    """How far the end of a session is."""
    job = store.job(processing_id)
    if job is None or job.kind != END:
        raise missing("processing", processing_id)
    told: dict[str, Any] = {
        "state": _STATES.get(job.state, job.state),
        "enqueued_at": iso_of(job.created_at),
        "session_id": job.session_id,
        "agent_id": _agent_of(store, job),
    }
    if job.started_at is not None:
        told |= {"started_at": iso_of(job.started_at), "attempt": job.attempt}
    if job.finished_at is not None:
        told["finished_at"] = iso_of(job.finished_at)
    return told if job.error is None else told | {"error": job.error}


def process_end(store: TurnStore, job: Job) -> Mapping[str, Any]:
    """End the session that a job names, and keep what was said in it.

    Raises:
        Exception: a plug-in failed; all is stored all the same.
    """
    ending = Ending.read(job.payload)
    found = ending.drawn() if job.attempt < MAX_ATTEMPTS else [({}, None)] * ending.turn_count

    def work(within: TurnStore) -> Answer:
        if within.job(job.id) is not None:  # else it was erased meanwhile
            _end(within, ending, [added for added, _ in found])
        return _answer(200, {}, ending.session_id, ending.user_id)

    store.once(job.id, END, work, route=END)
    for _, failure in found:
        if failure is not None:
            raise failure
    return {"agent": ending.agent, "turns": ending.turn_count}


def _end(within: TurnStore, ending: Ending, added: Sequence[Mapping[str, Any]]) -> None:
    for submission, more in zip(ending.submissions, added, strict=True):
        keep(within, submission, more)
    session = _session(within, ending.session_id, ending.agent, ending.user_id)
    _note(within, session, ending.counts, ended_at=ending.at)


def _accepted(job: Job, agent_id: str) -> dict[str, Any]:
    return {
        "success": True,
        "async": True,
        "processing_id": job.id,
        "status_url": f"/api/v1/sessions/end/status/{job.id}",
        "session_id": job.session_id,
        "agent_id": agent_id,
        "enqueued_at": iso_of(job.created_at),
    }


def _session(within: TurnStore, session_id: str, agent_id: str, user_id: str) -> Session:
    """The session, made if it is missing.

    Raises:
        Problem: it has expired, in another dialect.
    """
    found = within.session(session_id)
    if found is not None:
        return found
    try:
        return within.create_session(session_id, agent=agent_id, user_id=user_id)
    except ConflictError:
        raise Problem(409, "conflict", f"the session {session_id!r} has expired") from None


def _note(within: TurnStore, session: Session, more: Mapping[str, Any], **changes: Any) -> None:
    """Keep what this dialect was told of a session beside what others were."""
    own = {**session.details.get(OWN, {}), **more}
    within.change_session(session.id, details={**session.details, OWN: own}, **changes)


def _agent_of(store: TurnStore, job: Job) -> str:
    """Whose session ends: a job that has ended badly no longer says it, its session does."""
    told = (job.result or job.payload).get("agent")
    if told is None and job.session_id is not None:
        session = store.session(job.session_id)
        told = None if session is None else session.agent
    return str(told or "")


def _answer(status: int, body: Mapping[str, Any], session_id: str, user_id: str | None) -> Answer:
    return Answer(
        status=status, body=orjson.dumps(dict(body)), session_id=session_id, user_id=user_id
    )
