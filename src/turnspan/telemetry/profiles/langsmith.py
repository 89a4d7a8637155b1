"""LangSmith: threads from the session, run types, tags and metadata.

Source: https://docs.langchain.com/langsmith/trace-with-opentelemetry (2026-11).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from turnspan.telemetry.vendor_keys import Described, as_json

__all__ = ["keys"]

_KINDS = {"model": "llm", "tool": "tool", "retrieval": "retriever", "embeddings": "embedding"}


def keys(span: Described) -> Iterator[tuple[str, Any]]:
    """On every span its type and thread; on the root also tags and metadata."""
    yield "langsmith.span.kind", _KINDS.get(span.kind, "chain")
    yield "langsmith.metadata.thread_id", span.session_id
    yield "langsmith.metadata.user_id", span.user_id
    yield "langsmith.span.tags", ",".join(span.own("tags") or ())
    for key, value in (span.own("metadata") or {}).items():
        yield f"langsmith.metadata.{key}", as_json(value)
