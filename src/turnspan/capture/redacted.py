"""Records of the journal without what the policy hides.

This knows what stands where in a record. Whatever it doesn't know is treated as something
that was said: a field that is new is searched like all others.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any, Final, TypeAlias

import orjson

from turnspan.capture.hidden import HIDDEN, Place
from turnspan.capture.policy import Level
from turnspan.capture.redaction import WITHHELD, Notes, Redaction, stricter
from turnspan.capture.shapes import SHAPE, said_shape, shape_of, tool_shape

__all__ = ["bare", "redacted"]

Fields: TypeAlias = dict[str, Any]

JSON: Final = "application/json"
STRUCTURE: Final = frozenset(
    {
        "record",
        "id",
        "turn_id",
        "parent_id",
        "kind",
        "status",
        "started_at",
        "ended_at",
        "first_chunk_at",
        "at",
        "number",
        "score",
        "usage",
        "trace",
        "resource",
        "schema_version",
        "input_messages",
        "output_messages",
        "system_instructions",
        "input_tools",
        "messages_from",
        "mode",
        "resumes",
        "resume_key",
        "sampled",
    }
)
"""What turnspan itself draws, counts and measures."""

_PART_STRUCTURE: Final = frozenset({"type", "id", "modality", "mime_type", "size"})
_SPAN_STRUCTURE: Final = frozenset({"trace_id", "span_id", "at", "status"})
_SHOWN_NOTES: Final = frozenset({"name", "trace_id", "span_id", "status"})
_PART_LEVELS: Final = {
    "reasoning": "reasoning",
    "tool_call": "tool_input",
    "tool_call_response": "tool_output",
}


def redacted(record: Fields, redaction: Redaction, notes: Notes) -> Fields:
    """``record``, decoded and nobody else's, without what is hidden of it."""
    return _Pass(redaction, notes).record(record)


def bare(record: Fields) -> Fields:
    """What is left of ``record`` where the policy could not be applied: its structure."""
    kept: Fields = {key: item for key, item in record.items() if key in STRUCTURE}
    if "agent" in record:
        kept["agent"] = {"name": WITHHELD}
    if "name" in record:
        kept["name"] = WITHHELD
    if "steps" in record:
        kept["steps"] = [bare(step) for step in record["steps"]]
    if "step" in record:
        kept["step"] = bare(record["step"])
    return kept


