"""How much a span may carry, from the `OTEL_*_LIMIT` variables.

Source: https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/
v1.48, attribute and span limits.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from turnspan.telemetry.ignored import Ignored, say_ignored

__all__ = ["SpanLimits"]

_COUNT = "OTEL_ATTRIBUTE_COUNT_LIMIT"
_LENGTH = "OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT"
_MOST_DIGITS = 18  # no limit that a span could reach is longer


@dataclass(frozen=True, slots=True, kw_only=True)
class SpanLimits:
    """Counts, and lengths in characters; what is beyond is dropped and counted on the span."""

    attributes: int | None = 128
    events: int | None = 128
    links: int | None = 128
    event_attributes: int | None = 128
    link_attributes: int | None = 128
    value_chars: int | None = None
    span_value_chars: int | None = None

    @classmethod
    def read(cls, environ: Mapping[str, str], *, ignored: Ignored = say_ignored) -> SpanLimits:
        """The limits ``environ`` sets; `unset` means no limit.

        Of one that is no whole number of at least 0, ``ignored`` is told, and it is as good
        as not set.
        """

        def limit(name: str, default: int | None) -> int | None:
            return _limit(environ, name, default, ignored)

        count = limit(_COUNT, 128)
        length = limit(_LENGTH, None)
        return cls(
            attributes=limit("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", count),
            events=limit("OTEL_SPAN_EVENT_COUNT_LIMIT", 128),
            links=limit("OTEL_SPAN_LINK_COUNT_LIMIT", 128),
            event_attributes=limit("OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT", count),
            link_attributes=limit("OTEL_LINK_ATTRIBUTE_COUNT_LIMIT", count),
            value_chars=length,
            span_value_chars=limit("OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT", length),
        )


def cut(value: Any, chars: int) -> Any:
    """``value`` with every text in it at most ``chars`` long."""
    if isinstance(value, str):
        return value[:chars]
    if isinstance(value, list):
        return [cut(item, chars) for item in value]
    if isinstance(value, dict):
        return {key: cut(item, chars) for key, item in value.items()}
    return value


def _limit(
    environ: Mapping[str, str], name: str, default: int | None, ignored: Ignored
) -> int | None:
    text = environ.get(name, "").strip().lower()
    if not text:
        return default
    if text == "unset":
        return None
    if text.isascii() and text.isdigit() and len(text) <= _MOST_DIGITS:
        return int(text)
    ignored(
        f"{name}={text[:40]!r} cannot be read as a limit",
        f"unset {name}, or set it to a whole number of at least 0",
    )
    return default
