"""OTLP trace requests in JSON → spans.

Source: https://opentelemetry.io/docs/specs/otlp/ v1.9.0, "JSON Protobuf Encoding": ids in hex,
64-bit integers as texts or numbers, enums as numbers; snake_case keys are taken as well.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

import orjson

from turnspan.errors import WireError
from turnspan.telemetry.decoding.received import Received, ReceivedSpan
from turnspan.telemetry.decoding.span_fields import (
    MAX_DEPTH,
    checked_id,
    checked_int,
    checked_time,
    number,
)

__all__ = ["from_json", "from_json_value"]

_KINDS = ("UNSPECIFIED", "INTERNAL", "SERVER", "CLIENT", "PRODUCER", "CONSUMER")
_CODES = ("UNSET", "OK", "ERROR")
_NO_SPAN = (ValueError, TypeError, AttributeError, KeyError)


def from_json(body: bytes) -> Received:
    """The spans of an `ExportTraceServiceRequest`, or of an array of them.

    Raises:
        WireError: it is no JSON, or holds no request.
    """
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise WireError(
            f"these bytes are no JSON: {error}", fix="send an OTLP trace request"
        ) from error
    return from_json_value(value)


def from_json_value(value: Any) -> Received:
    """The same of what was decoded already.

    Raises:
        WireError: it holds no request.
    """
    received = Received()
    for request in value if isinstance(value, list) else [value]:
        try:
            for group in _list(request, "resourceSpans", needed=True):
                _read_group(group, received)
        except _NO_SPAN as error:
            raise WireError(
                "this JSON is no OTLP trace request: there is no list of resourceSpans in it",
                fix="send what an OTLP/HTTP exporter or the Collector's file exporter writes",
            ) from error
    return received


def _read_group(group: Any, received: Received) -> None:
    resource = _attributes(group.get("resource") or {})
    for scoped in _list(group, "scopeSpans"):
        scope = str((scoped.get("scope") or {}).get("name") or "")
        for span in _list(scoped, "spans"):
            try:
                received.spans.append(_span(span, resource, scope))
            except _NO_SPAN as error:
                received.reject(str(error) if isinstance(error, ValueError) else "no span")


def _span(span: Any, resource: dict[str, Any], scope: str) -> ReceivedSpan:
    status = span.get("status") or {}
    started_at = checked_time(_int(_get(span, "startTimeUnixNano", 0)), "start")
    parent = str(_get(span, "parentSpanId", "") or "")
    return ReceivedSpan(
        trace_id=checked_id(str(_get(span, "traceId", "")), 32, "trace id"),
        span_id=checked_id(str(_get(span, "spanId", "")), 16, "span id"),
        parent_id=checked_id(parent, 16, "parent span id") if parent.strip("0") else None,
        name=str(span.get("name") or ""),
        kind=_enum(span.get("kind"), _KINDS),
        started_at=started_at,
        ended_at=checked_time(_int(_get(span, "endTimeUnixNano", 0)), "end") or started_at,
        flags=_int(span.get("flags") or 0),
        state=str(_get(span, "traceState", "") or ""),
        attributes=_attributes(span),
        events=[_event(each) for each in _list(span, "events")],
        links=[_link(each) for each in _list(span, "links")],
        status=_enum(status.get("code"), _CODES),
        description=str(status.get("message") or ""),
        resource=resource,
        scope=scope,
    )


def _event(event: Any) -> dict[str, Any]:
    at = checked_time(_int(_get(event, "timeUnixNano", 0)), "event")
    found = {"name": str(event.get("name") or ""), "at": at}
    attributes = _attributes(event)
    return found | {"attributes": attributes} if attributes else found


def _link(link: Any) -> dict[str, Any]:
    found: dict[str, Any] = {
        "trace_id": checked_id(str(_get(link, "traceId", "")), 32, "link"),
        "span_id": checked_id(str(_get(link, "spanId", "")), 16, "link"),
    }
    attributes = _attributes(link)
    return found | {"attributes": attributes} if attributes else found


def _attributes(holder: Any) -> dict[str, Any]:
    return dict(_pairs(_list(holder, "attributes"), 0))


def _pairs(items: list[Any], depth: int) -> Iterator[tuple[str, Any]]:
    for item in items:
        yield str(item.get("key") or ""), _any_value(item.get("value") or {}, depth)


def _any_value(value: Mapping[str, Any], depth: int) -> Any:
    if depth > MAX_DEPTH:
        raise ValueError("an attribute is nested too deeply")
    for key, read in _VALUES.items():
        found = _get(value, key, None)
        if found is not None:
            return read(found, depth + 1)
    return None


def _bool(value: Any, _depth: int) -> bool:
    return value is True or value == "true"


def _double(value: Any, _depth: int) -> Any:
    return number(float(value))


def _array(value: Any, depth: int) -> list[Any]:
    return [_any_value(each or {}, depth) for each in _list(value, "values")]


def _kvlist(value: Any, depth: int) -> dict[str, Any]:
    return dict(_pairs(_list(value, "values"), depth))


_VALUES: Final[dict[str, Callable[[Any, int], Any]]] = {
    "stringValue": lambda value, _depth: str(value),
    "boolValue": _bool,
    "intValue": lambda value, _depth: _int(value),
    "doubleValue": _double,
    "arrayValue": _array,
    "kvlistValue": _kvlist,
    "bytesValue": lambda value, _depth: str(value),
}


def _list(holder: Any, key: str, *, needed: bool = False) -> list[Any]:
    found = _get(holder, key, None)
    if found is None and not needed:
        return []
    if not isinstance(found, list):
        raise ValueError(f"{key} is no list")
    return found


def _get(holder: Any, key: str, default: Any) -> Any:
    """What is under ``key``, or under its name in the `.proto` file."""
    if key in holder:
        return holder[key]
    return holder.get("".join(f"_{c.lower()}" if c.isupper() else c for c in key), default)


def _int(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise ValueError("a whole number is none")
    return checked_int(int(value))


def _enum(value: Any, words: tuple[str, ...]) -> int:
    """Its number; some writers have its name, such as `SPAN_KIND_CLIENT`."""
    if isinstance(value, str) and not value.isdigit():
        word = value.rpartition("_")[2]
        return words.index(word) if word in words else 0
    return _int(value or 0)
