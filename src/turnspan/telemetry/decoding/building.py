"""A group of spans → a turn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from turnspan.errors import WireError
from turnspan.schema.turn import Turn
from turnspan.schema.wire import turn_of
from turnspan.telemetry import semconv as names
from turnspan.telemetry.decoding.catalogue import Catalogue
from turnspan.telemetry.decoding.ids import derived
from turnspan.telemetry.decoding.messages import Transcript, ranges, text_of
from turnspan.telemetry.decoding.reading import Reading
from turnspan.telemetry.decoding.received import ReceivedSpan
from turnspan.telemetry.decoding.tree import Group
from turnspan.telemetry.decoding.values import content

__all__ = ["build"]

_SDK: Final = (names.SDK_LANGUAGE, names.SDK_NAME, names.SDK_VERSION)
_IS_REMOTE: Final = 0x200
_UNNAMED: Final = "agent"


def build(group: Group) -> Turn:
    """The turn of ``group``.

    Raises:
        WireError: what its spans say is no turn.
    """
    steps = _in_order(group)
    if not steps and group.root is None:
        raise WireError("there is no span", fix="give one")
    fields = _root_fields(group, steps)
    built = [_step_fields(each, group) for each in steps]
    _place_messages(group, fields, steps, built)
    _complete(group, fields, steps, built)
    return turn_of({**fields, "steps": built})


def _in_order(group: Group) -> list[Reading]:
    """The steps in the order in which they ended, except where ours say their own."""
    steps = sorted(group.steps, key=lambda each: each.span.ended_at)
    if all(names.STEP_POSITION in each.attributes for each in steps):
        steps.sort(key=lambda each: each.attributes[names.STEP_POSITION])
    return steps


def _root_fields(group: Group, steps: Sequence[Reading]) -> dict[str, Any]:
    root = group.root
    spans = [each.span for each in (steps if root is None else [root])]
    first = spans[0]
    known = dict(root.fields) if root is not None and not group.is_step else {}
    known.pop("name", None)
    fields = {
        "id": _id(group, first, steps),
        "started_at": min(each.started_at for each in spans),
        "ended_at": max(each.ended_at for each in spans),
        "resource": _resource(first),
        "trace": _trace(group, first),
        **known,
    }
    fields.setdefault("status", _status(group, first))
    fields["agent"] = _agent(group, fields.get("agent"), steps)
    if root is not None and not group.is_step:
        fields.setdefault("span", _notes(root))
    return fields


def _id(group: Group, first: ReceivedSpan, steps: Sequence[Reading]) -> str:
    if group.root is None:
        told = next((each.about["turn_id"] for each in steps if "turn_id" in each.about), None)
        if told is not None:
            return str(told)
    return derived("turn", first.trace_id + group.root_id)


def _status(group: Group, first: ReceivedSpan) -> str:
    """Where the root is missing that a process of its own should have sent, it was cut off."""
    if group.root is not None:
        return "error" if first.status == names.STATUS_ERROR else "ok"
    is_local = first.flags & names.FLAGS_HAS_IS_REMOTE and not first.flags & _IS_REMOTE
    is_ours = any("turn_id" in each.about for each in group.steps)
    return "interrupted" if is_local or is_ours else "ok"


def _trace(group: Group, first: ReceivedSpan) -> dict[str, Any]:
    trace: dict[str, Any] = {"trace_id": first.trace_id, "span_id": group.root_id}
    trace |= {"flags": first.flags & 0xFF, "state": first.state}
    if group.root is not None:
        trace["parent_span_id"] = first.parent_id
        trace["links"] = [] if group.is_step else group.root.links
    return trace


def _resource(span: ReceivedSpan) -> dict[str, Any]:
    """What the process says of itself, without what our writer adds."""
    if span.scope != names.SCOPE_NAME:
        return span.resource
    return {name: value for name, value in span.resource.items() if name not in _SDK}


def _agent(group: Group, told: Any, steps: Sequence[Reading]) -> dict[str, Any]:
    agent = dict(told or {})
    if "name" not in agent:
        agent["name"] = _agent_name(group, steps)
    return agent


def _agent_name(group: Group, steps: Sequence[Reading]) -> str:
    root = group.root
    around = [] if root is None else [root]
    for each in (*around, *steps):
        if "agent_name" in each.about:
            return str(each.about["agent_name"])
    first = (around or list(steps))[0].span
    if root is not None and root.kind in {"agent", "step"} and root.span.name:
        return str(root.fields.get("name") or root.span.name)
    service = first.resource.get(names.SERVICE_NAME)
    known = isinstance(service, str) and not service.startswith(names.UNKNOWN_SERVICE)
    return str(service if known else first.name or _UNNAMED)


def _notes(reading: Reading) -> dict[str, Any] | None:
    """What of a span nobody understood."""
    links = reading.links if reading.kind != "agent" else []
    told = {"attributes": reading.left, "events": reading.events, "links": links}
    return {field: value for field, value in told.items() if value} or None


def _step_fields(reading: Reading, group: Group) -> dict[str, Any]:
    span = reading.span
    fields = dict(reading.fields)
    fields.setdefault("name", span.name or reading.kind or "step")
    fields.setdefault("status", "error" if span.status == names.STATUS_ERROR else "ok")
    fields.setdefault("span", _notes(reading))
    is_under_root = group.root_id in {span.parent_id, span.span_id}
    fields |= {
        "id": span.span_id,
        "parent_id": None if is_under_root else span.parent_id,
        "kind": reading.kind or "step",
        "started_at": span.started_at,
        "ended_at": span.ended_at,
    }
    if fields["kind"] == "agent" and not reading.is_own:
        fields["agent"] = {"name": fields["name"], **fields.get("agent", {})}
    for field in ("session_id", "user_id", "number", "resumes", "tags", "messages"):
        fields.pop(field, None)
    return fields


def _place_messages(
    group: Group,
    fields: dict[str, Any],
    steps: Sequence[Reading],
    built: Sequence[dict[str, Any]],
) -> None:
    """Each message once: ours say where they stand, the others are put behind them."""
    root = [] if group.root is None or group.is_step else [(group.root, fields)]
    everything = [*root, *zip(steps, built, strict=True)]
    everything.sort(key=lambda pair: pair[0].span.started_at)
    ours = [pair for pair in everything if pair[0].is_own]
    transcript = Transcript()
    transcript.messages = _known_places(fields, ours)
    catalogue = Catalogue(fields.get("tool_definitions") or ())
    answers: list[tuple[Reading, dict[str, Any]]] = []
    for reading, target in everything:
        if reading.is_own:
            continue
        _place_given(reading, target, transcript, is_turn=target is fields)
        if reading.tools:
            target["input_tools"] = catalogue.place(reading.tools)
        if target is fields:
            answers.append((reading, target))
        elif reading.produced:
            target["output_messages"] = transcript.place(reading.produced)
    for reading, target in answers:
        if reading.produced:
            target["output_messages"] = transcript.place(reading.produced)
    fields["messages"] = transcript.messages
    if catalogue.definitions:
        fields["tool_definitions"] = catalogue.definitions


def _place_given(
    reading: Reading, target: dict[str, Any], transcript: Transcript, *, is_turn: bool
) -> None:
    """Place what went in; a turn has no instructions apart, they stand before its messages."""
    if is_turn:
        reading.given = [*reading.instructions, *reading.given]
    elif reading.instructions:
        target["system_instructions"] = transcript.place(reading.instructions)
    if reading.given:
        target["input_messages"] = transcript.place(reading.given)


def _known_places(
    fields: dict[str, Any], ours: Sequence[tuple[Reading, dict[str, Any]]]
) -> list[dict[str, Any]]:
    """The messages of our spans; where a span is missing, those that are there close ranks."""
    exact: dict[int, dict[str, Any]] = dict(fields.pop("messages", None) or ())
    found = dict(exact)
    for reading, target in ours:
        for ranges_of, told in (
            ("input_messages", reading.given),
            ("output_messages", reading.produced),
        ):
            for at, each in zip(_places(target.get(ranges_of)), told, strict=False):
                if at not in exact and (at not in found or "finish_reason" not in each):
                    found[at] = each
    at_last = {at: place for place, at in enumerate(sorted(found))}
    for _, target in ours:
        for ranges_of in ("input_messages", "output_messages", "system_instructions"):
            if target.get(ranges_of):
                kept = _remapped(target[ranges_of], at_last)
                target[ranges_of] = kept
    return [found[at] for at in sorted(found)]


def _places(told: Any) -> list[int]:
    return [at for start, end in told or () for at in range(start, end)]


def _remapped(told: Sequence[Sequence[int]], at_last: Mapping[int, int]) -> Any:
    if all(at_last.get(at) == at for at in _places(told)):
        return told
    return ranges([at_last[at] for at in _places(told) if at in at_last])


def _complete(
    group: Group,
    fields: dict[str, Any],
    steps: Sequence[Reading],
    built: Sequence[dict[str, Any]],
) -> None:
    """Fill in, from the steps, what the root of another maker leaves open."""
    if group.root is not None and group.root.is_own:
        return
    everything = [*([group.root] if group.root else []), *steps]
    for field in ("session_id", "user_id"):
        for each in everything:
            if field in each.about:
                fields.setdefault(field, each.about[field])
    by_start = sorted(steps, key=lambda each: each.span.started_at)
    speaking = [
        each for each in ([group.root] if group.root else []) if each.given or each.produced
    ]
    models = speaking or [each for each in by_start if each.kind == "model"]
    if "input" not in fields and models:
        fields["input"] = _asked(models[0])
    if "output" not in fields and models and fields["status"] == "ok":
        fields["output"] = _answered(models[-1])
    if "usage" not in fields:
        fields["usage"] = _sum([each["usage"] for each in built if each.get("usage")])
    if group.is_step and group.root is not None and group.root.fields.get("error"):
        fields["error"] = group.root.fields["error"]


def _asked(reading: Reading) -> dict[str, Any] | None:
    users = [each for each in reading.given if each["role"] == "user" and text_of([each])]
    return content(text_of(users[-1:])) or reading.fields.get("input")


def _answered(reading: Reading) -> dict[str, Any] | None:
    return content(text_of(reading.produced[:1])) or reading.fields.get("output")


def _sum(usages: Sequence[Mapping[str, Any]]) -> dict[str, Any] | None:
    total: dict[str, Any] = {}
    for usage in usages:
        for field, count in usage.items():
            total[field] = total.get(field, 0) + count
    return total or None
