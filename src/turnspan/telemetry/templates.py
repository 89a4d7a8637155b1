"""Spans of one shape, encoded once: what they share stays, what differs is put in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, TypeAlias

from turnspan.telemetry.attributes import SpanFacts
from turnspan.telemetry.plain import VARYING, Plain, Values
from turnspan.telemetry.protobuf import Gap, attributes, fill, gap, text, varint

__all__ = ["ATTRIBUTE", "KINDS", "MOST_ATTRIBUTES", "Template", "Templates"]

Fields: TypeAlias = Mapping[str, Any]

ATTRIBUTE: Final = b"\x4a"  # field 9
MOST: Final = 1024
MOST_BYTES: Final = 8192
"""Of what the spans of a shape share: a description may be of any length."""
MOST_ATTRIBUTES: Final = 32
"""More than any of these spans has."""

# Field 6 (kind), and the tag of field 7 (start), which always follows.
KINDS: Final = {kind: b"\x30" + varint(kind) + b"\x39" for kind in range(1, 6)}


class Template:
    """Name, kind and attributes of the spans that are like that of ``facts``."""

    __slots__ = ("_gaps", "_head", "_rest")

    def __init__(self, facts: SpanFacts) -> None:
        self._head: Final = text(b"\x2a", facts.name) + KINDS[facts.kind]
        gaps: list[Gap] = []
        between: list[bytes] = []
        for key, value in facts.attributes.items():
            if key in VARYING:
                gaps.append(gap(b"".join(between) + ATTRIBUTE, key))
                between = []
            else:
                attributes(ATTRIBUTE, {key: value}, between)
        self._gaps: Final = tuple(gaps)
        self._rest: Final = b"".join(between)

    @property
    def size_bytes(self) -> int:
        """How long what the spans share is."""
        return sum((len(self._head), len(self._rest), *(len(gap[0]) for gap in self._gaps)))

    def write(self, source: Fields, values: Values, parts: list[bytes]) -> None:
        """Append the fields of the span of ``source`` from its name to its attributes."""
        parts += (self._head, source["started_at"].to_bytes(8, "little"), b"\x41")
        parts.append(source["ended_at"].to_bytes(8, "little"))
        fill(self._gaps, values, parts)
        parts.append(self._rest)


class Templates:
    """Templates by shape: of the first so many shapes that are seen."""

    __slots__ = ("_known",)

    def __init__(self) -> None:
        self._known: dict[tuple[Any, ...], Template] = {}

    def write(self, plain: Plain, source: Fields, parts: list[bytes]) -> bool:
        """Append the span of ``source`` as `Template.write` does; False where none is known."""
        shape, values = plain
        if (template := self._known.get(shape)) is None:
            return False
        template.write(source, values, parts)
        return True

    def keep(self, plain: Plain, facts: SpanFacts) -> None:
        """Remember what is on the span of ``plain``, which was worked out whole."""
        shape, values = plain
        if len(self._known) < MOST and _varying(facts) == values:
            template = Template(facts)
            if template.size_bytes <= MOST_BYTES:
                self._known[shape] = template


def _varying(facts: SpanFacts) -> Values:
    """What a template of ``facts`` leaves out."""
    return {
        key: value.encode() if isinstance(value, str) else value
        for key, value in facts.attributes.items()
        if key in VARYING
    }
