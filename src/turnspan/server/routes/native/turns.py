"""Turns come out: one, a page, all of them; and what is thought of one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Annotated, Any, ClassVar, Final

from fastapi import Body
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import JSONResponse, Response, StreamingResponse

from turnspan.schema import Turn
from turnspan.server.call import Reading, Writing
from turnspan.server.dialect import DialectRouter
from turnspan.server.problem import missing
from turnspan.server.routes.native.known_query import KNOWN_QUERY
from turnspan.server.routes.native.params import (
    METADATA,
    PROBLEMS,
    Cursor,
    Limit,
    Turns,
    cursor_of,
)
from turnspan.server.store.port import Feedback

router: Final[DialectRouter] = DialectRouter([KNOWN_QUERY])

NDJSON: Final = "application/x-ndjson"
_CHUNK_BYTES: Final = 256 * 1024


class TurnPage(BaseModel):
    """Some turns, and where the listing goes on."""

    data: list[Turn]
    next_cursor: str | None


class Judgement(BaseModel):
    """What somebody thinks of a turn: a word, a number, a sentence, or all.

    What is left out, or null, is withdrawn.
    """

    model_config: ClassVar[ConfigDict] = ConfigDict(strict=True)

    rating: str | None = Field(default=None, max_length=200)
    score: float | None = Field(default=None, allow_inf_nan=False)
    comment: str | None = Field(default=None, max_length=10_000)
    author: str = Field(default="", max_length=200, description="One judgement an author.")


class JudgementShown(BaseModel):
    """Feedback as it is kept. Times are nanoseconds since the epoch."""

    id: str
    turn_id: str
    author: str
    rating: str | None
    score: float | None
    comment: str | None
    created_at: int
    updated_at: int


@router.get(
    "/v1/turns",
    openapi_extra=METADATA,
    responses={**PROBLEMS, 200: {"model": TurnPage}},
)
def list_turns(store: Reading, where: Turns, after: Cursor, limit: Limit = 50) -> Response:
    """A page of turns, newest first. A page ends early rather than hold over 16 MiB.

    Pages are stable: what is stored between two requests neither repeats nor hides a turn.
    """
    page = store.turns(where, limit=limit, after=after)
    last = page.items[-1].position if page.has_more and page.items else None
    cursor = cursor_of(last)
    told = b"null" if cursor is None else b'"%s"' % cursor.encode()
    data = b",".join(turn.raw.rstrip(b"\n") for turn in page.items)
    return Response(b'{"data":[%s],"next_cursor":%s}' % (data, told), media_type="application/json")


@router.get("/v1/turns/{turn_id:segment}", responses={**PROBLEMS, 200: {"model": Turn}})
def show_turn(store: Reading, turn_id: str) -> Response:
    """One turn, as it was recorded."""
    found = store.turn(turn_id)
    if found is None:
        raise missing("turn", turn_id)
    return Response(found.raw, media_type="application/json")


@router.get(
    "/v1/export",
    openapi_extra=METADATA,
    responses={
        **PROBLEMS,
        200: {"content": {NDJSON: {"schema": {"type": "string"}}}},
    },
    response_class=StreamingResponse,
)
def export_turns(store: Reading, where: Turns) -> StreamingResponse:
    """All turns that are asked for, oldest first, a line each."""
    chunks = _chunks(store.export(where))
    first = next(chunks, b"")  # what fails at once is still a problem, not a broken answer
    return StreamingResponse(chain([first], chunks), media_type=NDJSON)


@router.get("/v1/turns/{turn_id:segment}/feedback", responses=PROBLEMS)
def show_feedback(store: Reading, turn_id: str) -> dict[str, list[JudgementShown]]:
    """What is thought of a turn, oldest first."""
    if store.turn(turn_id) is None:
        raise missing("turn", turn_id)
    return {"data": [_shown(each) for each in store.feedback([turn_id])]}


@router.put(
    "/v1/turns/{turn_id:segment}/feedback",
    responses={**PROBLEMS, 200: {"model": JudgementShown}, 201: {"model": JudgementShown}},
)
def put_feedback(store: Writing, turn_id: str, judgement: Annotated[Judgement, Body()]) -> Response:
    """Judge a turn: 201 for an author's first judgement of it, 200 for another."""
    if store.turn(turn_id) is None:
        raise missing("turn", turn_id)
    kept, is_first = store.put_feedback(
        turn_id,
        author=judgement.author,
        rating=judgement.rating,
        score=judgement.score,
        comment=judgement.comment,
    )
    return JSONResponse(_shown(kept).model_dump(), 201 if is_first else 200)


def _shown(feedback: Feedback) -> JudgementShown:
    fields: dict[str, Any] = {name: getattr(feedback, name) for name in JudgementShown.model_fields}
    return JudgementShown(**fields)


def _chunks(lines: Iterable[bytes]) -> Iterator[bytes]:
    """``lines`` in pieces that are worth sending."""
    held: list[bytes] = []
    size = 0
    for line in lines:
        held.append(line)
        size += len(line)
        if size >= _CHUNK_BYTES:
            yield b"".join(held)
            held, size = [], 0
    if held:
        yield b"".join(held)
