"""A step: one thing done inside a turn."""

from typing import Any, Literal

from pydantic import Field, computed_field

from turnspan.schema.content import Content
from turnspan.schema.trace import SpanNotes
from turnspan.schema.value import Many, Value

StepKind = Literal["model", "tool", "retrieval", "agent", "step"]
Status = Literal["ok", "error", "cancelled", "abandoned", "paused", "interrupted", "open"]
Range = tuple[int, int]


class Agent(Value):
    """Who acted."""

    name: str
    id: str | None = None
    version: str | None = None
    description: str | None = None


class Error(Value):
    """An exception: its fully qualified type (builtins bare), message and stack trace."""

    type: str
    message: str = ""
    stacktrace: str | None = None


class Usage(Value):
    """Tokens and cost; None where nobody said. Cached tokens are part of `input_tokens`."""

    input_tokens: int | None = None
    output_tokens: int | None = None
    cache_read_tokens: int | None = None
    cache_write_tokens: int | None = None
    reasoning_tokens: int | None = None
    cost_usd: float | None = None


class Model(Value):
    """Which model was called, how, and why it stopped."""

    provider: str | None = None
    request_model: str | None = None
    response_model: str | None = None
    response_id: str | None = None
    operation: str = Field(default="chat", description="`gen_ai.operation.name` of the call.")
    parameters: dict[str, Any] = Field(default_factory=dict)
    finish_reasons: Many[str] = ()


class Tool(Value):
    """Which tool was called; `type` is `function`, `extension` or `datastore`."""

    call_id: str | None = None
    type: str | None = None
    description: str | None = None


class Step(Value):
    """One finished step. Times are nanoseconds since the Unix epoch."""

    id: str = Field(description="Its span id: 16 hex characters.")
    parent_id: str | None = Field(default=None, description="None directly under the turn.")
    kind: StepKind
    name: str
    status: Status = "ok"
    started_at: int
    ended_at: int
    first_chunk_at: int | None = Field(
        default=None, description="When a stream yielded its first chunk."
    )
    chunks: int | None = Field(default=None, description="How many chunks a stream yielded.")
    input: Content | None = None
    output: Content | None = None
    input_messages: Many[Range] = Field(
        default=(), description="Half-open ranges of the turn's messages this step was given."
    )
    output_messages: Many[Range] = Field(
        default=(), description="Half-open ranges of the turn's messages this step produced."
    )
    reasoning: str | None = None
    error: Error | None = None
    agent: Agent | None = Field(default=None, description="Set on nested agents.")
    model: Model | None = None
    tool: Tool | None = None
    usage: Usage | None = None
    metadata: dict[str, Any] = Field(default_factory=dict)
    span: SpanNotes | None = None

    @computed_field  # type: ignore[prop-decorator]  # pydantic's documented order
    @property
    def duration_ms(self) -> float:
        """Wall-clock length of the step."""
        return (self.ended_at - self.started_at) / 1e6
