"""A turn: one exchange between a user and an agent, and all that happened between."""

from typing import Any

from pydantic import Field, computed_field

from turnspan.schema.content import Content, Cut
from turnspan.schema.messages import Message
from turnspan.schema.step import Agent, Error, Range, Status, Step, Usage
from turnspan.schema.trace import SpanNotes, Trace
from turnspan.schema.value import Many, Value

SCHEMA_VERSION = 1


class Turn(Value):
    """One finished exchange. Times are nanoseconds since the Unix epoch."""

    id: str = Field(description="`turn_` and 12 characters of base62.")
    session_id: str | None = None
    number: int | None = Field(default=None, description="Its place in the session, from 1.")
    agent: Agent
    user_id: str | None = None
    status: Status = "ok"
    started_at: int
    ended_at: int = Field(description="Start plus what a monotonic clock measured.")
    first_chunk_at: int | None = Field(
        default=None, description="When a stream yielded its first chunk."
    )
    chunks: int | None = Field(default=None, description="How many chunks a stream yielded.")
    input: Content | None = None
    output: Content | None = None
    reasoning: str | None = None
    error: Error | None = None
    messages: Many[Message] = Field(
        default=(), description="Each message once; model steps refer to them by ranges."
    )
    input_messages: Many[Range] = Field(
        default=(), description="Half-open ranges of the messages the turn was given."
    )
    output_messages: Many[Range] = Field(
        default=(), description="Half-open ranges of the messages that were its answer."
    )
    steps: Many[Step] = Field(default=(), description="In the order they ended.")
    state_before: Any = None
    state_after: Any = None
    metadata: dict[str, Any] = Field(default_factory=dict)
    tags: Many[str] = ()
    usage: Usage | None = Field(default=None, description="Sum over the model steps.")
    trace: Trace
    resource: dict[str, Any] = Field(
        default_factory=dict, description="OpenTelemetry resource of the recording process."
    )
    resumes: str | None = Field(default=None, description="Id of the paused turn it resumes.")
    resume_key: str | None = None
    truncated: Many[Cut] = ()
    span: SpanNotes | None = None
    schema_version: int = SCHEMA_VERSION

    @computed_field  # type: ignore[prop-decorator]  # pydantic's documented order
    @property
    def duration_ms(self) -> float:
        """Wall-clock length of the turn."""
        return (self.ended_at - self.started_at) / 1e6

    def messages_at(self, ranges: tuple[Range, ...]) -> tuple[Message, ...]:
        """The messages that ``ranges`` of this turn or one of its steps name, in order."""
        return tuple(m for start, end in ranges for m in self.messages[start:end])

    def state_diff(self) -> list[dict[str, Any]]:
        """RFC 6902 operations that lead from `state_before` to `state_after`."""
        from turnspan.schema.diff import json_patch  # only here: most readers never diff

        return json_patch(self.state_before, self.state_after)
