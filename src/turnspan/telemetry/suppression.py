"""OpenTelemetry's word for "somebody else records this": honoured, and said.

Source: opentelemetry-api 1.45 (`opentelemetry.context`: the key, and why it has no public name),
opentelemetry-instrumentation 0.66b (`utils.is_instrumentation_enabled`: the older, plain key).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from opentelemetry import context as otel
from opentelemetry.context import Context

from turnspan.telemetry.current import attach, current_context, deactivate, put

__all__ = ["is_suppressed", "suppressed"]

PLAIN_KEY: Final = "suppress_instrumentation"
KEY: Final[str] = getattr(otel, "_SUPPRESS_INSTRUMENTATION_KEY", PLAIN_KEY)


def is_suppressed(context: Context) -> bool:
    """Is nothing to be instrumented in ``context``?"""
    return bool(context.get(KEY) or context.get(PLAIN_KEY))


@contextmanager
def suppressed() -> Iterator[None]:
    """Have nothing instrumented inside: what is done there is telemetry itself."""
    inside = Context(current_context())
    put(inside, KEY, True)
    put(inside, PLAIN_KEY, True)
    token = attach(inside)
    try:
        yield
    finally:
        deactivate(token)
