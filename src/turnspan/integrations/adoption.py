"""Turns made of the spans that other GenAI instrumentations make in this process.

    from turnspan.integrations.adoption import AdoptingProcessor

    provider.add_span_processor(AdoptingProcessor())    # the application's own TracerProvider
    turnspan.configure(spans="adopt")

turnspan then makes no spans. What instrumented models, tools and agents do inside a turn becomes
steps of it, read from their spans in whichever dialect (see docs/traces-to-turns.md), with the ids
of these spans.
"""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Final

from turnspan.capture.context import current_draft
from turnspan.integrations.adopted_steps import AdoptedSteps
from turnspan.interrupts import is_anothers
from turnspan.notices import say

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.sdk.trace import ReadableSpan, Span

__all__ = ["AdoptingProcessor"]

MOST_OPEN: Final = 10_000  # of spans that nobody ends, the oldest are forgotten


class AdoptingProcessor:
    """A span processor of OpenTelemetry's SDK that keeps the spans of a turn until it ends.

    Only turns recorded with `spans="adopt"` adopt. Thread-safe; it exports nothing and raises
    nothing. A span that ends after its turn is not part of it.
    """

    def __init__(self) -> None:
        self._open: dict[int, weakref.ref[AdoptedSteps]] = {}

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        """Note in which turn ``span`` begins."""
        draft = current_draft.get()
        if draft is None or draft.turn.ended or draft.turn.span.mode != "adopted":
            return
        try:
            steps = AdoptedSteps.of(draft.turn)
            steps.begin(span, draft)
            while len(self._open) >= MOST_OPEN:
                self._open.pop(next(iter(self._open)), None)
            self._open[span.get_span_context().span_id] = weakref.ref(steps)
        except Exception as exc:  # border: spans of another's making
            if is_anothers(exc):
                raise
            say("adopt", "a span could not be adopted", error=exc)

    def on_end(self, span: ReadableSpan) -> None:
        """Keep ``span`` for the turn it began in."""
        context = span.get_span_context()
        kept = None if context is None else self._open.pop(context.span_id, None)
        if kept is not None and (steps := kept()) is not None:
            steps.end(span)

    def _on_ending(self, span: Span) -> None:
        """Nothing: the SDK asks before a span ends, too."""

    def shutdown(self) -> None:
        """Forget what is open."""
        self._open.clear()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """There is nothing to flush."""
        return True
