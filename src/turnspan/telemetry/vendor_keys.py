"""Keys of vendors beside the standard ones: which profiles there are, what they may.

A profile is a module of `turnspan.telemetry.profiles` with a function

    keys(span: Described) -> Iterable[tuple[str, AttributeValue]]

that answers what one span shall carry beside what the conventions want. Whatever is on the span
already stays as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from importlib import import_module
from pkgutil import iter_modules
from typing import Any, Final, TypeAlias

import orjson

from turnspan.errors import SettingsError
from turnspan.telemetry import semconv as names

__all__ = ["Described", "Profile", "add_keys", "as_json", "known_profiles", "profiles_named"]

Fields: TypeAlias = Mapping[str, Any]

HOME: Final = "turnspan.telemetry.profiles"
MOST_ATTRIBUTES: Final = 128  # what the SDK allows by default: beyond it, standard ones would go


@dataclass(frozen=True, slots=True)
class Described:
    """A span of ours: what it is of, and what is on it."""

    fields: Fields
    """The turn or step in wire shape."""

    turn: Fields
    """The turn; of a live step only its session and user."""

    attributes: Mapping[str, Any]
    """What the conventions want on it."""

    content: bool
    """May what was said, and who said it, stand on it?"""

    @property
    def kind(self) -> str:
        """`turn`, a step's kind, or `embeddings`."""
        if self.attributes.get(names.OPERATION_NAME) == names.EMBEDDINGS:
            return names.EMBEDDINGS
        kind: str = self.fields.get("kind", "turn")
        return kind

    @property
    def session_id(self) -> str | None:
        """The session of the turn."""
        return self.turn.get("session_id")

    @property
    def user_id(self) -> str | None:
        """The user, where that may be told."""
        return self.turn.get("user_id") if self.content else None

    def text(self, where: str) -> str | None:
        """What went in or out, as `input` or `output`, where that may be told."""
        content = self.fields.get(where) if self.content else None
        return content.get("content", "") if content else None

    def own(self, key: str) -> Any:
        """A field of the turn, None on the spans of its steps."""
        return self.fields.get(key) if self.kind == "turn" else None


Profile: TypeAlias = Callable[[Described], Iterable[tuple[str, Any]]]


def add_keys(profiles: Iterable[Profile], attributes: dict[str, Any], span: Described) -> None:
    """Put on ``attributes`` what ``profiles`` say of ``span``, as far as there is room.

    One attribute more names them, for whoever reads the turn back: they are none of it.
    """
    added: list[str] = []
    for profile in profiles:
        for key, value in profile(span):
            if len(attributes) + 1 >= MOST_ATTRIBUTES:
                break
            if value is not None and value != "" and key not in attributes:
                attributes[key] = value
                added.append(key)
    if added:
        attributes[names.PROFILED] = added


def as_json(value: Any) -> str:
    """Structured data as the text that vendors take it as; a text as it is."""
    return value if isinstance(value, str) else orjson.dumps(value).decode()


def known_profiles() -> tuple[str, ...]:
    """The names that `profiles=` takes."""
    return tuple(sorted(module.name for module in iter_modules(import_module(HOME).__path__)))


def profiles_named(asked: Iterable[str]) -> tuple[Profile, ...]:
    """The profiles of those names, each once.

    Raises:
        SettingsError: there is none of a name.
    """
    known = known_profiles() if asked else ()
    for name in asked:
        if name not in known:
            raise SettingsError(
                f"there is no profile {name!r}", fix=f"profiles is a list of: {', '.join(known)}"
            )
    return tuple(import_module(f"{HOME}.{name}").keys for name in dict.fromkeys(asked))
