"""What a policy makes of texts and values: the part that knows no records."""

from __future__ import annotations

import threading
from traceback import format_exception
from typing import Any, Final

import orjson

from turnspan.capture.drafts import Draft
from turnspan.capture.hidden import HIDDEN, Paths, Place
from turnspan.capture.patterns import searches
from turnspan.capture.policy import Level, Policy, Redactor
from turnspan.capture.stored import type_name
from turnspan.capture.texts import encodable
from turnspan.interrupts import is_anothers
from turnspan.notices import say

__all__ = ["WITHHELD", "Notes", "Redaction", "stricter"]

WITHHELD: Final = "<withheld>"
LONG_NUMBER: Final = 10**12  # what has as many digits may be a card's number
MAX_NOTES: Final = 100
MAX_CALLS: Final = 10_000  # of tools, whose results may still come
_ORDER: Final = {"on": 0, "shape": 1, "none": 2}


class Redaction:
    """A policy, ready for use. Thread-safe; a redactor may be called from several threads.

    ``withheld`` counts the texts that were left out because a redactor failed.
    """

    def __init__(self, policy: Policy) -> None:
        self.levels: dict[str, Level] = policy.levels()
        self.paths: Paths = Paths(policy.hide)
        self.hides_paths: bool = any("." in each for each in policy.hide)
        self._searches = searches(policy.patterns)
        self._redact: Redactor | None = policy.redact
        self._inside = threading.local()
        self.withheld: int = 0
        self._tools: dict[str, str] = {}

    def tool_of(self, call_id: object, name: object) -> str:
        """The tool of a call in the messages, whose result names only the call."""
        known = call_id if type(call_id) is str else ""
        if type(name) is not str:
            return self._tools.get(known, "")
        if known:
            if len(self._tools) >= MAX_CALLS:
                self._tools.clear()
            self._tools[known] = name
        return name

    def text(self, text: str, place: Place, path: str, notes: Notes) -> str:
        """``text`` without what is secret in it."""
        if self.paths:
            text = self._without_names(text, place, path, notes)
        for search in self._searches:
            text = search(text)
        return text if self._redact is None else self._redacted(self._redact, path, text, notes)

    def value(self, value: Any, place: Place, path: str, notes: Notes) -> Any:
        """Plain data without what is secret in it."""
        kind = type(value)
        if kind is str:
            return self.text(value, place, path, notes)
        if kind is dict:
            return self._mapping(value, place, path, notes)
        if kind is list:
            return [self.value(item, place, path, notes) for item in value]
        if kind is int and self._searches and (value >= LONG_NUMBER or value <= -LONG_NUMBER):
            shown = str(value)
            found = self.text(shown, place, path, notes)
            return value if found == shown else found
        return value

    def json(self, text: str, place: Place, path: str, notes: Notes) -> str:
        """JSON text without what is secret in it."""
        return orjson.dumps(self.value(orjson.loads(text), place, path, notes)).decode()

    def line(self, text: str) -> str:
        """A text of the log, where neither paths nor a redactor apply."""
        text = self.paths.in_text(text)
        for search in self._searches:
            text = search(text)
        return text

    def told(self, said: str, error: BaseException | None) -> str:
        """A line of our log about ``error``, whose message and code may hold what is hidden."""
        said = self.line(said)
        if error is None:
            return said
        if self.levels["error_message"] != "on" or self.levels["stacktrace"] != "on":
            return f"{said} ({type_name(type(error))})"
        trace = "".join(format_exception(error)).rstrip()
        return f"{said}\n{self.text(trace, frozenset(), 'log', Notes())}"

    def identifier(self, said: str | None, name: str) -> str | None:
        """The id ``name``, where it is no secret; else what still tells one from another."""
        if said is None or self.paths.at(name)[1]:
            return None
        shown = self.line(said)
        if shown == said:
            return said
        import hashlib  # here: few ids are secrets

        digest = hashlib.sha256(said.encode("utf-8", "surrogatepass")).hexdigest()
        return f"{shown[:64]}-{digest[:12]}"

    def arguments_of(self, draft: Draft, named: dict[str, Any]) -> dict[str, Any]:
        """The arguments of a call without secret ones: a single text loses its name later."""
        above = ("input",) if draft.kind == "turn" else ("steps", draft.fields["name"], "input")
        place, _ = self.paths.at(*above)
        return {
            name: HIDDEN if self.paths.below(place, name)[1] else item
            for name, item in named.items()
        }

    def _mapping(
        self, value: dict[str, Any], place: Place, path: str, notes: Notes
    ) -> dict[str, Any]:
        shown: dict[str, Any] = {}
        for key, item in value.items():
            below, met = self.paths.below(place, key)
            name = self.text(key, place, path, notes)
            name = _free(shown, name) if name != key else name
            shown[name] = HIDDEN if met else self.value(item, below, f"{path}.{name}", notes)
        return shown

    def _without_names(self, text: str, place: Place, path: str, notes: Notes) -> str:
        """A text may be JSON itself, or code that assigns to a secret name."""
        if text[:1] in ("{", "["):
            try:
                inner = orjson.loads(text)
            except orjson.JSONDecodeError:
                return self.paths.in_text(text)
            shown = self._named_only(inner, place)
            return text if shown == inner else orjson.dumps(shown).decode()
        return self.paths.in_text(text)

    def _named_only(self, value: Any, place: Place) -> Any:
        """``value`` without what stands under a secret name."""
        if type(value) is list:
            return [self._named_only(item, place) for item in value]
        if type(value) is str:
            return self.paths.in_text(value)
        if type(value) is not dict:
            return value
        shown = {}
        for key, item in value.items():
            below, met = self.paths.below(place, key)
            shown[key] = HIDDEN if met else self._named_only(item, below)
        return shown

    def _redacted(self, redact: Redactor, path: str, text: str, notes: Notes) -> str:
        """What the user's own redactor makes of it; withheld where it fails."""
        if getattr(self._inside, "busy", False):
            return WITHHELD  # the redactor itself is being recorded
        self._inside.busy = True
        try:
            shown = redact(path, text)
            if type(shown) is str:
                return encodable(shown)
            why = f"answered a {type(shown).__name__}"
        except BaseException as exc:  # noqa: BLE001  # border: the callable is the caller's
            why = f"raised {type(exc).__name__}"
            if not isinstance(exc, Exception) or is_anothers(exc):
                notes.passed = exc
        finally:
            self._inside.busy = False
        self.withheld += 1
        notes.withheld(f"the redactor {why}")
        say("redactor", "turnspan: a redactor %s: what it was given is withheld", why, level=40)
        return WITHHELD


class Notes:
    """What is to be told of one record: what was withheld, and where."""

    __slots__ = ("cuts", "passed", "where")

    def __init__(self) -> None:
        self.where: str = ""
        self.cuts: list[dict[str, Any]] = []
        self.passed: BaseException | None = None
        """What interrupted a redactor and is not ours: it goes on once the record is written."""

    def withheld(self, why: str) -> None:
        """Note it once for each place."""
        note = {"where": self.where, "why": f"withheld: {why}"}
        if len(self.cuts) < MAX_NOTES and note not in self.cuts[-1:]:
            self.cuts.append(note)


def stricter(*levels: Level) -> Level:
    """The one that hides most."""
    return max(levels, key=_ORDER.__getitem__)


def _free(taken: dict[str, Any], name: str) -> str:
    """``name``, told apart from others that became the same."""
    if name not in taken:
        return name
    return next(f"{name}-{n}" for n in range(2, len(taken) + 3) if f"{name}-{n}" not in taken)
