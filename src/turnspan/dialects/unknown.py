"""What a turn is given where a dialect says nothing and a turn must have something."""

from __future__ import annotations

from typing import Final

from turnspan.schema import Agent, Trace

__all__ = ["AGENT", "TRACE"]

AGENT: Final = Agent(name="unknown")
TRACE: Final = Trace(trace_id="0" * 32, span_id="0" * 16, sampled=False, mode="off")
"""The invalid ids of W3C trace context: no span was made, and none will be."""
