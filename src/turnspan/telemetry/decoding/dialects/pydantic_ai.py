"""Pydantic AI, where it goes beyond the conventions.

Source: https://ai.pydantic.dev/logfire/, pydantic-ai-slim 2.68.0 (instrumentation versions 2 to 6).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from turnspan.telemetry.decoding.messages import messages_of
from turnspan.telemetry.decoding.values import content

if TYPE_CHECKING:
    from turnspan.telemetry.decoding.reading import Reading
    from turnspan.telemetry.decoding.received import ReceivedSpan

__all__ = ["ALONE", "ORDER", "claims", "read"]

ORDER: Final = 15
ALONE: Final = False
_OWN: Final = ("pydantic_ai.", "all_messages_events", "tool_arguments", "tool_response")
_TOTAL: Final = "gen_ai.aggregated_usage."
_USAGE: Final = (
    ("input_tokens", "input_tokens"),
    ("output_tokens", "output_tokens"),
    ("cache_read_tokens", "cache_read.input_tokens"),
    ("cache_write_tokens", "cache_creation.input_tokens"),
    ("reasoning_tokens", "details.reasoning_tokens"),
)


def claims(span: ReceivedSpan) -> bool:
    """Whether it made the span."""
    return span.scope == "pydantic-ai" or any(name.startswith(_OWN) for name in span.attributes)


def read(reading: Reading) -> None:
    """Fill in what the span says."""
    if "final_result" in reading.attributes or "agent_name" in reading.attributes:
        _read_run(reading)
    reading.fill("input", content(reading.get("tool_arguments")))
    reading.fill("output", content(reading.get("tool_response")))
    cost = reading.get("operation.cost")
    if isinstance(cost, int | float):
        reading.fill_in("usage", {"cost_usd": float(cost)})
    if reading.kind == "model" and "gen_ai.tool.definitions" in reading.used:
        reading.get("model_request_parameters")


def _read_run(reading: Reading) -> None:
    """The run of an agent: its messages are all that were said, the answer is the last."""
    reading.be("agent")
    reading.fill_in("agent", {"name": reading.text("agent_name")})
    reading.fill("output", content(reading.get("final_result")))
    for field, name in _USAGE:
        reading.fill_in("usage", {field: reading.whole(f"{_TOTAL}{name}")})
    said = messages_of(reading.get("pydantic_ai.all_messages"))
    said = said or messages_of(reading.get("all_messages_events"))
    is_answer = bool(said) and said[-1]["role"] == "assistant"
    reading.given = reading.given or (said[:-1] if is_answer else said)
    reading.produced = reading.produced or (said[-1:] if is_answer else [])
