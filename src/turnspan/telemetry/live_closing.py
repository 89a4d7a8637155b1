"""What a live span is given as it ends: all that it did not start with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

from opentelemetry.trace import Span, SpanContext, Status, StatusCode

from turnspan.telemetry import semconv as names
from turnspan.telemetry.attributes import (
    SpanFacts,
    put_tool_content,
    put_turn,
    step_facts,
    turn_facts,
)
from turnspan.telemetry.vendor_keys import Described, Profile, add_keys

if TYPE_CHECKING:
    from turnspan.telemetry.live import LiveSpan

__all__ = ["finish"]

Fields: TypeAlias = Mapping[str, Any]


def finish(
    live: LiveSpan, real: Span, fields: Fields, *, content: bool, profiles: Sequence[Profile]
) -> None:
    """Put on ``real``, the span of ``live``, what there is to say when it ended as ``fields``."""
    try:
        attributes = _told(live, real, fields, content=content, profiles=profiles)
    except (TypeError, ValueError):
        # Content that no JSON can hold, such as a lone surrogate; the rest can be told.
        attributes = _told(live, real, fields, content=False, profiles=profiles)
    if attributes:
        _put(live, real, attributes)
    # Capture writes a `trace` without links as JSON already: there is nothing to read in it.
    if live.kind == "turn" and type(where := fields.get("trace")) is dict:
        _link(real, where.get("links", ()))


def _told(
    live: LiveSpan, real: Span, fields: Fields, *, content: bool, profiles: Sequence[Profile]
) -> dict[str, Any]:
    """The attributes; name and status of ``real`` are set here, where they changed."""
    if fields["status"] == "ok" and not profiles:
        plain = _PLAIN.get(live.kind)
        if plain is not None and (attributes := plain(live, fields, content)) is not None:
            return attributes
    facts = _facts_of(live, fields, content=content, profiles=profiles)
    if facts.name != live.name and getattr(real, "name", live.name) == live.name:
        real.update_name(facts.name)
    if facts.status == names.STATUS_ERROR:
        real.set_status(Status(StatusCode.ERROR, facts.description or None))
    attributes = facts.attributes
    for key, value in live.given.items():
        if attributes.get(key) == value:
            del attributes[key]
    return attributes


def _plain_turn(live: LiveSpan, turn: Fields, content: bool) -> dict[str, Any] | None:  # noqa: FBT001  # keywords would cost the caller
    """Of a turn that ended well, as the agent and in the session it began with."""
    if turn["agent"]["name"] != live.agent or turn.get("session_id") != live.session_id:
        return None
    attributes = {names.TURN_ID: turn["id"], names.TURN_STATUS: "ok"}
    put_turn(attributes, turn, content=content)
    return attributes


def _plain_tool(live: LiveSpan, step: Fields, content: bool) -> dict[str, Any] | None:  # noqa: FBT001  # the same
    """Of a tool step that ended well, and of which nothing became known but what was said."""
    tool, given = step.get("tool"), live.given
    if step["name"] != given.get(names.TOOL_NAME) or "metadata" in step:
        return None
    if tool and (len(tool) > 1 or tool.get("type", "") != given.get(names.TOOL_TYPE)):
        return None  # more than the type that was given, or another one
    attributes: dict[str, Any] = {}
    if content:
        put_tool_content(attributes, step, live.session_id, live.user_id)
    return attributes


def _facts_of(
    live: LiveSpan, fields: Fields, *, content: bool, profiles: Sequence[Profile]
) -> SpanFacts:
    if live.kind == "turn":
        turn, facts = fields, turn_facts(fields, content=content)
    else:
        turn = {
            "session_id": live.session_id,
            "user_id": live.user_id,
            "messages": fields.get("messages", ()),
            "tool_definitions": fields.get("tool_definitions", ()),
        }
        facts = step_facts(fields, turn, agent=live.agent, content=content)
    if profiles:
        add_keys(profiles, facts.attributes, Described(fields, turn, facts.attributes, content))
    return facts


def _put(live: LiveSpan, real: Span, attributes: dict[str, Any]) -> None:
    """Set ``attributes``, except where other code has set them: that wins."""
    given, present = live.given, getattr(real, "attributes", None)
    if present is not None and len(present) > len(given):
        attributes = {
            key: value
            for key, value in attributes.items()
            if key not in present or present[key] == given.get(key)
        }
    if len(attributes) > 2:
        real.set_attributes(attributes)
        return
    for key, value in attributes.items():  # in the SDK two alone cost less than two together
        real.set_attribute(key, value)


def _link(real: Span, links: Sequence[Fields]) -> None:
    for link in links:
        trace_id, span_id = int(link["trace_id"], 16), int(link["span_id"], 16)
        real.add_link(SpanContext(trace_id, span_id, is_remote=True), link.get("attributes"))


_PLAIN = {"turn": _plain_turn, "tool": _plain_tool}
