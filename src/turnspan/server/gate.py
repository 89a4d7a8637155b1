"""The gate: everything that is asked of a request before a route sees it.

In this order, and in the words of the dialect whose path it is: a path that can be read, a head
that is not too long, a host that is ours (without keys), a key, a token of that key, room, a
body that arrives in time and is not too long. On the way out every answer gets its request id,
the dialect's own headers, and a line in the access log.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qsl, unquote_to_bytes

from starlette.datastructures import MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from turnspan.notices import say
from turnspan.server.body import decoded, received
from turnspan.server.call import SCOPE, Access, Call
from turnspan.server.dialect import NATIVE, Dialect, RequestLine
from turnspan.server.keyring import KeyRing
from turnspan.server.limits import TokenBuckets
from turnspan.server.problem import Problem, problem_details, unavailable
from turnspan.server.store.port import UnavailableError

if TYPE_CHECKING:
    from turnspan.server.access_log import AccessLog
    from turnspan.server.app import Parts

__all__ = ["Gate"]

SECURITY: Final = {
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
    "cache-control": "no-store",
}
LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "[::1]"})


class Gate:
    """Lets requests through to the dialects' applications."""

    def __init__(
        self,
        parts: Parts,
        dialects: Mapping[str, Dialect],
        apps: Mapping[str, ASGIApp],
        log: AccessLog,
    ) -> None:
        self._parts = parts
        self._dialects = dialects
        self._apps = apps
        self._log = log
        self._keys = KeyRing(parts.store, parts.clock)
        self._buckets = TokenBuckets(parts.limits, parts.clock)
        self._working = 0  # requests that were let in

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request. Never raises, but when the client is gone."""
        call = self._call(scope)
        answer = _Answer(call, send, self._log)
        try:
            problem = await self._answered(call, scope, receive, answer)
            if problem is not None and not answer.has_begun:
                await _rendered(problem, call)(scope, receive, answer.send)
        except Exception as error:  # noqa: BLE001  # border: the connection ends, the server does not
            _report(error)
        finally:
            answer.done()

    async def _answered(
        self, call: Call, scope: Scope, receive: Receive, answer: _Answer
    ) -> Problem | None:
        """Have the request answered, or say why it was not."""
        try:
            async with asyncio.timeout(self._parts.limits.receive_s * 2) as deadline:
                answer.deadline = deadline
                await self._let_in(call, scope, receive, answer)
        except Problem as problem:
            return problem
        except TimeoutError:
            return Problem(503, "timeout", "the answer took too long", retry_after_s=1.0)
        except UnavailableError as error:
            return unavailable(error)
        except Exception as error:  # noqa: BLE001  # border: our failure is no traceback of theirs
            _report(error)
            return Problem(500, "internal", "something here failed; the server's log has it")
        finally:
            answer.deadline = None
        return None

    def _call(self, scope: Scope) -> Call:
        headers = {k.decode("latin-1"): v.decode("latin-1") for k, v in scope["headers"]}
        path = scope.get("raw_path", scope["path"].encode()).decode("latin-1")
        query = scope["query_string"].decode("latin-1")
        names = frozenset(name for name, _ in parse_qsl(query, keep_blank_values=True))
        line = RequestLine(scope["method"], path, headers, names)
        dialect, path = self._dialect(line)
        return Call(
            request_id=self._parts.ids.ulid(),
            dialect=dialect,
            clock=self._parts.clock,
            ids=self._parts.ids,
            limits=self._parts.limits,
            storage=self._parts.store,
            method=scope["method"],
            path=path,
            query=scope["query_string"],
            headers=headers,
        )

    def _dialect(self, line: RequestLine) -> tuple[Dialect, str]:
        """Whose request it is, and its path without the prefix."""
        first, slash, rest = line.path[1:].partition("/")
        if slash and first in self._dialects:
            return self._dialects[first], f"/{rest}"
        for dialect in self._dialects.values():
            if dialect.claims(line):
                return dialect, line.path
        return self._dialects[NATIVE], line.path

    async def _let_in(self, call: Call, scope: Scope, receive: Receive, answer: _Answer) -> None:
        limits = self._parts.limits
        _check_head(call, scope, limits.path_bytes, limits.header_bytes)
        if call.path not in call.dialect.public:
            call.access = await self._access(call)
            call.allowance = self._buckets.take(call.access.key_id or "")
            _check_allowance(call)
        if self._working >= limits.concurrency and not _is_probe(call):
            raise Problem(503, "unavailable", "too many requests at once", retry_after_s=1.0)
        self._working += 1
        try:
            await self._work(call, scope, receive, answer)
        finally:
            self._working -= 1

    async def _work(self, call: Call, scope: Scope, receive: Receive, answer: _Answer) -> None:
        limits = self._parts.limits
        max_bytes = min(limits.body_bytes, call.dialect.max_body_bytes or limits.body_bytes)
        body = await received(receive, call.headers, max_bytes=max_bytes, within_s=limits.receive_s)
        call.body = await decoded(body, call.headers, max_bytes=max_bytes)
        answer.begin_within(limits.request_s)
        app = self._apps[call.dialect.name]
        await app(_scope(scope, call), _Replay(call.body, receive), answer.send)

    async def _access(self, call: Call) -> Access:
        """Who asks.

        Raises:
            Problem: nobody whom we know.
        """
        if await self._keys.is_empty():
            _check_local(call.headers)
            return Access(project="default", scopes=frozenset({"read", "write", "admin"}))
        secret = _secret(call.headers)
        key = await self._keys.find(secret) if secret else None
        if key is None:
            said = "this API key is not known" if secret else "this needs an API key"
            raise Problem(
                401,
                "unauthenticated",
                said,
                headers={"www-authenticate": 'Bearer realm="turnspan"'},
            )
        return Access(key.project, key.scopes, key.id, key.name)


class _Answer:
    """An answer on its way out."""

    def __init__(self, call: Call, send: Send, log: AccessLog) -> None:
        self._call = call
        self._send = send
        self._log = log
        self._began_ns = call.clock.monotonic_ns()
        self._status = 0
        self._size = 0
        self.deadline: asyncio.Timeout | None = None

    @property
    def has_begun(self) -> bool:
        """Whether the client has heard anything of it."""
        return self._status != 0

    def begin_within(self, wait_s: float) -> None:
        """It must begin in time; a long export may then take its own."""
        if self.deadline is not None:
            self.deadline.reschedule(asyncio.get_running_loop().time() + wait_s)

    async def send(self, message: Message) -> None:
        """Pass on one message of the answer."""
        if message["type"] == "http.response.start":
            self._begin(message)
        self._size += len(message.get("body", b""))
        await self._send(message)

    def done(self) -> None:
        """Write the line in the log."""
        took_ns = self._call.clock.monotonic_ns() - self._began_ns
        self._log.write(self._call, status=self._status, size=self._size, took_ns=took_ns)

    def _begin(self, message: Message) -> None:
        self._status = message["status"]
        if self.deadline is not None and not self.deadline.expired():
            self.deadline.reschedule(None)
        headers = MutableHeaders(scope=message)
        for name, value in SECURITY.items():
            headers.setdefault(name, value)
        headers["x-request-id"] = self._call.request_id
        for name, value in self._call.dialect.headers(self._call, self._status).items():
            headers[name] = value


def _rendered(problem: Problem, call: Call) -> Response:
    """``problem`` in the dialect's words, or in ours where those fail."""
    try:
        return call.dialect.render(problem, call)
    except Exception as error:  # noqa: BLE001  # border: a dialect's code
        _report(error)
        return problem_details(problem, call.request_id)


