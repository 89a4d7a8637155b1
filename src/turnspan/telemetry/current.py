"""The current span of an OpenTelemetry context: put it there, take it away, quietly."""

from __future__ import annotations

from contextvars import Token
from typing import Any, Final

from opentelemetry import context as otel
from opentelemetry.context import Context
from opentelemetry.trace import INVALID_SPAN, Span, set_span_in_context

__all__ = ["SPAN_KEY", "activate", "current_context", "deactivate"]

# Learned through the public function, so that no private name is imported for it.
(SPAN_KEY,) = set_span_in_context(INVALID_SPAN, Context())

# The module's `detach` logs an error where the token is of another context, which is nobody's
# fault here; the object behind it raises, and that can be passed over. It is faster, too.
_context: Final[Any] = getattr(otel, "_RUNTIME_CONTEXT", otel)
_attach, _detach = _context.attach, _context.detach
current_context = _context.get_current
"""The current context: what other code put there, our spans among it."""


def activate(span: Span) -> Token[Context]:
    """Make ``span`` the current one, until `deactivate` with the token."""
    token: Token[Context] = _attach(Context({**current_context(), SPAN_KEY: span}))
    return token


def deactivate(token: Token[Context]) -> None:
    """Put back what was current before; in another context than it began in, do nothing."""
    try:
        _detach(token)
    except (ValueError, RuntimeError):
        return
