"""Turns as OTLP trace requests: protobuf written straight from decoded turn lines.

No protobuf library, no span objects: a turn costs a third of what the SDK's encoder takes.

Source: https://github.com/open-telemetry/opentelemetry-proto v1.9.0,
collector/trace/v1/trace_service.proto, trace/v1/trace.proto, resource/v1/resource.proto.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Any, TypeAlias

from turnspan.telemetry import semconv as names
from turnspan.telemetry.attributes import (
    SpanFacts,
    failure,
    nested_agents,
    step_facts,
    turn_facts,
    with_notes,
)
from turnspan.telemetry.by_resource import ByResource
from turnspan.telemetry.carried import carry_step, carry_turn
from turnspan.telemetry.limits import SpanLimits, cut
from turnspan.telemetry.messages import honest
from turnspan.telemetry.plain import plain_tool, plain_turn
from turnspan.telemetry.protobuf import attributes, delimited, text, varint
from turnspan.telemetry.templates import ATTRIBUTE, KINDS, MOST_ATTRIBUTES, Templates
from turnspan.telemetry.vendor_keys import Described, Profile, add_keys

__all__ = ["RequestWriter"]

Fields: TypeAlias = Mapping[str, Any]

_NO_LIMITS = SpanLimits()


class RequestWriter:
    """Gathers turns and writes them as one `ExportTraceServiceRequest`.

    Requests set one behind the other parse as one. Not thread-safe.
    """

    __slots__ = ("_by_resource", "_content", "_has_plain", "_limits", "_profiles", "_templates")

    def __init__(
        self,
        *,
        content: bool,
        limits: SpanLimits = _NO_LIMITS,
        profiles: Sequence[Profile] = (),
    ) -> None:
        self._content = content
        self._limits = limits
        self._profiles = profiles
        self._templates = Templates()
        self._has_plain = content and not profiles and _leaves_plain(limits)
        self._by_resource = ByResource()

    def add(self, turn: Fields) -> None:
        """Write the spans of ``turn``, a decoded `turn` line; all of them, or none.

        Raises:
            KeyError, TypeError, ValueError, AttributeError, OverflowError: it is no turn.
        """
        parts: list[bytes] = []
        for span in self._spans(turn):
            payload = b"".join(span)
            parts += (b"\x12", varint(len(payload)), payload)
        self._by_resource.add(turn.get("resource") or {}, parts)

    def clear(self) -> None:
        """Forget the turns since the last `take`."""
        self._by_resource = ByResource()

    def take(self) -> bytes:
        """The request of all turns since the last `take`; empty where there were none."""
        return self._by_resource.take()

    def _spans(self, turn: Fields) -> Iterable[list[bytes]]:
        trace = turn["trace"]
        trace_id, state = trace["trace_id"], text(b"\x1a", trace.get("state", ""))
        flags = trace.get("flags", 1) & 0xFF
        local = _flags(flags | names.FLAGS_HAS_IS_REMOTE)
        root_id: str = trace["span_id"]
        parent_id: str | None = trace.get("parent_span_id")
        # A turn does not say whether its parent was remote; a span without one has none that was.
        suffix = _flags(flags) if parent_id else local
        yield self._turn(turn, [_ids(trace_id, root_id, parent_id), state], suffix)
        steps = turn.get("steps", ())
        agents = nested_agents(steps)
        agent = turn["agent"]["name"]
        ordered = all(one["ended_at"] < other["ended_at"] for one, other in pairwise(steps))
        for position, step in enumerate(steps):
            by = agents.get(step["id"], agent) if agents else agent
            ids = _ids(trace_id, step["id"], step.get("parent_id") or root_id)
            place = None if ordered else position
            yield self._step(step, turn, [ids, state], local, agent=by, place=place)

    def _turn(self, turn: Fields, parts: list[bytes], suffix: bytes) -> list[bytes]:
        links = turn["trace"].get("links", ())
        plain = plain_turn(turn) if self._has_plain and not links else None
        if plain and self._templates.write(plain, turn, parts):
            parts.append(suffix)
            return parts
        facts = turn_facts(turn, content=self._content)
        carry_turn(facts.attributes, turn, failure(turn), content=self._content)
        if plain:
            self._templates.keep(plain, facts)
        return self._span(facts, turn, turn, parts, suffix, links)

    def _step(
        self,
        step: Fields,
        turn: Fields,
        parts: list[bytes],
        suffix: bytes,
        *,
        agent: str,
        place: int | None,
    ) -> list[bytes]:
        """``place`` is that of ``step`` in ``turn``, where its end does not tell."""
        plain = plain_tool(step, turn, agent) if self._has_plain and place is None else None
        if plain and self._templates.write(plain, step, parts):
            parts.append(suffix)
            return parts
        content = self._content
        told = honest(step) if content and step["kind"] == "tool" else step
        facts = step_facts(told, turn, agent=agent, content=content)
        carry_step(facts.attributes, step, turn, failure(step), content=content)
        facts.attributes[names.TURN_ID] = turn["id"]
        if place is not None:
            facts.attributes[names.STEP_POSITION] = place
        if plain:
            self._templates.keep(plain, facts)
        return self._span(facts, step, turn, parts, suffix, ())

    def _span(
        self,
        facts: SpanFacts,
        source: Fields,
        turn: Fields,
        parts: list[bytes],
        suffix: bytes,
        links: Sequence[Fields],
    ) -> list[bytes]:
        said = None
        if self._profiles:  # of what we put there: what other code did may be of any form
            said = Described(source, turn, dict(facts.attributes), self._content)
        if notes := source.get("span"):
            with_notes(facts, notes)
            links = [*links, *(notes.get("links") or ())]
        if said is not None:
            add_keys(self._profiles, facts.attributes, said)
        name = facts.name.encode()
        parts += (b"\x2a", varint(len(name)), name, KINDS[facts.kind])
        parts += (source["started_at"].to_bytes(8, "little"), b"\x41")
        parts.append(source["ended_at"].to_bytes(8, "little"))
        self._attributes(facts.attributes, parts)
        if notes and (events := notes.get("events")):
            self._events(events, parts)
        if links:
            self._links(links, parts)
        if facts.status:
            status = text(b"\x12", facts.description) + b"\x18" + varint(facts.status)
            parts.append(delimited(b"\x7a", status))
        parts.append(suffix)
        return parts

    def _attributes(self, pairs: dict[str, Any], parts: list[bytes]) -> None:
        limits = self._limits
        kept, dropped = _within(pairs, limits.attributes, limits.span_value_chars)
        attributes(ATTRIBUTE, kept, parts)
        if dropped:
            parts.append(b"\x50" + varint(dropped))

    def _events(self, events: Sequence[Fields], parts: list[bytes]) -> None:
        limits = self._limits
        kept = events if limits.events is None else events[: limits.events]
        for event in kept:
            found = [b"\x09", event["at"].to_bytes(8, "little"), text(b"\x12", event["name"])]
            pairs, dropped = _within(
                event.get("attributes") or {}, limits.event_attributes, limits.value_chars
            )
            attributes(b"\x1a", pairs, found)
            if dropped:
                found.append(b"\x20" + varint(dropped))
            parts.append(delimited(b"\x5a", b"".join(found)))
        if dropped := len(events) - len(kept):
            parts.append(b"\x60" + varint(dropped))

    def _links(self, links: Sequence[Fields], parts: list[bytes]) -> None:
        limits = self._limits
        kept = links if limits.links is None else links[: limits.links]
        for link in kept:
            found = [_ids(link["trace_id"], link["span_id"])]
            pairs, dropped = _within(
                link.get("attributes") or {}, limits.link_attributes, limits.value_chars
            )
            attributes(b"\x22", pairs, found)
            if dropped:
                found.append(b"\x28" + varint(dropped))
            parts.append(delimited(b"\x6a", b"".join(found)))
        if dropped := len(links) - len(kept):
            parts.append(b"\x70" + varint(dropped))


def _within(
    pairs: dict[str, Any], count: int | None, chars: int | None
) -> tuple[dict[str, Any], int]:
    """``pairs`` within their limits, and how many were dropped: the last ones go."""
    dropped = 0
    if count is not None and len(pairs) > count:
        dropped = len(pairs) - count
        pairs = dict(list(pairs.items())[:count])
    if chars is not None:
        pairs = {key: cut(value, chars) for key, value in pairs.items()}
    return pairs, dropped


def _leaves_plain(limits: SpanLimits) -> bool:
    """Does every span of a template fit within ``limits``?"""
    fits = limits.attributes is None or limits.attributes >= MOST_ATTRIBUTES
    return fits and limits.span_value_chars is None


def _flags(flags: int) -> bytes:
    """Field 16 of a span."""
    return b"\x85\x01" + flags.to_bytes(4, "little")


def _ids(trace_id: str, span_id: str, parent_id: str | None = None) -> bytes:
    """Fields 1, 2 and 4 of a span: they are read from hex in one go."""
    if len(trace_id) != 32 or len(span_id) != 16:
        raise ValueError(f"{trace_id!r} or {span_id!r} is no id")
    if not parent_id:
        return bytes.fromhex(f"0a10{trace_id}1208{span_id}")
    if len(parent_id) != 16:
        raise ValueError(f"{parent_id!r} is no span id")
    return bytes.fromhex(f"0a10{trace_id}1208{span_id}2208{parent_id}")
