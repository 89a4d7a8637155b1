"""What the application's meter provider is told of recording and delivery."""

import json

import pytest

PROGRAM = """
    import json, os, sys, time
    import turnspan
    from opentelemetry import metrics
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import InMemoryMetricReader

    @turnspan.agent
    def ask(question):
        return question

    reader = InMemoryMetricReader()

    def provide():
        metrics.set_meter_provider(MeterProvider(metric_readers=[reader]))

    def configure(**settings):
        turnspan.configure(exporters=sys.argv[1:], directory="journal", **settings)

    def collected():
        data = reader.get_metrics_data()
        found = {}
        for resource in data.resource_metrics if data else ():
            for scope in resource.scope_metrics:
                if scope.scope.name != "turnspan":
                    continue
                for metric in scope.metrics:
                    if metric.name.startswith("gen_ai."):
                        continue  # what turns measure, which is another matter
                    points = [
                        [dict(point.attributes), getattr(point, "value", None)
                         if not hasattr(point, "count") else point.count]
                        for point in metric.data.data_points
                    ]
                    found[metric.name] = [metric.unit, type(metric.data).__name__, points]
        return found

    def record(count):
        for number in range(count):
            ask(str(number))
"""
IN_ANY_ORDER = {
    "the provider first": "provide(); configure(); record(5)",
    "the provider last": "configure(); record(5); provide()",
    "configured by the first call": (
        "os.environ.update(TURNSPAN_EXPORTERS=sys.argv[1], TURNSPAN_DIR='journal'); "
        "provide(); record(5)"
    ),
}

# A delivery is timed a moment after the flush that waited for it is over.
DELIVERED = """turnspan.flush(60)
    while "turnspan.exporter.delivery.duration" not in collected():
        time.sleep(0.01)"""


def told(run, setting, *exporters, **env):
    done = run(f"{PROGRAM}\n    {setting}\n    print(json.dumps(collected()))", *exporters, **env)
    assert done.stderr == ""
    return json.loads(done.stdout)


@pytest.mark.parametrize("order", IN_ANY_ORDER)
def test_the_provider_may_be_set_before_or_after(run, turns_api, order):
    """Every instrument has its name, unit and kind, and the figures are those of `health()`."""
    metrics = told(run, f"{IN_ANY_ORDER[order]}; {DELIVERED}", turns_api.url)
    size = metrics.pop("turnspan.journal.size")
    unit, kind, [[of, batches]] = metrics.pop("turnspan.exporter.delivery.duration")
    to = {"turnspan.exporter.name": turns_api.url}

    assert size[:2] == ["By", "Sum"]
    assert size[2][0][1] > 1000
    assert (unit, kind, of) == ("s", "Histogram", to)
    assert 1 <= batches <= 5
    assert metrics == {
        "turnspan.turn.recorded": ["{turn}", "Sum", [[{}, 5]]],
        "turnspan.exporter.turn.delivered": ["{turn}", "Sum", [[to, 5]]],
        "turnspan.exporter.turn.refused": ["{turn}", "Sum", [[to, 0]]],
        "turnspan.exporter.turn.unsent": ["{turn}", "Sum", [[to, 0]]],
    }


def test_what_waits_and_what_is_lost_is_told(run, turns_api):
    """The oldest unsent turn has an age, and each reason of a loss a count of its own."""
    turns_api.be("down")
    setting = "import logging; logging.disable(); provide(); turnspan.configure("
    setting += "exporters=sys.argv[1:], directory=None, ring_bytes=4096); record(100)"
    metrics = told(run, setting, turns_api.url)
    to = {"turnspan.exporter.name": turns_api.url}
    ((_, age_s),) = metrics["turnspan.exporter.unsent.age"][2]
    ((_, waiting),) = metrics["turnspan.exporter.turn.unsent"][2]

    assert metrics["turnspan.turn.dropped"] == [
        "{turn}", "Sum", [[{"error.type": "ring_full"}, 100 - waiting]]
    ]  # fmt: skip
    assert 0 < waiting < 100
    assert 0 <= age_s < 60
    assert metrics["turnspan.exporter.turn.delivered"][2] == [[to, 0]]
    assert "turnspan.journal.size" not in metrics


def test_configuring_again_makes_no_instrument_twice(run, turns_api):
    """There is one set of them a process, which tells of the runtime there is."""
    setting = "provide(); configure(); record(3); configure(); record(2); turnspan.flush()"
    metrics = told(run, setting, turns_api.url)

    assert metrics["turnspan.turn.recorded"] == ["{turn}", "Sum", [[{}, 2]]]


@pytest.mark.parametrize("off", ["OTEL_SDK_DISABLED", "TURNSPAN_DISABLED"])
def test_switched_off_there_are_no_metrics(run, turns_api, off):
    """Turns are recorded without OpenTelemetry's SDK; without turnspan, nothing is."""
    assert told(run, "provide(); configure(); record(1)", turns_api.url, **{off: "true"}) == {}


def test_after_closing_nothing_is_told(run, turns_api):
    """Nobody records any more: there is no figure to show."""
    setting = "provide(); configure(); record(1); turnspan.close(); reader.get_metrics_data()"
    metrics = told(run, setting, turns_api.url)

    assert metrics.keys() <= {"turnspan.exporter.delivery.duration"}


def test_no_provider_of_ours_is_set(run):
    """What is global belongs to the application."""
    program = (
        f"{PROGRAM}\n    configure(); record(1)\n    metrics.set_meter_provider(MeterProvider())"
    )

    assert run(program).stderr == ""
