"""A span that is only its identity, and keeps what other code puts on it.

The span itself is built off the caller's path, from the turn in the journal.
"""

from __future__ import annotations

import time
import traceback
from collections.abc import Mapping
from contextvars import Token
from types import TracebackType
from typing import Any, Final

from opentelemetry.context import Context
from opentelemetry.trace import Span, SpanContext, Status, StatusCode, TraceFlags, TraceState

from turnspan.ports import OpenSpan
from turnspan.telemetry import semconv as names
from turnspan.telemetry.values import attribute_values

__all__ = ["LightSpan", "LightStepSpan", "state_of"]

MAX_NOTES: Final = 1024
_FLAGS: Final = tuple(TraceFlags(n) for n in range(256))
_STATUS: Final = {StatusCode.OK: "ok", StatusCode.ERROR: "error"}


class LightSpan(Span):
    """The current span while a turn or step of ours is open.

    It is recording while it is open and sampled. `end` by somebody else does nothing: only
    its own turn or step ends it. `notes` are in the wire shape of `SpanNotes`.
    """

    mode: Final = "own"

    # Defaults live on the class where few ask. What every turn is asked for is stored by whoever
    # starts it: a store costs less than to look for it on the class.
    ended = False
    token: Token[Context] | None = None
    notes: dict[str, Any] | None
    parent_span_id: int | None
    flags: int
    state: str
    sampled: bool
    span_id: int
    trace_id: int
    _context: SpanContext | None = None

    def get_span_context(self) -> SpanContext:
        """Its identity, made on first use: most turns are never asked."""
        if self._context is None:
            state = TraceState.from_header([self.state]) if self.state else None
            flags = _FLAGS[self.flags & 0xFF]
            self._context = SpanContext(self.trace_id, self.span_id, False, flags, state)
        return self._context

    def is_recording(self) -> bool:
        """Whether what is put on it now will be seen on the exported span."""
        return self.sampled and not self.ended

    def set_attributes(self, attributes: Mapping[str, Any]) -> None:
        """Keep ``attributes``; a key that is set again keeps its last value."""
        if self.is_recording():
            kept = self._notes().setdefault("attributes", {})
            for key, value in attribute_values(attributes).items():
                if len(kept) < MAX_NOTES or key in kept:
                    kept[key] = value

    def set_attribute(self, key: str, value: Any) -> None:
        """Keep one attribute."""
        self.set_attributes({key: value})

    def add_event(
        self,
        name: str,
        attributes: Mapping[str, Any] | None = None,
        timestamp: int | None = None,
    ) -> None:
        """Keep an event, now or at ``timestamp`` in nanoseconds."""
        event: dict[str, Any] = {"name": str(name), "at": timestamp or time.time_ns()}
        self._append("events", event, attributes)

    def add_link(self, context: SpanContext, attributes: Mapping[str, Any] | None = None) -> None:
        """Keep a link to the span ``context`` names, if it names one."""
        if context is not None and context.is_valid:
            ids = {"trace_id": f"{context.trace_id:032x}", "span_id": f"{context.span_id:016x}"}
            self._append("links", ids, attributes)

    def update_name(self, name: str) -> None:
        """Keep the name the exported span shall have instead of ours."""
        if self.is_recording():
            self._notes()["name"] = str(name)

    def set_status(self, status: Status | StatusCode, description: str | None = None) -> None:
        """Keep the status; OK is final, unset says nothing."""
        code = status
        if isinstance(status, Status):
            code, description = status.status_code, status.description
        if not self.is_recording() or code not in _STATUS:
            return
        notes = self._notes()
        if notes.get("status") == "ok":
            return
        notes["status"] = _STATUS[code]
        notes.pop("status_description", None)
        if description and code is StatusCode.ERROR:
            notes["status_description"] = str(description)

    def record_exception(
        self,
        exception: BaseException,
        attributes: Mapping[str, Any] | None = None,
        timestamp: int | None = None,
        escaped: bool = False,  # noqa: FBT001, FBT002  # OpenTelemetry's own
    ) -> None:
        """Keep ``exception`` as the event the conventions name for it."""
        if self.is_recording():
            told = {**_told(exception, escaped=escaped), **(attributes or {})}
            self.add_event(names.EXCEPTION, told, timestamp)

    def end(self, end_time: int | None = None) -> None:
        """Do nothing: the turn or step it stands for is still going on."""

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_val: BaseException | None,
        exc_tb: TracebackType | None,
    ) -> None:
        """Do nothing, for the same reason."""

    def __repr__(self) -> str:
        return f"LightSpan(trace_id={self.trace_id:032x}, span_id={self.span_id:016x})"

    def _notes(self) -> dict[str, Any]:
        if self.notes is None:
            self.notes = {}
        return self.notes

    def _append(
        self, where: str, item: dict[str, Any], attributes: Mapping[str, Any] | None
    ) -> None:
        if not self.is_recording():
            return
        items = self._notes().setdefault(where, [])
        if len(items) < MAX_NOTES:
            if attributes and (kept := attribute_values(attributes)):
                item["attributes"] = kept
            items.append(item)


class LightStepSpan(LightSpan):
    """The light span of a step: everything but its id is its parent's."""

    parent: OpenSpan

    @property
    def trace_id(self) -> int:  # type: ignore[override]  # read from the parent when asked
        """The turn's."""
        return self.parent.trace_id

    @property
    def parent_span_id(self) -> int:  # type: ignore[override]
        """The id of the step or turn it stands under."""
        return self.parent.span_id

    @property
    def flags(self) -> int:  # type: ignore[override]
        """The turn's."""
        return self.parent.flags

    @property
    def state(self) -> str:  # type: ignore[override]
        """The turn's."""
        return self.parent.state

    @property
    def sampled(self) -> bool:  # type: ignore[override]
        """As the turn was decided."""
        return self.parent.sampled


def state_of(context: SpanContext) -> str:
    """The W3C `tracestate` of ``context``, empty where there is none."""
    state = context.trace_state
    return state.to_header() if state else ""


def _told(exception: BaseException, *, escaped: bool) -> dict[str, str]:
    kind = type(exception)
    where = "" if kind.__module__ == "builtins" else f"{kind.__module__}."
    try:
        message = str(exception)
        trace = "".join(traceback.format_exception(exception))
    except Exception as exc:  # noqa: BLE001  # border: the exception's own __str__
        message, trace = f"<its message raised {type(exc).__name__}>", ""
    return {
        names.EXCEPTION_TYPE: f"{where}{kind.__qualname__}",
        names.EXCEPTION_MESSAGE: message,
        names.EXCEPTION_STACKTRACE: trace,
        names.EXCEPTION_ESCAPED: str(escaped),
    }
