"""What Sonzai's clients send: closed schemas, in which an unknown key is a mistake.

Source: https://github.com/sonz-ai/sonzai-typescript openapi.json of 2026-07-10.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice
from typing import Annotated, Any, ClassVar, Final, Literal, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator
from pydantic.alias_generators import to_camel

from turnspan.server.whole import WHOLE

__all__ = [
    "EndRequest",
    "FetchNextContext",
    "Many",
    "MessageSent",
    "Mood",
    "ProcessRequest",
    "StartRequest",
    "ToolDefinition",
    "TurnRequest",
]

Item = TypeVar("Item")
Many = Annotated[list[Item], Field(fail_fast=True)]
"""Any number of items, of which the first that is wrong is told."""
_CAMEL: Final[ConfigDict] = ConfigDict(extra="forbid", strict=True, alias_generator=to_camel)
_MAX_KEYS: Final = 100
_EXACT: Final = 2**53 - 1
"""Up to there every number of a JSON document is exact."""
Count = Annotated[int, Field(ge=-_EXACT, le=_EXACT), WHOLE]


class _Closed(BaseModel):
    model_config: ClassVar[ConfigDict] = ConfigDict(extra="forbid", strict=True)

    @model_validator(mode="before")
    @classmethod
    def _begun(cls, given: Any) -> Any:
        """``given``, or so much of it as shows that it has keys which nobody knows.

        A complaint about each of a million keys would cost gigabytes.
        """
        if isinstance(given, Mapping) and len(given) > _MAX_KEYS:
            return dict(islice(given.items(), _MAX_KEYS))
        return given


class _Body(_Closed):
    schema_url: str | None = Field(default=None, alias="$schema")


class CalledFunction(_Closed):
    """The function of a call, its arguments as JSON text."""

    name: str
    arguments: str


class ToolCall(_Closed):
    """A call that the assistant asks for."""

    id: str
    type: str
    function: CalledFunction


class MessageSent(_Closed):
    """One message of an exchange."""

    role: Literal["user", "assistant", "tool", "system"]
    content: str | None = None
    tool_calls: Many[ToolCall] | None = None
    tool_call_id: str | None = None


class MessageEnded(MessageSent):
    """One message of a session that ends."""

    author: str | None = None


class FetchNextContext(_Closed):
    """Asks for a context in the same answer."""

    query: str | None = None
    language: str | None = None
    timezone: str | None = None


class TurnRequest(_Body):
    """`POST …/turn`: the latest exchange."""

    model_config: ClassVar[ConfigDict] = _CAMEL

    user_id: str = Field(min_length=1)
    messages: Many[MessageSent] = Field(min_length=1)
    instance_id: str | None = None
    user_display_name: str | None = None
    user_timezone: str | None = None
    provider: str | None = None
    model: str | None = None
    fetch_next_context: FetchNextContext | None = None


class ProcessRequest(_Body):
    """`POST …/process`: a transcript."""

    model_config: ClassVar[ConfigDict] = _CAMEL

    user_id: str = Field(min_length=1)
    messages: Many[MessageSent] = Field(min_length=2)
    session_id: str | None = None
    instance_id: str | None = None
    provider: str | None = None
    model: str | None = None


class StartRequest(_Body):
    """`POST …/sessions/start`."""

    user_id: str = Field(min_length=1)
    session_id: str = Field(min_length=1)
    instance_id: str | None = None
    user_display_name: str | None = None
    provider: str | None = None
    model: str | None = None
    tool_definitions: Any = None


class EndRequest(_Body):
    """`POST …/sessions/end`, perhaps with what was said and not yet submitted."""

    user_id: str = Field(min_length=1)
    session_id: str = Field(min_length=1)
    total_messages: Count
    duration_seconds: Count
    instance_id: str | None = None
    user_display_name: str | None = None
    user_timezone: str | None = None
    provider: str | None = None
    model: str | None = None
    messages: Many[MessageEnded] | None = None
    wait: bool = False


def _not_reserved(name: str) -> str:
    if name.startswith("sonzai_"):
        raise ValueError("names that begin with 'sonzai_' are the vendor's")
    return name


class ToolDefinition(_Closed):
    """A tool of a session."""

    name: Annotated[str, Field(min_length=1), AfterValidator(_not_reserved)]
    description: str | None = None
    parameters: dict[str, Any] | None = None


class Mood(_Closed):
    """How an exchange moves a mood: four deltas, or none."""

    valence: float = Field(allow_inf_nan=False)
    arousal: float = Field(allow_inf_nan=False)
    tension: float = Field(allow_inf_nan=False)
    affiliation: float = Field(allow_inf_nan=False)
    reason: str | None = None
    trigger_type: str | None = None
