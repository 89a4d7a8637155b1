"""What spans say of their process."""

import sys
from pathlib import Path

import pytest
from opentelemetry.sdk.resources import Resource

from turnspan import __version__, notices
from turnspan.settings import Settings
from turnspan.telemetry.limits import SpanLimits
from turnspan.telemetry.resource import detect_resource, with_sdk

SDK = {
    "telemetry.sdk.language": "python",
    "telemetry.sdk.name": "turnspan",
    "telemetry.sdk.version": __version__,
}


@pytest.fixture(autouse=True)
def heard(monkeypatch):
    monkeypatch.setattr(notices, "_said", {})


@pytest.mark.parametrize(
    "name, environ, expected",
    [
        (None, {}, f"unknown_service:{Path(sys.executable).name}"),
        ("set", {"OTEL_SERVICE_NAME": "env"}, "set"),
        (None, {"OTEL_SERVICE_NAME": "env", "OTEL_RESOURCE_ATTRIBUTES": "service.name=a"}, "env"),
        (None, {"OTEL_RESOURCE_ATTRIBUTES": "service.name=a"}, "a"),
    ],
)
def test_the_service_has_the_name_that_stands_nearest(name, environ, expected):
    """Setting, then variable, then resource attributes, then the program."""
    resource = detect_resource(Settings(service_name=name), environ)

    assert resource == {"service.name": expected}


def test_resource_attributes_are_read_as_the_sdk_reads_them(monkeypatch):
    """Pairs are trimmed and percent-decoded; a value may hold an equals sign."""
    text = " service.name = shop , team=caf%C3%A9%2C%20bar,empty=,k=a=b,"
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", text.strip(","))
    theirs = dict(Resource.create().attributes)
    theirs.pop("service.instance.id", None)  # the SDK's own addition, new in each process
    for key in SDK:
        del theirs[key]
    ours = detect_resource(Settings(), {"OTEL_RESOURCE_ATTRIBUTES": text})

    assert ours == theirs


@pytest.mark.parametrize("text", ["a=1,b", "a=%FF", "=1", "a=1,%FF=2"])
def test_a_variable_that_cannot_be_read_is_passed_over_whole(text, caplog):
    """One bad pair spoils the variable, as the specification has it, and is said."""
    resource = detect_resource(Settings(service_name="s"), {"OTEL_RESOURCE_ATTRIBUTES": text})

    assert resource == {"service.name": "s"}
    assert "OTEL_RESOURCE_ATTRIBUTES" in caplog.text


def test_the_detectors_of_the_sdk_run_when_they_are_asked_for(monkeypatch):
    """Facts of the process come from the SDK's detector; that it made our spans does not."""
    monkeypatch.setenv("OTEL_EXPERIMENTAL_RESOURCE_DETECTORS", "process")
    environ = {"OTEL_EXPERIMENTAL_RESOURCE_DETECTORS": "process"}
    resource = detect_resource(Settings(), environ)

    assert resource["process.runtime.name"] == sys.implementation.name
    assert SDK.keys().isdisjoint(resource)
    assert resource["service.name"].startswith("unknown_service")


def test_the_sdk_is_told_where_nobody_told_it():
    """OTLP names turnspan as the maker of its spans, unless the resource names another."""
    resource = {"service.name": "s", "telemetry.sdk.version": "mine"}

    assert with_sdk({"service.name": "s"}) == {**SDK, "service.name": "s"}
    assert with_sdk(resource) == {**SDK, **resource}


def test_limits_fall_back_from_the_special_to_the_general():
    """A span's own limit wins over the general one, it over the default; `unset` is no limit."""
    limits = SpanLimits.read(
        {
            "OTEL_ATTRIBUTE_COUNT_LIMIT": "10",
            "OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT": "unset",
            "OTEL_LINK_ATTRIBUTE_COUNT_LIMIT": "3",
            "OTEL_SPAN_EVENT_COUNT_LIMIT": "0",
            "OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT": " 99 ",
        }
    )

    assert SpanLimits.read({}) == SpanLimits()
    assert limits == SpanLimits(
        attributes=None,
        events=0,
        event_attributes=10,
        link_attributes=3,
        value_chars=99,
        span_value_chars=99,
    )


@pytest.mark.parametrize("text", ["-1", "many", "1.5", "9" * 30])
def test_a_limit_that_is_no_count_is_said_and_passed_over(text, caplog):
    """The warning names the variable and its value; the default holds."""
    found = SpanLimits.read({"OTEL_SPAN_LINK_COUNT_LIMIT": text})

    assert found == SpanLimits()
    assert [f"OTEL_SPAN_LINK_COUNT_LIMIT='{text}'" in r.getMessage() for r in caplog.records] == [
        True
    ]
