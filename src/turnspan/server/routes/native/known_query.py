"""Queries that hold nothing but what their route asks for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from fastapi import Depends, Request
from fastapi.routing import APIRoute

from turnspan.server.problem import Problem
from turnspan.server.routes.native.params import KEY

if TYPE_CHECKING:
    from fastapi.dependencies.models import Dependant

__all__ = ["KNOWN_QUERY"]


def _refuse_unknown(request: Request) -> None:
    """A misspelt filter would let everything through."""
    route: APIRoute = request.scope["route"]
    known = _names(route.dependant)
    for name in request.query_params:
        if name not in known and not (KEY.fullmatch(name) and _takes_metadata(route)):
            told = ", ".join(sorted(known)) or "none"
            raise Problem(
                422,
                "invalid_request",
                f"there is no parameter {name!r} here; known: {told}",
                param=name,
            )


def _names(dependant: Dependant) -> set[str]:
    own = {field.alias for field in dependant.query_params}
    return own.union(*map(_names, dependant.dependencies))


def _takes_metadata(route: APIRoute) -> bool:
    parameters: list[dict[str, Any]] = (route.openapi_extra or {}).get("parameters", [])
    return any(each["name"] == "metadata" for each in parameters)


KNOWN_QUERY: Final = Depends(_refuse_unknown)
"""For a route, or the router of several."""
