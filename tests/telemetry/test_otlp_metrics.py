"""Metrics on the wire are what OpenTelemetry's SDK and encoder make of the same turns."""

import pytest
from opentelemetry.exporter.otlp.proto.common.metrics_encoder import encode_metrics
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.sdk.metrics import AlwaysOnExemplarFilter, Counter, Histogram, MeterProvider
from opentelemetry.sdk.metrics.export import AggregationTemporality, InMemoryMetricReader
from opentelemetry.sdk.resources import Resource

from turnspan.telemetry import aggregation
from turnspan.telemetry.aggregation import Aggregation
from turnspan.telemetry.application_metrics import ApplicationMetrics
from turnspan.telemetry.otlp_metrics import metrics_request
from turnspan.telemetry.resource import with_sdk

RESOURCE = {"service.name": "tests", "replicas": 3}
START, NOW = 1_000, 2_000


@pytest.fixture
def turns(wire, steps):
    """Turns that differ in agents, models, outcome and length."""
    error = {"type": "ValueError"}
    return [
        wire(),
        wire(agent={"name": "other"}, ended_at=1_700_000_900_000_000_000),
        wire(steps=[steps.model(first_chunk_at=1_700_000_000_000_000_300), steps.tool()] * 3),
        wire(status="error", error=error, steps=[steps.tool(status="error", error=error)]),
    ]


@pytest.fixture
def official(monkeypatch):
    """What SDK and encoder make of turns that went through the application's provider."""

    def encode(turns, temporality):
        kinds = dict.fromkeys((Counter, Histogram), temporality)
        reader = InMemoryMetricReader(preferred_temporality=kinds)
        provider = MeterProvider(
            metric_readers=[reader],
            resource=Resource(with_sdk(RESOURCE)),
            exemplar_filter=AlwaysOnExemplarFilter(),
            shutdown_on_exit=False,
        )
        monkeypatch.setattr("opentelemetry.metrics.get_meter", provider.get_meter)
        told = ApplicationMetrics()
        for turn in turns:
            told.record(turn)
        request = encode_metrics(reader.get_metrics_data())
        provider.shutdown()
        return request

    return encode


def timeless(request):
    """``request`` in one order, without times that are each maker's own, nor exemplars' times."""
    for group in request.resource_metrics:
        group.resource.attributes.sort(key=lambda each: each.key)
        for scope in group.scope_metrics:
            scope.metrics.sort(key=lambda each: each.name)
            for metric in scope.metrics:
                for point in metric.histogram.data_points or metric.sum.data_points:
                    point.ClearField("start_time_unix_nano")
                    point.ClearField("time_unix_nano")
                    for exemplar in point.exemplars:
                        exemplar.ClearField("time_unix_nano")
                    point.attributes.sort(key=lambda each: each.key)
                    if metric.HasField("sum"):
                        del point.exemplars[:]  # the SDK keeps another choice of them
    return request


@pytest.mark.parametrize("delta", [False, True])
def test_our_bytes_say_what_the_official_encoder_says(turns, official, delta):
    """Names, buckets, sums, extremes, exemplars, temporality, scope and resource are equal."""
    found = Aggregation(START, exemplars="always_on")
    for turn in turns:
        found.record(turn)
    ours = ExportMetricsServiceRequest.FromString(
        metrics_request(found, RESOURCE, NOW, delta=delta)
    )
    kind = AggregationTemporality.DELTA if delta else AggregationTemporality.CUMULATIVE

    assert timeless(ours) == timeless(official(turns, kind))


def points_of(found):
    request = ExportMetricsServiceRequest.FromString(
        metrics_request(found, RESOURCE, NOW, delta=False)
    )
    metrics = request.resource_metrics[0].scope_metrics[0].metrics
    return {m.name: list(m.histogram.data_points or m.sum.data_points) for m in metrics}


def test_every_point_says_since_when_it_counts(turns):
    """Start and time of all points are those of the aggregation and of the request."""
    found = Aggregation(START)
    found.record(turns[0])
    points = points_of(found)

    assert {(p.start_time_unix_nano, p.time_unix_nano) for ps in points.values() for p in ps} == {
        (START, NOW)
    }


def test_of_nothing_there_is_no_request(turns):
    """Before the first turn, and after a restart."""
    found = Aggregation(START)
    empty = metrics_request(found, RESOURCE, NOW, delta=True)
    found.record(turns[0])
    found.restart(NOW)

    assert (empty, metrics_request(found, RESOURCE, NOW, delta=True)) == (b"", b"")


@pytest.mark.parametrize(
    "exemplars, flags, shown",
    [
        ("trace_based", 1, True),
        ("trace_based", 0, False),
        ("always_on", 0, True),
        ("always_off", 1, False),
    ],
)
def test_exemplars_are_of_spans_that_can_be_looked_up(wire, exemplars, flags, shown):
    """A sampled span is shown by default, with its ids; an unsampled one is not."""
    turn = wire()
    turn["trace"]["flags"] = flags
    found = Aggregation(START, exemplars=exemplars)
    found.record(turn)
    ids = {
        (e.trace_id.hex(), e.span_id.hex())
        for p in points_of(found)["gen_ai.execute_tool.duration"]
        for e in p.exemplars
    }

    assert ids == ({(turn["trace"]["trace_id"], "c" * 16)} if shown else set())


def test_attributes_without_bound_end_in_one_overflowing_point(wire, monkeypatch):
    """As the SDK's cardinality limit has it: nothing is lost from the sums."""
    monkeypatch.setattr(aggregation, "MOST_POINTS", 3)
    found = Aggregation(START)
    for number in range(5):
        found.record(wire(agent={"name": f"agent-{number}"}, steps=None))
    points = points_of(found)["gen_ai.invoke_agent.duration"]
    told = [(p.count, p.attributes[0].key) for p in points]

    assert told == [
        (1, "gen_ai.agent.name"),
        (1, "gen_ai.agent.name"),
        (3, "otel.metric.overflow"),
    ]
