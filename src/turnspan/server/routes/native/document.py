"""The OpenAPI document of the native API, finished by hand where routes take raw bodies."""

from __future__ import annotations

from typing import Any, Final

from turnspan.schema import Turn
from turnspan.server.routes.native.params import ProblemDetails

__all__ = ["finish"]

_REF: Final = "#/components/schemas/{model}"
_INT64: Final = {"minimum": -(2**63) + 1, "maximum": 2**63 - 1}


def finish(document: dict[str, Any]) -> None:
    """Add what FastAPI cannot see: the schema of a turn as it is taken, and of problems."""
    schemas = document.setdefault("components", {}).setdefault("schemas", {})
    turn = Turn.model_json_schema(ref_template=_REF)
    schemas |= turn.pop("$defs")
    schemas["Turn"] = _bounded(turn)
    schemas["Step"] = _bounded(schemas["Step"])
    schemas["Usage"] = _bounded(schemas["Usage"])
    schemas["ProblemDetails"] = ProblemDetails.model_json_schema(ref_template=_REF)


def _bounded(schema: dict[str, Any]) -> dict[str, Any]:
    """``schema`` with the bounds that a store has."""
    fields = schema["properties"]
    for field in fields.values():
        for kind in [field, *field.get("anyOf", [])]:
            if kind.get("type") == "integer":
                kind.update(_INT64)
    if "status" in fields and "session_id" in fields:
        fields["id"].update({"minLength": 1, "maxLength": 200})
        fields["status"]["enum"] = [each for each in fields["status"]["enum"] if each != "open"]
    return schema
