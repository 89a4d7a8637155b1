"""The rules for one span."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any

from conventions.model import GENAI, content_fault, level_of, type_fault
from conventions.seen import SeenSpan

__all__ = ["EVERYWHERE", "violations"]

OPERATION = "gen_ai.operation.name"

# The conventions declare these on most span types. Honeycomb's timeline, and whoever filters a
# trace by its conversation, needs them on every span, plain steps and embeddings included.
EVERYWHERE = frozenset({"gen_ai.agent.name", "gen_ai.conversation.id"})

_ONLY_IF: dict[str, tuple[str, Callable[[SeenSpan], bool]]] = {
    "gen_ai.request.stream": ("is only ever true", lambda s: s.attributes[_STREAM] is True),
    "gen_ai.conversation.compacted": (
        "is only ever true",
        lambda s: s.attributes["gen_ai.conversation.compacted"] is True,
    ),
    "gen_ai.request.choice.count": (
        "goes without saying where it is 1",
        lambda s: s.attributes["gen_ai.request.choice.count"] != 1,
    ),
    "error.type": ("is of failed spans", lambda s: s.status == "error"),
    "gen_ai.tool.call.result": ("is of calls that succeeded", lambda s: s.status != "error"),
    "gen_ai.response.time_to_first_chunk": ("is of streams", lambda s: _STREAM in s.attributes),
    "gen_ai.prompt.version": (
        "needs gen_ai.prompt.name",
        lambda s: "gen_ai.prompt.name" in s.attributes,
    ),
}
_STREAM = "gen_ai.request.stream"


def violations(span: SeenSpan, *, available: Collection[str] = ()) -> list[str]:
    """What of ``span`` the conventions forbid, or miss.

    ``available`` are attributes that whoever made it had values for: those that the conventions
    recommend, or require where they are available, must then be there.
    """
    return [*_of_attributes(span), *_of_type(span, available)]


def _of_attributes(span: SeenSpan) -> Iterator[str]:
    """Whatever the span is: what it carries is known, typed, and well-formed."""
    for name, value in span.attributes.items():
        known = GENAI["attributes"].get(_template(name))
        if name in GENAI["deprecated"]["attributes"]:
            instead = GENAI["deprecated"]["attributes"][name]
            yield f"deprecated: {name} has become {instead or 'nothing'}"
        elif known is None:
            if name.startswith("gen_ai."):
                yield f"unknown: there is no attribute {name}"
        elif fault := type_fault(_template(name), value) or _content_fault(name, known, value):
            yield fault
        elif name in _ONLY_IF and not _ONLY_IF[name][1](span):
            yield f"condition: {name} {_ONLY_IF[name][0]}"
    if span.status == "error" and not span.attributes.get("error.type"):
        yield "error: a failed span names its error.type"


def _content_fault(name: str, known: Mapping[str, Any], value: Any) -> str | None:
    return content_fault(name, value) if "json_schema" in known else None


def _of_type(span: SeenSpan, available: Collection[str]) -> Iterator[str]:
    operation = span.attributes.get(OPERATION)
    if operation is None:
        yield from _of_plain(span)
        return
    if operation not in GENAI["attributes"][OPERATION]["members"]:
        yield f"operation: {operation!r} is none of the registry"
        return
    types = [t for t in GENAI["spans"].values() if operation in t["operations"]]
    fitting = [t for t in types if span.kind in (t["kind"], *t.get("kind_may", ()))]
    if not fitting:
        yield f"kind: {operation} is no {span.kind} span"
        return
    found = _refined(span, fitting[0])
    yield from _of_name(span, found["name"])
    yield from _of_levels(span, found, available)


def _of_plain(span: SeenSpan) -> Iterator[str]:
    """A span without an operation is nothing the conventions know: it may not look like it."""
    for name in span.attributes:
        if name.startswith("gen_ai.") and name not in EVERYWHERE:
            yield f"operation: {name} is on a span without {OPERATION}"
    if span.name.split(" ")[0] in GENAI["attributes"][OPERATION]["members"] and " " in span.name:
        yield f"operation: {span.name!r} is named as if it had {OPERATION}"


def _of_name(span: SeenSpan, formats: list[str]) -> Iterator[str]:
    """The first format for which the span has every attribute is its name."""
    expected = next((n for f in formats if (n := _filled(f, span.attributes))), None)
    if span.name != expected:
        yield f"name: {span.name!r} should be {expected!r}"


def _of_levels(span: SeenSpan, found: dict[str, Any], available: Collection[str]) -> Iterator[str]:
    present, declared = span.attributes, found["attributes"]
    for name, said in declared.items():
        if name in present:
            continue
        level = level_of(said)
        if level == "required":
            yield f"required: {name} is missing"
        elif name in available and level != "opt_in":
            yield f"available: {name} is known, {level}, and missing"
    if "server.address" in present and "server.port" not in present:
        yield "required: server.port goes with server.address"
    for name in present:
        known = name.startswith("gen_ai.") and _template(name) in GENAI["attributes"]
        if known and _template(name) not in declared and name not in EVERYWHERE:
            yield f"undeclared: {name} is nothing that {present[OPERATION]} spans carry"
    yield from (f"forbidden: {name}" for name in found.get("must_not", ()) if name in present)


def _refined(span: SeenSpan, base: dict[str, Any]) -> dict[str, Any]:
    """``base`` with what providers and kinds of tools add to it.

    What a refinement requires is asked for where it is available: a call through Bedrock has a
    guardrail only where one was configured, whatever the level says.
    """
    found = {**base, "attributes": dict(base["attributes"]), "name": list(base["name"])}
    for refinement in GENAI["span_refinements"].values():
        when = refinement.get("when", {})
        if GENAI["spans"][refinement["ref"]] is not base or not all(
            span.attributes.get(name) == value for name, value in when.items()
        ):
            continue
        for name, said in refinement["attributes"].items():
            found["attributes"].setdefault(name, {"conditionally_required": str(said)})
        found["name"] = [*refinement.get("name", ()), *found["name"]]
    found["name"].sort(key=lambda text: -text.count("{"))
    return found


def _filled(text: str, attributes: Mapping[str, Any]) -> str | None:
    keys = re.findall(r"\{([^}]+)\}", text)
    if not all(attributes.get(key) for key in keys):
        return None
    return re.sub(r"\{([^}]+)\}", lambda found: str(attributes[found[1]]), text)


def _template(name: str) -> str:
    """The name under which the registry has ``name``: `gen_ai.prompt.variable.<key>` is one."""
    return "gen_ai.prompt.variable" if name.startswith("gen_ai.prompt.variable.") else name
