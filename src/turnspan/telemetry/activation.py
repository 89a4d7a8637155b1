"""The span of a stream: current while the stream's code runs, and only then."""

from __future__ import annotations

from typing import Any

from opentelemetry.context import Context

from turnspan.ports import OpenSpan
from turnspan.telemetry.current import SPAN_KEY, attach, current_context, put

__all__ = ["NoActivation", "SpanActivation"]


class SpanActivation:
    """Implements `turnspan.ports.Activation`.

    A span of its own that the stream's code makes current, and leaves so between two items,
    stays visible to the consumer, as without us: it is that code's doing.
    """

    __slots__ = ("_inside", "_left", "_outside")

    def __init__(self) -> None:
        self._outside: Context | None = None  # the consumer's context
        self._inside: Context | None = None  # the same with our span
        self._left: Context | None = None  # what the stream's code left current

    def resume(self, span: OpenSpan, /) -> None:
        """Make ``span`` current over whatever is."""
        outside = current_context()
        if outside is self._left:
            return
        if outside is not self._outside or self._inside is None:
            self._outside = outside
            self._inside = _with(outside, _real(span))
        attach(self._inside)

    def suspend(self, span: OpenSpan, /) -> None:
        """Put back what was current before `resume`."""
        current = current_context()
        if self._outside is None:
            return
        if current is not self._inside:
            if current.get(SPAN_KEY) is not _real(span):
                self._left = current
                return
            self._inside = current  # with a span of ours inside the stream, or baggage
        self._left = None
        attach(self._outside)


class NoActivation:
    """Where there are no spans."""

    __slots__ = ()

    def resume(self, span: OpenSpan, /) -> None:
        """Do nothing."""

    def suspend(self, span: OpenSpan, /) -> None:
        """Do nothing."""


def _real(span: OpenSpan) -> Any:
    """The OpenTelemetry span behind ``span``: a light span is one, a live one holds one."""
    return getattr(span, "span", span)


def _with(context: Context, span: Any) -> Context:
    if span is None:  # the application's provider failed to make it
        return context
    inside = Context(context)
    put(inside, SPAN_KEY, span)
    return inside
