"""Feedback as OTLP log requests: protobuf written straight from decoded lines.

Source: https://github.com/open-telemetry/opentelemetry-proto v1.9.0,
collector/logs/v1/logs_service.proto, logs/v1/logs.proto.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from turnspan.telemetry import semconv as names
from turnspan.telemetry.by_resource import ByResource
from turnspan.telemetry.evaluation import JudgedTurn, evaluation_attributes
from turnspan.telemetry.protobuf import attributes, delimited, text

__all__ = ["feedback_request"]


def feedback_request(
    feedback: Mapping[str, Any], turn: JudgedTurn | None, *, content: bool
) -> bytes:
    """An `ExportLogsServiceRequest` with one event, about ``feedback``.

    It stands on the span of ``turn``. ``feedback`` is a decoded line. Requests set one behind
    the other parse as one.

    Raises:
        KeyError, TypeError, ValueError, AttributeError, OverflowError: it is no feedback.
    """
    at = feedback["at"].to_bytes(8, "little")
    parts = [b"\x09", at]
    attributes(b"\x32", evaluation_attributes(feedback, turn, content=content), parts)
    if turn is not None:
        parts.append(_place(turn))
    parts += (b"\x59", at, _EVENT_NAME)
    request = ByResource()
    request.add(feedback.get("resource") or {}, [delimited(b"\x12", b"".join(parts))])
    return request.take()


def _place(turn: JudgedTurn) -> bytes:
    """Fields 8, 9 and 10: flags, trace and span."""
    if len(turn.trace_id) != 32 or len(turn.span_id) != 16:
        raise ValueError(f"{turn.trace_id!r} or {turn.span_id!r} is no id")
    ids = bytes.fromhex(f"4a10{turn.trace_id}5208{turn.span_id}")
    return b"\x45" + turn.flags.to_bytes(4, "little") + ids


_EVENT_NAME = text(b"\x62", names.EVALUATION_RESULT)
