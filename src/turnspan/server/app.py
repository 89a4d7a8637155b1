"""The application: a gate, and behind it one FastAPI application a dialect."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from turnspan.clock import SystemClock
from turnspan.server.access_log import AccessLog
from turnspan.server.assembly import Assembly
from turnspan.server.call import Call, call_of
from turnspan.server.dialect import NATIVE, Dialect, dialects
from turnspan.server.gate import Gate
from turnspan.server.ids import ServerIds
from turnspan.server.jobs import JobRunner
from turnspan.server.limits import Limits
from turnspan.server.problem import FieldError, Problem, unavailable
from turnspan.server.store.port import UnavailableError

if TYPE_CHECKING:
    from turnspan.ports import Clock
    from turnspan.server.store.port import Store

__all__ = ["Parts", "create_app"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What the application is made of."""

    store: Store
    limits: Limits
    clock: Clock
    ids: ServerIds


def create_app(
    store: Store,
    *,
    limits: Limits | None = None,
    clock: Clock | None = None,
    ids: ServerIds | None = None,
    log: AccessLog | None = None,
    known: Mapping[str, Dialect] | None = None,
) -> ASGIApp:
    """An ASGI application that answers in every dialect from ``store``.

    ``known`` stands in for the dialects that are found. The store stays the caller's to close.
    Background jobs run between the application's startup and shutdown.
    """
    clock = clock or SystemClock()
    parts = Parts(store=store, limits=limits or Limits(), clock=clock, ids=ids or ServerIds(clock))
    known = dialects() if known is None else known
    apps = {name: _application(dialect) for name, dialect in known.items()}
    gate = Gate(parts, known, apps, log or AccessLog())
    return _Lifespan(gate, JobRunner(store, known), Assembly(store, parts.limits, clock))


class _Lifespan:
    """Starts and ends what runs beside the requests."""

    def __init__(self, gate: Gate, *works: JobRunner | Assembly) -> None:
        self._gate = gate
        self._works = works

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await self._gate(scope, receive, send)
        elif scope["type"] == "lifespan":
            await self._live(receive, send)
        else:
            await send({"type": "websocket.close", "code": 1003})

    async def _live(self, receive: Receive, send: Send) -> None:
        await receive()
        for work in self._works:
            work.start()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        for work in self._works:
            work.stop()
        await send({"type": "lifespan.shutdown.complete"})


@lru_cache(maxsize=32)
def _application(dialect: Dialect) -> FastAPI:
    app = FastAPI(
        title=f"turnspan: {dialect.name}",
        docs_url=None,
        redoc_url=None,
        openapi_url="/openapi.json",
        redirect_slashes=False,
        separate_input_output_schemas=False,
    )
    app.include_router(dialect.router)
    document = app.openapi()  # FastAPI keeps what it made, and hands it out
    _tell_problems(document)
    if dialect.name != NATIVE:
        document["servers"] = [{"url": f"/{dialect.name}"}]
    if dialect.document is not None:
        dialect.document(document)
    app.add_exception_handler(HTTPException, _on_http)
    app.add_exception_handler(RequestValidationError, _on_validation)
    app.add_exception_handler(UnavailableError, _on_unavailable)
    app.add_exception_handler(Exception, _on_failure)
    return app


def _tell_problems(document: dict[str, Any]) -> None:
    """Say that a problem may be answered, in place of FastAPI's own 422, which never is."""
    for path in document["paths"].values():
        for operation in path.values():
            operation["responses"].pop("422", None)
            operation["responses"].setdefault("default", {"description": "A problem"})


async def _on_http(request: Request, error: Exception) -> Response:
    call = call_of(request)
    if not isinstance(error, Problem):
        error = _problem(call, error)
    return call.dialect.render(error, call)


async def _on_validation(request: Request, error: Exception) -> Response:
    call = call_of(request)
    found = error.errors() if isinstance(error, RequestValidationError) else ()
    errors = [FieldError(tuple(each["loc"]), str(each["msg"]), str(each["type"])) for each in found]
    first = errors[0] if errors else FieldError((), "unreadable")
    where = ".".join(str(part) for part in first.location)
    problem = Problem(
        422,
        "invalid_request",
        f"{where}: {first.message}",
        param=str(first.location[-1]) if first.location else None,
        errors=errors,
    )
    return call.dialect.render(problem, call)


async def _on_unavailable(request: Request, error: Exception) -> Response:  # as Starlette calls it
    call = call_of(request)
    return call.dialect.render(unavailable(error), call)


async def _on_failure(request: Request, error: Exception) -> Response:  # noqa: ARG001  # as Starlette calls it; the gate reports the error
    call = call_of(request)
    return call.dialect.render(
        Problem(500, "internal", "something here failed; the server's log has it"), call
    )


def _methods(call: Call) -> set[str]:
    """What the path takes, seen as the longest route there is: an id may hold slashes too."""
    lines = call.dialect.router.at(call.path)
    longest = max((line.path.count("/") for line in lines), default=0)
    return {m for line in lines if line.path.count("/") == longest for m in line.methods}


def _problem(call: Call, error: Exception) -> Problem:
    """One of the framework's own errors in our words."""
    if not isinstance(error, HTTPException):
        return Problem(500, "internal", "something here failed")
    status = error.status_code
    if status == HTTPStatus.NOT_FOUND:
        return Problem(404, "not_found", "there is nothing at this path", resource="path")
    if status == HTTPStatus.METHOD_NOT_ALLOWED:
        allowed = ", ".join(sorted(_methods(call)))
        return Problem(
            405, "method_not_allowed", f"this path takes {allowed}", headers={"allow": allowed}
        )
    code = "internal" if status >= HTTPStatus.INTERNAL_SERVER_ERROR else "invalid_request"
    return Problem(status, code, str(error.detail), headers=error.headers)
