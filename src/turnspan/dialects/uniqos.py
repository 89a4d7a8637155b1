"""uniqOS interactions: what is known of a turn without a word of what was said.

An interaction is built up from fields that may be shown, never by taking fields away: what a
later version of `Turn` adds stays hidden until it is listed here. The names of its fields are not
published; they follow the vendor's stream events, filters and aggregates.

Source: https://docs.uniqos.ai (GET /v1/interactions), uniqos 0.6.0.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, get_args

from turnspan.dialects.instants import iso_of, ns_of
from turnspan.dialects.unknown import AGENT, TRACE
from turnspan.errors import WireError
from turnspan.schema import Agent, Model, Status, Turn

__all__ = ["LOST", "interaction_of", "turn_of"]

_CARRIED: Final = frozenset(
    {"id", "session_id", "user_id", "agent", "status", "started_at", "ended_at", "schema_version"}
)
LOST: Final = (frozenset(Turn.model_fields) - _CARRIED) | {
    "agent/id",
    "agent/version",
    "agent/description",
}
"""Fields of a turn, and of its agent, that an interaction does not carry."""
_WORDS: Final = {"ok": "completed", "error": "failed"}
_STATUSES: Final = {word: status for status, word in _WORDS.items()} | {
    status: status for status in get_args(Status) if status not in _WORDS
}
_MORE: Final = ("mode", "inferred_emotional_state", "memory", "guardrails", "usage")


def interaction_of(turn: Turn) -> dict[str, Any]:
    """``turn`` as an interaction.

    A session is the relationship, an agent the personality. Nobody infers emotions or applies
    guardrails here: the one is null, the other empty.
    """
    model = _model(turn)
    latency_ms = turn.duration_ms
    return {
        "interaction_id": turn.id,
        "user_id": turn.user_id,
        "relationship_id": turn.session_id,
        "personality_id": turn.agent.name,
        "mode": "stateless" if turn.session_id is None else "stateful",
        "status": _WORDS.get(turn.status, turn.status),
        "created_at": iso_of(turn.started_at),
        "latency_ms": int(latency_ms) if latency_ms.is_integer() else latency_ms,
        "inferred_emotional_state": None,
        "memory": {
            "consulted": any(step.kind == "retrieval" for step in turn.steps),
            "model_updated": turn.state_after is not None and turn.state_after != turn.state_before,
        },
        "guardrails": {"applied": []},
        "usage": {
            "turns_consumed": 1,
            "active_relationship_counted": turn.session_id is not None,
            "llm_provider": model.provider,
            "llm_model": model.response_model or model.request_model,
        },
    }


def turn_of(item: Mapping[str, Any]) -> Turn:
    """A turn as far as an interaction tells; what else it says is in the metadata.

    Raises:
        WireError: it has no id, or no time that can be read.
    """
    try:
        started_at = ns_of(item["created_at"])
        latency_ms = float(item.get("latency_ms") or 0)
        personality = item.get("personality_id")
        return Turn(
            id=item["interaction_id"],
            session_id=item.get("relationship_id"),
            user_id=item.get("user_id"),
            agent=AGENT if personality is None else Agent(name=personality),
            status=_STATUSES.get(str(item.get("status")), "ok"),
            started_at=started_at,
            ended_at=started_at + round(latency_ms * 1e6),
            metadata={name: item[name] for name in _MORE if item.get(name) is not None},
            trace=TRACE,
        )
    except (LookupError, TypeError, ValueError, OverflowError) as error:
        raise WireError(
            f"an interaction is unreadable: {type(error).__name__}: {error}",
            fix="see whether the service speaks another version of the dialect",
        ) from error


def _model(turn: Turn) -> Model:
    """The last model that was asked."""
    asked = [step.model for step in turn.steps if step.model is not None]
    return asked[-1] if asked else Model()
