"""Any OTLP backend: `otlp+https://host/base` posts turns as spans to `/v1/traces`.

Feedback goes to `/v1/logs` of the same base, as `gen_ai.evaluation.result` events.

Source: https://opentelemetry.io/docs/specs/otlp/ v1.9.0 (OTLP/HTTP), and
https://opentelemetry.io/docs/specs/otel/protocol/exporter/ v1.48 (variables).
"""

from __future__ import annotations

import os
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import orjson

from turnspan.exporters._address import Address
from turnspan.exporters._answer import Answer
from turnspan.exporters._otlp_signal import Signal, endpoint_of, headers_of
from turnspan.ports import Journalled, JournalledFeedback, Outcome
from turnspan.telemetry.evaluation import JudgedTurn, RecentTurns
from turnspan.telemetry.limits import SpanLimits
from turnspan.telemetry.otlp import RequestWriter
from turnspan.telemetry.otlp_logs import feedback_request
from turnspan.telemetry.span_content import content_on_spans
from turnspan.telemetry.vendor_keys import profiles_named

if TYPE_CHECKING:
    from turnspan.settings import Settings

__all__ = ["OtlpExporter", "from_url"]

TRACES_PATH: Final = "/v1/traces"
LOGS_PATH: Final = "/v1/logs"
_NO_RECORD = (KeyError, TypeError, ValueError, AttributeError, OverflowError)
_COMES_AGAIN: Final = frozenset({408, 425, 429})  # of 4xx, those that pass


@dataclass(slots=True)
class _Sorted:
    """A batch by what becomes of it, as indexes."""

    turns: list[int] = field(default_factory=list)
    feedback: dict[int, bytes] = field(default_factory=dict)  # and the request for each
    refused: dict[int, str] = field(default_factory=dict)


class OtlpExporter:
    """Posts turns as protobuf spans, and feedback as log records, gzipped, to ``url``.

    Turns and feedback that are not ours to send (left out by the sampler, or sent through the
    application's own provider) count as delivered. The user info of ``url`` is sent as
    Bearer token; neither it nor ``headers`` are ever shown.

    A feedback's event stands on the span of its turn where that is among the last 4096 turns
    this exporter sent. Where the backend takes spans and no logs, feedback is refused: it
    never holds up a turn. ``logs_endpoint`` and ``logs_headers`` are for backends that have
    them apart.

    Raises:
        ExporterError: a URL is malformed, or its key cannot stand in a header.
        SettingsError: there is no profile of a name.
    """

    takes_feedback = True

    def __init__(
        self,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        content: bool = True,
        limits: SpanLimits | None = None,
        profiles: Sequence[str] = (),
        logs_endpoint: str | None = None,
        logs_headers: Mapping[str, str] | None = None,
    ) -> None:
        address = Address.parse(url, path=TRACES_PATH, dialect="otlp")
        key, headers = address.key, headers or {}
        logs = Address.parse(logs_endpoint or address.base, path=LOGS_PATH)
        self._address = address
        self._traces = Signal(address.name, address.endpoint, key=key, headers=headers)
        self._logs = Signal(
            address.name,
            logs.endpoint,
            key=logs.key or key,
            headers=headers if logs_headers is None else logs_headers,
        )
        self._content = content
        self._writer = RequestWriter(
            content=content, limits=limits or SpanLimits(), profiles=profiles_named(profiles)
        )
        self._recent = RecentTurns()
        self._takes_spans = False  # as far as we have seen
        self._closed = False

    @property
    def name(self) -> str:
        """The URL without credentials."""
        return self._address.name

    def export(self, batch: Sequence[Journalled], *, timeout_s: float) -> Outcome:
        """Post the spans of ``batch`` in one request, then its feedback in another."""
        if self._closed:
            return Outcome.all_unsent(len(batch), "the exporter is closed")
        until_s = time.monotonic() + timeout_s
        found = self._sorted(batch)
        spans = self._writer.take()
        if found.turns:
            answer = self._traces.post(spans, timeout_s=timeout_s, records="spans")
            self._takes_spans = answer.accepted
            outcome = _outcome(answer, found.turns, found.refused, behind=found.feedback)
            if outcome.refused_whole is not None or outcome.unsent:
                return outcome
            found.refused = dict(outcome.refused)
        return self._send_feedback(found, until_s) if found.feedback else Outcome(found.refused)

    def close(self, *, timeout_s: float) -> None:  # closing a socket waits for nobody
        """Close the connections."""
        self._closed = True
        self._traces.close()
        self._logs.close()

    def __repr__(self) -> str:
        return f"OtlpExporter({self.name!r})"

    def _sorted(self, batch: Sequence[Journalled]) -> _Sorted:
        """What of ``batch`` will be sent, the turns given to the writer, and what cannot be."""
        found = _Sorted()
        self._writer.clear()  # in a forked child, of what the parent was in the middle of
        # Iterated once, in order: a batch of delivery stands back for the caller meanwhile.
        for index, journalled in enumerate(batch):
            is_feedback = isinstance(journalled, JournalledFeedback)
            try:
                record = orjson.loads(journalled.raw)
                if not is_feedback:
                    self._add_turn(record, index, found)
                elif record.get("mode", "own") == "own":
                    turn = self._recent.find(record["turn_id"])
                    found.feedback[index] = feedback_request(record, turn, content=self._content)
            except _NO_RECORD as exc:
                what = "feedback" if is_feedback else "turn"
                found.refused[index] = f"the line is no {what}: {type(exc).__name__}: {exc}"
        return found

    def _add_turn(self, turn: Mapping[str, Any], index: int, found: _Sorted) -> None:
        if _is_ours(turn["trace"]):
            self._writer.add(turn)
            found.turns.append(index)
        self._recent.add(JudgedTurn.of(turn))

    def _send_feedback(self, found: _Sorted, until_s: float) -> Outcome:
        """Post the feedback of ``found`` as one request, or, where that is at fault, singly."""
        outcome = self._sent_feedback(found.feedback, found.refused, until_s)
        for index, request in found.feedback.items() if outcome.refused_whole else ():
            outcome = self._sent_feedback({index: request}, found.refused, until_s)
            found.refused = dict(outcome.refused)
            if outcome.unsent:
                left = frozenset(each for each in found.feedback if each >= index)
                return Outcome(
                    found.refused, None, left, outcome.cause, outcome.status, outcome.retry_after_s
                )
        return outcome

    def _sent_feedback(
        self, requests: Mapping[int, bytes], refused: Mapping[int, str], until_s: float
    ) -> Outcome:
        left_s = max(until_s - time.monotonic(), 0.001)
        answer = self._logs.post(b"".join(requests.values()), timeout_s=left_s, records="events")
        if self._takes_spans and _takes_no_logs(answer):
            reason = f"it takes spans, but no feedback: {answer.told()}"
            return Outcome({**refused, **dict.fromkeys(requests, reason)})
        return _outcome(answer, list(requests), refused)


