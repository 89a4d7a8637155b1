"""The conventions as data, and what can be asked of them."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema

__all__ = ["FOLDER", "GENAI", "content_fault", "level_of", "type_fault"]

FOLDER = Path(__file__).parent
GENAI: dict[str, Any] = json.loads((FOLDER / "genai.json").read_text(encoding="utf-8"))

_TYPES: dict[str, Any] = {
    "string": lambda value: isinstance(value, str),
    "enum": lambda value: isinstance(value, str),
    "int": lambda value: type(value) is int,
    "double": lambda value: type(value) is float,
    "boolean": lambda value: type(value) is bool,
    "string[]": lambda value: (
        isinstance(value, list | tuple) and all(isinstance(item, str) for item in value)
    ),
    "template[string]": lambda value: isinstance(value, str),
    "any": lambda value: value is not None,
}


def level_of(said: str | dict[str, str]) -> str:
    """`required`, `conditionally_required`, `recommended` or `opt_in`; conditions are prose."""
    return said if isinstance(said, str) else next(iter(said))


def type_fault(name: str, value: Any) -> str | None:
    """What is wrong with the type or enum member ``value`` is of; None if nothing is."""
    known = GENAI["attributes"][name]
    kind = known["type"]
    if not _TYPES[kind](value):
        return f"type: {name} is a {kind}, not {value!r}"
    if kind == "enum" and value not in known["members"]:
        # The enums are open; what is a member but for its spelling is meant to be that member.
        alike = [m for m in known["members"] if _bare(m) == _bare(value)]
        if alike or not value:
            return f"enum: {name} is {value!r}, which should be {alike or known['members']}"
    return None


def content_fault(name: str, value: Any) -> str | None:
    """What is wrong with the content ``value``, a JSON string on a span; None if nothing is."""
    try:
        told = json.loads(value) if isinstance(value, str) else value
        _validator(GENAI["attributes"][name]["json_schema"]).validate(told)
    except (ValueError, jsonschema.ValidationError) as exc:
        return f"content: {name}: {str(exc).splitlines()[0][:200]}"
    return None


def _bare(word: str) -> str:
    return "".join(c for c in word.lower() if c.isalnum())


@cache
def _validator(name: str) -> Any:
    """Of the strict schema where there is one: the official ones let anything be a generic part."""
    strict = FOLDER / "schemas" / "strict" / name
    path = strict if strict.exists() else FOLDER / "schemas" / name
    return jsonschema.Draft202012Validator(json.loads(path.read_text(encoding="utf-8")))
