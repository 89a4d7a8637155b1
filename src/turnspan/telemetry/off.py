"""No spans at all: turns keep ids, so that what refers to them still can."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from turnspan.ports import Ids, OpenSpan
from turnspan.telemetry.activation import NoActivation

__all__ = ["OffSpan", "OffSpans"]

_NOTHING: Mapping[str, Any] = {}


@dataclass(slots=True)
class OffSpan:
    """Ids of a span that nobody will ever see."""

    trace_id: int
    span_id: int
    parent_span_id: int | None

    @property
    def flags(self) -> int:
        """Not sampled."""
        return 0

    @property
    def state(self) -> str:
        """None."""
        return ""

    @property
    def sampled(self) -> bool:
        """Never."""
        return False

    @property
    def mode(self) -> str:
        """`off`."""
        return "off"


class OffSpans:
    """Implements `turnspan.ports.SpanSource` where `OTEL_SDK_DISABLED` is set. Thread-safe."""

    __slots__ = ("_ids",)

    def __init__(self, ids: Ids) -> None:
        self._ids: Final = ids

    def start(  # noqa: PLR0917  # as the port has it
        self,
        kind: str,  # only ids are made here
        name: str,
        started_ns: int,
        parent: OpenSpan | None,
        session_id: str | None,
        user_id: str | None,
        agent: str,
        activate: bool,  # noqa: FBT001  # keywords would cost the caller
        known: Mapping[str, Any] = _NOTHING,
        /,
    ) -> OpenSpan:
        """Draw ids; OpenTelemetry's context is neither read nor changed."""
        if parent is None:
            return OffSpan(self._ids.trace_id(), self._ids.span_id(), None)
        return OffSpan(parent.trace_id, self._ids.span_id(), parent.span_id)

    def activation(self) -> NoActivation:
        """For one stream."""
        return NoActivation()

    def end(self, span: OpenSpan, fields: Mapping[str, Any], /) -> None:
        """Do nothing."""

    @property
    def is_live(self) -> bool:
        """Never."""
        return False

    def note_feedback(self, feedback: Mapping[str, Any], /) -> str:
        """Do nothing: OpenTelemetry is not to hear of it."""
        return "off"

    def leave_out(self, span: OpenSpan, /, *, keeps_notes: bool) -> None:
        """Do nothing: it is in no trace."""