def from_url(url: str, *, settings: Settings) -> OtlpExporter:
    """An exporter to ``url``; a bare `otlp:` goes where `OTEL_EXPORTER_OTLP_ENDPOINT` says.

    Raises:
        ExporterError: the URL or a header variable is malformed.
        SettingsError: there is no profile of a name.
    """
    environ = os.environ
    is_bare = url == "otlp:"
    return OtlpExporter(
        f"otlp+{endpoint_of('TRACES', environ) or 'http://localhost:4318'}" if is_bare else url,
        headers=headers_of("TRACES", environ),
        content=content_on_spans(settings, environ, live=False),
        limits=SpanLimits.read(environ),
        profiles=settings.profiles,
        logs_endpoint=endpoint_of("LOGS", environ) if is_bare else None,
        logs_headers=headers_of("LOGS", environ),
    )


def _is_ours(trace: Mapping[str, Any]) -> bool:
    return trace.get("mode", "own") == "own" and trace.get("sampled", True) is True


def _takes_no_logs(answer: Answer) -> bool:
    """Does a backend say by ``answer`` that logs are not for it, or not for us?"""
    status = answer.status or 0
    is_final = 400 <= status < 500 and status not in _COMES_AGAIN
    return not answer.cause and (status == 501 or (is_final and not answer.is_of_turns))


def _outcome(
    answer: Answer, sent: Sequence[int], refused: Mapping[int, str], *, behind: Collection[int] = ()
) -> Outcome:
    """What ``answer`` to what was ``sent`` means for the batch it is from.

    Where it leaves that unsent, what was to be sent ``behind`` it stays unsent too.
    """
    seen = answer.outcome(len(sent))
    if seen.refused_whole is not None:
        return seen
    told = {sent[place]: reason for place, reason in seen.refused.items()}
    unsent = {sent[place] for place in seen.unsent}
    return Outcome(
        refused={**refused, **told},
        unsent=frozenset(unsent.union(behind) if unsent else ()),
        cause=seen.cause,
        status=seen.status,
        retry_after_s=seen.retry_after_s,
    )
