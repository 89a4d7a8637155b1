"""Any OTLP backend: `otlp+https://host/base` posts turns as spans to `/v1/traces`.

Source: https://opentelemetry.io/docs/specs/otlp/ v1.9.0 (OTLP/HTTP), and
https://opentelemetry.io/docs/specs/otel/protocol/exporter/ v1.48 (variables).
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote

import orjson

from turnspan.errors import ExporterError
from turnspan.exporters._address import Address, checked_key
from turnspan.exporters._answer import Answer
from turnspan.exporters._client import HttpClient
from turnspan.notices import say
from turnspan.ports import JournalledTurn, Outcome
from turnspan.telemetry.limits import SpanLimits
from turnspan.telemetry.otlp import RequestWriter, rejected_spans
from turnspan.telemetry.span_content import content_on_spans

if TYPE_CHECKING:
    from turnspan.settings import Settings

__all__ = ["OtlpExporter", "from_url"]

PATH: Final = "/v1/traces"
GZIP_LEVEL: Final = 1
GZIP_WBITS: Final = 31
_HEADER_VARIABLES: Final = ("OTEL_EXPORTER_OTLP_TRACES_HEADERS", "OTEL_EXPORTER_OTLP_HEADERS")
_TOKEN: Final = frozenset("!#$%&'*+-.^_`|~")  # RFC 9110, beside letters and digits
_NO_TURN = (KeyError, TypeError, ValueError, AttributeError, OverflowError)


class OtlpExporter:
    """Posts turns as protobuf spans, gzipped, to ``url``.

    Turns whose spans are not ours to send (left out by the sampler, or sent through the
    application's own provider) count as delivered. The user info of ``url`` is sent as
    Bearer token; neither it nor ``headers`` are ever shown.

    Raises:
        ExporterError: the URL is malformed, or its key cannot stand in a header.
    """

    def __init__(
        self,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        content: bool = True,
        limits: SpanLimits | None = None,
    ) -> None:
        address = Address.parse(url, path=PATH, dialect="otlp")
        self._address = address
        self._headers = dict(headers or {})
        if address.key:
            self._headers["authorization"] = f"Bearer {address.key}"
        self._headers["content-type"] = "application/x-protobuf"
        self._headers["content-encoding"] = "gzip"
        self._client = HttpClient(secret=address.key)
        self._writer = RequestWriter(content=content, limits=limits or SpanLimits())
        self._closed = False

    @property
    def name(self) -> str:
        """The URL without credentials."""
        return self._address.name

    def export(self, batch: Sequence[JournalledTurn], *, timeout_s: float) -> Outcome:
        """Post the spans of ``batch`` in one request."""
        if self._closed:
            return Outcome.all_unsent(len(batch), "the exporter is closed")
        sent, refused = self._write(batch)
        body = self._writer.take()
        if not sent:
            return Outcome(refused=refused)
        packed = zlib.compress(body, GZIP_LEVEL, wbits=GZIP_WBITS)
        answer = self._client.post(
            self._address.endpoint, packed, self._headers, timeout_s=timeout_s
        )
        if answer.accepted:
            self._note_partial(answer)
            return Outcome(refused=refused)
        return _outcome(answer, sent, refused)

    def close(self, *, timeout_s: float) -> None:  # closing a socket waits for nobody
        """Close the connection."""
        self._closed = True
        self._client.close()

    def __repr__(self) -> str:
        return f"OtlpExporter({self.name!r})"

    def _write(self, batch: Sequence[JournalledTurn]) -> tuple[list[int], dict[int, str]]:
        """Give ``batch`` to the writer; which of it will be sent, and what cannot be."""
        sent: list[int] = []
        refused: dict[int, str] = {}
        self._writer.clear()  # in a forked child, of what the parent was in the middle of
        # Iterated once, in order: a batch of delivery stands back for the caller meanwhile.
        for index, journalled in enumerate(batch):
            try:
                turn = orjson.loads(journalled.raw)
                if _is_ours(turn["trace"]):
                    self._writer.add(turn)
                    sent.append(index)
            except _NO_TURN as exc:
                refused[index] = f"the line is no turn: {type(exc).__name__}: {exc}"
        return sent, refused

    def _note_partial(self, answer: Answer) -> None:
        """Say that spans were rejected: the specification forbids sending them again."""
        count, message = rejected_spans(answer.body)
        if count > 0:
            say(f"partial:{self.name}", "%s rejected %d spans: %s", self.name, count, message[:200])


def from_url(url: str, *, settings: Settings) -> OtlpExporter:
    """An exporter to ``url``; a bare `otlp:` goes where `OTEL_EXPORTER_OTLP_ENDPOINT` says.

    Raises:
        ExporterError: the URL or a header variable is malformed.
        SettingsError: a span limit is unreadable.
    """
    environ = os.environ
    return OtlpExporter(
        url if url != "otlp:" else _endpoint(environ),
        headers=_headers(environ),
        content=content_on_spans(settings, environ, live=False),
        limits=SpanLimits.read(environ),
    )


def _endpoint(environ: Mapping[str, str]) -> str:
    found = environ.get("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT") or environ.get(
        "OTEL_EXPORTER_OTLP_ENDPOINT"
    )
    return f"otlp+{found or 'http://localhost:4318'}"


def _headers(environ: Mapping[str, str]) -> dict[str, str]:
    """Headers by lower-case name; the variable for traces stands in for the general one."""
    variable = next((name for name in _HEADER_VARIABLES if environ.get(name, "").strip()), None)
    if variable is None:
        return {}
    found = {}
    for place, item in enumerate(environ[variable].split(","), 1):
        if not item.strip():
            continue
        key, separator, value = item.partition("=")
        name = unquote(key).strip().lower()
        if (
            not separator
            or not name
            or not all((c.isascii() and c.isalnum()) or c in _TOKEN for c in name)
        ):
            raise ExporterError(
                f"{variable} is unreadable at its entry {place}",
                fix="write name=value, separated by commas, with values percent-encoded",
            )
        found[name] = checked_key(unquote(value).strip(), variable)
    return found


def _is_ours(trace: Mapping[str, Any]) -> bool:
    return trace.get("mode", "own") == "own" and trace.get("sampled", True) is True


def _outcome(answer: Answer, sent: list[int], refused: dict[int, str]) -> Outcome:
    """What ``answer`` to the turns ``sent`` means for the batch they are from."""
    seen = answer.outcome(len(sent))
    if seen.refused_whole is not None:
        return seen
    told = {sent[place]: reason for place, reason in seen.refused.items()}
    return Outcome(
        refused={**refused, **told},
        unsent=frozenset(sent[place] for place in seen.unsent),
        cause=seen.cause,
        status=seen.status,
        retry_after_s=seen.retry_after_s,
    )
