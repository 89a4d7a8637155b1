"""The HTTP client of exporters and readers: bounded in time, quiet, never raising."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urljoin, urlsplit

from turnspan.exporters._address import origin_of, without_credentials
from turnspan.exporters._answer import Answer
from turnspan.forks import held_off
from turnspan.notices import say

if TYPE_CHECKING:
    import ssl

    import httpcore

    from turnspan.exporters._deadline import DeadlineBackend

__all__ = ["HttpClient"]

MAX_ANSWER_BYTES: Final = 4 * 2**20
MAX_HOPS: Final = 5
KEEP_ALIVE_S: Final = 30.0
FOLLOWED: Final = frozenset({301, 302, 307, 308})
REDIRECTS: Final = FOLLOWED | {300, 303, 304, 305, 306}


@dataclass(frozen=True, slots=True)
class _Request:
    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes = b""
    max_bytes: int = MAX_ANSWER_BYTES
    """How much of the answer is wanted."""


class HttpClient:
    """Speaks with one origin over a connection that is kept. One call at a time.

    - It speaks through httpcore, the transport of httpx, because only there one deadline can
      hold for a whole request; and so that hooks and mocks an application puts on httpx
      do not meet our requests.
    - Proxies of the environment are honoured (`HTTPS_PROXY`, `NO_PROXY`): where one is
      needed, a client that ignores it reaches nothing.
    - A redirect is followed within the origin only: a body and its key go nowhere else.
    - In a forked child the inherited connection is left alone and a new one is opened.
    """

    def __init__(self, *, secret: str | None = None) -> None:
        self._secret = secret
        self._pool: httpcore.ConnectionPool | None = None
        self._backend: DeadlineBackend | None = None
        self._pid = 0
        self._closed = False

    def post(
        self, url: str, body: bytes, headers: Mapping[str, str], *, timeout_s: float
    ) -> Answer:
        """Send ``body``; the answer says by its `cause` where none came in time. Never raises."""
        own = {"content-length": str(len(body))}
        return self._answer(_Request("POST", url, {**headers, **own}, body), timeout_s)

    def get(
        self, url: str, headers: Mapping[str, str], *, timeout_s: float, max_bytes: int
    ) -> Answer:
        """Ask for ``url``; an answer of more than ``max_bytes`` is none. Never raises."""
        answer = self._answer(_Request("GET", url, headers, max_bytes=max_bytes), timeout_s)
        if len(answer.body) > max_bytes:
            return Answer(answer.status, cause=f"the answer has more than {max_bytes} bytes")
        return answer

    def _answer(self, request: _Request, timeout_s: float) -> Answer:
        if self._closed:
            return Answer(cause="the exporter is closed")
        deadline_s = time.monotonic() + timeout_s
        always = {"user-agent": user_agent(), "accept-encoding": "identity"}
        request = replace(request, headers={**always, **request.headers})
        for _ in range(MAX_HOPS):
            answer = self._request(request, deadline_s)
            if answer.cause or answer.status not in REDIRECTS:
                return answer
            target = _target(request.url, answer)
            if target is None or answer.status not in FOLLOWED:
                where = without_credentials(answer.headers.get("location", "")) or "nowhere"
                cause = self._hidden(f"{answer.status}: redirected to {where}")
                return Answer(answer.status, cause=cause)
            request = replace(request, url=target)
        return Answer(cause=f"redirected more than {MAX_HOPS} times")

    def close(self) -> None:
        """Close the connection; every later post is answered with that cause."""
        self._closed = True
        self._drop()

    def _drop(self) -> None:
        pool, self._pool = self._pool, None
        if pool is None or self._pid != os.getpid():
            return
        try:
            pool.close()
        except Exception as exc:  # noqa: BLE001  # border: it is given up either way
            say("http close", "a connection did not close: %s", exc)

    def _request(self, request: _Request, deadline_s: float) -> Answer:
        try:
            pool, backend = self._connected(request.url)
            opened = backend.connections
            backend.at_s = deadline_s
            answer = self._exchange(pool, request)
            reused = backend.connections == opened
            if answer.cause and answer.status is None and reused and _before(deadline_s):
                # A kept connection may have been closed by the other side while it lay idle.
                answer = self._exchange(pool, request)
        except Exception as exc:  # noqa: BLE001  # border: TLS set-up, proxies, foreign code
            answer = Answer(cause=_named(exc))
        if answer.cause:
            answer = Answer(answer.status, headers=answer.headers, cause=self._hidden(answer.cause))
            self._drop()
        elif self._secret and not (request.method == "GET" and answer.accepted):
            body = answer.body.replace(self._secret.encode(), b"[key]")
            answer = Answer(answer.status, body, answer.headers)
        return answer

    def _exchange(self, pool: httpcore.ConnectionPool, request: _Request) -> Answer:
        import httpcore

        status, received = None, {}
        method, url, body = request.method, request.url, request.body
        sent = [*request.headers.items(), ("host", urlsplit(url).netloc)]
        try:
            with _unobserved(), pool.stream(method, url, headers=sent, content=body) as response:
                status = response.status
                received = {
                    k.decode("latin-1").lower(): v.decode("latin-1") for k, v in response.headers
                }
                content = _bounded(response.iter_stream(), request.max_bytes)
            return Answer(status, _plain(content, received, request.max_bytes), received)
        except (httpcore.NetworkError, httpcore.ProtocolError, httpcore.TimeoutException) as exc:
            return Answer(status, headers=received, cause=_named(exc))

    def _connected(self, url: str) -> tuple[httpcore.ConnectionPool, DeadlineBackend]:
        if self._pool is None or self._backend is None or self._pid != os.getpid():
            if self._backend is not None:
                self._backend.hang_up()
            with held_off():
                # Here, for it brings httpcore; idna, because to connect imports it.
                import encodings.idna  # noqa: F401

                from turnspan.exporters._deadline import DeadlineBackend

                self._backend, self._pid = DeadlineBackend(), os.getpid()
                self._pool = _pool(url, self._backend)
        return self._pool, self._backend

    def _hidden(self, text: str) -> str:
        return text.replace(self._secret, "[key]") if self._secret else text


def _before(deadline_s: float) -> bool:
    return time.monotonic() < deadline_s


def user_agent() -> str:
    """How our requests name themselves."""
    from turnspan import __version__

    return f"turnspan/{__version__}"


def _pool(url: str, backend: DeadlineBackend) -> httpcore.ConnectionPool:
    import httpcore

    proxy = _proxy(url)
    options: dict[str, Any] = {
        "max_connections": 1,
        "keepalive_expiry": KEEP_ALIVE_S,
        "network_backend": backend,
        "ssl_context": _tls() if url.startswith("https:") else None,
    }
    if proxy is None:
        return httpcore.ConnectionPool(**options)
    where = urlsplit(proxy)
    auth = (where.username or "", where.password or "") if where.username else None
    return httpcore.HTTPProxy(without_credentials(proxy), proxy_auth=auth, **options)


def _proxy(url: str) -> str | None:
    # Here, for it brings http.client and email. Only the environment is asked: what macOS
    # keeps in its settings cannot be read safely in a forked child, and `proxy_bypass` looks
    # there where the environment is silent.
    from urllib.request import getproxies_environment, proxy_bypass

    parts = urlsplit(url)
    proxies = getproxies_environment()
    if not proxies or proxy_bypass(parts.netloc):
        return None
    proxy = proxies.get(parts.scheme) or proxies.get("all")
    return proxy if not proxy or "://" in proxy else f"http://{proxy}"


def _tls() -> ssl.SSLContext:
    """The system's authorities, certifi's beside them unless `SSL_CERT_*` chose others."""
    import ssl

    context = ssl.create_default_context()
    if not (os.environ.get("SSL_CERT_FILE") or os.environ.get("SSL_CERT_DIR")):
        import certifi

        context.load_verify_locations(certifi.where())
    return context


@contextmanager
def _unobserved() -> Iterator[None]:
    """Ask OpenTelemetry's instrumentations to let our own request pass unrecorded."""
    from opentelemetry import context

    quiet = context.get_current()
    for name in ("suppress_instrumentation", "suppress_http_instrumentation"):
        quiet = context.set_value(name, True, quiet)
        key = getattr(context, f"_{name.upper()}_KEY", None)
        quiet = context.set_value(key, True, quiet) if key else quiet
    token = context.attach(quiet)
    try:
        yield
    finally:
        context.detach(token)


def _target(url: str, answer: Answer) -> str | None:
    """Where a redirect leads, if it stays within the origin of ``url``."""
    location = answer.headers.get("location", "")
    try:
        target = urljoin(url, location)
        return target if location and origin_of(url) == origin_of(target) else None
    except ValueError:
        return None


def _bounded(chunks: Any, max_bytes: int) -> bytes:
    """The body, as far as anybody would want to read it."""
    kept, size_bytes = [], 0
    for chunk in chunks:
        kept.append(chunk)
        size_bytes += len(chunk)
        if size_bytes > max_bytes:
            break
    return b"".join(kept)


def _plain(body: bytes, headers: Mapping[str, str], max_bytes: int) -> bytes:
    if headers.get("content-encoding", "").lower() not in {"gzip", "deflate"}:
        return body
    import zlib

    try:
        return zlib.decompressobj(wbits=47).decompress(body, max_bytes + 1)
    except zlib.error:
        return b""


def _named(exc: Exception) -> str:
    told = str(exc)
    return f"{type(exc).__name__}: {told}" if told else type(exc).__name__
