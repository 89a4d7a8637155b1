"""What a turn measures: the values of the GenAI metrics, each with its span.

Source: https://github.com/open-telemetry/semantic-conventions-genai, model/gen-ai/metrics.yaml
as of 2026-10 (88eccb15): a duration is that of the span; calls are an agent's own, those that
failed included, and not those of agents it called.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, Final, TypeAlias

from turnspan.telemetry import instruments
from turnspan.telemetry import semconv as names
from turnspan.telemetry.attributes import failure
from turnspan.telemetry.instruments import Instrument

__all__ = ["Attributes", "Measurement", "measurements"]

Fields: TypeAlias = Mapping[str, Any]
Attributes: TypeAlias = tuple[tuple[str, str], ...]
"""Pairs, so that they can be looked up by."""

UNKNOWN: Final = "unknown"  # of a provider nobody named, and of tokens counted as one sum
EMBEDDINGS: Final = "embeddings"
INFERENCE: Final = frozenset(("chat", "generate_content", "text_completion"))
MODELS, TOOLS = 0, 1  # places in the calls of an agent
NONE: Final = (0, 0)
NOTHING: Final[Fields] = {}
MOST_KNOWN: Final = 1024  # agents, and tools, whose attributes are kept


Measurement: TypeAlias = tuple[Instrument, float, Attributes, str]
"""One value of an instrument, its attributes, and the id of the span it belongs to."""


def measurements(turn: Fields) -> list[Measurement]:
    """Of ``turn``, a decoded `turn` line.

    Raises:
        KeyError, TypeError, AttributeError: it is no turn.
    """
    found: list[Measurement] = []
    steps = turn.get("steps") or ()
    name: str = turn["agent"]["name"]
    callers = _callers(steps)
    calls = _calls(steps, callers)
    _agent(turn, name, turn["trace"]["span_id"], calls.get(None, NONE), found)
    named: dict[str | None, str] = {None: name}
    if callers:
        named |= {step["id"]: _agent_name(step) for step in steps if step["kind"] == "agent"}
    for step in steps:
        kind, id = step["kind"], step["id"]
        if kind == "agent":
            _agent(step, named[id], id, calls.get(id, NONE), found)
        elif measured := _KINDS.get(kind):
            measured(step, named[callers.get(id)], found)
    return found


def _agent(
    fields: Fields, name: str, span_id: str, calls: _Calls, found: list[Measurement]
) -> None:
    of = _of_agent(name)
    found += (
        _duration(instruments.AGENT_DURATION, fields, of, span_id),
        (instruments.INFERENCE_CALLS, calls[0], of, span_id),
        (instruments.TOOL_CALLS, calls[1], of, span_id),
    )


def _tool(step: Fields, agent: str, found: list[Measurement]) -> None:
    of = _of_tool(step["name"], agent, (step.get("tool") or NOTHING).get("type"))
    found.append(_duration(instruments.TOOL_DURATION, step, of, step["id"]))


def _retrieval(step: Fields, _agent: str, found: list[Measurement]) -> None:
    found.append(_duration(instruments.OPERATION_DURATION, step, _OF_RETRIEVAL, step["id"]))


def _model(step: Fields, _agent: str, found: list[Measurement]) -> None:
    model, span_id = step.get("model") or NOTHING, step["id"]
    operation = model.get("operation", names.CHAT)
    of = (
        (names.OPERATION_NAME, operation),
        (names.PROVIDER_NAME, model.get("provider") or UNKNOWN),
        *((name, value) for key, name in _MODELS if (value := model.get(key))),
    )
    if operation in INFERENCE:
        found.append(_duration(instruments.INFERENCE_DURATION, step, of, span_id))
        _inference(step, of, span_id, found)
    elif operation == EMBEDDINGS:
        found.append(_duration(instruments.EMBEDDINGS_DURATION, step, of, span_id))
        if (count := (step.get("usage") or NOTHING).get("input_tokens")) is not None:
            found.append((instruments.EMBEDDINGS_TOKENS, count, of, span_id))
    else:
        found.append(_duration(instruments.OPERATION_DURATION, step, of, span_id))


def _inference(step: Fields, of: Attributes, span_id: str, found: list[Measurement]) -> None:
    if (first := step.get("first_chunk_at")) is not None:
        waited_s = (first - step["started_at"]) / 1e9
        found.append((instruments.FIRST_CHUNK, waited_s, of, span_id))
    usage = step.get("usage") or NOTHING
    for key, instrument in _TOKENS:
        if (count := usage.get(key)) is not None:
            found.append((instrument, count, of, span_id))
    counted = (*of, (names.TOKEN_MODALITY, UNKNOWN))
    for key, instrument in instruments.USED_TOKENS.items():
        if (count := usage.get(key)) is not None:
            found.append((instrument, count, counted, span_id))


def _duration(instrument: Instrument, fields: Fields, of: Attributes, span_id: str) -> Measurement:
    """How long the span of ``fields`` is, and how it failed where it did."""
    if failed := failure(fields):
        of = (*of, (names.ERROR_TYPE, failed[0]))
    return (instrument, (fields["ended_at"] - fields["started_at"]) / 1e9, of, span_id)


@lru_cache(MOST_KNOWN)
def _of_agent(name: str) -> Attributes:
    return ((names.AGENT_NAME, name),)


@lru_cache(MOST_KNOWN)
def _of_tool(name: str, agent: str, type: str | None) -> Attributes:
    of = ((names.TOOL_NAME, name), (names.AGENT_NAME, agent))
    return (*of, (names.TOOL_TYPE, type)) if type else of


def _callers(steps: Sequence[Fields]) -> dict[str, str | None]:
    """Step id → id of the nested agent that did it; empty where the turn's own did all."""
    nested = {step["id"] for step in steps if step["kind"] == "agent"}
    if not nested:
        return {}
    parents = {step["id"]: step.get("parent_id") for step in steps}
    callers: dict[str, str | None] = {}
    for step in steps:
        above, passed = step["id"], []
        while above is not None and above not in callers:
            callers[above] = None  # a damaged line may hold a cycle
            passed.append(above)
            above = parents.get(above)
            if above in nested:
                break
        found = above if above in nested else callers.get(above)
        callers |= dict.fromkeys(passed, found)
    return callers


def _calls(
    steps: Sequence[Fields], callers: Mapping[str, str | None]
) -> dict[str | None, list[int]]:
    """How often each agent called models and tools."""
    calls: dict[str | None, list[int]] = {}
    for step in steps:
        if (what := _called(step)) is not None:
            calls.setdefault(callers.get(step["id"]), [0, 0])[what] += 1
    return calls


def _agent_name(step: Fields) -> str:
    return (step.get("agent") or {}).get("name") or str(step["name"])


def _called(step: Fields) -> int | None:
    """As what ``step`` counts as a call: of a model, or of a tool."""
    kind = step["kind"]
    if kind == "tool":  # one that waits for a person counts in the turn that resumes
        return TOOLS if step.get("status") != "paused" else None
    if kind != "model":
        return None
    operation = (step.get("model") or NOTHING).get("operation", names.CHAT)
    return MODELS if operation in INFERENCE else None


_Calls: TypeAlias = Sequence[int]
_KINDS = {"tool": _tool, "model": _model, "retrieval": _retrieval}
_MODELS = (("request_model", names.REQUEST_MODEL), ("response_model", names.RESPONSE_MODEL))
_TOKENS = (
    ("input_tokens", instruments.INPUT_TOKENS),
    ("output_tokens", instruments.OUTPUT_TOKENS),
)
_OF_RETRIEVAL: Final = ((names.OPERATION_NAME, names.RETRIEVAL),)
