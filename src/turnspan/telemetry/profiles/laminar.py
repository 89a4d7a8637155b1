"""Laminar: session and user, which it reads from keys of its own alone, and what was said.

Source: https://github.com/lmnr-ai/lmnr app-server/src/traces/span_attributes.rs (39a1e595), and
https://github.com/lmnr-ai/lmnr-python src/lmnr/opentelemetry_lib/tracing/attributes.py (2026).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from turnspan.telemetry.vendor_keys import Described, as_json

__all__ = ["keys"]

_PROPERTIES = "lmnr.association.properties"
_SHOWN = frozenset({"turn", "agent", "step", "embeddings"})  # of the others it reads `gen_ai.*`


def keys(span: Described) -> Iterator[tuple[str, Any]]:
    """On every span session and user; on those it reads no `gen_ai.*` of, input and output."""
    yield f"{_PROPERTIES}.session_id", span.session_id
    yield f"{_PROPERTIES}.user_id", span.user_id
    if span.kind in _SHOWN:
        yield "lmnr.span.input", span.text("input")
        yield "lmnr.span.output", span.text("output")
    if tags := span.own("tags"):
        yield f"{_PROPERTIES}.tags", list(tags)
    for key, value in (span.own("metadata") or {}).items():
        yield f"{_PROPERTIES}.metadata.{key}", as_json(value)
