"""The rules for the spans of one trace together."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from conventions.model import GENAI
from conventions.seen import SeenSpan

__all__ = ["trace_violations"]


def trace_violations(spans: Sequence[SeenSpan]) -> list[str]:
    """What is wrong with ``spans``, all that our scope put into one trace, as a whole."""
    return [*_of_ids(spans), *_of_scope(spans), *_of_everywhere(spans)]


def _of_ids(spans: Sequence[SeenSpan]) -> Iterator[str]:
    if len({span.trace_id for span in spans}) != 1:
        yield "trace: the spans are of several traces"
    ids = [span.span_id for span in spans]
    if len(set(ids)) != len(ids):
        yield "trace: two spans have one id"
    roots = [span for span in spans if span.parent_id not in ids]
    if len(roots) != 1 or roots[0].attributes.get("gen_ai.operation.name") != "invoke_agent":
        yield f"trace: {[span.name for span in roots]} is no single root that invokes an agent"


def _of_scope(spans: Sequence[SeenSpan]) -> Iterator[str]:
    for span in spans:
        if span.schema_url != GENAI["provenance"]["schema_url"]:
            yield f"scope: {span.name!r} is of the schema {span.schema_url!r}"
        if not span.scope:
            yield f"scope: {span.name!r} has none"
        if not span.resource.get("service.name"):
            yield f"resource: {span.name!r} is of no service"


def _of_everywhere(spans: Sequence[SeenSpan]) -> Iterator[str]:
    known = {span.attributes.get("gen_ai.conversation.id") for span in spans}
    if len(known) != 1:
        yield f"conversation: it is not the same on every span: {known}"
    for span in spans:
        if not span.attributes.get("gen_ai.agent.name"):
            yield f"agent: {span.name!r} names none"
