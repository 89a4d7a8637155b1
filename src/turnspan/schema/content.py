"""Content: a typed piece of what went in or came out."""

from typing import Literal

from pydantic import Field

from turnspan.schema.value import Value

ContentType = Literal["text", "audio", "image", "tool_call", "tool_result", "error"]
TEXT = "text/plain"
JSON = "application/json"


class Content(Value):
    """What went in or came out, as a string that every tool can show."""

    type: ContentType = "text"
    content: str
    mime_type: str = Field(
        default=TEXT,
        description="How to read `content`: `application/json` where the value was structured.",
    )


class Cut(Value):
    """Something that was not kept, and why."""

    where: str = Field(description="Path in the turn, such as `input` or `steps/<id>/output`.")
    why: str
    size_bytes: int | None = Field(default=None, description="Its full size, where known.")
