"""Feedback on a turn: one judgement, written over by the next."""

from __future__ import annotations

from typing import Any, ClassVar, Final, Literal

from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import JSONResponse, Response

from turnspan.server.call import Reading, Writing
from turnspan.server.dialect import DialectRouter
from turnspan.server.problem import missing
from turnspan.server.routes.emergence.project import OWN
from turnspan.server.routes.emergence.turns import PATH as TURNS
from turnspan.server.routes.emergence.turns import feedback_shown, turn_in
from turnspan.server.store.port import Feedback

PATH: Final = TURNS + "/{turn_id:segment}/feedback"
router: Final[DialectRouter] = DialectRouter()


class Judgement(BaseModel):
    """What somebody thinks of a turn."""

    model_config: ClassVar[ConfigDict] = ConfigDict(strict=True)

    rating: Literal["thumbs_up", "thumbs_down"]
    comment: str | None = Field(default=None, max_length=2000)


@router.post(PATH, dependencies=OWN)
def put_feedback(store: Writing, session_id: str, turn_id: str, judgement: Judgement) -> Response:
    """Judge a turn: 201 for the first judgement, 200 for one that is written over it."""
    turn_in(store, session_id, turn_id)
    kept, is_first = store.put_feedback(turn_id, rating=judgement.rating, comment=judgement.comment)
    return JSONResponse(_shown(kept), 201 if is_first else 200)


@router.get(PATH, dependencies=OWN)
def show_feedback(store: Reading, session_id: str, turn_id: str) -> dict[str, Any]:
    """What is thought of a turn."""
    turn_in(store, session_id, turn_id)
    rated = [each for each in store.feedback([turn_id]) if each.rating is not None]
    if not rated:
        raise missing("feedback", turn_id)
    return _shown(max(rated, key=lambda each: each.updated_at))


def _shown(feedback: Feedback) -> dict[str, Any]:
    return {"feedback_id": feedback.id, "turn_id": feedback.turn_id, **feedback_shown(feedback)}
