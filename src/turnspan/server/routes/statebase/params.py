"""What StateBase's requests hold, and what every route asks first."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Final, Literal

from fastapi import Query
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetJsonSchemaHandler,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from turnspan.server.problem import FieldError, Problem, missing
from turnspan.server.store.port import Session, TurnStore
from turnspan.server.whole import WHOLE

__all__ = [
    "ContextAsked",
    "ForkAsked",
    "Limit",
    "Order",
    "RollbackAsked",
    "SessionAsked",
    "SessionChanged",
    "StateAsked",
    "TurnAsked",
    "invalid",
    "session_of",
]

MAX_DEPTH: Final = 100
MAX_ID_CHARS: Final = 200
LONGEST_TTL_S: Final = 2_592_000
_INT32: Final = 2**31 - 1


def _shallow(value: dict[str, Any]) -> dict[str, Any]:
    """``value``, if it is not nested beyond what an encoder takes."""
    level: list[Any] = [value]
    for _ in range(MAX_DEPTH):
        level = [
            inner
            for each in level
            if isinstance(each, dict | list)
            for inner in (each.values() if isinstance(each, dict) else each)
        ]
        if not level:
            return value
    raise ValueError(f"it is nested more than {MAX_DEPTH} levels deep")


def _spoken(part: Any) -> Any:
    """An input or output that is no more than a text, as StateBase's guide posts it."""
    return {"type": "text", "content": part} if isinstance(part, str) else part


Object = Annotated[dict[str, Any], AfterValidator(_shallow)]
Id = Annotated[str, Field(min_length=1, max_length=MAX_ID_CHARS)]
Ttl = Annotated[int, Field(ge=1, le=LONGEST_TTL_S), WHOLE]
Version = Annotated[int, Field(ge=-_INT32, le=_INT32), WHOLE]
Count = Annotated[int, Field(ge=0), WHOLE]
Text = Annotated[str, Query(max_length=MAX_ID_CHARS)]
Limit = Annotated[int, Query(ge=1)]
"""Items of a page; a larger number than the largest means that one."""
Order = Annotated[Literal["asc", "desc"], Query()]


class _Asked(BaseModel):
    model_config: ClassVar[ConfigDict] = ConfigDict(strict=True)


class PartAsked(_Asked):
    """An input or output: a type, a text, and what else a client says of it."""

    model_config: ClassVar[ConfigDict] = ConfigDict(strict=True, extra="allow")

    type: str
    content: str

    @classmethod
    def __get_pydantic_json_schema__(
        cls, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        return {"anyOf": [handler(schema), {"type": "string"}]}

    def shown(self) -> dict[str, Any]:
        """It, as it came."""
        return {"type": self.type, "content": self.content, **(self.__pydantic_extra__ or {})}


Part = Annotated[
    PartAsked,
    BeforeValidator(lambda part: _shallow(part) if isinstance(part, dict) else _spoken(part)),
]


class TurnAsked(_Asked):
    """A turn that is to be logged."""

    input: Part
    output: Part
    reasoning: str | None = None
    metadata: Object | None = None
    state_before: Object | None = None
    state_after: Object | None = None

    def item(self) -> dict[str, Any]:
        """What it says, in the fields of a StateBase turn."""
        return {
            "input": self.input.shown(),
            "output": self.output.shown(),
            "reasoning": self.reasoning,
            "metadata": self.metadata,
            "state_before": self.state_before,
            "state_after": self.state_after,
        }


class SessionAsked(_Asked):
    """A session that is to be made."""

    agent_id: Id
    user_id: Id | None = None
    initial_state: Object | None = None
    metadata: Object | None = None
    ttl_seconds: Ttl | None = None


class SessionChanged(_Asked):
    """What is to change of a session."""

    metadata: Object | None = None
    ttl_seconds: Ttl | None = None


class StateAsked(_Asked):
    """A state, whole or in part."""

    state: Object
    reasoning: str | None = None


class RollbackAsked(_Asked):
    """The version to go back to; a negative one counts back from the latest."""

    version: Version
    reason: str | None = None


class ForkAsked(_Asked):
    """The version to start from; the latest where none is named."""

    version: Version | None = None


class ContextAsked(_Asked):
    """How much of a session is wanted for a prompt."""

    query: str | None = None
    memory_limit: Count = 5
    turn_limit: Count = 10


def invalid(param: str, why: str) -> Problem:
    """A 400 for one parameter."""
    return Problem(
        400, "invalid_request", f"{param}: {why}", errors=[FieldError(("request", param), why)]
    )


def session_of(store: TurnStore, session_id: str) -> Session:
    """The session.

    Raises:
        Problem: there is none, or it has expired.
    """
    found = store.session(session_id)
    if found is None:
        raise missing("session", session_id)
    return found
