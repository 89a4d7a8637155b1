"""What several rooms' tests need: a server that misbehaves, and processes of their own."""

from __future__ import annotations

import gzip
import importlib.util
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from textwrap import dedent
from typing import Any

import hypothesis
import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

import turnspan
from turnspan import notices

# A test that wants a terminal of some width or colour says so itself.
for name in ("FORCE_COLOR", "NO_COLOR", "COLUMNS", "LINES", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
    os.environ.pop(name, None)

# Nor does one reach its own servers by way of a proxy.
for name in ("http_proxy", "https_proxy", "all_proxy"):
    os.environ.pop(name, None)
    os.environ.pop(name.upper(), None)

# How fast examples are made says something of the machine, nothing of what is tested.
hypothesis.settings.register_profile(
    "steady", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("steady")

LONGEST_S = 240  # for a program that hangs; a busy machine needs a tenth of it
FAULTS = Path(__file__).parent / "faults" / "server.py"
FOREIGN = ("TURNSPAN_", "OTEL_")
SIGNALS: dict[str, Any] = {
    "/v1/traces": ExportTraceServiceRequest,
    "/v1/logs": ExportLogsServiceRequest,
    "/v1/metrics": ExportMetricsServiceRequest,
}


@pytest.fixture
def unconfigured(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """Nothing is configured before a test nor after it, and relative paths are its own."""
    for name in os.environ:
        if name.startswith(FOREIGN):
            monkeypatch.delenv(name)
    monkeypatch.setenv("NO_PROXY", "*")
    monkeypatch.setattr(notices, "_said", {})
    monkeypatch.setattr(notices, "_hide", None)
    monkeypatch.chdir(tmp_path)
    yield
    turnspan.close(0.1)


@pytest.fixture
def turns_api() -> Iterator[Any]:
    """A Turns API on loopback that does as it is told, see `faults/server.py`."""
    spec = importlib.util.spec_from_file_location("turns_api", FAULTS)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # its dataclasses look themselves up there
    spec.loader.exec_module(module)
    with module.FaultServer() as server:
        yield server


class OtlpBackend:
    """An OTLP/HTTP receiver on loopback that keeps what it is sent, signal by signal.

    ``url`` is that of an exporter of ours, ``endpoint`` that of OpenTelemetry's own.
    """

    def __init__(self, endpoint: str) -> None:
        self.endpoint = endpoint
        self.url = f"otlp+{endpoint}"
        self.received = {path: kind() for path, kind in SIGNALS.items()}

    @property
    def spans(self) -> list[Any]:
        """Every span that arrived, in that order."""
        groups = self.received["/v1/traces"].resource_spans
        return [span for group in groups for scope in group.scope_spans for span in scope.spans]

    @property
    def events(self) -> list[Any]:
        """Every log record that arrived, in that order."""
        groups = self.received["/v1/logs"].resource_logs
        return [log for group in groups for scope in group.scope_logs for log in scope.log_records]

    @property
    def metrics(self) -> dict[str, list[Any]]:
        """Every data point that arrived, by the name of its metric."""
        found: dict[str, list[Any]] = {}
        for group in self.received["/v1/metrics"].resource_metrics:
            for metric in (each for scope in group.scope_metrics for each in scope.metrics):
                points = metric.histogram.data_points or metric.sum.data_points
                found.setdefault(metric.name, []).extend(points)
        return found


@pytest.fixture
def otlp() -> Iterator[OtlpBackend]:
    """An OTLP backend on loopback."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            if self.headers["content-encoding"] == "gzip":
                body = gzip.decompress(body)
            with lock:
                backend.received[self.path].MergeFromString(body)
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Quiet."""

    class Server(ThreadingHTTPServer):
        def handle_error(self, *_: object) -> None:
            """A client that hung up is nothing to report here."""

    lock = threading.Lock()
    server = Server(("127.0.0.1", 0), Handler)
    backend = OtlpBackend(f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield backend
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Starts a Python program in a folder of its own, unconfigured but for what is given.

    With ``told`` its standard input is a pipe, over which it can be told to go on.
    """
    started: list[subprocess.Popen[str]] = []

    def start(program: str, *args: str, told: bool = False, **env: str) -> subprocess.Popen[str]:
        path = tmp_path / "program.py"
        path.write_text(dedent(program), encoding="utf-8")
        kept = {k: v for k, v in os.environ.items() if not k.startswith(FOREIGN)}
        started.append(
            subprocess.Popen(
                [sys.executable, "-W", "error", str(path), *args],
                cwd=tmp_path,
                env=kept | {"NO_PROXY": "*", "no_proxy": "*"} | env,
                stdin=subprocess.PIPE if told else subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
        )
        return started[-1]

    yield start
    for process in started:
        with process:  # closes its pipes
            process.kill()


@pytest.fixture
def run(start) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs a Python program to its end, as `start` starts it; answers what it said."""

    def run(program: str, *args: str, **env: str) -> subprocess.CompletedProcess[str]:
        process = start(program, *args, **env)
        out, err = process.communicate(timeout=LONGEST_S)
        assert process.returncode == 0, f"{out}{err}"
        return subprocess.CompletedProcess(process.args, 0, out, err)

    return run