class _Replay:
    """Gives a body that was read already, then what else the client says."""

    def __init__(self, body: bytes, receive: Receive) -> None:
        self._body: bytes | None = body
        self._receive = receive

    async def __call__(self) -> Message:
        body, self._body = self._body, None
        if body is None:
            return await self._receive()
        return {"type": "http.request", "body": body, "more_body": False}


def _scope(scope: Scope, call: Call) -> Scope:
    """``scope`` with the path still encoded, so that `%2F` in an id is no slash."""
    kept = [
        (name, value)
        for name, value in scope["headers"]
        if name not in {b"content-encoding", b"content-length", b"transfer-encoding"}
    ]
    kept.append((b"content-length", str(len(call.body)).encode()))
    method = "GET" if _is_probe(call) and call.method == "HEAD" else call.method
    return {**scope, "method": method, "path": call.path, "headers": kept, SCOPE: call}


def _is_probe(call: Call) -> bool:
    """Whether it asks for no work: a full server lives, and says so."""
    sized = call.headers.get("content-length", "0") != "0"
    is_bare = not sized and "transfer-encoding" not in call.headers
    return is_bare and call.path in call.dialect.public


def _check_head(call: Call, scope: Scope, path_bytes: int, header_bytes: int) -> None:
    path, query = call.path.encode("latin-1"), call.query
    if not call.path.startswith("/"):
        raise Problem(400, "invalid_request", "a path begins with a slash")
    if len(path) + len(query) > path_bytes:
        raise Problem(414, "invalid_request", f"a path and its query may have {path_bytes} bytes")
    if sum(len(name) + len(value) + 4 for name, value in scope["headers"]) > header_bytes:
        raise Problem(431, "too_large", f"the headers may have {header_bytes} bytes")
    try:
        unquote_to_bytes(path).decode()
        unquote_to_bytes(query).decode()
    except UnicodeDecodeError:
        raise Problem(400, "invalid_request", "the path is not UTF-8") from None


def _check_allowance(call: Call) -> None:
    allowance = call.allowance
    if allowance is not None and allowance.retry_after_s is not None:
        wait_s = allowance.retry_after_s
        raise Problem(
            429,
            "rate_limited",
            f"too many requests; try again in {max(1, round(wait_s))} s",
            retry_after_s=wait_s,
        )


def _check_local(headers: Mapping[str, str]) -> None:
    """Without keys, only programs of this machine are answered: no page in a browser.

    Raises:
        Problem: the request was made for another host's name, or by another site's page.
    """
    host = headers.get("host", "").lower()
    name = host.rpartition(":")[0] if ":" in host.rpartition("]")[2] else host
    origin = headers.get("origin", "")
    if name not in LOOPBACK or (origin and origin.partition("://")[2] != host):
        raise Problem(403, "forbidden", "a server without keys answers this machine only")


def _secret(headers: Mapping[str, str]) -> str:
    """The key of a request: `Authorization: Bearer`, or `X-API-Key`."""
    scheme, _, given = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and given.strip():
        return given.strip()
    return headers.get("x-api-key", "").strip()


def _report(error: Exception) -> None:
    """Say that something failed, and where; its message may hold content and is left out."""
    at: Any = error.__traceback__
    while at is not None and at.tb_next is not None:
        at = at.tb_next
    where = f"{at.tb_frame.f_code.co_filename}:{at.tb_lineno}" if at is not None else "?"
    say(
        f"server {type(error).__name__} {where}",
        "a request failed: %s at %s",
        type(error).__qualname__,
        where,
        level=40,
    )
