"""`GET …/context`: what was said lately. Of a vendor's context, that much is ours to know."""

from __future__ import annotations

from typing import Annotated, Any, Final

from fastapi import Query

from turnspan.dialects.sonzai import ASIDE
from turnspan.dialects.sonzai_recent import recent_of
from turnspan.server.call import Reading
from turnspan.server.dialect import DialectRouter
from turnspan.server.store.port import TurnFilter, TurnStore

__all__ = ["RECENT_TURNS", "context_of", "router"]

RECENT_TURNS: Final = 50
"""How many turns a context goes back."""

router: Final[DialectRouter] = DialectRouter()


@router.get("/api/v1/agents/{agent_id:segments}/context")
def show_context(  # noqa: PLR0917  # FastAPI calls it by name
    store: Reading,
    agent_id: str,
    user_id: Annotated[str, Query(alias="userId", min_length=1)],
    session_id: Annotated[str | None, Query(alias="sessionId")] = None,
    instance_id: Annotated[str | None, Query(alias="instanceId")] = None,
    query: str | None = None,  # noqa: ARG001  # what follows is for a memory that we don't have
    language: str | None = None,  # noqa: ARG001
    timezone: str | None = None,  # noqa: ARG001
) -> dict[str, Any]:
    """The messages of the last turns of a user with an agent, oldest first."""
    return context_of(store, agent_id, user_id, session_id or None, instance_id or None)


def context_of(
    store: TurnStore,
    agent_id: str,
    user_id: str,
    session_id: str | None,
    instance_id: str | None,
) -> dict[str, Any]:
    """The context of a user with an agent."""
    where = TurnFilter(
        agent=agent_id,
        user_id=user_id,
        session_id=session_id,
        metadata={ASIDE["instanceId"]: instance_id} if instance_id else {},
    )
    page = store.turns(where, limit=RECENT_TURNS)
    return {
        "recent_turns": [said for each in reversed(page.items) for said in recent_of(each.turn)]
    }
