"""What becomes of an `OTEL_*` variable that cannot be read: it is said, and passed over.

Source: https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/ v1.48
(an implementation warns, and behaves as if the variable were not set). They are OpenTelemetry's
variables: what we can make nothing of may be right for the application's SDK.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from turnspan.notices import say

__all__ = ["Ignored", "say_ignored"]

Ignored: TypeAlias = Callable[[str, str], object]
"""Told what is wrong with a variable, and the fix."""


def say_ignored(what: str, fix: str) -> None:
    """Log it, once a minute at most."""
    say(what, "%s, so it is passed over; %s", what, fix)
