"""Who makes the spans is decided at each turn, and content with it."""

import logging

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider

from turnspan import notices
from turnspan.errors import SettingsError
from turnspan.settings import Settings
from turnspan.telemetry.auto import AutoSpans, check, span_source
from turnspan.telemetry.live import LiveSpans
from turnspan.telemetry.off import OffSpans
from turnspan.telemetry.own import OwnSpans
from turnspan.telemetry.span_content import VARIABLE, content_on_spans


def turn(source):
    return source.start("turn", "a", 1, None, "s", None, "a", False)


@pytest.fixture(autouse=True)
def unset(monkeypatch):
    monkeypatch.setattr(trace, "_TRACER_PROVIDER", None)
    monkeypatch.setattr(notices, "_said", {})


@pytest.mark.parametrize(
    "given, environ, otlp, expected",
    [
        ({}, {}, False, AutoSpans),
        ({}, {}, True, OwnSpans),
        ({"spans": "own"}, {}, False, OwnSpans),
        ({"spans": "live"}, {}, False, LiveSpans),
        ({}, {"OTEL_SDK_DISABLED": " True "}, False, OffSpans),
        ({"spans": "own"}, {"OTEL_SDK_DISABLED": "true"}, True, OffSpans),
        ({}, {"OTEL_SDK_DISABLED": "1"}, True, OwnSpans),
    ],
)
def test_the_settings_choose_who_makes_the_spans(given, environ, otlp, expected, ids):
    """An OTLP exporter or `own` is own, the SDK switched off is off, else it is seen later."""
    source = span_source(Settings(**given), environ, ids=ids, otlp=otlp)

    assert type(source) is expected


def test_a_provider_may_come_after_us(ids, make_global):
    """Each turn looks anew; its steps go where it went, also when a provider came meanwhile."""
    source = span_source(Settings(), {}, ids=ids, otlp=False)
    first = turn(source)
    exporter = make_global()
    step = source.start("tool", "t", 2, first, "s", None, "a", False)
    second = turn(source)
    inner = source.start("tool", "t", 2, second, "s", None, "a", False)
    for span in (step, first, inner, second):
        source.end(span, {"ended_at": 3})

    assert [span.mode for span in (first, step, second, inner)] == ["own", "own", "live", "live"]
    assert [s.name for s in exporter.get_finished_spans()] == ["execute_tool t", "invoke_agent a"]


def test_a_proxy_is_no_provider(ids, monkeypatch):
    """OpenTelemetry's own stand-in for a missing provider does not make turns live."""
    source = span_source(Settings(), {}, ids=ids, otlp=False)
    monkeypatch.setattr(trace, "_TRACER_PROVIDER", trace.ProxyTracerProvider())

    assert turn(source).mode == "own"


def test_without_the_private_name_the_public_one_serves(ids, monkeypatch):
    """A release of OpenTelemetry that renames its global changes nothing."""
    provider = TracerProvider(shutdown_on_exit=False)
    source = span_source(Settings(), {}, ids=ids, otlp=False)
    monkeypatch.delattr(trace, "_TRACER_PROVIDER")
    monkeypatch.setattr(trace, "get_tracer_provider", lambda: provider)

    assert turn(source).mode == "live"


def test_switched_off_there_are_ids_and_nothing_else(ids):
    """Turn and step have ids and parentage; OpenTelemetry's context is not touched."""
    source = OffSpans(ids)
    root = source.start("turn", "a", 1, None, "s", None, "a", True)
    tool = source.start("tool", "t", 1, root, "s", None, "a", True)

    assert trace.get_current_span() is trace.INVALID_SPAN
    assert (tool.trace_id, tool.parent_span_id) == (root.trace_id, root.span_id)
    assert (root.mode, root.sampled, root.flags, root.state) == ("off", False, 0, "")
    assert source.end(root, {}) is None


def test_live_spans_and_an_otlp_exporter_are_a_mistake(ids):
    """Every span would arrive twice."""
    with pytest.raises(SettingsError, match="twice"):
        span_source(Settings(spans="live"), {}, ids=ids, otlp=True)

    check(Settings(spans="live"), otlp=False)


@pytest.mark.parametrize(
    "given, word, own, live",
    [
        ({}, "", True, False),
        ({"content": False}, "", False, False),
        ({"span_content": True}, "NO_CONTENT", True, True),
        ({"span_content": False}, "SPAN_ONLY", False, False),
        ({}, "NO_CONTENT", False, False),
        ({}, "span_only", True, True),
        ({}, "EVENT_ONLY", False, False),
        ({}, "SPAN_AND_EVENT", True, True),
        ({}, "true", True, True),
        ({}, "false", False, False),
    ],
)
def test_content_is_on_spans_as_settings_and_the_variable_say(given, word, own, live, caplog):
    """The setting wins over OpenTelemetry's variable, it over what the mode suggests."""
    decided = [
        content_on_spans(Settings(**given), {VARIABLE: word}, live=mode) for mode in (False, True)
    ]

    assert (decided, caplog.records) == ([own, live], [])


def test_a_word_nobody_knows_means_no_content_and_one_error(caplog):
    """Content is never on by accident."""
    decided = [content_on_spans(Settings(), {VARIABLE: "yes please"}, live=False)] * 2

    assert decided == [False, False]
    assert [record.levelno for record in caplog.records] == [logging.ERROR]
    assert VARIABLE in caplog.text
