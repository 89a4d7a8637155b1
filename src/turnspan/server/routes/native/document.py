"""The OpenAPI document of the native API, finished by hand where routes take raw bodies."""

from __future__ import annotations

from typing import Any, Final

from turnspan.schema import Turn
from turnspan.server.routes.native.params import ProblemDetails
from turnspan.server.store.rows import MAX_ID_CHARS, MAX_INT

__all__ = ["finish"]

_REF: Final = "#/components/schemas/{model}"
_INT64: Final = {"minimum": -MAX_INT, "maximum": MAX_INT}


def finish(document: dict[str, Any]) -> None:
    """Add what FastAPI cannot see: the schema of a turn as it is taken, and of problems."""
    schemas = document.setdefault("components", {}).setdefault("schemas", {})
    turn = Turn.model_json_schema(ref_template=_REF)
    parts = turn.pop("$defs") | {"Turn": turn}
    for part in parts.values():
        _bound(part)
    turn["properties"]["id"] |= {"minLength": 1, "maxLength": MAX_ID_CHARS}
    turn["properties"]["status"]["enum"].remove("open")
    schemas |= parts
    schemas["ProblemDetails"] = ProblemDetails.model_json_schema(ref_template=_REF)


def _bound(schema: Any) -> None:
    """Give every whole number in ``schema`` the bounds that a store has."""
    if isinstance(schema, dict):
        if schema.get("type") == "integer":
            schema |= _INT64
        for each in schema.values():
            _bound(each)
    elif isinstance(schema, list):
        for each in schema:
            _bound(each)
