"""What may be recorded, said once: `turnspan.Policy`."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeAlias

from turnspan.capture.hidden import matches
from turnspan.errors import SettingsError

if TYPE_CHECKING:
    from turnspan.settings import Settings

__all__ = ["FIELDS", "Policy", "Redactor"]

Level: TypeAlias = str  # `on`, `shape` or `none`
Redactor: TypeAlias = Callable[[str, str], str]

SAID: Final = (
    "input",
    "output",
    "step_input",
    "step_output",
    "tool_input",
    "tool_output",
    "messages",
    "reasoning",
    "state",
    "error_message",
    "stacktrace",
    "comment",
    "span_notes",
)
"""What a plain `content=` governs: all that was said by somebody, or by an error."""

FIELDS: Final = (*SAID, "metadata", "tags", "parameters")
"""What can be named: beside those also what the program itself says of a turn."""

TOPS: Final = (
    "input",
    "output",
    "steps",
    "messages",
    "reasoning",
    "state",
    "error",
    "metadata",
    "tags",
    "span",
    "comment",
    "user_id",
    "session_id",
)
"""What a path begins with: what stands at the top of a turn, or of feedback."""

_LEVELS: Final = {True: "on", False: "shape"} | {word: word for word in ("on", "shape", "none")}
_WORDS: Final = {"true": "on", "off": "shape", "false": "shape"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """What is recorded; applied before the journal, so that what it hides is written nowhere.

    ``content`` is True (whole), False (the shape only: type, size, keys), `"none"` (not even
    that), or one of them for each of `FIELDS`; ``hide`` names secrets: a name (`password`)
    wherever it stands, or a path (`input.user.card`), `*` in both; ``patterns`` are names of
    built-in patterns (`api_key`, `bearer`, `email`, `card`, `private_key`) and compiled ones of
    your own; ``redact`` is given the path and the text of each string, and what it answers is
    kept. `docs/privacy.md` has the whole of it.

    Raises:
        SettingsError: something of it cannot be read, or a pattern is not provably linear.
    """

    content: bool | str | Mapping[str, bool | str] = True
    hide: Sequence[str] = ()
    patterns: Sequence[str | re.Pattern[str]] = ()
    redact: Redactor | None = None

    def __post_init__(self) -> None:
        from turnspan.capture.patterns import checked  # here: most policies have none

        self.levels()
        object.__setattr__(self, "hide", _paths(self.hide))
        object.__setattr__(
            self, "patterns", tuple(checked(p) for p in _row("patterns", self.patterns))
        )
        if self.redact is not None and not callable(self.redact):
            raise SettingsError(
                f"redact={self.redact!r} is not callable",
                fix="give a function of a path and a text that answers the text to keep",
            )

    @classmethod
    def of(cls, settings: Settings) -> Policy:
        """What ``settings`` ask for.

        Raises:
            SettingsError: as the policy itself.
        """
        return cls(content=_content(settings.content), hide=settings.hide, patterns=settings.redact)

    @classmethod
    def chosen(cls, policy: object, settings: Settings, given: Iterable[str]) -> Policy:
        """``policy`` if there is one, else what ``settings`` ask for; ``given`` were arguments.

        Raises:
            SettingsError: it is no policy, or an argument says something beside it.
        """
        if policy is None:
            return cls.of(settings)
        if not isinstance(policy, cls):
            raise SettingsError(
                f"policy={policy!r} is not a Policy",
                fix="write policy=turnspan.Policy(content=False)",
            )
        if twice := {"content", "hide", "redact"}.intersection(given):
            name = min(twice)
            raise SettingsError(
                f"policy= and {name}= both say what may be recorded",
                fix=f"leave out {name}=, and write it into the policy",
            )
        return policy

    @property
    def is_plain(self) -> bool:
        """Whether it hides nothing, and nothing has to be done about it."""
        whole = all(level == "on" for level in self.levels().values())
        return whole and not (self.hide or self.patterns or self.redact)

    @property
    def records_content(self) -> bool:
        """Whether anything is recorded of what was said."""
        levels = self.levels()
        return any(levels[name] != "none" for name in SAID)

    @property
    def reads_text(self) -> bool:
        """Whether texts are searched: then none may be cut in the middle of a word."""
        return bool(self.hide or self.patterns or self.redact)

    def levels(self) -> dict[str, Level]:
        """How much is recorded of each of `FIELDS`."""
        if not isinstance(self.content, Mapping):
            level = _level("content", self.content)
            return dict.fromkeys(SAID, level) | dict.fromkeys(FIELDS[len(SAID) :], "on")
        levels = dict.fromkeys(FIELDS, "on")
        for name, said in self.content.items():
            if name not in levels:
                raise SettingsError(
                    f"content names {name!r}, which is no field", fix=f"one of: {', '.join(FIELDS)}"
                )
            levels[name] = _level(name, said)
        return levels


def _level(name: str, said: object) -> Level:
    if (type(said) is bool or type(said) is str) and (level := _LEVELS.get(said)) is not None:
        return level
    raise SettingsError(
        f"{name} is {said!r}, which is no level of content",
        fix="True (or 'on'), False (or 'shape': type, size and keys), or 'none'",
    )


def _paths(given: object) -> tuple[str, ...]:
    paths = _row("hide", given)
    for path in paths:
        if not isinstance(path, str) or not path or not all(path.split(".")):
            raise SettingsError(
                f"hide has {path!r}, which is neither a name nor a path",
                fix="write a name such as password, or a path such as input.user.card",
            )
        if not path.replace("*", "").replace(".", ""):
            raise SettingsError(
                f"hide has {path!r}, which is everything", fix="write content='none' for that"
            )
        top, dot, _ = path.lower().partition(".")
        if dot and not any(matches(top, known) for known in TOPS):
            raise SettingsError(
                f"hide has {path!r}, which begins at nothing that a turn has, and hides nothing",
                fix=f"write *.{path} for wherever it stands, or begin with one of: "
                + ", ".join(TOPS),
            )
    return tuple(str(path) for path in paths)


def _row(name: str, given: object) -> tuple[object, ...]:
    if isinstance(given, Sequence) and not isinstance(given, str | bytes):
        return tuple(given)
    raise SettingsError(f"{name}={given!r} is no list", fix=f"write {name}=[…]")


def _content(said: bool | tuple[str, ...]) -> bool | str | dict[str, bool | str]:  # noqa: FBT001
    """From the setting: one level, or `field=level` for each that is named.

    Raises:
        SettingsError: it is neither.
    """
    if isinstance(said, bool):
        return said
    if len(said) == 1 and "=" not in said[0]:
        return _WORDS.get(said[0].lower(), said[0].lower())
    pairs = [part.partition("=") for part in said]
    return {name.strip(): _WORDS.get(level.lower(), level.lower()) for name, _, level in pairs}
