"""Feedback: somebody's judgement of a turn that ended."""

from typing import Any

from pydantic import Field

from turnspan.schema.content import Cut
from turnspan.schema.turn import SCHEMA_VERSION
from turnspan.schema.value import Many, Value


class Feedback(Value):
    """What somebody thought of a turn: a word, a number, a sentence, or all three."""

    id: str = Field(description="`feedback_` and 12 characters of base62; it may arrive again.")
    turn_id: str
    at: int = Field(description="When it was given, nanoseconds since the Unix epoch.")
    session_id: str | None = Field(
        default=None, description="The session in force where it was given, if there was one."
    )
    user_id: str | None = Field(default=None, description="Who gave it, where that was known.")
    rating: str | None = Field(default=None, description="A word, such as `good`.")
    score: float | None = None
    comment: str | None = None
    truncated: Many[Cut] = ()
    mode: str = Field(
        default="own",
        description="Who makes its OpenTelemetry event: `own` (built from this record), `live` "
        "(already went through the application's logger provider) or `off`.",
    )
    resource: dict[str, Any] = Field(
        default_factory=dict, description="OpenTelemetry resource of the recording process."
    )
    schema_version: int = SCHEMA_VERSION
