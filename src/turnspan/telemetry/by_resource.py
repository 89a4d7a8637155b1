"""What OTLP requests of any signal have in common: records grouped by resource.

Source: https://github.com/open-telemetry/opentelemetry-proto v1.9.0: `ResourceSpans` and
`ResourceLogs` have the same field numbers, and so have their scopes and partial successes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

from turnspan.telemetry import semconv as names
from turnspan.telemetry.protobuf import attributes, delimited, fields, text, varint
from turnspan.telemetry.resource import with_sdk

__all__ = ["ByResource", "rejected"]

Fields: TypeAlias = Mapping[str, Any]


class ByResource:
    """Gathers encoded records and writes them as one export request. Not thread-safe."""

    __slots__ = ("_groups", "_scope")

    def __init__(self) -> None:
        self._scope = _scope()
        self._groups: list[tuple[Fields, list[bytes]]] = []

    def add(self, resource: Fields, parts: list[bytes]) -> None:
        """Keep ``parts``, which are whole fields 2 of a scope, under ``resource``."""
        self._group(resource).extend(parts)

    def take(self) -> bytes:
        """The request of all records since the last `take`; empty where there were none."""
        groups, self._groups = self._groups, []
        parts: list[bytes] = []
        for resource, records in groups:
            self._write(resource, records, parts)
        return b"".join(parts)

    def _group(self, resource: Fields) -> list[bytes]:
        for known, records in reversed(self._groups):
            if known == resource:
                return records
        self._groups.append((resource, []))
        return self._groups[-1][1]

    def _write(self, resource: Fields, records: list[bytes], parts: list[bytes]) -> None:
        """Append those of one process; lengths come first, so that nothing is copied twice."""
        found: list[bytes] = []
        attributes(b"\x0a", with_sdk(resource), found)
        about = delimited(b"\x0a", b"".join(found))
        size = len(self._scope) + sum(map(len, records)) + len(_SCHEMA_URL)
        head = b"\x12" + varint(size)
        parts += (b"\x0a", varint(len(about) + len(head) + size), about, head, self._scope)
        parts += records
        parts.append(_SCHEMA_URL)


def rejected(body: bytes) -> tuple[int, str]:
    """Count and message of an export response that took only a part.

    (0, "") for one that took all, and for bytes that are no such message.
    """
    try:
        partial = dict(fields(body)).get(1)
        found = dict(fields(partial)) if isinstance(partial, bytes) else {}
    except ValueError:
        return 0, ""
    count, message = found.get(1, 0), found.get(2, b"")
    if not isinstance(count, int) or not isinstance(message, bytes):
        return 0, ""
    return count, message.decode("utf-8", "replace")


def _scope() -> bytes:
    from turnspan import __version__  # here: it may change under a test, never under a writer

    payload = text(b"\x0a", names.SCOPE_NAME) + text(b"\x12", __version__)
    return delimited(b"\x0a", payload)


_SCHEMA_URL = text(b"\x1a", names.SCHEMA_URL)
