"""Messages in the GenAI form: a role and typed parts.

Source: https://github.com/open-telemetry/semantic-conventions-genai, input and output
messages as of 2026-10.
"""

from typing import Any, ClassVar

from pydantic import ConfigDict

from turnspan.schema.value import Many, Value


class MessagePart(Value):
    """One part; `type` says which other fields it carries (`content`, `name`, `id`, …)."""

    model_config: ClassVar[ConfigDict] = ConfigDict(frozen=True, extra="allow")

    type: str

    @property
    def fields(self) -> dict[str, Any]:
        """Everything the part carries beside its type."""
        return dict(self.__pydantic_extra__ or {})


class Message(Value):
    """One message of a turn, kept once; model steps point at it by its position."""

    role: str
    parts: Many[MessagePart] = ()
    name: str | None = None
    finish_reason: str | None = None

    @property
    def text(self) -> str:
        """The text parts, joined."""
        return "".join(str(p.fields.get("content", "")) for p in self.parts if p.type == "text")
