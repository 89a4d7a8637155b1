"""The OpenAPI document of the native API, finished by hand where routes take raw bodies."""

from __future__ import annotations

from typing import Any, Final

from turnspan.schema import Turn
from turnspan.server.routes.native.params import ProblemDetails
from turnspan.server.store.incoming import MAX_COST_USD, MAX_ID_CHARS, MAX_INT

__all__ = ["finish"]

_REF: Final = "#/components/schemas/{model}"


def finish(document: dict[str, Any]) -> None:
    """Add what FastAPI cannot see: the schema of a turn as it is taken, and of problems."""
    schemas = document.setdefault("components", {}).setdefault("schemas", {})
    turn = Turn.model_json_schema(ref_template=_REF)
    parts = turn.pop("$defs") | {"Turn": turn}
    _bound(turn, "number", "started_at", "ended_at")
    _bound(parts["Step"], "started_at", "ended_at")
    _bound(parts["Usage"], "input_tokens", "output_tokens")
    for kind in parts["Usage"]["properties"]["cost_usd"]["anyOf"]:
        if kind.get("type") == "number":
            kind.update({"minimum": -MAX_COST_USD, "maximum": MAX_COST_USD})
    turn["properties"]["id"] |= {"minLength": 1, "maxLength": MAX_ID_CHARS}
    turn["properties"]["status"]["enum"].remove("open")
    schemas |= parts
    schemas["ProblemDetails"] = ProblemDetails.model_json_schema(ref_template=_REF)


def _bound(schema: dict[str, Any], *names: str) -> None:
    """Give whole numbers of ``schema`` the bounds that a store has."""
    for name in names:
        field = schema["properties"][name]
        for kind in [field, *field.get("anyOf", [])]:
            if kind.get("type") == "integer":
                kind.update({"minimum": -MAX_INT, "maximum": MAX_INT})
