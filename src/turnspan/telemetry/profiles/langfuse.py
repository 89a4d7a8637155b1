"""Langfuse: the trace's name, tags, metadata, input, output; types and costs within.

Source: https://langfuse.com/integrations/native/opentelemetry#property-mapping (2026-11), and
https://github.com/langfuse/langfuse packages/shared/src/server/otel/attributes.ts (62751446).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from turnspan.telemetry.vendor_keys import Described, as_json

__all__ = ["keys"]

_TYPES = {
    "turn": "agent",
    "agent": "agent",
    "model": "generation",
    "tool": "tool",
    "retrieval": "retriever",
    "embeddings": "embedding",
}


def keys(span: Described) -> Iterator[tuple[str, Any]]:
    """On every span its type, session and user; on the root what the trace is."""
    yield "langfuse.observation.type", _TYPES.get(span.kind, "span")
    yield "langfuse.session.id", span.session_id
    yield "langfuse.user.id", span.user_id
    if span.kind == "turn":
        yield from _trace(span)
    elif span.kind in ("model", "embeddings"):
        cost = (span.fields.get("usage") or {}).get("cost_usd")
        yield (
            "langfuse.observation.cost_details",
            None if cost is None else as_json({"total": cost}),
        )


def _trace(span: Described) -> Iterator[tuple[str, Any]]:
    yield "langfuse.trace.name", span.fields["agent"]["name"]
    yield "langfuse.trace.input", span.text("input")
    yield "langfuse.trace.output", span.text("output")
    if tags := span.own("tags"):
        yield "langfuse.trace.tags", list(tags)
    for key, value in (span.own("metadata") or {}).items():
        yield f"langfuse.trace.metadata.{key}", as_json(value)
