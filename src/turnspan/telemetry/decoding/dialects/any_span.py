"""What any span may say: how it failed, whose session it was in.

Source: https://opentelemetry.io/docs/specs/semconv/ v1.44.0, registry: error, exception, session,
user.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from turnspan.telemetry import semconv as names

if TYPE_CHECKING:
    from turnspan.telemetry.decoding.reading import Reading
    from turnspan.telemetry.decoding.received import ReceivedSpan

__all__ = ["ALONE", "ORDER", "claims", "read"]

ORDER: Final = 90
ALONE: Final = False
_CANCELLED: Final = frozenset({"CancelledError", "asyncio.CancelledError", "GraphInterrupt"})


def claims(_span: ReceivedSpan) -> bool:
    """Any span."""
    return True


def read(reading: Reading) -> None:
    """Fill in what the span says."""
    for field, name in (
        ("session_id", names.SESSION_ID),
        ("user_id", names.USER_ID),
        ("user_id", "enduser.id"),
    ):
        if isinstance(reading.attributes.get(name), str):
            reading.tell(field, reading.get(name))
    if reading.span.status == names.STATUS_ERROR or names.ERROR_TYPE in reading.attributes:
        _read_error(reading)


def _read_error(reading: Reading) -> None:
    raised = _exception(reading)
    told = reading.text(names.ERROR_TYPE)
    kind = told or raised.get(names.EXCEPTION_TYPE) or names.OTHER_ERROR
    message = reading.span.description or raised.get(names.EXCEPTION_MESSAGE, "")
    error = {"type": str(kind), "message": str(message)}
    if stacktrace := raised.get(names.EXCEPTION_STACKTRACE):
        error["stacktrace"] = str(stacktrace)
    reading.fill("error", error)
    if kind in _CANCELLED:
        reading.fill("status", "cancelled")


def _exception(reading: Reading) -> dict[str, Any]:
    """The last exception that was recorded; its event is taken."""
    for event in reversed(reading.events):
        if event["name"] == names.EXCEPTION:
            reading.events = [each for each in reading.events if each is not event]
            return dict(event.get("attributes", {}))
    return {}
