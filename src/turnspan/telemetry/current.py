"""The current span of an OpenTelemetry context: put it there, take it away, quietly."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar, Token
from typing import Any, Final

from opentelemetry import context as otel
from opentelemetry.context import Context
from opentelemetry.trace import (
    INVALID_SPAN,
    SpanContext,
    TraceFlags,
    TraceState,
    set_span_in_context,
)

from turnspan.interrupts import is_anothers
from turnspan.notices import say

__all__ = [
    "SPAN_KEY",
    "attach",
    "context_of",
    "current_context",
    "deactivate",
    "detach",
    "plain_identity",
    "put",
]

# Learned through the public function, so that no private name is imported for it.
(SPAN_KEY,) = set_span_in_context(INVALID_SPAN, Context())

# The module's `detach` logs an error where the token is of another context, which is nobody's
# fault here; what is behind it raises, and that can be passed over. It is faster, too: each of
# the three is called for every span, and the module's own way is three functions deep.
_context: Final[Any] = getattr(otel, "_RUNTIME_CONTEXT", otel)
_variable: Final[Any] = getattr(_context, "_current_context", None)
_is_plain: Final = isinstance(_variable, ContextVar)
attach: Final[Callable[[Context], Token[Context]]] = _variable.set if _is_plain else _context.attach
detach: Final[Callable[[Token[Context]], None]] = _variable.reset if _is_plain else _context.detach
# A context refuses items once it is made; this is how one is made.
put: Final[Callable[[dict[str, object], str, object], None]] = dict.__setitem__
current_context: Final[Callable[[], Context]] = _variable.get if _is_plain else _context.get_current
"""The current context: what other code put there, our spans among it."""


def deactivate(token: Token[Context]) -> None:
    """Put back what was current before `attach`; in another context, do nothing."""
    try:
        detach(token)
    except (ValueError, RuntimeError):
        return


def context_of(found: Any) -> SpanContext | None:
    """Of the current span, if it has a valid identity."""
    try:
        seen = found.get_span_context()
        context = seen if type(seen) is SpanContext else plain_identity(seen)
        return context if context.is_valid else None
    except Exception as exc:  # border: a span of somebody else's making
        if is_anothers(exc):
            raise
        say("current-span", "the current span could not be read", error=exc)
        return None


def plain_identity(found: Any) -> SpanContext:
    """The identity in ``found``, which is of another class.

    Raises:
        TypeError, ValueError, AttributeError: there is none in it.
    """
    state = found.trace_state
    return SpanContext(
        found.trace_id,
        found.span_id,
        found.is_remote,
        TraceFlags(found.trace_flags),
        state if isinstance(state, TraceState) else None,
    )
