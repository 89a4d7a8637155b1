"""OTLP trace requests in protobuf → spans.

Source: https://github.com/open-telemetry/opentelemetry-proto v1.9.0,
collector/trace/v1/trace_service.proto, trace/v1/trace.proto, common/v1/common.proto.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Iterator
from struct import unpack
from typing import Any, Final

from turnspan.errors import WireError
from turnspan.telemetry.decoding.received import Received, ReceivedSpan
from turnspan.telemetry.decoding.span_fields import MAX_DEPTH, checked_id, checked_time, number
from turnspan.telemetry.protobuf import fields

__all__ = ["from_protobuf"]

_INT64 = 1 << 63


def from_protobuf(body: bytes) -> Received:
    """The spans of an `ExportTraceServiceRequest` (`TracesData` reads the same).

    A span that cannot be read is counted, and the others are kept.

    Raises:
        WireError: the bytes are no such message.
    """
    received = Received()
    try:
        for group in _messages(body, 1):
            resource = next((_attributes(each, 1) for each in _messages(group, 1)), {})
            for scoped in _messages(group, 2):
                _read_scope(scoped, resource, received)
    except ValueError as error:
        raise WireError(
            f"these bytes are no OTLP trace request: {error}",
            fix="send an ExportTraceServiceRequest as protobuf, or say that it is JSON",
        ) from error
    return received


def _read_scope(scoped: bytes, resource: dict[str, Any], received: Received) -> None:
    scope = ""
    spans: list[bytes] = []
    for field, value in fields(scoped):
        if field == 1 and isinstance(value, bytes):
            scope = next((_text(each) for each in _messages(value, 1)), "")
        elif field == 2 and isinstance(value, bytes):
            spans.append(value)
    for span in spans:
        try:
            received.spans.append(_span(span, resource, scope))
        except ValueError as error:
            received.reject(str(error))


def _span(message: bytes, resource: dict[str, Any], scope: str) -> ReceivedSpan:
    one: dict[int, Any] = {}
    attributes: dict[str, Any] = {}
    events: list[dict[str, Any]] = []
    links: list[dict[str, Any]] = []
    for field, value in fields(message):
        if field == 9:
            _add_pair(value, attributes, 0)
        elif field == 11:
            events.append(_event(_bytes(value)))
        elif field == 13:
            links.append(_link(_bytes(value)))
        else:
            one[field] = value
    status = dict(fields(_bytes(one.get(15, b""))))
    started_at = checked_time(_fixed(one.get(7)), "start")
    parent = _bytes(one.get(4, b"")).hex()
    return ReceivedSpan(
        trace_id=checked_id(_bytes(one.get(1, b"")).hex(), 32, "trace id"),
        span_id=checked_id(_bytes(one.get(2, b"")).hex(), 16, "span id"),
        parent_id=checked_id(parent, 16, "parent span id") if parent.strip("0") else None,
        name=_text(one.get(5, b"")),
        kind=_int(one.get(6, 0)),
        started_at=started_at,
        ended_at=checked_time(_fixed(one.get(8)), "end") or started_at,
        flags=_fixed(one.get(16)),
        state=_text(one.get(3, b"")),
        attributes=attributes,
        events=events,
        links=links,
        status=_int(status.get(3, 0)),
        description=_text(status.get(2, b"")),
        resource=resource,
        scope=scope,
    )


def _event(message: bytes) -> dict[str, Any]:
    one: dict[int, Any] = dict(fields(message))
    event = {"name": _text(one.get(2, b"")), "at": checked_time(_fixed(one.get(1)), "event")}
    attributes = _attributes(message, 3)
    return event | {"attributes": attributes} if attributes else event


def _link(message: bytes) -> dict[str, Any]:
    one: dict[int, Any] = dict(fields(message))
    link: dict[str, Any] = {
        "trace_id": checked_id(_bytes(one.get(1, b"")).hex(), 32, "link"),
        "span_id": checked_id(_bytes(one.get(2, b"")).hex(), 16, "link"),
    }
    attributes = _attributes(message, 4)
    return link | {"attributes": attributes} if attributes else link


def _attributes(message: bytes, field: int) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for pair in _messages(message, field):
        _add_pair(pair, found, 0)
    return found


def _add_pair(pair: Any, found: dict[str, Any], depth: int) -> None:
    one: dict[int, Any] = dict(fields(_bytes(pair)))
    found[_text(one.get(1, b""))] = _any_value(_bytes(one.get(2, b"")), depth)


def _any_value(message: bytes, depth: int) -> Any:
    if depth > MAX_DEPTH:
        raise ValueError("an attribute is nested too deeply")
    found: Any = None
    for field, value in fields(message):
        if read := _VALUES.get(field):
            found = read(value, depth + 1)
    return found


def _array(value: Any, depth: int) -> list[Any]:
    return [_any_value(each, depth) for each in _messages(_bytes(value), 1)]


def _kvlist(value: Any, depth: int) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for pair in _messages(_bytes(value), 1):
        _add_pair(pair, found, depth)
    return found


def _signed(value: Any) -> int:
    whole = _int(value)
    return whole - (1 << 64) if whole >= _INT64 else whole


def _messages(message: bytes, wanted: int) -> Iterator[bytes]:
    for field, value in fields(message):
        if field == wanted:
            yield _bytes(value)


def _bytes(value: Any) -> bytes:
    if not isinstance(value, bytes):
        raise ValueError("a number stands where bytes should")
    return value


def _text(value: Any) -> str:
    return _bytes(value).decode("utf-8", "replace")


def _int(value: Any) -> int:
    if not isinstance(value, int):
        raise ValueError("bytes stand where a number should")
    return value & ((1 << 64) - 1)


def _fixed(value: Any) -> int:
    return int.from_bytes(_bytes(value), "little") if value is not None else 0


def _double(value: Any) -> float:
    raw = _bytes(value)
    if len(raw) != 8:
        raise ValueError("a double has eight bytes")
    found: float = unpack("<d", raw)[0]
    return found


_VALUES: Final[dict[int, Callable[[Any, int], Any]]] = {
    1: lambda value, _depth: _text(value),
    2: lambda value, _depth: value != 0,
    3: lambda value, _depth: _signed(value),
    4: lambda value, _depth: number(_double(value)),
    5: _array,
    6: _kvlist,
    7: lambda value, _depth: b64encode(_bytes(value)).decode(),
}
