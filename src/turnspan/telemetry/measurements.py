"""What a turn measures: the values of the GenAI metrics, each with its span.

Source: https://github.com/open-telemetry/semantic-conventions-genai, model/gen-ai/metrics.yaml
as of 2026-10 (88eccb15): a duration is that of the span; calls are an agent's own, those that
failed included, and not those of agents it called.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, TypeAlias

from turnspan.telemetry import instruments
from turnspan.telemetry import semconv as names
from turnspan.telemetry.attributes import failure
from turnspan.telemetry.instruments import Instrument

__all__ = ["Attributes", "Measurement", "measurements"]

Fields: TypeAlias = Mapping[str, Any]
Attributes: TypeAlias = dict[str, str]

UNKNOWN: Final = "unknown"  # of a provider nobody named, and of tokens counted as one sum
EMBEDDINGS: Final = "embeddings"
INFERENCE: Final = frozenset(("chat", "generate_content", "text_completion"))


Measurement: TypeAlias = tuple[Instrument, float, Attributes, str]
"""One value of an instrument, its attributes, and the id of the span it belongs to."""


def measurements(turn: Fields) -> Iterator[Measurement]:
    """Of ``turn``, a decoded `turn` line.

    Raises:
        KeyError, TypeError, AttributeError: it is no turn.
    """
    steps = turn.get("steps") or ()
    name: str = turn["agent"]["name"]
    callers = _callers(steps)
    calls = _calls(steps, callers)
    yield from _agent(turn, name, turn["trace"]["span_id"], calls, None)
    named: dict[str | None, str] = {None: name}
    named |= {step["id"]: _agent_name(step) for step in steps if step["kind"] == "agent"}
    for step in steps:
        if step["kind"] == "agent":
            yield from _agent(step, named[step["id"]], step["id"], calls, step["id"])
        elif measured := _KINDS.get(step["kind"]):
            yield from measured(step, named[callers[step["id"]]])


def _agent(
    fields: Fields, name: str, span_id: str, calls: _Calls, caller: str | None
) -> Iterator[Measurement]:
    of = {names.AGENT_NAME: name}
    yield _duration(instruments.AGENT_DURATION, fields, of, span_id)
    for instrument in (instruments.INFERENCE_CALLS, instruments.TOOL_CALLS):
        yield (instrument, calls.get((caller, instrument), 0), of, span_id)


def _tool(step: Fields, agent: str) -> Iterator[Measurement]:
    of = {names.TOOL_NAME: step["name"], names.AGENT_NAME: agent}
    if kind := (step.get("tool") or {}).get("type"):
        of[names.TOOL_TYPE] = kind
    yield _duration(instruments.TOOL_DURATION, step, of, step["id"])


def _retrieval(step: Fields, _agent: str) -> Iterator[Measurement]:
    of = {names.OPERATION_NAME: names.RETRIEVAL}
    yield _duration(instruments.OPERATION_DURATION, step, of, step["id"])


def _model(step: Fields, _agent: str) -> Iterator[Measurement]:
    model, span_id = step.get("model") or {}, step["id"]
    operation = model.get("operation", names.CHAT)
    of = {
        names.OPERATION_NAME: operation,
        names.PROVIDER_NAME: model.get("provider") or UNKNOWN,
    }
    for key, name in _MODELS:
        if value := model.get(key):
            of[name] = value
    if operation in INFERENCE:
        yield _duration(instruments.INFERENCE_DURATION, step, of, span_id)
        yield from _inference(step, of, span_id)
    elif operation == EMBEDDINGS:
        yield _duration(instruments.EMBEDDINGS_DURATION, step, of, span_id)
        if (count := (step.get("usage") or {}).get("input_tokens")) is not None:
            yield (instruments.EMBEDDINGS_TOKENS, count, of, span_id)
    else:
        yield _duration(instruments.OPERATION_DURATION, step, of, span_id)


def _inference(step: Fields, of: Attributes, span_id: str) -> Iterator[Measurement]:
    if (first := step.get("first_chunk_at")) is not None:
        waited_s = (first - step["started_at"]) / 1e9
        yield (instruments.FIRST_CHUNK, waited_s, of, span_id)
    usage = step.get("usage") or {}
    for key, instrument in _TOKENS:
        if (count := usage.get(key)) is not None:
            yield (instrument, count, of, span_id)
    counted = {**of, names.TOKEN_MODALITY: UNKNOWN}
    for key, instrument in instruments.USED_TOKENS.items():
        if (count := usage.get(key)) is not None:
            yield (instrument, count, counted, span_id)


def _duration(instrument: Instrument, fields: Fields, of: Attributes, span_id: str) -> Measurement:
    """How long the span of ``fields`` is, and how it failed where it did."""
    if failed := failure(fields):
        of = {**of, names.ERROR_TYPE: failed[0]}
    return (instrument, (fields["ended_at"] - fields["started_at"]) / 1e9, of, span_id)


def _callers(steps: Sequence[Fields]) -> dict[str, str | None]:
    """Step id → id of the nested agent that did it; None for the turn's own agent."""
    nested = {step["id"] for step in steps if step["kind"] == "agent"}
    if not nested:
        return dict.fromkeys(step["id"] for step in steps)
    parents = {step["id"]: step.get("parent_id") for step in steps}
    callers: dict[str, str | None] = {}
    for step in steps:
        above = parents[step["id"]]
        while above is not None and above not in nested:
            above = parents.get(above)
        callers[step["id"]] = above
    return callers


def _calls(steps: Sequence[Fields], callers: Mapping[str, str | None]) -> _Calls:
    """How often each agent called models and tools."""
    calls: _Calls = {}
    for step in steps:
        if (what := _called(step)) is not None:
            called = (callers[step["id"]], what)
            calls[called] = calls.get(called, 0) + 1
    return calls


def _agent_name(step: Fields) -> str:
    return (step.get("agent") or {}).get("name") or str(step["name"])


def _called(step: Fields) -> Instrument | None:
    """What counts ``step`` as a call."""
    if step["kind"] == "tool":  # one that waits for a person counts in the turn that resumes
        return instruments.TOOL_CALLS if step.get("status") != "paused" else None
    operation = (step.get("model") or {}).get("operation", names.CHAT)
    is_inference = step["kind"] == "model" and operation in INFERENCE
    return instruments.INFERENCE_CALLS if is_inference else None


_Calls: TypeAlias = dict[tuple[str | None, Instrument], int]
_KINDS = {"tool": _tool, "model": _model, "retrieval": _retrieval}
_MODELS = (("request_model", names.REQUEST_MODEL), ("response_model", names.RESPONSE_MODEL))
_TOKENS = (
    ("input_tokens", instruments.INPUT_TOKENS),
    ("output_tokens", instruments.OUTPUT_TOKENS),
)
