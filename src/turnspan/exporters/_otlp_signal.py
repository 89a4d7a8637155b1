"""One signal of an OTLP backend: where its requests go, and with which headers.

Source: https://opentelemetry.io/docs/specs/otlp/ v1.9.0 (OTLP/HTTP), and
https://opentelemetry.io/docs/specs/otel/protocol/exporter/ v1.48 (variables).
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from typing import Final
from urllib.parse import unquote

from turnspan.errors import ExporterError
from turnspan.exporters._address import checked_key
from turnspan.exporters._answer import Answer
from turnspan.exporters._client import HttpClient
from turnspan.notices import say
from turnspan.telemetry.by_resource import rejected

__all__ = ["Signal", "endpoint_of", "headers_of"]

GZIP_LEVEL: Final = 1
GZIP_WBITS: Final = 31
_TOKEN: Final = frozenset("!#$%&'*+-.^_`|~")  # RFC 9110, beside letters and digits


class Signal:
    """Posts protobuf requests, gzipped, to ``endpoint``; ``key`` goes along as Bearer token.

    ``name`` is what the backend is called where something has to be said of it.
    """

    def __init__(
        self, name: str, endpoint: str, *, key: str | None, headers: Mapping[str, str]
    ) -> None:
        self._name = name
        self._endpoint = endpoint
        self._headers = dict(headers)
        if key:
            self._headers["authorization"] = f"Bearer {key}"
        self._headers["content-type"] = "application/x-protobuf"
        self._headers["content-encoding"] = "gzip"
        self._client = HttpClient(secret=key)

    def post(self, request: bytes, *, timeout_s: float, records: str) -> Answer:
        """Send ``request``; of rejected ``records`` it is said that they were. Never raises."""
        packed = zlib.compress(request, GZIP_LEVEL, wbits=GZIP_WBITS)
        answer = self._client.post(self._endpoint, packed, self._headers, timeout_s=timeout_s)
        if answer.accepted:
            self._note_partial(answer, records)
        return answer

    def close(self) -> None:
        """Close the connection."""
        self._client.close()

    def _note_partial(self, answer: Answer, records: str) -> None:
        """Say that some were rejected: the specification forbids sending them again."""
        count, message = rejected(answer.body)
        if count > 0:
            where = self._name
            told = (where, count, records, message[:200])
            say(f"partial:{where}", "%s rejected %d %s: %s", *told)


def endpoint_of(signal: str, environ: Mapping[str, str]) -> str | None:
    """Where ``environ`` says that ``signal``, such as `TRACES`, goes; its own variable first."""
    own = environ.get(f"OTEL_EXPORTER_OTLP_{signal}_ENDPOINT", "").strip()
    return own or environ.get("OTEL_EXPORTER_OTLP_ENDPOINT", "").strip() or None


def headers_of(signal: str, environ: Mapping[str, str]) -> dict[str, str]:
    """Headers by lower-case name; the variable of ``signal`` stands in for the general one.

    Raises:
        ExporterError: the variable is malformed.
    """
    variables = (f"OTEL_EXPORTER_OTLP_{signal}_HEADERS", "OTEL_EXPORTER_OTLP_HEADERS")
    variable = next((name for name in variables if environ.get(name, "").strip()), None)
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