class _Pass:
    """One way through one record."""

    def __init__(self, redaction: Redaction, notes: Notes) -> None:
        self._redaction = redaction
        self._levels = redaction.levels
        self._notes = notes

    def record(self, record: Fields) -> Fields:
        """A `turn`, `open`, `step` or `feedback` record."""
        shown: Fields = {}
        for key, item in record.items():
            if key in STRUCTURE:
                shown[key] = item
            elif (found := self._field(key, item)) is not None:
                shown[key] = found
        if record.get("session_id") is not None and "session_id" not in shown:
            shown.pop("number", None)
        if self._notes.cuts:
            shown["truncated"] = [*shown.get("truncated", ()), *self._notes.cuts]
        return shown

    def _field(self, key: str, item: Any) -> Any:
        """One field of a record; None to leave it out."""
        self._notes.where = key
        if key in ("session_id", "user_id"):
            return self._redaction.identifier(item, key)
        if key == "messages":
            return [self._message(message) for message in item]
        if key == "steps":
            return [self._step(step) for step in item]
        if key == "step":
            return self._step(item)
        place, met = self._redaction.paths.at(_PLACES.get(key, key))
        if key in ("input", "output"):
            return self._content(item, self._levels[key], place, key, met=met)
        return self._common(key, item, place, key, met=met)

    def _step(self, step: Fields) -> Fields:
        name = str(step.get("name", ""))
        shown: Fields = {}
        for key, item in step.items():
            if key in STRUCTURE:
                shown[key] = item
                continue
            self._notes.where = f"steps/{step.get('id')}/{key}"
            path = f"steps.{name}.{key}"
            place, met = self._redaction.paths.at("steps", name, _PLACES.get(key, key))
            if key == "name":
                found: Any = self._redaction.line(name)
            elif key in ("input", "output"):
                level = self._step_level(step, key)
                found = self._content(item, level, place, path, met=met)
            else:
                found = self._common(key, item, place, path, met=met)
            if found is not None:
                shown[key] = found
        return shown

    def _step_level(self, step: Fields, key: str) -> Level:
        kind = step.get("kind")
        if kind == "tool":
            return self._levels[f"tool_{key}"]
        level = self._levels[f"step_{key}"]
        return stricter(level, self._levels[key]) if kind == "agent" else level

    def _common(self, key: str, item: Any, place: Place, path: str, *, met: bool) -> Any:
        """What turns and steps have alike."""
        if key in ("agent", "tool"):
            return self._definition(item, path)
        if key == "error":
            return self._error(item, place, path, met=met)
        if key == "model":
            return self._model(item, place, path)
        level = self._levels.get(_LEVELS.get(key, ""), "on")
        if level == "none":
            return None
        if key == "truncated":
            return [
                {k: v if type(v) is int else self._redaction.line(v) for k, v in cut.items()}
                for cut in item
            ]
        if met:
            return HIDDEN if type(item) is str or key in _PLACES else None
        if key == "span":
            shown = self._span_notes(item, place, path)
        else:
            shown = self._redaction.value(item, place, path, self._notes)
        if level == "shape":
            shaped: Callable[[Any], Any] = _SHAPED.get(key) or shape_of
            return shaped(shown)
        return shown

    def _content(
        self, content: Fields, level: Level, place: Place, path: str, *, met: bool
    ) -> Fields | None:
        if level == "none":
            return None
        shown = dict(content)
        text = content.get("content", "")
        if met:
            shown["content"] = HIDDEN
            shown.pop("mime_type", None)
        elif content.get("mime_type") == JSON:
            self._put_json(shown, text, level, place, path)
        else:
            text = self._redaction.text(text, place, path, self._notes)
            self._put(shown, text, text, level)
        return shown

    def _put_json(self, shown: Fields, text: str, level: Level, place: Place, path: str) -> None:
        try:
            value = orjson.loads(text)
        except orjson.JSONDecodeError:  # cut: names and paths cannot be found in it
            self._notes.withheld("it is too long to be read where it was cut")
            shown["content"] = WITHHELD
            shown.pop("mime_type", None)
            return
        value = self._redaction.value(value, place, path, self._notes)
        self._put(shown, value, orjson.dumps(value).decode(), level)

    def _put(self, shown: Fields, value: Any, text: str, level: Level) -> None:
        shown["content"] = text
        if level == "shape":
            shown["content"] = orjson.dumps(shape_of(value)).decode()
            shown["mime_type"] = SHAPE

    def _span_notes(self, item: Any, place: Place, path: str) -> Any:
        """What other code put on a span: attributes are data, all else has its form."""
        if type(item) is list:
            return [self._span_notes(one, place, path) for one in item]
        if type(item) is not dict:
            return self._redaction.value(item, place, path, self._notes)
        return {
            key: said
            if key in _SPAN_STRUCTURE
            else self._redaction.value(said, place, path, self._notes)
            if key == "attributes"
            else self._span_notes(said, place, path)
            for key, said in item.items()
        }

    def _definition(self, item: Fields, path: str) -> Fields:
        """Of an agent or tool: what the program says of itself, at which names hide nothing."""
        return {
            key: self._redaction.text(said, frozenset(), f"{path}.{key}", self._notes)
            if key == "description"
            else self._redaction.line(said)
            for key, said in item.items()
        }

    def _error(self, error: Fields, place: Place, path: str, *, met: bool) -> Fields:
        shown: Fields = {}
        for key, item in error.items():
            level = self._levels.get({"message": "error_message"}.get(key, key), "on")
            below, hit = self._redaction.paths.below(place, key)
            if key == "type":
                shown[key] = self._redaction.line(item)
            elif level == "on":
                text = self._redaction.text(item, below, f"{path}.{key}", self._notes)
                shown[key] = HIDDEN if met or hit else text
            elif level == "shape":
                shown[key] = said_shape(item)
        return shown

    def _model(self, model: Fields, place: Place, path: str) -> Fields:
        shown: Fields = {}
        for key, item in model.items():
            below, met = self._redaction.paths.below(place, key)
            level = self._levels["parameters"] if key == "parameters" else "on"
            if level == "none" or (met and key == "parameters"):
                continue
            shown[key] = self._redaction.value(item, below, f"{path}.{key}", self._notes)
            if level == "shape":
                shown[key] = {name: shape_of(value) for name, value in shown[key].items()}
        return shown

    def _message(self, message: Fields) -> Fields:
        role = str(message.get("role", ""))
        sides = ("output", "step_output") if role == "assistant" else ("input", "step_input")
        level = stricter(*(self._levels[name] for name in ("messages", *sides)))
        place, met = self._redaction.paths.at("messages")
        shown: Fields = {}
        for key, item in message.items():
            if key == "parts":
                shown[key] = [
                    kept
                    for part in item
                    if (kept := self._part(part, level, place, met=met)) is not None
                ]
            elif key in ("role", "finish_reason"):
                shown[key] = self._redaction.line(item)
            else:
                shown[key] = self._redaction.value(item, place, f"messages.{key}", self._notes)
        return shown

    def _part(self, part: Fields, level: Level, place: Place, *, met: bool) -> Fields | None:
        kind = part.get("type", "")
        if (name := _PART_LEVELS.get(kind)) is not None:
            level = stricter(level, self._levels[name])
        if level == "none":
            return None
        name = part.get("name") if kind == "tool_call" else None
        tool = self._redaction.tool_of(part.get("id"), name)
        shown: Fields = {}
        for key, item in part.items():
            if key in _PART_STRUCTURE or (key == "name" and kind == "tool_call"):
                shown[key] = self._redaction.line(item) if type(item) is str else item
                continue
            below, hit = self._part_place(place, key, tool)
            if met or hit:
                shown[key] = HIDDEN
                continue
            found = self._redaction.value(item, below, f"messages.{key}", self._notes)
            if level == "shape":
                found = said_shape(found) if type(found) is str else shape_of(found)
            shown[key] = found
        return shown

    def _part_place(self, place: Place, key: str, tool: str) -> tuple[Place, bool]:
        """A call and its result stand in the messages, and under the tool's step as well."""
        below, met = self._redaction.paths.below(place, key)
        where = {"arguments": "input", "response": "output"}.get(key)
        if where is None:
            return below, met
        paths = self._redaction.paths
        there, hit = paths.at("steps", tool, where) if tool else paths.of_any_step(where)
        return below | there, met or hit


