"""Health, and what StateBase has that is not turnspan's: memories, traces, and more."""

from __future__ import annotations

from typing import Final

from turnspan.server.dialect import DialectRouter
from turnspan.server.problem import Problem

__all__ = ["SHARED", "is_known", "router"]

router: Final[DialectRouter] = DialectRouter()

SHARED: Final = frozenset({"/health", "/v1/traces"})
"""Paths that are others' too."""
_NOT_OURS: Final = {
    "memories": "memories",
    "memory": "memories",
    "traces": "audit traces",
    "entities": "entities",
    "dashboard": "a dashboard",
}
_METHODS: Final = ["GET", "POST", "PUT", "PATCH", "DELETE"]


def is_known(path: str) -> bool:
    """Whether ``path`` is StateBase's, though there is nothing here."""
    version, _, rest = path[1:].partition("/")
    return version == "v1" and rest.partition("/")[0] in _NOT_OURS


@router.get("/health")
def health() -> dict[str, str]:
    """The process answers."""
    return {"status": "healthy"}


def _add(word: str, what: str) -> None:
    def refuse() -> None:
        raise Problem(
            404,
            "not_found",
            f"this server keeps turns, sessions and their state; it has no {what}",
            resource="service",
        )

    for path in (f"/v1/{word}", f"/v1/{word}/{{rest:segments}}"):
        router.add_api_route(path, refuse, methods=_METHODS, include_in_schema=False)


for _word, _what in _NOT_OURS.items():
    _add(_word, _what)
