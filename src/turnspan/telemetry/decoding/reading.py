"""What one span says, in the words of a turn: filled in by the dialects that read it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from turnspan.telemetry.decoding.values import is_text, json_value

if TYPE_CHECKING:
    from turnspan.telemetry.decoding.received import ReceivedSpan

__all__ = ["Reading"]

KINDS = ("agent", "model", "tool", "retrieval", "step")


class Reading:
    """One span, read. Whoever reads first has the last word: what is set stays as it is."""

    __slots__ = (
        "about",
        "attributes",
        "events",
        "fields",
        "given",
        "instructions",
        "is_own",
        "kind",
        "links",
        "produced",
        "span",
        "tools",
        "used",
    )

    def __init__(self, span: ReceivedSpan) -> None:
        self.span: ReceivedSpan = span
        self.attributes: dict[str, Any] = dict(span.attributes)
        self.events: list[dict[str, Any]] = list(span.events)
        self.links: list[dict[str, Any]] = list(span.links)
        self.used: set[str] = set()
        """The attributes that were understood; all others are kept as they are."""
        self.kind: str | None = None
        """A kind of step; None where nothing says that it has to do with an agent."""
        self.fields: dict[str, Any] = {}
        """Of a turn or step, in wire shape."""
        self.about: dict[str, Any] = {}
        """Of the turn it belongs to: `session_id`, `user_id`, `agent_name`, `turn_id`."""
        self.given: list[dict[str, Any]] = []
        """The messages that went in."""
        self.instructions: list[dict[str, Any]] = []
        """The messages that went in apart from those, as system instructions."""
        self.tools: list[dict[str, Any]] = []
        """The definitions of the tools that were offered."""
        self.is_own: bool = False
        """Whether it is of turnspan's own making."""
        self.produced: list[dict[str, Any]] = []
        """The messages that came out."""

    def get(self, name: str) -> Any:
        """The attribute ``name``, which counts as understood."""
        if name in self.attributes:
            self.used.add(name)
        return self.attributes.get(name)

    def text(self, name: str) -> str | None:
        """The attribute ``name`` where it is a text with something in it."""
        value = self.attributes.get(name)
        return self.get(name) if is_text(value) else None

    def whole(self, name: str) -> int | None:
        """The attribute ``name`` where it is a whole number."""
        value = self.attributes.get(name)
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, int):
            return None
        self.used.add(name)
        return value

    def json(self, name: str) -> Any:
        """The attribute ``name``, decoded where it is JSON in a text."""
        return json_value(self.get(name))

    def be(self, kind: str | None) -> None:
        """Say what kind of step it is, unless that is known."""
        if self.kind is None or (self.kind == "step" and kind is not None):
            self.kind = kind

    def fill(self, field: str, value: Any) -> None:
        """Set ``field``, unless it is set or there is no ``value``."""
        if value is not None and value not in ("", [], {}):
            self.fields.setdefault(field, value)

    def tell(self, field: str, value: Any) -> None:
        """The same of the turn it belongs to."""
        if is_text(value):
            self.about.setdefault(field, value)

    def fill_in(self, group: str, found: Mapping[str, Any]) -> None:
        """The same for each of the fields ``found`` of a `model`, `tool`, `usage`, ….

        A field of a group is looked at alone.
        """
        told = {f: v for f, v in found.items() if v is not None and v not in ("", [], {})}
        if told:
            self.fields[group] = told | self.fields.get(group, {})

    @property
    def left(self) -> dict[str, Any]:
        """The attributes that nobody understood."""
        return {name: v for name, v in self.attributes.items() if name not in self.used}
