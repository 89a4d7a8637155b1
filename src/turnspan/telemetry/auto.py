"""Who makes the spans: we from turns, the application's provider, or nobody."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from opentelemetry import trace
from opentelemetry.environment_variables import OTEL_PYTHON_TRACER_PROVIDER
from opentelemetry.trace import ProxyTracerProvider

from turnspan.errors import SettingsError
from turnspan.notices import say
from turnspan.ports import Ids, OpenSpan, SpanSource
from turnspan.settings import Settings
from turnspan.telemetry.activation import SpanActivation
from turnspan.telemetry.adopted import AdoptedSpans
from turnspan.telemetry.live import LiveSpans
from turnspan.telemetry.off import OffSpans
from turnspan.telemetry.own import OwnSpans
from turnspan.telemetry.sampling import Sampler
from turnspan.telemetry.span_content import content_on_spans
from turnspan.telemetry.vendor_keys import profiles_named

__all__ = ["AutoSpans", "check", "span_source"]

_NOTHING: Mapping[str, Any] = {}


class AutoSpans:
    """Decides at each turn: a global provider makes its spans, else they are our own.

    Provider and `configure()` come in any order. The steps of a turn go with it.
    Thread-safe.
    """

    __slots__ = ("_live", "_own")

    def __init__(self, own: OwnSpans, live: LiveSpans) -> None:
        self._own = own
        self._live = live

    def start(  # noqa: PLR0917  # as the port has it
        self,
        kind: str,
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
        """Open a span where its turn's spans are made."""
        live = _has_provider() if parent is None else parent.mode == "live"
        source: SpanSource = self._live if live else self._own
        return source.start(
            kind, name, started_ns, parent, session_id, user_id, agent, activate, known
        )

    def activation(self) -> SpanActivation:
        """For one stream."""
        return SpanActivation()

    def end(self, span: OpenSpan, fields: Mapping[str, Any], /) -> Mapping[str, Any] | None:
        """Close ``span`` where it was opened."""
        if span.mode == "live":
            self._live.end(span, fields)
            return None
        return self._own.end(span, fields)

    @property
    def is_live(self) -> bool:
        """Is there a global provider by now?"""
        return _has_provider()

    def note_feedback(self, feedback: Mapping[str, Any], /) -> str:
        """Emit its event where there is a global logger provider."""
        return self._live.note_feedback(feedback)

    def leave_out(self, span: OpenSpan, /, *, keeps_notes: bool) -> None:
        """Take a span of our own out of its trace."""
        self._own.leave_out(span, keeps_notes=keeps_notes)


def check(settings: Settings, *, otlp: bool) -> None:
    """See that ``settings`` name one maker of spans; ``otlp``: there is an `otlp+…` exporter.

    Raises:
        SettingsError: every span would arrive twice, or none, or there is no profile of a name.
    """
    if settings.spans == "live" and otlp:
        raise SettingsError(
            "spans='live' and an otlp+… exporter would send every span twice",
            fix="leave out the exporter, or let turnspan make the spans: spans='own'",
        )
    if settings.spans == "adopt" and otlp:
        raise SettingsError(
            "spans='adopt' makes no spans that an otlp+… exporter could send",
            fix="leave out the exporter: the application's provider exports the spans",
        )
    profiles_named(settings.profiles)


def span_source(
    settings: Settings, environ: Mapping[str, str], *, ids: Ids, otlp: bool
) -> SpanSource:
    """The source of spans that ``settings`` ask for; ``otlp``: there is an `otlp+…` exporter.

    Raises:
        SettingsError: `check` fails.
    """
    check(settings, otlp=otlp)
    if environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return OffSpans(ids)
    if settings.spans == "adopt":
        return AdoptedSpans(ids)
    own = OwnSpans(ids, Sampler.read(environ))
    if settings.spans == "own" or otlp:
        return own
    live = LiveSpans(
        ids,
        content=content_on_spans(settings, environ, live=True),
        profiles=profiles_named(settings.profiles),
    )
    if settings.spans == "live":
        return live
    _load_named_provider(environ)
    return AutoSpans(own, live)


def _load_named_provider(environ: Mapping[str, str]) -> None:
    """Let OpenTelemetry load the provider its variable names: it is then the global one."""
    if environ.get(OTEL_PYTHON_TRACER_PROVIDER):
        try:
            trace.get_tracer_provider()
        except Exception as exc:  # noqa: BLE001  # border: foreign entry points
            say("named-provider", "the named tracer provider cannot be loaded", error=exc)


def _has_provider() -> bool:
    # `get_tracer_provider` reads the environment each time while there is none: 0.9 µs, a
    # third of what a whole turn may spend on spans.
    found = getattr(trace, "_TRACER_PROVIDER", _MISSING)
    if found is _MISSING:
        found = trace.get_tracer_provider()
    return found is not None and not isinstance(found, ProxyTracerProvider)


_MISSING = object()
