"""What turns measure reaches an OTLP backend, and a backend without metrics is left alone."""

import gzip
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

from turnspan import notices
from turnspan.exporters._otlp_metrics import OtlpMetrics
from turnspan.exporters._otlp_signal import Signal
from turnspan.exporters.otlp import from_url
from turnspan.settings import Settings

TURN = {
    "id": "turn_000000000001",
    "agent": {"name": "clerk"},
    "started_at": 0,
    "ended_at": 250_000_000,
    "trace": {"trace_id": "1" * 32, "span_id": "2" * 16},
}
DELTA = {"OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE": "delta"}


class Backend:
    """An OTLP receiver of metrics that answers with ``status``."""

    def __init__(self, url):
        self.url = url
        self.status = 200
        self.paths = []
        self.requests = []

    def points(self, name="gen_ai.invoke_agent.duration"):
        """Count and start of each point under ``name``, request by request."""
        return [
            (point.count, point.start_time_unix_nano)
            for request in self.requests
            for metric in request.resource_metrics[0].scope_metrics[0].metrics
            if metric.name == name
            for point in metric.histogram.data_points
        ]


@pytest.fixture
def backend():
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = gzip.decompress(self.rfile.read(int(self.headers["content-length"])))
            found.paths.append((self.path, self.headers.get("x-team")))
            found.requests.append(ExportMetricsServiceRequest.FromString(body))
            self.send_response(found.status)
            self.end_headers()

        def log_message(self, *args):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    found = Backend(f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield found
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def sink(backend, monkeypatch):
    """Makes a sink on the backend; its clock counts 1, 2, 3."""
    monkeypatch.setattr(notices, "_said", {})
    signals = []

    def make(**environ):
        ticks = iter(range(1, 100))
        signals.append(Signal("backend", f"{backend.url}/v1/metrics", key=None, headers={}))
        return OtlpMetrics(signals[-1], "backend", {}, environ, now_ns=lambda: next(ticks))

    yield make
    for signal in signals:
        signal.close()


def test_sums_grow_until_the_end_and_are_sent_only_with_news(backend, sink):
    """Cumulative, as OTLP backends expect; nothing new, no request."""
    metrics = sink()
    for turns in (1, 0, 2):
        for _ in range(turns):
            metrics.record(TURN)
        metrics.send(timeout_s=5)

    assert backend.points() == [(1, 1), (3, 1)]


def test_with_delta_each_request_tells_what_came_since_the_last(backend, sink):
    """As the variable asks, and a new start for each."""
    metrics = sink(**DELTA)
    for _ in range(2):
        metrics.record(TURN)
        metrics.send(timeout_s=5)

    assert backend.points() == [(1, 1), (1, 2)]


def test_what_was_not_taken_goes_with_the_next_request(backend, sink, caplog):
    """With delta too: a backend that was down loses nothing."""
    metrics = sink(**DELTA)
    backend.status = 503
    metrics.record(TURN)
    with caplog.at_level("INFO", "turnspan"):
        metrics.send(timeout_s=5)
    backend.status = 200
    metrics.record(TURN)
    metrics.send(timeout_s=5)

    assert backend.points() == [(1, 1), (2, 1)]
    assert caplog.messages == ["metrics wait for backend: 503 Service Unavailable"]


@pytest.mark.parametrize("status", [404, 405, 501])
def test_a_backend_without_metrics_is_asked_once(backend, sink, caplog, status):
    """It is said once, and nothing is added up any more."""
    metrics = sink()
    backend.status = status
    with caplog.at_level("INFO", "turnspan"):
        for _ in range(2):
            metrics.record(TURN)
            metrics.send(timeout_s=5)

    [message] = caplog.messages
    assert len(backend.requests) == 1
    assert message.startswith(f"backend takes no metrics ({status} ")


def test_an_unknown_temporality_is_said_and_passed_over(backend, sink, caplog):
    """It is OpenTelemetry's variable: the default holds."""
    metrics = sink(OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE="sometimes")
    for _ in range(2):
        metrics.record(TURN)
        metrics.send(timeout_s=5)

    assert backend.points() == [(1, 1), (2, 1)]
    assert "TEMPORALITY_PREFERENCE='sometimes'" in caplog.text


@pytest.mark.parametrize(
    "url, environ, path, team",
    [
        ("otlp+{}/base", {}, "/base/v1/metrics", None),
        (
            "otlp:",
            {
                "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1",
                "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": "{}/v1/metrics",
                "OTEL_EXPORTER_OTLP_METRICS_HEADERS": "x-team=blue",
            },
            "/v1/metrics",
            "blue",
        ),
    ],
)
def test_metrics_go_beside_the_spans_or_where_their_variables_say(
    backend, monkeypatch, url, environ, path, team
):
    """`/v1/metrics` of the same base; endpoint and headers of their own where set."""
    for name, value in environ.items():
        monkeypatch.setenv(name, value.format(backend.url))
    exporter = from_url(url.format(backend.url), settings=Settings())
    metrics = exporter.metric_sink({"service.name": "shop"})
    metrics.record(TURN)
    metrics.send(timeout_s=5)
    exporter.close(timeout_s=1)
    [request] = backend.requests
    resource = {
        each.key: each.value.string_value
        for each in request.resource_metrics[0].resource.attributes
    }

    assert backend.paths == [(path, team)]
    assert (resource["service.name"], resource["telemetry.sdk.name"]) == ("shop", "turnspan")
