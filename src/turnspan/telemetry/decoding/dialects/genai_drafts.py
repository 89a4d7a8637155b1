"""The GenAI conventions as they were before 1.37, as many libraries still write them.

Source: https://github.com/open-telemetry/semantic-conventions v1.27 to v1.36, docs/gen-ai:
`gen_ai.system`, `gen_ai.prompt` and `gen_ai.completion`, an event a message.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from turnspan.telemetry.decoding.messages import message, messages_of
from turnspan.telemetry.decoding.values import json_value

if TYPE_CHECKING:
    from collections.abc import Mapping

    from turnspan.telemetry.decoding.reading import Reading
    from turnspan.telemetry.decoding.received import ReceivedSpan

__all__ = ["ALONE", "ORDER", "claims", "read"]

ORDER: Final = 20
ALONE: Final = False
_USAGE: Final = (
    ("input_tokens", "gen_ai.usage.prompt_tokens"),
    ("output_tokens", "gen_ai.usage.completion_tokens"),
    ("cache_write_tokens", "gen_ai.usage.cache_creation.input_tokens"),
    ("cache_write_tokens", "gen_ai.usage.cache_creation_input_tokens"),
    ("cache_read_tokens", "gen_ai.usage.cache_read_input_tokens"),
    ("reasoning_tokens", "gen_ai.usage.reasoning_tokens"),
    ("reasoning_tokens", "gen_ai.usage.details.reasoning_tokens"),
)
_ROLES: Final = ("system", "user", "assistant", "tool")
_SAID: Final = {f"gen_ai.{role}.message": role for role in _ROLES}
_DETAILS: Final = "gen_ai.client.inference.operation.details"


def claims(span: ReceivedSpan) -> bool:
    """Whether any attribute or event begins as theirs do."""
    told = (*span.attributes, *(event["name"] for event in span.events))
    return any(name.startswith("gen_ai.") for name in told)


def read(reading: Reading) -> None:
    """Fill in what the span says in the old words."""
    provider = reading.text("gen_ai.system")
    if provider is not None:
        reading.be("model")
    if reading.kind == "model":
        reading.fill_in("model", {"provider": provider})
    for field, name in _USAGE:
        reading.fill_in("usage", {field: reading.whole(name)})
    given, produced = _said(reading)
    reading.given = reading.given or given
    reading.produced = reading.produced or produced


def _said(reading: Reading) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    given = _flat(reading.get("gen_ai.prompt"), "user")
    produced = _flat(reading.get("gen_ai.completion"), "assistant")
    kept = []
    for event in reading.events:
        told = event.get("attributes", {})
        if event["name"] in _SAID:
            given += messages_of([{"role": _SAID[event["name"]], **_body(told)}])
        elif event["name"] == "gen_ai.choice":
            produced.append(_choice(_body(told)))
        elif event["name"] == "gen_ai.content.prompt":
            given += _flat(told.get("gen_ai.prompt"), "user")
        elif event["name"] == "gen_ai.content.completion":
            produced += _flat(told.get("gen_ai.completion"), "assistant")
        elif event["name"] == _DETAILS:
            given += messages_of(told.get("gen_ai.input.messages"))
            produced += messages_of(told.get("gen_ai.output.messages"))
        else:
            kept.append(event)
    reading.events = kept
    return given, produced


def _flat(value: Any, role: str) -> list[dict[str, Any]]:
    """The messages of a prompt or completion: JSON of a list, or a text."""
    found = json_value(value)
    if isinstance(found, list | dict):
        return messages_of(found)
    return [message(role, value)] if value else []


def _body(told: Mapping[str, Any]) -> dict[str, Any]:
    """What an event says; some libraries put all of it into one attribute."""
    whole = json_value(told.get("body") or told.get("event_body"))
    body = {**told, **whole} if isinstance(whole, dict) else dict(told)
    return {name: json_value(value) for name, value in body.items()}


def _choice(body: Mapping[str, Any]) -> dict[str, Any]:
    inner = body.get("message")
    told = {**body, **inner} if isinstance(inner, dict) else {"content": inner, **body}
    told = {"role": "assistant", **told}
    told.pop("message", None)
    return messages_of([told])[0]
