"""The metrics of the GenAI conventions that turns can tell, in one table.

Left out is what a turn does not know: `gen_ai.client.inference.time_per_output_chunk` wants the
time of each chunk, `gen_ai.invoke_workflow.duration` a workflow, and `gen_ai.server.*` a server.

Source: https://github.com/open-telemetry/semantic-conventions-genai, model/gen-ai/metrics.yaml
and token-metrics.yaml of 88eccb155ca7d6984826da1f4b1c08ee916e0f49 (2026-10).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

__all__ = [
    "AGENT_DURATION",
    "ALL",
    "EMBEDDINGS_DURATION",
    "EMBEDDINGS_TOKENS",
    "FIRST_CHUNK",
    "INFERENCE_CALLS",
    "INFERENCE_DURATION",
    "INPUT_TOKENS",
    "OPERATION_DURATION",
    "OUTPUT_TOKENS",
    "TOOL_CALLS",
    "TOOL_DURATION",
    "USED_TOKENS",
    "Instrument",
]


@dataclass(frozen=True, slots=True, eq=False)  # by identity: each turn looks up a few of them
class Instrument:
    """One metric. A histogram has ``boundaries``, a counter has none."""

    name: str
    unit: str
    description: str
    boundaries: tuple[float, ...] = ()
    is_whole: bool = False
    """Whether its values are whole numbers."""


_SECONDS: Final = (
    0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92,
)  # fmt: skip
_AGENT_SECONDS: Final = (
    0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8, 25.6, 51.2, 102.4, 204.8, 409.6,
)  # fmt: skip
_CALLS: Final = (1, 2, 4, 8, 16, 32, 64, 128)
_TOKENS: Final = tuple(4**power for power in range(14))

AGENT_DURATION: Final = Instrument(
    "gen_ai.invoke_agent.duration", "s", "How long an agent took.", _AGENT_SECONDS
)
INFERENCE_CALLS: Final = Instrument(
    "gen_ai.invoke_agent.inference_calls",
    "{inference_call}",
    "How often an agent called a model, in one invocation.",
    _CALLS,
    is_whole=True,
)
TOOL_CALLS: Final = Instrument(
    "gen_ai.invoke_agent.tool_calls",
    "{tool_call}",
    "How often an agent called a tool, in one invocation.",
    _CALLS,
    is_whole=True,
)
TOOL_DURATION: Final = Instrument(
    "gen_ai.execute_tool.duration", "s", "How long a tool took.", _SECONDS
)
INFERENCE_DURATION: Final = Instrument(
    "gen_ai.client.inference.duration", "s", "How long a call of a model took.", _SECONDS
)
FIRST_CHUNK: Final = Instrument(
    "gen_ai.client.inference.time_to_first_chunk",
    "s",
    "From a call of a model to the first chunk of its stream.",
    _SECONDS,
)
INPUT_TOKENS: Final = Instrument(
    "gen_ai.client.inference.operation.input_tokens",
    "{token}",
    "Tokens that one call of a model was given.",
    _TOKENS,
    is_whole=True,
)
OUTPUT_TOKENS: Final = Instrument(
    "gen_ai.client.inference.operation.output_tokens",
    "{token}",
    "Tokens that one call of a model produced.",
    _TOKENS,
    is_whole=True,
)
EMBEDDINGS_DURATION: Final = Instrument(
    "gen_ai.client.embeddings.duration", "s", "How long a call for embeddings took.", _SECONDS
)
EMBEDDINGS_TOKENS: Final = Instrument(
    "gen_ai.client.embeddings.operation.input_tokens",
    "{token}",
    "Tokens that one call for embeddings was given.",
    _TOKENS,
    is_whole=True,
)
OPERATION_DURATION: Final = Instrument(
    "gen_ai.client.operation.duration",
    "s",
    "How long any other operation of a client took, such as a retrieval.",
    _SECONDS,
)


def _used(what: str, description: str) -> Instrument:
    name = f"gen_ai.client.inference.usage.{what}"
    return Instrument(name, "{token}", description, is_whole=True)


# Field of a step's usage → counter.
USED_TOKENS: Final = {
    "input_tokens": _used("input_tokens", "Tokens that models were given."),
    "output_tokens": _used("output_tokens", "Tokens that models produced."),
    "cache_read_tokens": _used(
        "cache_read.input_tokens", "Tokens given to models that were read from a cache."
    ),
    "cache_write_tokens": _used(
        "cache_write.input_tokens", "Tokens given to models that were written to a cache."
    ),
    "reasoning_tokens": _used(
        "reasoning.output_tokens", "Tokens that models produced while reasoning."
    ),
}
ALL: Final = (
    AGENT_DURATION,
    INFERENCE_CALLS,
    TOOL_CALLS,
    TOOL_DURATION,
    INFERENCE_DURATION,
    FIRST_CHUNK,
    INPUT_TOKENS,
    OUTPUT_TOKENS,
    EMBEDDINGS_DURATION,
    EMBEDDINGS_TOKENS,
    OPERATION_DURATION,
    *USED_TOKENS.values(),
)
