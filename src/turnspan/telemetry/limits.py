"""How much a span may carry, from the `OTEL_*_LIMIT` variables.

Source: https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/
v1.48, attribute and span limits.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from turnspan.errors import SettingsError

__all__ = ["SpanLimits"]

_COUNT = "OTEL_ATTRIBUTE_COUNT_LIMIT"
_LENGTH = "OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT"


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
    def read(cls, environ: Mapping[str, str]) -> SpanLimits:
        """The limits ``environ`` sets; `unset` means no limit.

        Raises:
            SettingsError: a limit is no whole number of at least 0.
        """
        count = _limit(environ, _COUNT, 128)
        length = _limit(environ, _LENGTH, None)
        return cls(
            attributes=_limit(environ, "OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", count),
            events=_limit(environ, "OTEL_SPAN_EVENT_COUNT_LIMIT", 128),
            links=_limit(environ, "OTEL_SPAN_LINK_COUNT_LIMIT", 128),
            event_attributes=_limit(environ, "OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT", count),
            link_attributes=_limit(environ, "OTEL_LINK_ATTRIBUTE_COUNT_LIMIT", count),
            value_chars=length,
            span_value_chars=_limit(environ, "OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT", length),
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


def _limit(environ: Mapping[str, str], name: str, default: int | None) -> int | None:
    text = environ.get(name, "").strip().lower()
    if not text:
        return default
    if text == "unset":
        return None
    if not (text.isascii() and text.isdigit()):
        raise SettingsError(
            f"{name}={text!r} cannot be read as a limit",
            fix=f"unset {name}, or set it to a whole number of at least 0",
        )
    return int(text)
