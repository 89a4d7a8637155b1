"""Traces across processes: what goes out with a request, and what came in with one.

    from turnspan.integrations import propagation

    propagation.inject(headers)                 # the caller's side
    with propagation.received(headers): ...     # the other side

Trace context and baggage travel in the formats that OpenTelemetry is set to (`OTEL_PROPAGATORS`),
which are W3C's unless somebody says otherwise. Session and user travel only with ``session=True``,
asked for on both sides: whoever sends tells them to whoever it calls, and whoever receives
believes its caller. They stand in baggage as `gen_ai.conversation.id` and `user.id`.

Nothing here raises: a request goes its way, with a trace or without.

Source: https://www.w3.org/TR/trace-context/, https://www.w3.org/TR/baggage/
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from turnspan.capture.active import active
from turnspan.capture.context import current_draft, current_session
from turnspan.capture.context import session as in_session
from turnspan.interrupts import is_anothers
from turnspan.notices import say

if TYPE_CHECKING:
    from opentelemetry.context import Context

__all__ = ["inject", "received"]

SESSION_KEY: Final = "gen_ai.conversation.id"
USER_KEY: Final = "user.id"
MOST_CHARS: Final = 1024  # percent-encoded: a header has to stay one that servers take
_KEYS: Final = frozenset((SESSION_KEY, USER_KEY))


def inject(carrier: MutableMapping[str, str], *, session: bool = False) -> None:
    """Put the current trace context and baggage into ``carrier``, such as a request's headers.

    With ``session`` the session and user in force go along, as far as the policy lets them be
    told. Where instrumentation is suppressed nothing is put.
    """
    try:
        from opentelemetry import propagate  # here: it reads the environment as it is loaded

        from turnspan.telemetry.current import current_context
        from turnspan.telemetry.suppression import is_suppressed

        context = current_context()
        if not is_suppressed(context):
            propagate.inject(carrier, _with_session(context) if session else context)
    except Exception as exc:  # border: foreign propagators and carriers
        if is_anothers(exc):
            raise
        say("inject", "a request goes without its trace context: %s", exc, error=exc)


@contextmanager
def received(carrier: Mapping[str, str], *, session: bool = False) -> Iterator[None]:
    """Have what stands in ``carrier`` in force inside: turns there belong to its trace.

    A span that is current already stays so, for it is nearer: that of a server's own
    instrumentation, say. With ``session`` the caller's session and user are in force too, unless
    a session is.
    """
    from turnspan.telemetry.current import attach, deactivate

    context, said = _incoming(carrier)
    token = None if context is None else attach(context)
    try:
        if session and said and current_session.get() is None:
            with in_session(said.get(SESSION_KEY), user_id=said.get(USER_KEY)):
                yield
        else:
            yield
    finally:
        if token is not None:
            deactivate(token)


def _incoming(carrier: Mapping[str, str]) -> tuple[Context | None, dict[str, str]]:
    """The context to be in, and what is said of session and user."""
    try:
        return _read(carrier)
    except Exception as exc:  # border: foreign propagators and carriers
        if is_anothers(exc):
            raise
        say("extract", "the trace context of a request cannot be read: %s", exc, error=exc)
        return None, {}


def _read(carrier: Mapping[str, str]) -> tuple[Context, dict[str, str]]:
    from opentelemetry import baggage, propagate
    from opentelemetry.context import Context
    from opentelemetry.trace import get_current_span, set_span_in_context

    from turnspan.telemetry.current import current_context

    given = {name.lower(): value for name, value in carrier.items()}
    there, context = propagate.extract(given, Context()), current_context()
    span, here = get_current_span(there), get_current_span(context)
    if span.get_span_context().is_valid and not here.get_span_context().is_valid:
        context = set_span_in_context(span, context)
    entries = baggage.get_all(there)
    for name in entries.keys() - baggage.get_all(context).keys() - _KEYS:
        # Session and user go on from here only if that is asked for again.
        context = baggage.set_baggage(name, entries[name], context)
    return context, {name: str(entries[name]) for name in _KEYS & entries.keys()}


def _with_session(context: Context) -> Context:
    from urllib.parse import quote_plus

    from opentelemetry import baggage

    for name, value in _session_in_force().items():
        if value and len(quote_plus(value, errors="replace")) <= MOST_CHARS:
            context = baggage.set_baggage(name, value.encode("utf-8", "replace").decode(), context)
        elif value:
            say(f"baggage {name}", "%s is too long to travel in baggage: left out", name)
    return context


def _session_in_force() -> dict[str, str | None]:
    """By its name in baggage, as it would be written in a turn."""
    draft, entered = current_draft.get(), current_session.get()
    recorder = active.recorder
    if draft is not None and not draft.turn.ended:
        session_id, user_id = draft.turn.session_id, draft.turn.user_id
        recorder = draft.recorder
    else:
        session_id, user_id = (entered.id, entered.user_id) if entered else (None, None)
    if recorder is not None and (redaction := recorder.redaction) is not None:
        session_id = redaction.identifier(session_id, "session_id")
        user_id = redaction.identifier(user_id, "user_id")
    return {SESSION_KEY: session_id, USER_KEY: user_id}
