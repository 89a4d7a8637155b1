"""The one way out of capture while a policy hides something: the ports, guarded.

A recorder writes to a log and opens and ends spans, and has no other way out. Here both are
wrapped: whatever goes through is redacted, whoever put it there. Where that fails only the
structure of a record goes on.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from turnspan.capture.lines import line_of, shortened
from turnspan.capture.policy import Policy
from turnspan.capture.redacted import bare, redacted
from turnspan.capture.redaction import WITHHELD, Notes, Redaction
from turnspan.interrupts import is_anothers
from turnspan.notices import say
from turnspan.ports import Activation, OpenSpan, SpanSource, TurnLog

__all__ = ["guarded"]

_OF_THE_TURN = ("messages", "tool_definitions")
_NOTHING: Mapping[str, Any] = {}


def guarded(
    policy: Policy, log: TurnLog, spans: SpanSource
) -> tuple[TurnLog, SpanSource, Redaction | None]:
    """``log`` and ``spans`` as they are where ``policy`` hides nothing, else guarded by it."""
    if policy.is_plain:
        return log, spans, None
    redaction = Redaction(policy)
    return _GuardedLog(log, redaction), _GuardedSpans(spans, redaction), redaction


class _GuardedLog:
    """A log that is given nothing the policy hides."""

    def __init__(self, log: TurnLog, redaction: Redaction) -> None:
        self._log = log
        self._redaction = redaction

    def append(self, line: bytes, /) -> None:
        """Redact one record, then keep it."""
        notes = Notes()
        shown = _shown(orjson.loads(line), self._redaction, notes)
        if shown["record"] == "open" and "input" in shown:
            shown = shortened(shown)
        self._log.append(line_of(shown))
        if notes.passed is not None:
            raise notes.passed

    def next_number(self, session_id: str, /) -> int:
        """By the session's id as it is written."""
        known = self._redaction.identifier(session_id, "session_id")
        return 0 if known is None else self._log.next_number(known)


class _GuardedSpans:
    """Spans that are told nothing the policy hides."""

    def __init__(self, spans: SpanSource, redaction: Redaction) -> None:
        self._spans = spans
        self._redaction = redaction

    def start(  # noqa: PLR0917  # as the port has it
        self,
        kind: str,
        name: str,
        started_ns: int,
        parent: OpenSpan | None,
        session_id: str | None,
        user_id: str | None,
        agent: str,
        activate: bool,  # noqa: FBT001  # as the port has it
        known: Mapping[str, Any] = _NOTHING,
        /,
    ) -> OpenSpan:
        """Open a span under names and ids as they are written."""
        redaction = self._redaction
        try:
            name, agent = redaction.line(name), redaction.line(agent)
            session_id = redaction.identifier(session_id, "session_id")
            user_id = redaction.identifier(user_id, "user_id")
            known = _known(known, redaction)
        except Exception as exc:  # border: the turn goes on without its names
            if is_anothers(exc):
                raise
            say("redaction", "turnspan: the names of a span are withheld", error=exc)
            name, agent, session_id, user_id, known = WITHHELD, WITHHELD, None, None, _NOTHING
        return self._spans.start(
            kind, name, started_ns, parent, session_id, user_id, agent, activate, known
        )

    def end(self, span: OpenSpan, fields: Mapping[str, Any], /) -> Mapping[str, Any] | None:
        """End a span; one that is made here and now is told what the journal is told."""
        if span.mode != "live" or "status" not in fields:
            return self._spans.end(span, fields)
        notes = Notes()
        record = orjson.loads(line_of(_as_record(fields)))
        shown = _shown(record, self._redaction, notes)
        result = self._spans.end(span, _as_fields(shown))
        if notes.passed is not None:
            raise notes.passed
        return result

    def activation(self) -> Activation:
        """As it is."""
        return self._spans.activation()

    @property
    def is_live(self) -> bool:
        """As it is."""
        return self._spans.is_live

    def note_feedback(self, feedback: Mapping[str, Any], /) -> str:
        """Tell of feedback what the journal is told, which raises what a redactor let through."""
        record = orjson.loads(line_of(dict(feedback)))
        return self._spans.note_feedback(_shown(record, self._redaction, Notes()))

    def leave_out(self, span: OpenSpan, /, *, keeps_notes: bool) -> None:
        """As it is."""
        self._spans.leave_out(span, keeps_notes=keeps_notes)


def _shown(record: dict[str, Any], redaction: Redaction, notes: Notes) -> dict[str, Any]:
    try:
        return redacted(record, redaction, notes)
    except Exception as exc:  # noqa: BLE001  # border: what cannot be redacted is not written
        if is_anothers(exc):
            notes.passed = exc
        redaction.withheld += 1
        why = f"withheld: the policy could not be applied ({type(exc).__name__})"
        say("redaction", "turnspan: a record is %s", why, level=40)
        return {**bare(record), "truncated": [{"where": "…", "why": why}]}


def _as_record(fields: Mapping[str, Any]) -> dict[str, Any]:
    """A turn is its record; a step stands in one, with the messages it was given."""
    if "kind" not in fields:
        return dict(fields)
    step = {key: item for key, item in fields.items() if key not in _OF_THE_TURN}
    return {"record": "step", **_of_the_turn(fields), "step": step}


def _as_fields(record: dict[str, Any]) -> dict[str, Any]:
    if record.get("record") != "step":
        return record
    return {**record["step"], **_of_the_turn(record)}


def _of_the_turn(fields: Mapping[str, Any]) -> dict[str, Any]:
    """What a step names by ranges."""
    return {key: fields[key] for key in _OF_THE_TURN if key in fields}


def _known(known: Mapping[str, Any], redaction: Redaction) -> dict[str, Any]:
    """Of what is known of a model or tool as its step begins, the words, as they are written."""
    return {
        key: {name: redaction.line(said) for name, said in known[key].items() if type(said) is str}
        for key in ("model", "tool")
        if key in known
    }