def _shaped_entries(entries: Any) -> Any:
    return {key: shape_of(item) for key, item in entries.items()}


def _shaped_notes(notes: Any, shown: Collection[str] = _SHOWN_NOTES) -> Any:
    """What other code put on a span, each text replaced by its length; attributes whole."""
    if type(notes) is str:
        return said_shape(notes)
    if type(notes) is list:
        return [_shaped_notes(item, shown) for item in notes]
    if type(notes) is not dict:
        return notes
    below = {"attributes": frozenset[str]()}  # their names are other code's, and tell nothing
    return {
        key: item if key in shown else _shaped_notes(item, below.get(key, shown))
        for key, item in notes.items()
    }


_PLACES: Final = {"state_before": "state", "state_after": "state"}
_LEVELS: Final = {
    "reasoning": "reasoning",
    "state_before": "state",
    "state_after": "state",
    "metadata": "metadata",
    "tags": "tags",
    "comment": "comment",
    "rating": "comment",
    "span": "span_notes",
    "tool_definitions": "messages",
}
_SHAPED: Final[dict[str, Callable[[Any], Any]]] = {
    "reasoning": said_shape,
    "comment": said_shape,
    "rating": said_shape,
    "metadata": _shaped_entries,
    "tags": lambda tags: [said_shape(tag) for tag in tags],
    "span": _shaped_notes,
    "tool_definitions": lambda tools: [tool_shape(tool) for tool in tools],
}
