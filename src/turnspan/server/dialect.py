"""A dialect: whose paths it answers, in whose words, and what it does after the answer."""

from __future__ import annotations

import re
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib import import_module
from pkgutil import iter_modules
from typing import TYPE_CHECKING, Any, Final

import orjson
from fastapi import APIRouter, params
from fastapi.routing import APIRoute
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import compile_path

from turnspan.server import segments

if TYPE_CHECKING:
    from turnspan.server.call import Call
    from turnspan.server.problem import Problem
    from turnspan.server.store.port import Job, TurnStore

segments.register()

__all__ = [
    "NATIVE",
    "Dialect",
    "DialectRouter",
    "JobHandler",
    "RequestLine",
    "RouteLine",
    "dialects",
]

NATIVE: Final = "native"

JobHandler = Callable[["TurnStore", "Job"], "Mapping[str, Any] | None"]


@dataclass(frozen=True, slots=True)
class RequestLine:
    """What is known of a request before anything of it is trusted."""

    method: str
    path: str
    """As it came: still percent-encoded."""
    headers: Mapping[str, str]
    """By lower-case name."""
    parameters: frozenset[str] = frozenset()
    """The names in its query."""


def _nowhere(_request: RequestLine) -> bool:
    return False


def _no_headers(_call: Call, _status: int) -> Mapping[str, str]:
    return {}


@dataclass(frozen=True, slots=True)
class RouteLine:
    """One route, as far as others must know of it."""

    path: str
    """As it was declared."""
    methods: frozenset[str]
    pattern: re.Pattern[str]


class _StrictRequest(Request):
    """Reads JSON as the rest of turnspan does: no NaN, no half of a surrogate pair."""

    async def json(self) -> Any:
        return orjson.loads(await self.body())


class _StrictRoute(APIRoute):
    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handler = super().get_route_handler()

        async def strict(request: Request) -> Response:
            return await handler(_StrictRequest(request.scope, request.receive))

        return strict


class DialectRouter(APIRouter):
    """The router of a dialect. Ids in its paths are written `{name:segment}`.

    It keeps a list of its routes: where FastAPI keeps them differs from release to release.
    """

    def __init__(self, dependencies: Sequence[params.Depends] = ()) -> None:
        super().__init__(route_class=_StrictRoute, dependencies=dependencies)
        self.lines: list[RouteLine] = []

    def add_api_route(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        """Add a route, as FastAPI does."""
        methods = frozenset(options.get("methods") or {"GET"})
        self.lines.append(RouteLine(path, methods, compile_path(path)[0]))
        super().add_api_route(path, endpoint, **options)

    def take(self, other: DialectRouter) -> None:
        """Take in the routes of ``other``."""
        self.lines += other.lines
        self.include_router(other)

    def at(self, path: str) -> list[RouteLine]:
        """The routes at ``path``, which is still encoded."""
        return [line for line in self.lines if line.pattern.match(path)]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Dialect:
    """One module of `turnspan.server.routes` exposes one of these as `dialect`.

    It answers at `/NAME/…` always, and at the vendor's own paths where `claims` says so.
    """

    name: str
    router: DialectRouter
    """Its paths as the vendor has them, without `/NAME`."""
    render: Callable[[Problem, Call], Response]
    """A problem in the vendor's envelope: 400, 401, 403, 404, 405, 409, 413, 415, 422, 429,
    431, 500, 503 and 504 all pass here."""
    claims: Callable[[RequestLine], bool] = _nowhere
    """Whether a request to a path outside `/NAME` is this dialect's."""
    headers: Callable[[Call, int], Mapping[str, str]] = _no_headers
    """What else goes on an answer of that status: rate limits, quotas."""
    max_body_bytes: int | None = None
    """Its own limit, where it is below the server's."""
    document: Callable[[dict[str, Any]], None] | None = None
    """Finishes the OpenAPI document, in place."""
    public: frozenset[str] = frozenset({"/openapi.json"})
    """Paths that are answered without a key."""
    jobs: Mapping[str, JobHandler] = field(default_factory=dict)
    """What does the jobs of kind `NAME.WORD`: called in a thread, again after a crash."""


@cache
def dialects() -> Mapping[str, Dialect]:
    """Every dialect there is, by its name: a module each in `turnspan.server.routes`."""
    from turnspan.server import routes

    names = [m.name for m in iter_modules(routes.__path__) if not m.name.startswith("_")]
    modules = [import_module(f"{routes.__name__}.{name}") for name in names]
    return {module.dialect.name: module.dialect for module in modules}
