"""Whether spans carry what was said."""

from __future__ import annotations

import logging
from collections.abc import Mapping

from turnspan.notices import say
from turnspan.settings import Settings

__all__ = ["VARIABLE", "content_on_spans"]

VARIABLE = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"

# Source: opentelemetry-util-genai 1.3b0, `ContentCapturingMode`; `true` and `false` are what
# older instrumentations take. Events are not spans: EVENT_ONLY keeps content off them.
_WORDS = {
    "no_content": False,
    "span_only": True,
    "event_only": False,
    "span_and_event": True,
    "true": True,
    "false": False,
}


def content_on_spans(settings: Settings, environ: Mapping[str, str], *, live: bool) -> bool:
    """`span_content` decides, then OpenTelemetry's variable, then who makes the spans.

    Spans of our own follow the `content` setting. Through the application's provider
    content stays off unless asked for: nobody here knows who reads it.
    """
    if settings.span_content is not None:
        return settings.span_content
    if (named := _from_variable(environ)) is not None:
        return named
    return bool(settings.content) and not live


def _from_variable(environ: Mapping[str, str]) -> bool | None:
    text = environ.get(VARIABLE, "").strip().lower()
    if not text:
        return None
    if text not in _WORDS:
        say(
            "span-content-variable",
            "%s=%s is none of %s: content stays off spans",
            VARIABLE,
            text,
            ", ".join(_WORDS),
            level=logging.ERROR,
        )
    return _WORDS.get(text, False)
