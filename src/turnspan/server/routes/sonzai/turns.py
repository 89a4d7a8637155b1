"""An exchange is taken, a job makes a turn of it, and its status says how far it is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

import orjson
from starlette.responses import Response

from turnspan.dialects.sonzai import version_of
from turnspan.dialects.sonzai_recent import recent_of
from turnspan.server.call import Call, Calling, Writing
from turnspan.server.dialect import DialectRouter
from turnspan.server.jobs import MAX_ATTEMPTS
from turnspan.server.once import answer_once
from turnspan.server.problem import Problem, missing
from turnspan.server.quota import check_quota
from turnspan.server.routes.sonzai.bodies import ProcessRequest, TurnRequest
from turnspan.server.routes.sonzai.context import context_of
from turnspan.server.routes.sonzai.extraction import EXTRACTED, mood_of
from turnspan.server.routes.sonzai.intake import (
    Submission,
    aside_of,
    drawn,
    exchanges,
    keep,
    sent,
)
from turnspan.server.store.port import Answer, TurnStore

if TYPE_CHECKING:
    from turnspan.server.store.port import Job

__all__ = ["TURN", "process_turn", "router"]

TURN: Final = "sonzai.turn"
_AGENT: Final = "/api/v1/agents/{agent_id:segment}"

router: Final[DialectRouter] = DialectRouter()


@router.post(_AGENT + "/sessions/{session_id:segment}/turn")
def submit_turn(
    call: Calling, store: Writing, agent_id: str, session_id: str, request: TurnRequest
) -> Response:
    """Take the latest exchange; it becomes a turn in the background."""
    check_quota(call, store)
    extraction_id = call.ids.id("ext")
    turn_id, status = version_of(call.headers.get("idempotency-key", ""))
    submission = Submission(
        turn_id=turn_id or call.ids.id("turn"),
        status=status,
        agent=agent_id,
        session_id=session_id,
        user_id=request.user_id,
        at=call.clock.now_ns(),
        messages=sent(request.messages),
        metadata=aside_of(request, extraction_id),
    )
    mood = mood_of(submission.turn())
    body: dict[str, Any] = {"success": True, "extraction_id": extraction_id}
    body["extraction_status"] = "queued"
    if mood is not None:
        body["mood"] = mood
    if request.fetch_next_context is not None:
        body["next_context"] = _next_context(call, store, submission, request.instance_id)

    def work(within: TurnStore) -> Answer:
        within.enqueue(
            TURN,
            {"submission": submission.payload, "mood": mood},
            job_id=extraction_id,
            session_id=session_id,
            user_id=request.user_id,
        )
        return _answer(body, session_id, request.user_id)

    return answer_once(call, store, work)


@router.get(_AGENT + "/turns/{extraction_id:segment}/status")
def show_status(store: Writing, agent_id: str, extraction_id: str) -> dict[str, str]:  # noqa: ARG001  # an extraction has one id, whoever's agent it is
    """How far an exchange is."""
    job = store.job(extraction_id)
    if job is None or job.kind != TURN:
        raise missing("extraction", extraction_id)
    told: dict[str, str] = {"extraction_id": job.id, "state": job.state}
    return told if job.error is None else told | {"error": job.error}


@router.post("/api/v1/agents/{agent_id:segments}/process")
def process(call: Calling, store: Writing, agent_id: str, request: ProcessRequest) -> Response:
    """Take a transcript at once: each exchange in it becomes a turn."""
    check_quota(call, store)
    session_id = request.session_id or call.ids.id("sess")
    at = call.clock.now_ns()
    submissions = [
        Submission(
            turn_id=call.ids.id("turn"),
            agent=agent_id,
            session_id=session_id,
            user_id=request.user_id,
            at=at,
            messages=some,
            metadata=aside_of(request, call.request_id),
        )
        for some in exchanges(sent(request.messages))
    ]
    moods = [mood_of(each.turn()) for each in submissions]
    added = [drawn(each, mood)[0] for each, mood in zip(submissions, moods, strict=True)]
    body = {
        "success": True,
        "session_id": session_id,
        "facts_extracted": _counted(added, "facts"),
        "side_effects": {
            "mood_updated": any(moods),
            "personality_updated": _counted(added, "personality") > 0,
            "habits_observed": _counted(added, "habits"),
            "interests_detected": _counted(added, "interests"),
        },
    }

    def work(within: TurnStore) -> Answer:
        for submission, more in zip(submissions, added, strict=True):
            keep(within, submission, more)
        return _answer(body, session_id, request.user_id)

    return answer_once(call, store, work)


def process_turn(store: TurnStore, job: Job) -> Mapping[str, Any]:
    """Make a turn of what a job holds.

    Its last attempt asks no plug-in: whatever ended the process before, the turn is kept.

    Raises:
        Exception: a plug-in failed; the turn is stored all the same.
    """
    submission = Submission(**job.payload["submission"])
    added: Mapping[str, Any] = {}
    failure: Exception | None = None
    if job.attempt < MAX_ATTEMPTS:
        added, failure = drawn(submission, job.payload["mood"])

    def work(within: TurnStore) -> Answer:
        if within.job(job.id) is not None:  # else it was erased meanwhile
            keep(within, submission, added)
        return _answer({}, submission.session_id, submission.user_id)

    store.once(job.id, submission.turn_id, work, route=TURN)
    if failure is not None:
        raise failure
    return {"turn_id": submission.turn_id}


def _next_context(
    call: Call, store: TurnStore, submission: Submission, instance_id: str | None
) -> dict[str, Any]:
    """The context as it will be when this exchange is a turn."""
    if "read" not in call.caller.scopes:
        raise Problem(
            403,
            "forbidden",
            "this key lacks the scope 'read', which fetchNextContext needs",
            extra={"required_scope": "read"},
        )
    found = context_of(
        store, submission.agent, submission.user_id, submission.session_id, instance_id
    )
    return {"recent_turns": [*found["recent_turns"], *recent_of(submission.turn())]}


def _answer(body: Mapping[str, Any], session_id: str, user_id: str) -> Answer:
    return Answer(status=200, body=orjson.dumps(dict(body)), session_id=session_id, user_id=user_id)


def _counted(added: list[dict[str, Any]], name: str) -> int:
    """How many of ``name`` all plug-ins found in all exchanges."""
    found = [told.get(name) for each in added for told in each.get(EXTRACTED, {}).values()]
    return sum(len(each) for each in found if isinstance(each, list | dict))
